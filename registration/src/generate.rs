//! New registrations with strong tokens.

use rand::CryptoRng;
use serde_json::Map;

use crate::{Namespace, Namespaces, ParseError, Registration, Severity, Token};

/// Letters and digits: safe in YAML, headers, URLs and shells without quoting.
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// 381 bits of chance.
const TOKEN_CHARS: usize = 64;

/// What a new registration is to say; the tokens are drawn by [`generate`](Self::generate).
///
/// ```
/// use landbridge_registration::Blueprint;
///
/// let registration = Blueprint::new("irc", Some("http://127.0.0.1:29330"), "_irc_bot")
///     .user("@_irc_.*:example\\.org", true)
///     .alias("#_irc_.*:example\\.org", true)
///     .protocol("irc")
///     .ephemeral()
///     .generate(&mut rand::rng())?;
/// assert!(registration.to_yaml().contains("sender_localpart: _irc_bot"));
/// # Ok::<(), landbridge_registration::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Blueprint(Registration);

impl Blueprint {
    /// A service called `id` at `url` whose own user is `sender_localpart`.
    pub fn new(id: &str, url: Option<&str>, sender_localpart: &str) -> Self {
        Self(Registration {
            id: id.to_owned(),
            url: url.map(str::to_owned),
            as_token: Token::new(""),
            hs_token: Token::new(""),
            sender_localpart: sender_localpart.to_owned(),
            // A bridge passes on what others say at their pace; holding it up would lose order and time.
            rate_limited: Some(false),
            protocols: Vec::new(),
            namespaces: Namespaces::default(),
            receive_ephemeral: false,
            push_ephemeral: false,
            msc3202: false,
            msc4190: false,
            msc4203: false,
            other: Map::new(),
        })
    }

    /// Adds a pattern of user ids.
    #[must_use]
    pub fn user(mut self, regex: &str, exclusive: bool) -> Self {
        self.0.namespaces.users.push(Namespace { exclusive, regex: regex.to_owned() });
        self
    }

    /// Adds a pattern of room aliases.
    #[must_use]
    pub fn alias(mut self, regex: &str, exclusive: bool) -> Self {
        self.0.namespaces.aliases.push(Namespace { exclusive, regex: regex.to_owned() });
        self
    }

    /// Adds a pattern of room ids.
    #[must_use]
    pub fn room(mut self, regex: &str, exclusive: bool) -> Self {
        self.0.namespaces.rooms.push(Namespace { exclusive, regex: regex.to_owned() });
        self
    }

    /// Adds a third-party protocol.
    #[must_use]
    pub fn protocol(mut self, name: &str) -> Self {
        self.0.protocols.push(name.to_owned());
        self
    }

    /// Asks for typing, receipts and presence, under both names, so that older homeservers send them too.
    #[must_use]
    pub fn ephemeral(mut self) -> Self {
        self.0.receive_ephemeral = true;
        self.0.push_ephemeral = true;
        self
    }

    /// Asks for what end-to-end encryption needs: to-device messages, device lists, key counts
    /// (MSC3202, MSC4203) and devices of its own (MSC4190).
    #[must_use]
    pub fn encryption(mut self) -> Self {
        self.0.msc3202 = true;
        self.0.msc4190 = true;
        self.0.msc4203 = true;
        self.ephemeral()
    }

    /// Draws the tokens and checks the whole.
    pub fn generate(mut self, rng: &mut impl CryptoRng) -> Result<Registration, ParseError> {
        self.0.as_token = token(rng);
        self.0.hs_token = token(rng);
        let errors: Vec<_> = self
            .0
            .problems()
            .into_iter()
            .filter(|problem| problem.severity == Severity::Error)
            .collect();
        if errors.is_empty() { Ok(self.0) } else { Err(ParseError::Invalid(errors)) }
    }
}

fn token(rng: &mut impl CryptoRng) -> Token {
    let mut text = String::with_capacity(TOKEN_CHARS);
    while text.len() < TOKEN_CHARS {
        let mut bytes = [0; TOKEN_CHARS];
        rng.fill_bytes(&mut bytes);
        // Bytes of 248 and more would make the first letters likelier, so they are thrown away.
        let fair =
            bytes.iter().filter(|byte| **byte < 248).map(|byte| ALPHABET[usize::from(*byte) % 62]);
        text.extend(fair.take(TOKEN_CHARS - text.len()).map(char::from));
    }
    Token::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_unlike_and_survive_the_file() {
        let blueprint =
            Blueprint::new("irc", Some("http://localhost:1"), "_irc_bot").user("@_irc_.*", true);
        let one = blueprint.clone().generate(&mut rand::rng()).unwrap();
        let two = blueprint.generate(&mut rand::rng()).unwrap();
        assert_eq!(one.as_token.expose().len(), TOKEN_CHARS);
        assert_ne!(one.as_token, one.hs_token);
        assert_ne!(one.as_token, two.as_token);
        assert!(one.problems().is_empty(), "{:?}", one.problems());
        assert_eq!(Registration::parse(&one.to_yaml()).unwrap(), one);
    }

    #[test]
    fn a_wrong_blueprint_is_refused() {
        let error =
            Blueprint::new("irc", Some("localhost"), "bot").generate(&mut rand::rng()).unwrap_err();
        assert!(error.to_string().contains("`url` starts with neither http://"), "{error}");
    }
}
