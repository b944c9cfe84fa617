//! Namespaces compiled: which services an id concerns, in time linear in the id.
//!
//! A pattern is anchored at the start of the id and open at its end, as Synapse has it (Python's
//! `re.match`): files in the field count on that. The patterns of all services stand in one automaton
//! per kind, so that a look-up costs the same with one service and with a hundred, and no pattern,
//! however hostile, can make it slow: the engine does not backtrack.

use regex::{RegexSet, RegexSetBuilder};

use crate::{Mask, Namespace, Namespaces, Problem, Registration};

/// The longest pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 4096;
/// The most patterns in one list of one registration.
const MAX_PATTERNS: usize = 4096;
/// How much memory one pattern may take when compiled: `(a{1000}){1000}` is refused here.
const PATTERN_MEMORY: usize = 1 << 20;
/// How much memory all patterns of one kind may take.
const SET_MEMORY: usize = 64 << 20;
const MAX_NESTING: u32 = 64;

/// Why a pattern cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct PatternError {
    fault: String,
    remedy: String,
}

/// Why no index can be built.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// More services than a [`Mask`] holds.
    #[error("there are {0} application services, and one homeserver serves at most {max}", max = Mask::CAPACITY)]
    TooMany(usize),
    /// A pattern does not compile.
    #[error("application service `{service}`, `{place}`: {error}")]
    Pattern {
        /// The id of the service.
        service: String,
        /// The path of the pattern in its file.
        place: String,
        /// What is wrong.
        error: PatternError,
    },
    /// The patterns of all services together are too large.
    #[error(
        "the {kind} namespaces of all application services are too large together: simplify the patterns"
    )]
    TooLarge {
        /// `users`, `aliases` or `rooms`.
        kind: &'static str,
    },
}

/// What an id means to the services of an index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// The services that a pattern or their sender binds to it.
    pub interested: Mask,
    /// Those of them that own it: nobody else may create or delete it.
    pub exclusive: Mask,
}

impl Interest {
    /// Whether the service at `place` may create or act as this: in its namespace, and in no other's
    /// exclusive one.
    pub fn allows(self, place: usize) -> bool {
        self.interested.contains(place) && self.exclusive.without(Mask::single(place)).is_empty()
    }

    /// Whether somebody with no service (`None`) or the service at a place is kept off by an exclusive
    /// namespace of another.
    pub fn excludes(self, place: Option<usize>) -> bool {
        !self.exclusive.without(place.map_or(Mask::EMPTY, Mask::single)).is_empty()
    }
}

/// The namespaces of several registrations, compiled. Its [`Mask`]s speak of services by the place that
/// each was given.
#[derive(Debug)]
pub struct NamespaceIndex {
    server_suffix: String,
    senders: Vec<(String, usize)>,
    users: Patterns,
    aliases: Patterns,
    rooms: Patterns,
}

impl NamespaceIndex {
    /// Compiles the namespaces of `registrations`, each with its place, for a homeserver called
    /// `server_name`. A service keeps its place when others come and go.
    pub fn build<'a>(
        server_name: &str,
        registrations: impl IntoIterator<Item = (usize, &'a Registration)>,
    ) -> Result<Self, IndexError> {
        let all: Vec<(usize, &Registration)> = registrations.into_iter().collect();
        if let Some(beyond) =
            all.iter().map(|(place, _)| *place).find(|place| *place >= Mask::CAPACITY)
        {
            return Err(IndexError::TooMany(beyond + 1));
        }
        let mut senders: Vec<_> =
            all.iter().map(|(place, one)| (one.sender(server_name), *place)).collect();
        senders.sort();
        Ok(Self {
            server_suffix: format!(":{server_name}"),
            senders,
            users: Patterns::build("users", &all, |namespaces| &namespaces.users)?,
            aliases: Patterns::build("aliases", &all, |namespaces| &namespaces.aliases)?,
            rooms: Patterns::build("rooms", &all, |namespaces| &namespaces.rooms)?,
        })
    }

    /// What a user id means. Only local users can be in a namespace (Application Service API,
    /// "Registration"); a service's sender belongs to it exclusively.
    pub fn user(&self, user_id: &str) -> Interest {
        if !self.is_local(user_id) {
            return Interest::default();
        }
        let mut interest = self.users.look_up(user_id);
        let from = self.senders.partition_point(|(sender, _)| sender.as_str() < user_id);
        for (_, place) in self.senders[from..].iter().take_while(|(sender, _)| sender == user_id) {
            interest.interested |= Mask::single(*place);
            interest.exclusive |= Mask::single(*place);
        }
        interest
    }

    /// What a room alias means, local or remote.
    pub fn alias(&self, alias: &str) -> Interest {
        self.aliases.look_up(alias)
    }

    /// What a room id means.
    pub fn room(&self, room_id: &str) -> Interest {
        self.rooms.look_up(room_id)
    }

    fn is_local(&self, user_id: &str) -> bool {
        // A localpart of old may hold anything but a colon, so the first colon starts the server name.
        user_id.find(':').is_some_and(|colon| user_id[colon..] == self.server_suffix)
    }
}

#[derive(Debug)]
struct Patterns {
    set: RegexSet,
    /// Beside each pattern of the set: whose it is, and whether it is exclusive.
    owners: Vec<(usize, bool)>,
}

impl Patterns {
    fn build(
        kind: &'static str,
        registrations: &[(usize, &Registration)],
        list: impl Fn(&Namespaces) -> &Vec<Namespace>,
    ) -> Result<Self, IndexError> {
        let (mut patterns, mut owners) = (Vec::new(), Vec::new());
        for (place, registration) in registrations {
            for (at, namespace) in list(&registration.namespaces).iter().enumerate() {
                let anchored = compile(&namespace.regex).map_err(|error| IndexError::Pattern {
                    service: registration.id.clone(),
                    place: format!("namespaces.{kind}[{at}].regex"),
                    error,
                })?;
                patterns.push(anchored);
                owners.push((*place, namespace.exclusive));
            }
        }
        let set = RegexSetBuilder::new(patterns)
            .size_limit(SET_MEMORY)
            .nest_limit(MAX_NESTING + 4)
            .build()
            .map_err(|_| IndexError::TooLarge { kind })?;
        Ok(Self { set, owners })
    }

    fn look_up(&self, id: &str) -> Interest {
        let mut interest = Interest::default();
        if self.owners.is_empty() {
            return interest;
        }
        for at in &self.set.matches(id) {
            let (place, exclusive) = self.owners[at];
            interest.interested |= Mask::single(place);
            if exclusive {
                interest.exclusive |= Mask::single(place);
            }
        }
        interest
    }
}

/// The anchored form of a pattern, if it compiles within the limits.
pub(crate) fn compile(pattern: &str) -> Result<String, PatternError> {
    let refuse =
        |fault: String, remedy: &str| Err(PatternError { fault, remedy: remedy.to_owned() });
    if pattern.len() > MAX_PATTERN_BYTES {
        return refuse(
            format!("has more than {MAX_PATTERN_BYTES} bytes"),
            "split it into several patterns",
        );
    }
    let anchored = format!("^(?:{pattern})");
    let build = |text: &str| {
        regex::RegexBuilder::new(text).size_limit(PATTERN_MEMORY).nest_limit(MAX_NESTING).build()
    };
    // Compiled bare as well: wrapped, `a)(b` would pass by closing the group we open.
    match build(pattern).and_then(|_| build(&anchored)) {
        Ok(_) => Ok(anchored),
        Err(regex::Error::CompiledTooBig(_)) => {
            refuse("takes too much memory when compiled".into(), "use smaller repetitions, or `.*`")
        }
        Err(error) => {
            let text = error.to_string();
            let fault = text.lines().last().unwrap_or("does not compile").trim().to_owned();
            let remedy = if text.contains("look-around") || text.contains("backreferences") {
                "patterns match in linear time, so look-around and backreferences are not offered: list what is meant"
            } else {
                "correct the pattern; special characters are escaped by one backslash"
            };
            refuse(format!("is no usable pattern ({fault})"), remedy)
        }
    }
}

/// Errors and warnings of the patterns of a registration.
pub(crate) fn pattern_problems(namespaces: &Namespaces) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (kind, list, sigil) in [
        ("users", &namespaces.users, '@'),
        ("aliases", &namespaces.aliases, '#'),
        ("rooms", &namespaces.rooms, '!'),
    ] {
        if list.len() > MAX_PATTERNS {
            let place = format!("namespaces.{kind}");
            problems.push(Problem::error(
                &place,
                "has more than 4096 patterns",
                "join them with `|`",
            ));
            continue;
        }
        for (at, namespace) in list.iter().enumerate() {
            let place = format!("namespaces.{kind}[{at}].regex");
            match compile(&namespace.regex) {
                Err(error) => problems.push(Problem::error(&place, error.fault, error.remedy)),
                Ok(anchored) => problems.extend(doubtful(&place, namespace, &anchored, sigil)),
            }
        }
    }
    problems
}

/// Patterns that compile but surely mean something else.
fn doubtful(place: &str, namespace: &Namespace, anchored: &str, sigil: char) -> Option<Problem> {
    let matches = |text: &str| regex::Regex::new(anchored).is_ok_and(|regex| regex.is_match(text));
    if namespace.exclusive && matches(&format!("{sigil}\u{1}")) {
        return Some(Problem::warning(
            place,
            "takes everything for itself: nobody else could register or create anything",
            "begin the pattern with a prefix of the network's own, or set `exclusive: false`",
        ));
    }
    let literal = namespace.regex.trim_start_matches(['^', '(']);
    if literal.chars().next().is_some_and(|first| first.is_alphanumeric() || first == '_') {
        return Some(Problem::warning(
            place,
            format!("does not begin with `{sigil}`, as every id it should match does"),
            format!("write `{sigil}` before it"),
        ));
    }
    None
}

#[cfg(test)]
mod tests;
