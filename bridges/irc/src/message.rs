//! One line of the IRC protocol, read and written.
//!
//! Ours rather than the `irc-proto` crate's, for what a bridge meets on real networks: that crate's codec ends the stream on the
//! first line that isn't UTF-8 and buffers a line without limit, and its typed commands lose the parameters of the numerics each
//! server adds. This one never fails on text (bytes that aren't UTF-8 are read as Windows-1252, what old clients send), keeps
//! every parameter, reads in one pass, and can't be made to write a second line. Source: RFC 1459 section 2.3, the "Modern IRC
//! Client Protocol" document, and IRCv3 "Message Tags".

mod text;

#[cfg(test)]
mod tests;

use std::fmt::Write as _;

pub use text::{decode_text, single_line};

/// The most bytes a line may have on the wire without its tags, line end included (RFC 1459 section 2.3).
pub const LINE_LIMIT: usize = 512;
/// The most bytes of a line we read: 8,191 of tags (IRCv3 "Message Tags") and room for servers that raise `LINELEN`.
pub const READ_LIMIT: usize = 8_191 + 8_192;
/// The most parameters of a command (RFC 1459 section 2.3); what follows belongs to the last.
const MAX_PARAMS: usize = 15;

/// A line of the protocol: tags, who it comes from, a command or a three-digit numeric, and its parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The tags with their unescaped values, in the order of the line. A tag without a value has an empty one, as IRCv3 asks.
    pub tags: Vec<(String, String)>,
    /// The source; absent on what a client sends.
    pub source: Option<Source>,
    /// The command in capitals, or the numeric.
    pub command: String,
    /// The parameters, the last of which may hold spaces.
    pub params: Vec<String>,
}

/// Who a line comes from: a user as `nick!user@host`, or a server by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// The nick, or the server's name.
    pub name: String,
    /// The user name ("ident"), where the line has it.
    pub user: Option<String>,
    /// The host, where the line has it.
    pub host: Option<String>,
}

/// Why a line can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// There is no command in it.
    #[error("the line has no command")]
    NoCommand,
    /// The command isn't made of letters or digits.
    #[error("the line's command is not a word")]
    BadCommand,
}

/// Why a line can't be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// A parameter that isn't the last is empty, begins with a colon or holds a space.
    #[error("parameter {0} can only stand last")]
    Middle(usize),
    /// The command isn't made of letters or digits.
    #[error("the command is not a word")]
    BadCommand,
    /// There are more than 15 parameters.
    #[error("too many parameters")]
    TooMany,
}

impl Message {
    /// A line to send: a command and its parameters.
    pub fn new<I, S>(command: &str, params: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        Self {
            tags: Vec::new(),
            source: None,
            command: command.to_owned(),
            params: params.into_iter().map(Into::into).collect(),
        }
    }

    /// The same line with one tag more.
    #[must_use]
    pub fn with_tag(mut self, name: &str, value: &str) -> Self {
        self.tags.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Reads one line, with or without its line end.
    pub fn parse(line: &[u8]) -> Result<Self, ParseError> {
        let mut rest = trim_end(line);
        let mut message = Self::default();
        if let Some(after) = rest.strip_prefix(b"@") {
            let (tags, after) = split_word(after);
            message.tags = parse_tags(tags);
            rest = after;
        }
        rest = skip_spaces(rest);
        if let Some(after) = rest.strip_prefix(b":") {
            let (source, after) = split_word(after);
            message.source = Some(Source::parse(&decode_text(source)));
            rest = after;
        }
        let (command, mut rest) = split_word(skip_spaces(rest));
        if command.is_empty() {
            return Err(ParseError::NoCommand);
        }
        if !command.iter().all(u8::is_ascii_alphanumeric) {
            return Err(ParseError::BadCommand);
        }
        message.command = decode_text(command).to_ascii_uppercase();
        loop {
            rest = skip_spaces(rest);
            if rest.is_empty() {
                return Ok(message);
            }
            if let Some(trailing) = rest.strip_prefix(b":") {
                message.params.push(decode_text(trailing));
                return Ok(message);
            }
            if message.params.len() == MAX_PARAMS - 1 {
                message.params.push(decode_text(rest));
                return Ok(message);
            }
            let (word, after) = split_word(rest);
            message.params.push(decode_text(word));
            rest = after;
        }
    }

    /// The line as it goes on the wire, line end included. Line breaks and NULs inside parameters become spaces: nothing a
    /// Matrix user types can start a second command. The source isn't written; a client has none.
    pub fn to_line(&self) -> Result<String, BuildError> {
        if self.command.is_empty() || !self.command.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(BuildError::BadCommand);
        }
        if self.params.len() > MAX_PARAMS {
            return Err(BuildError::TooMany);
        }
        let mut line = String::new();
        for (index, (name, value)) in self.tags.iter().enumerate() {
            line.push(if index == 0 { '@' } else { ';' });
            line.extend(
                name.chars().filter(|c| !matches!(c, ' ' | ';' | '=' | '\0' | '\r' | '\n')),
            );
            if !value.is_empty() {
                line.push('=');
                escape_tag(&mut line, value);
            }
        }
        if !self.tags.is_empty() {
            line.push(' ');
        }
        line.push_str(&self.command);
        for (index, param) in self.params.iter().enumerate() {
            let param = single_line(param);
            let last = index + 1 == self.params.len();
            let needs_colon = param.is_empty() || param.starts_with(':') || param.contains(' ');
            if needs_colon && !last {
                return Err(BuildError::Middle(index));
            }
            // Texts always carry the colon: some servers' logs and bots take a one-word text without it for a target.
            let colon = needs_colon
                || (last
                    && matches!(
                        self.command.as_str(),
                        "PRIVMSG" | "NOTICE" | "TOPIC" | "QUIT" | "AWAY"
                    ));
            let _ = write!(line, " {}{param}", if colon { ":" } else { "" });
        }
        line.push_str("\r\n");
        Ok(line)
    }

    /// A parameter by its place, empty where the line has none.
    pub fn param(&self, index: usize) -> &str {
        self.params.get(index).map_or("", String::as_str)
    }

    /// The last parameter: the text of most lines.
    pub fn last(&self) -> &str {
        self.params.last().map_or("", String::as_str)
    }

    /// The value of a tag, where the line has it.
    pub fn tag(&self, name: &str) -> Option<&str> {
        // IRCv3 "Message Tags": of several tags with one name the last counts.
        self.tags.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The nick (or server) it comes from, empty where it has no source.
    pub fn nick(&self) -> &str {
        self.source.as_ref().map_or("", |source| source.name.as_str())
    }

    /// Its number, when the command is a numeric.
    pub fn numeric(&self) -> Option<u16> {
        (self.command.len() == 3).then(|| self.command.parse().ok()).flatten()
    }
}

impl Source {
    /// Reads `nick!user@host`, `nick@host`, `nick` or a server name.
    pub fn parse(text: &str) -> Self {
        let (rest, host) = match text.rsplit_once('@') {
            Some((rest, host)) => (rest, Some(host.to_owned())),
            None => (text, None),
        };
        let (name, user) = match rest.split_once('!') {
            Some((name, user)) => (name, Some(user.to_owned())),
            None => (rest, None),
        };
        Self { name: name.to_owned(), user, host }
    }
}

fn trim_end(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|b| !matches!(b, b'\r' | b'\n')).map_or(0, |last| last + 1);
    &line[..end]
}

fn skip_spaces(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|b| *b != b' ').unwrap_or(bytes.len());
    &bytes[start..]
}

fn split_word(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.iter().position(|b| *b == b' ') {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &[]),
    }
}

fn parse_tags(bytes: &[u8]) -> Vec<(String, String)> {
    let text = decode_text(bytes);
    let split = text.split(';').filter(|tag| !tag.is_empty());
    split
        .map(|tag| {
            tag.split_once('=').map_or_else(
                || (tag.to_owned(), String::new()),
                |(n, v)| (n.to_owned(), unescape_tag(v)),
            )
        })
        .collect()
}

fn escape_tag(out: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            ';' => out.push_str("\\:"),
            ' ' => out.push_str("\\s"),
            '\\' => out.push_str("\\\\"),
            '\r' => out.push_str("\\r"),
            '\n' => out.push_str("\\n"),
            '\0' => {}
            c => out.push(c),
        }
    }
}

fn unescape_tag(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some(':') => out.push(';'),
            Some('s') => out.push(' '),
            Some('r') => out.push('\r'),
            Some('n') => out.push('\n'),
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}
