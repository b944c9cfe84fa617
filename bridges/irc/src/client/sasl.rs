//! SASL PLAIN and EXTERNAL (IRCv3 "SASL v3.2"; RFC 4616).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::settings::Sasl;
use crate::message::Message;

/// The most characters of one AUTHENTICATE line; a payload of exactly a multiple is closed by an empty one.
const CHUNK: usize = 400;

impl Sasl {
    /// The mechanism's name on the wire.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Plain { .. } => "PLAIN",
            Self::External => "EXTERNAL",
        }
    }

    /// Whether a server that lists these mechanisms (an empty list: it doesn't say) can take ours.
    pub(crate) fn offered(&self, mechanisms: &str) -> bool {
        mechanisms.is_empty() || mechanisms.split(',').any(|m| m.eq_ignore_ascii_case(self.name()))
    }

    /// The lines that answer the server's `AUTHENTICATE +`.
    pub(crate) fn answer(&self) -> Vec<Message> {
        let payload = match self {
            Self::Plain { account, password } => format!("{account}\0{account}\0{}", password.0),
            Self::External => return vec![Message::new("AUTHENTICATE", ["+"])],
        };
        let encoded = STANDARD.encode(payload);
        let mut lines: Vec<Message> = encoded
            .as_bytes()
            .chunks(CHUNK)
            .map(|c| Message::new("AUTHENTICATE", [String::from_utf8_lossy(c)]))
            .collect();
        if encoded.len().is_multiple_of(CHUNK) {
            lines.push(Message::new("AUTHENTICATE", ["+"]));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::settings::Secret;

    fn plain(password: &str) -> Sasl {
        Sasl::Plain { account: "casey".into(), password: Secret(password.into()) }
    }

    #[test]
    fn encodes_plain() {
        let lines = plain("sekret-pass-1").answer();
        assert_eq!(lines[0].param(0), "Y2FzZXkAY2FzZXkAc2VrcmV0LXBhc3MtMQ==");
    }

    #[test]
    fn cuts_long_payloads() {
        let lines = plain(&"x".repeat(300 - 12)).answer();
        assert_eq!(lines.iter().map(|l| l.param(0).len()).collect::<Vec<_>>(), [400, 1]);
        assert_eq!(lines[1].param(0), "+");
        assert_eq!(plain(&"x".repeat(400)).answer().len(), 2);
    }

    #[test]
    fn knows_what_the_server_offers() {
        assert!(
            plain("x").offered("")
                && plain("x").offered("EXTERNAL,PLAIN")
                && !plain("x").offered("EXTERNAL")
        );
        assert!(!format!("{:?}", plain("hidden")).contains("hidden"));
    }
}
