//! From the text of a registration file to a [`Registration`].
//!
//! The file is read into plain values first and taken apart by hand, so that every fault is told at
//! once, each with its place and its remedy, instead of the first one in serde's words.

pub(crate) mod check;

use serde_json::{Map, Value};

use crate::{
    Namespace, Namespaces, Problem, Registration, Severity, Token,
    registration::{MSC3202, MSC4190, MSC4203, PUSH_EPHEMERAL},
};

/// The largest registration file we read, in bytes.
pub const MAX_FILE_BYTES: usize = 1 << 20;

/// Why a registration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// It is longer than [`MAX_FILE_BYTES`].
    #[error(
        "the file has {0} bytes, more than the {MAX_FILE_BYTES} allowed: is it really a registration?"
    )]
    TooLarge(usize),
    /// It is neither YAML nor JSON.
    #[error("line {line}, column {column}: not valid YAML: {message}")]
    Syntax {
        /// Counted from 1; 0 if unknown.
        line: u64,
        /// Counted from 1; 0 if unknown.
        column: u64,
        /// What the parser says.
        message: String,
    },
    /// Its contents do not hold.
    #[error("{}", list(.0))]
    Invalid(Vec<Problem>),
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

pub(crate) fn registration(text: &str) -> Result<Registration, ParseError> {
    if text.len() > MAX_FILE_BYTES {
        return Err(ParseError::TooLarge(text.len()));
    }
    let value: Value = serde_saphyr::from_str(text).map_err(|error| syntax(&error))?;
    let Value::Object(map) = value else {
        return Err(ParseError::Invalid(vec![Problem::error(
            "(the file)",
            "is not a map of keys and values",
            "write `id: ...`, `url: ...` and so on, one key to a line",
        )]));
    };
    let mut reader = Reader { map, problems: Vec::new() };
    let registration = reader.registration();
    let mut problems = reader.problems;
    if problems.is_empty() {
        problems = registration.problems();
    }
    problems.retain(|problem| problem.severity == Severity::Error);
    if problems.is_empty() { Ok(registration) } else { Err(ParseError::Invalid(problems)) }
}

fn syntax(error: &serde_saphyr::Error) -> ParseError {
    let (line, column) = error.location().map_or((0, 0), |at| (at.line(), at.column()));
    // The parser shows the faulty lines, which may hold a token: only its first line is safe to tell.
    let message = error.without_snippet().to_string();
    ParseError::Syntax {
        line,
        column,
        message: message.lines().next().unwrap_or("unreadable").to_owned(),
    }
}

/// Takes the known keys out of the map, noting what is wrong; the rest stays.
struct Reader {
    map: Map<String, Value>,
    problems: Vec<Problem>,
}

impl Reader {
    fn registration(&mut self) -> Registration {
        Registration {
            id: self.required("id"),
            url: self.url(),
            as_token: Token::new(self.required("as_token")),
            hs_token: Token::new(self.required("hs_token")),
            sender_localpart: self.required("sender_localpart"),
            rate_limited: self.boolean("rate_limited"),
            protocols: self.protocols(),
            namespaces: self.namespaces(),
            receive_ephemeral: self.flag("receive_ephemeral"),
            push_ephemeral: self.flag(PUSH_EPHEMERAL),
            msc3202: self.flag(MSC3202),
            msc4190: self.flag(MSC4190),
            msc4203: self.flag(MSC4203),
            other: std::mem::take(&mut self.map),
        }
    }

    fn wrong(&mut self, place: &str, found: &Value, wanted: &str, remedy: &str) {
        self.problems.push(Problem::error(
            place,
            format!("is {}, not {wanted}", kind(found)),
            remedy,
        ));
    }

    fn required(&mut self, key: &str) -> String {
        match self.map.remove(key) {
            Some(Value::String(text)) => text,
            Some(found) => {
                self.wrong(key, &found, "a string", "put the value in double quotes");
                String::new()
            }
            None => {
                self.problems.push(Problem::error(
                    key,
                    "is missing",
                    format!("add a line `{key}: ...`"),
                ));
                String::new()
            }
        }
    }

    fn url(&mut self) -> Option<String> {
        match self.map.remove("url") {
            Some(Value::Null) => None,
            // Several frameworks write an empty string for "no traffic".
            Some(Value::String(text)) if text.is_empty() => None,
            Some(Value::String(text)) => Some(text),
            Some(found) => {
                self.wrong(
                    "url",
                    &found,
                    "a string or null",
                    "write the service's base URL in double quotes",
                );
                None
            }
            None => {
                self.problems.push(Problem::error(
                    "url",
                    "is missing",
                    "add the base URL of the service, or `url: null` if it wants no traffic",
                ));
                None
            }
        }
    }

    fn boolean(&mut self, key: &str) -> Option<bool> {
        let found = self.map.remove(key)?;
        if found.is_null() {
            return None;
        }
        let value = as_bool(&found);
        if value.is_none() {
            self.wrong(key, &found, "true or false", "write `true` or `false`, without quotes");
        }
        value
    }

    fn flag(&mut self, key: &str) -> bool {
        self.boolean(key).unwrap_or(false)
    }

    fn protocols(&mut self) -> Vec<String> {
        match self.map.remove("protocols") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) => (0..)
                .zip(items)
                .filter_map(|(at, item): (usize, Value)| match item {
                    Value::String(text) => Some(text),
                    found => {
                        let remedy = "write the protocol's name, such as `irc`";
                        self.wrong(&format!("protocols[{at}]"), &found, "a string", remedy);
                        None
                    }
                })
                .collect(),
            Some(found) => {
                self.wrong("protocols", &found, "a list", "write `protocols: [irc]`");
                Vec::new()
            }
        }
    }

    fn namespaces(&mut self) -> Namespaces {
        match self.map.remove("namespaces") {
            Some(Value::Object(mut map)) => {
                let namespaces = Namespaces {
                    users: self.namespace_list(&mut map, "users"),
                    aliases: self.namespace_list(&mut map, "aliases"),
                    rooms: self.namespace_list(&mut map, "rooms"),
                };
                for key in map.keys() {
                    self.problems.push(Problem::error(
                        &format!("namespaces.{key}"),
                        "is unknown",
                        "the three namespaces are `users`, `aliases` and `rooms`",
                    ));
                }
                namespaces
            }
            Some(Value::Null) => Namespaces::default(),
            Some(found) => {
                self.wrong(
                    "namespaces",
                    &found,
                    "a map",
                    "write `users:`, `aliases:` and `rooms:` below it",
                );
                Namespaces::default()
            }
            None => {
                let remedy = "add `namespaces: { users: [], aliases: [], rooms: [] }` and fill in what it needs";
                self.problems.push(Problem::error("namespaces", "is missing", remedy));
                Namespaces::default()
            }
        }
    }

    fn namespace_list(&mut self, map: &mut Map<String, Value>, key: &str) -> Vec<Namespace> {
        let place = format!("namespaces.{key}");
        match map.remove(key) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) => (0_usize..)
                .zip(items)
                .filter_map(|(at, item)| self.namespace(&format!("{place}[{at}]"), item))
                .collect(),
            Some(found) => {
                self.wrong(
                    &place,
                    &found,
                    "a list",
                    "put `- exclusive: true` and `regex: \"...\"` below it",
                );
                Vec::new()
            }
        }
    }

    fn namespace(&mut self, place: &str, item: Value) -> Option<Namespace> {
        let Value::Object(mut map) = item else {
            self.wrong(place, &item, "a map", "write `{ exclusive: true, regex: \"...\" }`");
            return None;
        };
        let exclusive = map.remove("exclusive").unwrap_or(Value::Bool(false));
        let Some(exclusive) = as_bool(&exclusive) else {
            self.wrong(
                &format!("{place}.exclusive"),
                &exclusive,
                "true or false",
                "write `true` or `false`",
            );
            return None;
        };
        match map.remove("regex") {
            Some(Value::String(regex)) => Some(Namespace { exclusive, regex }),
            found => {
                let found = found.unwrap_or(Value::Null);
                self.wrong(
                    &format!("{place}.regex"),
                    &found,
                    "a string",
                    "write the pattern in quotes",
                );
                None
            }
        }
    }
}

/// YAML 1.1, which most servers read these files by, takes `yes` and `on` for true.
fn as_bool(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Some(true),
            "false" | "no" | "off" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "empty",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

#[cfg(test)]
mod tests;
