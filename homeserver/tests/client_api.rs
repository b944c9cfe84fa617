//! The Client-Server API through the router of a whole server, as a bridge in the same process sees it.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

mod client_api {
    mod accounts;
    mod appservices;
    mod cross_signing;
    mod dehydrated;
    mod delegation;
    mod devices;
    mod discovery;
    mod email_links;
    mod email_pushers;
    mod filters;
    mod identity;
    mod key_backup;
    mod keys;
    mod moderation;
    mod notices;
    mod oauth;
    mod operations;
    mod presence;
    mod rendezvous;
    mod reports;
    mod rooms;
    mod sessions;
    mod smtp;
    mod spaces;
    mod sso;
    mod sso_accounts;
    mod sso_confirm;
    mod sso_provider;
    mod support;
    mod threepids;
}
