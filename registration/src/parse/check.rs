//! What must hold of a registration besides the types of its values.

use crate::{Problem, Registration};

/// The fewest characters of a token that nobody guesses.
const STRONG_TOKEN_CHARS: usize = 24;
const MAX_ID_BYTES: usize = 255;
const MAX_PROTOCOLS: usize = 256;

/// Errors and warnings of everything but the patterns.
pub(crate) fn all(registration: &Registration) -> Vec<Problem> {
    let mut problems = Vec::new();
    id(registration, &mut problems);
    url(registration, &mut problems);
    tokens(registration, &mut problems);
    sender(registration, &mut problems);
    protocols(registration, &mut problems);
    problems
}

fn id(registration: &Registration, problems: &mut Vec<Problem>) {
    if registration.id.is_empty() {
        problems.push(Problem::error(
            "id",
            "is empty",
            "give the service a name that never changes, such as `irc`",
        ));
    } else if registration.id.len() > MAX_ID_BYTES {
        problems.push(Problem::error("id", "has more than 255 bytes", "choose a shorter name"));
    } else if registration.id.chars().any(|c| c.is_control() || c == '|') {
        // `|` separates the id from the network in third_party_instance_id.
        problems.push(Problem::error(
            "id",
            "holds a control character or `|`",
            "use letters, digits, `-` and `_`",
        ));
    }
}

fn url(registration: &Registration, problems: &mut Vec<Problem>) {
    let Some(url) = &registration.url else { return };
    let host = ["http://", "https://"].iter().find_map(|scheme| url.strip_prefix(scheme));
    match host {
        None => problems.push(Problem::error(
            "url",
            "starts with neither http:// nor https://",
            "write the address at which the homeserver reaches the service, such as \"http://127.0.0.1:29330\"",
        )),
        Some(rest) if rest.is_empty() || rest.starts_with(['/', ':']) || url.contains(char::is_whitespace) => {
            problems.push(Problem::error("url", "names no host", "write it as \"http://HOST:PORT\""));
        }
        Some(rest) if rest.contains(['?', '#']) => problems.push(Problem::error(
            "url",
            "has a query or a fragment",
            "keep the scheme, host, port and path only",
        )),
        Some(_) => {}
    }
}

fn tokens(registration: &Registration, problems: &mut Vec<Problem>) {
    for (place, token) in
        [("as_token", &registration.as_token), ("hs_token", &registration.hs_token)]
    {
        let text = token.expose();
        if text.is_empty() {
            problems.push(Problem::error(
                place,
                "is empty",
                "generate a registration to get a strong token",
            ));
        } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            problems.push(Problem::error(
                place,
                "holds characters that cannot stand in an HTTP header",
                "use letters and digits",
            ));
        } else if text.len() < STRONG_TOKEN_CHARS {
            problems.push(Problem::warning(
                place,
                format!("has fewer than {STRONG_TOKEN_CHARS} characters"),
                "generate a registration to get a strong token",
            ));
        }
    }
    if registration.as_token == registration.hs_token && !registration.as_token.expose().is_empty()
    {
        problems.push(Problem::warning(
            "hs_token",
            "is the same as as_token",
            "give each direction a token of its own, so that one that leaks does not open both",
        ));
    }
}

fn sender(registration: &Registration, problems: &mut Vec<Problem>) {
    let localpart = &registration.sender_localpart;
    if localpart.is_empty() {
        problems.push(Problem::error(
            "sender_localpart",
            "is empty",
            "name the service's bot, such as `_irc_bot`",
        ));
    } else if localpart.contains([':', '@']) {
        problems.push(Problem::error(
            "sender_localpart",
            "holds `:` or `@`",
            "write only the part of the user id between `@` and `:`",
        ));
    } else if !localpart.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.=_/+".contains(&b)) {
        // The grammar of new user ids (appendices, "User Identifiers"), and upper case: mautrix's bridges all write a random
        // sender in both cases, which they never use.
        problems.push(Problem::error(
            "sender_localpart",
            "holds characters a user id must not have",
            "use letters a to z, digits and any of `-._=/+`",
        ));
    } else if localpart.len() > 200 {
        problems.push(Problem::error(
            "sender_localpart",
            "is too long for a user id",
            "choose a shorter one",
        ));
    }
}

fn protocols(registration: &Registration, problems: &mut Vec<Problem>) {
    if registration.protocols.len() > MAX_PROTOCOLS {
        problems.push(Problem::error(
            "protocols",
            "has more than 256 entries",
            "name each network once",
        ));
    }
    for (at, protocol) in registration.protocols.iter().enumerate() {
        if protocol.is_empty() || protocol.len() > MAX_ID_BYTES {
            let place = format!("protocols[{at}]");
            problems.push(Problem::error(
                &place,
                "is empty or too long",
                "write a short name, such as `irc`",
            ));
        }
    }
}
