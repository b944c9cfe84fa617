//! What stands in the way of two registrations on one homeserver.

use std::{collections::HashMap, fmt};

use regex::Regex;
use regex_syntax::hir::{Class, Hir, HirKind};

use crate::{Namespace, Registration, Severity, namespace::compile};

/// A clash between two registrations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Whether the two cannot run together, or only may disturb each other.
    pub severity: Severity,
    /// The ids of the two services.
    pub services: [String; 2],
    /// What they both claim.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b] = &self.services;
        write!(f, "`{a}` and `{b}` {}: {}", self.what, self.remedy)
    }
}

/// Finds what clashes between registrations for one homeserver: ids, tokens, senders, and exclusive
/// namespaces that overlap.
///
/// Ids and tokens must differ (Application Service API, "Registration"), so these are errors. An
/// overlap of namespaces is a warning: it is found by trying each pattern on examples of the
/// other's, which finds shared prefixes and copies but not every overlap there could be.
pub fn conflicts<'a>(registrations: impl IntoIterator<Item = &'a Registration>) -> Vec<Conflict> {
    let all: Vec<&Registration> = registrations.into_iter().collect();
    let mut found = Vec::new();
    same(
        &all,
        &mut found,
        Severity::Error,
        |one| &one.id,
        "have the same id",
        "give one of them another id",
    );
    same(
        &all,
        &mut found,
        Severity::Error,
        |one| one.as_token.expose(),
        "have the same as_token",
        "generate one of them anew: the token tells the services apart",
    );
    same(
        &all,
        &mut found,
        Severity::Warning,
        |one| &one.sender_localpart,
        "have the same sender_localpart",
        "give one of them another bot",
    );
    overlaps(&all, &mut found);
    found
}

fn same<'a>(
    all: &[&'a Registration],
    found: &mut Vec<Conflict>,
    severity: Severity,
    key: impl Fn(&'a Registration) -> &'a str,
    what: &str,
    remedy: &str,
) {
    let mut first: HashMap<&str, &Registration> = HashMap::new();
    for one in all {
        if let Some(other) = first.insert(key(one), one) {
            found.push(Conflict {
                severity,
                services: [other.id.clone(), one.id.clone()],
                what: what.to_owned(),
                remedy: remedy.to_owned(),
            });
        }
    }
}

/// One exclusive pattern, with examples of what it matches.
struct Claim<'a> {
    owner: usize,
    pattern: &'a str,
    regex: Regex,
    examples: Vec<String>,
}

fn claims<'a>(
    all: &[&'a Registration],
    list: impl Fn(&'a Registration) -> &'a [Namespace],
) -> Vec<Claim<'a>> {
    let mut claims = Vec::new();
    for (owner, one) in all.iter().enumerate() {
        for namespace in list(one).iter().filter(|namespace| namespace.exclusive) {
            let Some(regex) =
                compile(&namespace.regex).ok().and_then(|text| Regex::new(&text).ok())
            else {
                continue;
            };
            let examples = examples(&namespace.regex)
                .into_iter()
                .filter(|text| regex.is_match(text))
                .collect();
            claims.push(Claim { owner, pattern: &namespace.regex, regex, examples });
        }
    }
    claims
}

fn overlaps(all: &[&Registration], found: &mut Vec<Conflict>) {
    for (kind, claims) in [
        ("users", claims(all, |one| &one.namespaces.users)),
        ("aliases", claims(all, |one| &one.namespaces.aliases)),
        ("rooms", claims(all, |one| &one.namespaces.rooms)),
    ] {
        for (at, a) in claims.iter().enumerate() {
            for b in claims[at + 1..].iter().filter(|b| b.owner != a.owner) {
                let shared = a.examples.iter().find(|text| b.regex.is_match(text));
                let shared =
                    shared.or_else(|| b.examples.iter().find(|text| a.regex.is_match(text)));
                if let Some(shared) = shared {
                    found.push(Conflict {
                        severity: Severity::Warning,
                        services: [all[a.owner].id.clone(), all[b.owner].id.clone()],
                        what: format!(
                            "both claim {kind} such as `{shared}` for themselves, by `{}` and `{}`",
                            a.pattern, b.pattern
                        ),
                        remedy: "narrow one of the patterns, or set `exclusive: false` in both"
                            .to_owned(),
                    });
                }
            }
        }
    }
    for (owner, one) in all.iter().enumerate() {
        // The server's name is not known here; any will do for patterns that leave it open.
        let sender = one.sender("example.org");
        for claim in claims(all, |one| &one.namespaces.users) {
            if claim.owner != owner && claim.regex.is_match(&sender) {
                found.push(Conflict {
                    severity: Severity::Warning,
                    services: [all[claim.owner].id.clone(), one.id.clone()],
                    what: format!(
                        "share the bot `@{}`: it lies in `{}`",
                        one.sender_localpart, claim.pattern
                    ),
                    remedy: "choose a sender_localpart outside the other's exclusive namespace"
                        .to_owned(),
                });
            }
        }
    }
}

/// How long an example may grow; longer ones are cut off and then match nothing.
const MAX_EXAMPLE_CHARS: usize = 512;

/// A shortest and a slightly longer text that the pattern matches.
fn examples(pattern: &str) -> Vec<String> {
    let Ok(hir) = regex_syntax::parse(pattern) else {
        return Vec::new();
    };
    [0, 1]
        .into_iter()
        .map(|extra| {
            let mut text = String::new();
            write_example(&hir, extra, &mut text);
            text
        })
        .collect()
}

fn write_example(hir: &Hir, extra: u32, text: &mut String) {
    if text.len() > MAX_EXAMPLE_CHARS {
        return;
    }
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => text.push_str(&String::from_utf8_lossy(&literal.0)),
        HirKind::Class(Class::Unicode(class)) => {
            let has = |wanted: char| {
                class.iter().any(|range| (range.start()..=range.end()).contains(&wanted))
            };
            let any = class.iter().next().map(regex_syntax::hir::ClassUnicodeRange::start);
            text.extend(['a', '1', 'A', '_'].into_iter().find(|wanted| has(*wanted)).or(any));
        }
        HirKind::Class(Class::Bytes(class)) => {
            text.extend(class.iter().next().map(|range| char::from(range.start())));
        }
        HirKind::Repetition(repetition) => {
            let times = repetition
                .max
                .map_or(repetition.min + extra, |max| max.min(repetition.min + extra));
            for _ in 0..times.min(64) {
                write_example(&repetition.sub, extra, text);
            }
        }
        HirKind::Capture(capture) => write_example(&capture.sub, extra, text),
        HirKind::Concat(parts) => parts.iter().for_each(|part| write_example(part, extra, text)),
        HirKind::Alternation(branches) => {
            // The longer example takes another branch.
            if let Some(branch) = branches.get(extra as usize % branches.len().max(1)) {
                write_example(branch, extra, text);
            }
        }
    }
}

#[cfg(test)]
mod tests;
