//! Secrets that never show themselves in a log.

use std::fmt;

/// A secret token of a registration. `Debug` hides it, and comparing takes the same time wherever
/// the first difference lies.
///
/// ```
/// let token = landbridge_registration::Token::new("a-secret");
/// assert!(token.matches("a-secret") && !token.matches("a-guess"));
/// assert_eq!(format!("{token:?}"), "Token(hidden)");
/// ```
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// Takes the text of a token.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself: for the `Authorization` header and the file, never for a log.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `given` is this token, in a time that does not depend on where they differ.
    pub fn matches(&self, given: &str) -> bool {
        let (own, given) = (self.0.as_bytes(), given.as_bytes());
        own.len() == given.len()
            && own.iter().zip(given).fold(0, |seen, (a, b)| seen | (a ^ b)) == 0
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.matches(&other.0)
    }
}

impl Eq for Token {}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}
