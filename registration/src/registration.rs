//! The registration file as data, and how it is written.

use std::fmt;

use serde_json::{Map, Value, json};

use crate::{ParseError, Problem, Token, namespace, parse};

pub(crate) const PUSH_EPHEMERAL: &str = "de.sorunome.msc2409.push_ephemeral";
pub(crate) const MSC3202: &str = "org.matrix.msc3202";
pub(crate) const MSC4190: &str = "io.element.msc4190";
const DOUBLE_PUPPET: &str = "org.landbridge.double_puppet";
pub(crate) const MSC4203: &str = "org.matrix.msc4203";

/// How an application service is known to a homeserver
/// (Application Service API, "Registration").
///
/// What a file holds beyond what we know stays in [`other`](Self::other) and is written back.
#[expect(clippy::struct_excessive_bools, reason = "the file's flags are independent of each other")]
#[derive(Clone, PartialEq)]
pub struct Registration {
    /// The unique name of the service, which never changes.
    pub id: String,
    /// Where the homeserver reaches the service; `None` (`null` in the file) if it wants no traffic.
    pub url: Option<String>,
    /// What the service shows to the homeserver.
    pub as_token: Token,
    /// What the homeserver shows to the service.
    pub hs_token: Token,
    /// The localpart of the service's own user.
    pub sender_localpart: String,
    /// Whether requests of masqueraded users are rate-limited; `None` if the file does not say,
    /// which means yes.
    pub rate_limited: Option<bool>,
    /// The third-party protocols the service provides, such as `irc`.
    pub protocols: Vec<String>,
    /// The users, aliases and rooms it is interested in.
    pub namespaces: Namespaces,
    /// `receive_ephemeral`: typing, receipts and presence come under the stable names.
    pub receive_ephemeral: bool,
    /// `de.sorunome.msc2409.push_ephemeral`: the same under the unstable names of MSC2409.
    pub push_ephemeral: bool,
    /// `org.matrix.msc3202`: device lists, one-time key counts and fallback key types come too.
    pub msc3202: bool,
    /// `io.element.msc4190`: the service manages its devices without logging in.
    pub msc4190: bool,
    /// `org.matrix.msc4203`: to-device messages come even without ephemeral data.
    pub msc4203: bool,
    /// Keys this crate does not know, kept as they stood.
    pub other: Map<String, Value>,
}

/// The three lists of [`Namespace`]s of a registration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// Patterns of user ids, local ones only.
    pub users: Vec<Namespace>,
    /// Patterns of room aliases.
    pub aliases: Vec<Namespace>,
    /// Patterns of room ids.
    pub rooms: Vec<Namespace>,
}

/// One pattern of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// Whether nobody else may create or delete what matches.
    pub exclusive: bool,
    /// The pattern, anchored at the start of the id and open at its end.
    pub regex: String,
}

impl Registration {
    /// Reads a registration file, YAML or JSON, and checks it.
    ///
    /// Warnings do not stop it: [`problems`](Self::problems) tells them.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        parse::registration(text)
    }

    /// Everything wrong with this registration, errors first.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = parse::check::all(self);
        problems.extend(namespace::pattern_problems(&self.namespaces));
        problems.sort_by_key(|problem| problem.severity != crate::Severity::Error);
        problems
    }

    /// The full id of the service's own user on `server_name`.
    pub fn sender(&self, server_name: &str) -> String {
        format!("@{}:{server_name}", self.sender_localpart)
    }

    /// Whether it may act as any local user, so that its users are puppeted on this server without a token of each
    /// (`org.landbridge.double_puppet`, an extension of ours). It gives no interest in anybody's rooms.
    pub fn double_puppets(&self) -> bool {
        self.other.get(DOUBLE_PUPPET).is_some_and(|value| *value == Value::Bool(true))
    }

    /// Whether it wants typing, receipts and presence, under whichever name.
    pub fn wants_ephemeral(&self) -> bool {
        self.receive_ephemeral || self.push_ephemeral
    }

    /// Whether it wants to-device messages: with ephemeral data (MSC2409, as Synapse has it), with
    /// encryption (MSC3202), or asked for by themselves (MSC4203).
    pub fn wants_to_device(&self) -> bool {
        self.wants_ephemeral() || self.msc3202 || self.msc4203
    }

    /// The registration as a YAML file, with its tokens.
    #[expect(clippy::missing_panics_doc, reason = "cannot happen")]
    pub fn to_yaml(&self) -> String {
        // A map of strings, booleans and lists always has a YAML form.
        serde_saphyr::to_string(&self.to_json()).expect("a JSON value is writable as YAML")
    }

    /// The registration as JSON, with its tokens. JSON is as valid a file as YAML.
    pub fn to_json(&self) -> Value {
        let mut map = self.other.clone();
        map.insert("id".into(), json!(self.id));
        map.insert("url".into(), json!(self.url));
        map.insert("as_token".into(), json!(self.as_token.expose()));
        map.insert("hs_token".into(), json!(self.hs_token.expose()));
        map.insert("sender_localpart".into(), json!(self.sender_localpart));
        if let Some(limited) = self.rate_limited {
            map.insert("rate_limited".into(), json!(limited));
        }
        if !self.protocols.is_empty() {
            map.insert("protocols".into(), json!(self.protocols));
        }
        map.insert("namespaces".into(), self.namespaces.to_json());
        for (key, on) in [
            ("receive_ephemeral", self.receive_ephemeral),
            (PUSH_EPHEMERAL, self.push_ephemeral),
            (MSC3202, self.msc3202),
            (MSC4190, self.msc4190),
            (MSC4203, self.msc4203),
        ] {
            if on {
                map.insert(key.into(), json!(true));
            }
        }
        Value::Object(map)
    }
}

impl Namespaces {
    fn to_json(&self) -> Value {
        let list = |namespaces: &[Namespace]| -> Value {
            namespaces
                .iter()
                .map(|one| json!({ "exclusive": one.exclusive, "regex": one.regex }))
                .collect()
        };
        json!({ "users": list(&self.users), "aliases": list(&self.aliases), "rooms": list(&self.rooms) })
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Unknown keys may hold secrets of the service, so only their names are shown.
        f.debug_struct("Registration")
            .field("id", &self.id)
            .field("url", &self.url)
            .field("sender_localpart", &self.sender_localpart)
            .field("namespaces", &self.namespaces)
            .field("other", &self.other.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
