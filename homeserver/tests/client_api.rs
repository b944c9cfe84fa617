//! The Client-Server API through the router of a whole server, as a bridge in the same process sees it.

mod client_api {
    mod accounts;
    mod appservices;
    mod keys;
    mod rooms;
    mod support;
}
