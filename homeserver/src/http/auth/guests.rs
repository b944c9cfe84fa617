//! What guests may do (Client-Server API, "Guest Access").

use http::{Method, Uri};

const READ: [&str; 14] = [
    "/_matrix/client/v3/account/whoami",
    "/_matrix/client/v3/devices",
    "/_matrix/client/v3/devices/{deviceId}",
    "/_matrix/client/v3/events",
    "/_matrix/client/v3/rooms/{roomId}/context/{eventId}",
    "/_matrix/client/v3/rooms/{roomId}/event/{eventId}",
    "/_matrix/client/v3/rooms/{roomId}/initialSync",
    "/_matrix/client/v3/rooms/{roomId}/members",
    "/_matrix/client/v3/rooms/{roomId}/messages",
    "/_matrix/client/v3/rooms/{roomId}/state",
    "/_matrix/client/v3/rooms/{roomId}/state/{eventType}",
    "/_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}",
    "/_matrix/client/v3/sync",
    "/_matrix/client/v3/capabilities",
];
const WRITE: [&str; 13] = [
    "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync",
    "/_matrix/client/v3/devices/{deviceId}",
    "/_matrix/client/v3/join/{roomIdOrAlias}",
    "/_matrix/client/v3/keys/claim",
    "/_matrix/client/v3/keys/query",
    "/_matrix/client/v3/keys/upload",
    "/_matrix/client/v3/logout",
    "/_matrix/client/v3/rooms/{roomId}/join",
    "/_matrix/client/v3/rooms/{roomId}/leave",
    "/_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}",
    "/_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}",
    "/_matrix/client/v3/sendToDevice/{eventType}/{txnId}",
    "/_matrix/client/v3/user/{userId}/filter",
];
const FIELD: &str = "/_matrix/client/v3/profile/{userId}/{keyName}";
const MEDIA: &str = "/_matrix/client/v1/media/";

/// Whether guests may use this endpoint.
pub(super) fn may(method: &Method, path: Option<&str>, uri: &Uri) -> bool {
    let Some(path) = path else { return false };
    let current =
        path.strip_prefix("/_matrix/client/r0/").map(|rest| format!("/_matrix/client/v3/{rest}"));
    let path = current.as_deref().unwrap_or(path);
    match *method {
        Method::GET => READ.contains(&path) || path.starts_with(MEDIA),
        Method::PUT | Method::POST if WRITE.contains(&path) => true,
        // Of what they say of themselves, guests change their name alone.
        Method::PUT | Method::DELETE => path == FIELD && uri.path().ends_with("/displayname"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_read_rooms_but_create_none() {
        let uri = Uri::from_static("/_matrix/client/v3/profile/@a:b/displayname");
        let may = |method, path| may(&method, path, &uri);
        assert!(may(Method::GET, Some("/_matrix/client/v3/rooms/{roomId}/messages")));
        assert!(may(Method::POST, Some("/_matrix/client/r0/rooms/{roomId}/join")));
        assert!(!may(Method::POST, Some("/_matrix/client/v3/createRoom")));
        assert!(may(Method::PUT, Some(FIELD)) && may(Method::DELETE, Some(FIELD)));
        let uri = Uri::from_static("/_matrix/client/v3/profile/@a:b/avatar_url");
        assert!(!super::may(&Method::PUT, Some(FIELD), &uri));
        assert!(!may(Method::GET, None));
    }
}
