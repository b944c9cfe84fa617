//! What those may do whose account was locked or suspended (Client-Server API, "Account moderation").

use http::Method;

/// All that is left to those who are locked out.
const LOCKED: [&str; 2] = ["/_matrix/client/v3/logout", "/_matrix/client/v3/logout/all"];

/// Endpoints that speak to others, or change what others see of the user. Those for sending events, setting state and
/// joining aren't here: what they do depends on more than the path.
const SPEAKING: [&str; 17] = [
    "/_matrix/client/unstable/com.beeper.backfill/rooms/{roomId}/batch_send",
    "/_matrix/client/unstable/com.beeper.msc4437/profile/{userId}",
    "/_matrix/client/unstable/com.beeper.yeet/rooms/{roomId}/delete",
    // Addresses can be added while suspended, but not taken away: the list so is a log of what was changed.
    "/_matrix/client/v3/account/3pid/delete",
    "/_matrix/client/v3/account/3pid/unbind",
    "/_matrix/client/v3/createRoom",
    "/_matrix/client/v3/directory/list/room/{roomId}",
    "/_matrix/client/v3/directory/room/{roomAlias}",
    "/_matrix/client/v3/knock/{roomIdOrAlias}",
    "/_matrix/client/v3/profile/{userId}",
    "/_matrix/client/v3/profile/{userId}/{keyName}",
    "/_matrix/client/v3/rooms/{roomId}/ban",
    "/_matrix/client/v3/rooms/{roomId}/invite",
    "/_matrix/client/v3/rooms/{roomId}/kick",
    "/_matrix/client/v3/rooms/{roomId}/typing/{userId}",
    "/_matrix/client/v3/rooms/{roomId}/unban",
    "/_matrix/client/v3/rooms/{roomId}/upgrade",
];
const UPLOADS: [&str; 3] = ["create", "upload", "upload/{serverName}/{mediaId}"];

/// Whether those who are locked out may use this endpoint.
pub(super) fn may_locked(path: &str) -> bool {
    LOCKED.contains(&current(path).as_str())
}

/// Whether suspended users may use this endpoint at all.
pub(super) fn may_suspended(method: &Method, path: &str) -> bool {
    if *method == Method::GET {
        return true;
    }
    if let Some(rest) = path.strip_prefix("/_matrix/media/") {
        let file = rest.split_once('/').map_or("", |(_version, file)| file);
        return !UPLOADS.contains(&file);
    }
    !SPEAKING.contains(&current(path).as_str())
}

/// A path under the name that the spec has for it today.
fn current(path: &str) -> String {
    match path.strip_prefix("/_matrix/client/r0/") {
        Some(rest) => format!("/_matrix/client/v3/{rest}"),
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_locked_out_can_only_log_out() {
        assert!(may_locked("/_matrix/client/r0/logout"));
        assert!(may_locked("/_matrix/client/v3/logout/all"));
        assert!(!may_locked("/_matrix/client/v3/sync"));
        assert!(!may_locked(""));
    }

    #[test]
    fn suspended_users_read_but_do_not_speak() {
        assert!(may_suspended(&Method::GET, "/_matrix/client/v3/profile/{userId}"));
        assert!(!may_suspended(&Method::PUT, "/_matrix/client/r0/profile/{userId}/{keyName}"));
        assert!(!may_suspended(&Method::POST, "/_matrix/media/r0/upload"));
        assert!(may_suspended(&Method::POST, "/_matrix/client/v3/keys/upload"));
        assert!(may_suspended(&Method::POST, "/_matrix/client/v3/rooms/{roomId}/leave"));
    }
}
