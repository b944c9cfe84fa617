//! The user names ("idents") of puppets. They are the same for a Matrix user for ever, so that channels can ban one; and they carry a
//! check sum keyed by the bridge, so that lines of our own puppets are known as ours even when they are those of a run that was
//! killed a moment ago and of which this one knows nothing.

use sha2::{Digest as _, Sha256};

/// The letters of an ident.
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Letters that stand for the user, and that check them. With the `m` before them nine: more is cut by many servers.
const USER: usize = 5;
const CHECK: usize = 3;

/// Makes and knows idents.
#[derive(Clone, Debug)]
pub struct Idents {
    key: String,
}

impl Idents {
    /// For a bridge's network; the parts must be the same after a restart.
    pub fn new(parts: &[&str]) -> Self {
        Self { key: parts.join("\0") }
    }

    /// A Matrix user's ident.
    pub fn of(&self, mxid: &str) -> String {
        let user = letters(&[&self.key, "user", mxid], USER);
        let check = self.check(&user);
        format!("m{user}{check}")
    }

    /// Whether an ident as shown by a server (perhaps with the `~` of "unverified") is one of ours.
    pub fn is_ours(&self, shown: &str) -> bool {
        let ident = shown.trim_start_matches(['~', '^', '+', '-', '=']);
        let Some((user, check)) = ident
            .strip_prefix('m')
            .filter(|rest| rest.len() == USER + CHECK && rest.is_ascii())
            .map(|rest| rest.split_at(USER))
        else {
            return false;
        };
        self.check(user) == check
    }

    fn check(&self, user: &str) -> String {
        letters(&[&self.key, "check", user], CHECK)
    }
}

fn letters(parts: &[&str], count: usize) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize()
        .iter()
        .take(count)
        .map(|byte| char::from(LETTERS[usize::from(byte % 32)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_stable_short_and_known_again() {
        let idents = Idents::new(&["key", "net"]);
        let ident = idents.of("@anna:hs");
        assert_eq!(ident.len(), 9);
        assert_eq!(ident, Idents::new(&["key", "net"]).of("@anna:hs"));
        assert_ne!(ident, idents.of("@bob:hs"));
        assert!(idents.is_ours(&ident) && idents.is_ours(&format!("~{ident}")));
        assert!(
            !idents.is_ours("~casey")
                && !idents.is_ours("matthew12")
                && !idents.is_ours("m\u{e9}\u{e9}\u{e9}\u{e9}")
        );
        assert!(!Idents::new(&["other", "net"]).is_ours(&ident));
    }
}
