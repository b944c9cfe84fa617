//! What a client asks for (Client-Server API, "Scope").

use ruma::OwnedDeviceId;

/// Longer scopes than this are refused.
const MAX_SCOPE: usize = 2_048;
/// The longest device ID.
const MAX_DEVICE_ID: usize = 255;
/// Full access, under its name and the one it had before (MSC2967).
const API: [&str; 2] = ["urn:matrix:client:api:*", "urn:matrix:org.matrix.msc2967.client:api:*"];
/// What stands before a device's ID, likewise.
const DEVICE: [&str; 2] =
    ["urn:matrix:client:device:", "urn:matrix:org.matrix.msc2967.client:device:"];

/// The administration API, under the name that Synapse and the matrix-authentication-service have for it.
const ADMIN: &str = "urn:synapse:admin:*";

/// A scope that can be granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The device that the client chose.
    pub device: OwnedDeviceId,
    /// What is granted, in the words of the client, without what means nothing here.
    pub text: String,
    /// Whether the administration API is among it, which only administrators can grant.
    pub admin: bool,
}

impl Scope {
    /// Reads a scope: full access, one device, and perhaps administration. What isn't known is left out, as RFC 6749, 3.3, has it.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_SCOPE {
            return None;
        }
        let (mut full, mut admin, mut device, mut known) = (false, false, None, Vec::new());
        for token in text.split(' ').filter(|token| !token.is_empty()) {
            if API.contains(&token) {
                full = true;
            } else if token == ADMIN {
                admin = true;
            } else if let Some(id) = DEVICE.iter().find_map(|prefix| token.strip_prefix(prefix)) {
                // Both names of the same device are one.
                if id.is_empty() || id.len() > MAX_DEVICE_ID || !id.bytes().all(allowed) {
                    return None;
                }
                if device.is_some_and(|other| other != id) {
                    return None;
                }
                device = Some(id);
            } else {
                continue;
            }
            known.push(token);
        }
        let device = device.filter(|_| full)?;
        Some(Self { device: device.into(), text: known.join(" "), admin })
    }

    /// Whether a scope asks for nothing beyond one that was granted.
    pub fn covers(granted: &str, asked: &str) -> bool {
        let granted: Vec<&str> = granted.split(' ').collect();
        asked.split(' ').filter(|token| !token.is_empty()).all(|token| granted.contains(&token))
    }
}

/// A scope names several devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeveralDevices;

/// Whether a scope that somebody else granted is full access to the Client-Server API.
pub fn grants_api(scope: &str) -> bool {
    scope.split(' ').any(|token| API.contains(&token))
}

/// Whether a scope that was granted has the administration API in it.
pub fn grants_admin(scope: &str) -> bool {
    scope.split(' ').any(|token| token == ADMIN)
}

/// The device that such a scope names, if it names one; an error when it names several.
pub fn device_of(scope: &str) -> Result<Option<&str>, SeveralDevices> {
    let device = |token| DEVICE.iter().find_map(|prefix| str::strip_prefix(token, prefix));
    let mut devices = scope.split(' ').filter_map(device);
    let first = devices.next();
    if devices.all(|other| Some(other) == first) { Ok(first) } else { Err(SeveralDevices) }
}

/// What RFC 6749, 3.3, allows in a scope, but for the blank.
const fn allowed(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_access_and_one_device_can_be_granted() {
        let scope =
            Scope::parse("openid urn:matrix:client:api:* urn:matrix:client:device:ABC").unwrap();
        assert_eq!(scope.device, "ABC");
        assert_eq!(scope.text, "urn:matrix:client:api:* urn:matrix:client:device:ABC");
        assert!(!scope.admin && !grants_admin(&scope.text));
        let admin = format!("{} urn:synapse:admin:*", scope.text);
        assert!(Scope::parse(&admin).is_some_and(|scope| scope.admin && scope.text == admin));
        assert!(grants_admin(&admin));
        let old = "urn:matrix:org.matrix.msc2967.client:api:* urn:matrix:org.matrix.msc2967.client:device:A.b~c";
        assert_eq!(Scope::parse(old).unwrap().text, old);
        for bad in [
            "",
            "urn:matrix:client:api:*",
            "urn:matrix:client:device:ABC",
            "urn:matrix:client:api:* urn:matrix:client:device:",
            "urn:matrix:client:api:* urn:matrix:client:device:a\"b",
            "urn:matrix:client:api:* urn:matrix:client:device:é",
            "urn:matrix:client:api:* urn:matrix:client:device:A urn:matrix:client:device:B",
        ] {
            assert_eq!(Scope::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_another_server_granted_is_read() {
        assert!(grants_api("openid urn:matrix:client:api:*") && !grants_api("openid"));
        assert_eq!(device_of("openid"), Ok(None));
        let both = "urn:matrix:client:device:A urn:matrix:org.matrix.msc2967.client:device:A";
        assert_eq!(device_of(both), Ok(Some("A")));
        let two = "urn:matrix:client:device:A urn:matrix:client:device:B";
        assert_eq!(device_of(two), Err(SeveralDevices));
    }

    #[test]
    fn less_may_be_asked_for_but_not_more() {
        assert!(Scope::covers("a b", "b") && Scope::covers("a b", ""));
        assert!(!Scope::covers("a b", "b c"));
    }
}
