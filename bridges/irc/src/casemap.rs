//! When two nicks or channels are the same: the server's `CASEMAPPING`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a server folds names (ISUPPORT `CASEMAPPING`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CaseMapping {
    /// Only A to Z.
    Ascii,
    /// A to Z, and `[]\~` are the capitals of `{}|^`: the default where a server doesn't say.
    #[default]
    Rfc1459,
    /// A to Z, and `[]\` are the capitals of `{}|`.
    StrictRfc1459,
}

impl CaseMapping {
    /// Reads the ISUPPORT value; an unknown one (the abandoned `rfc7613`) folds as ASCII, which never confuses two names.
    pub fn from_isupport(value: &str) -> Self {
        match value.to_ascii_lowercase().as_str() {
            "rfc1459" => Self::Rfc1459,
            "rfc1459-strict" | "strict-rfc1459" => Self::StrictRfc1459,
            _ => Self::Ascii,
        }
    }

    /// The folded form of a name.
    pub fn fold(self, name: &str) -> String {
        name.chars().map(|c| self.fold_char(c)).collect()
    }

    /// Whether two names are the same to the server.
    pub fn same(self, a: &str, b: &str) -> bool {
        a.chars().map(|c| self.fold_char(c)).eq(b.chars().map(|c| self.fold_char(c)))
    }

    fn fold_char(self, c: char) -> char {
        match (self, c) {
            (Self::Rfc1459 | Self::StrictRfc1459, '[') => '{',
            (Self::Rfc1459 | Self::StrictRfc1459, ']') => '}',
            (Self::Rfc1459 | Self::StrictRfc1459, '\\') => '|',
            (Self::Rfc1459, '~') => '^',
            _ => c.to_ascii_lowercase(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_as_the_server_says() {
        assert_eq!(CaseMapping::Rfc1459.fold("Nick[A]\\~"), "nick{a}|^");
        assert_eq!(CaseMapping::StrictRfc1459.fold("Nick[A]\\~"), "nick{a}|~");
        assert_eq!(CaseMapping::Ascii.fold("Nick[A]\\~\u{c4}"), "nick[a]\\~\u{c4}");
        assert!(CaseMapping::Rfc1459.same("#A^", "#a~"));
        assert!(!CaseMapping::Ascii.same("#A^", "#a~"));
        assert_eq!(CaseMapping::from_isupport("rfc1459"), CaseMapping::Rfc1459);
        assert_eq!(CaseMapping::from_isupport("rfc7613"), CaseMapping::Ascii);
    }
}
