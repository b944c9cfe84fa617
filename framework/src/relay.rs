//! Relay: Matrix users without a login appear on the network by name, through an account that is nobody's, or lent.

use quick_cache::sync::Cache;
use serde_json::Value;

use crate::{
    config::RelayConfig,
    engine::{Engine, Failure},
    format::Rich,
    handlers::{RelayProfile, TextKind},
};

/// What people are called in rooms.
pub(crate) struct Names {
    known: Cache<(String, String), (String, Option<String>)>,
}
impl Default for Names {
    fn default() -> Self {
        Self { known: Cache::new(10_000) }
    }
}

/// A text as the relay says it.
pub(crate) fn relayed(
    config: &RelayConfig,
    kind: TextKind,
    who: &RelayProfile,
    message: &Rich,
) -> Rich {
    let template = if kind == TextKind::Emote { &config.emote } else { &config.text };
    // The name goes in as it is: one that contains `{message}` must not be taken for the place of the message.
    let mut out = Rich::new();
    let mut rest = template.as_str();
    while let Some(at) = rest.find('{') {
        out.push(&rest[..at]);
        rest = &rest[at..];
        let known = [("{name}", 0), ("{mxid}", 1), ("{message}", 2)];
        let Some((key, what)) = known.iter().find(|(key, _)| rest.starts_with(key)) else {
            out.push("{");
            rest = &rest[1..];
            continue;
        };
        match what {
            0 => drop(out.push(&who.name)),
            1 => drop(out.push(&who.mxid)),
            _ => drop(out.append(message)),
        }
        rest = &rest[key.len()..];
    }
    out.push(rest);
    out
}

impl Engine {
    /// What somebody is called in a room, and their picture there.
    pub(crate) async fn name_in(
        &self,
        room: &str,
        mxid: &str,
    ) -> Result<(String, Option<String>), Failure> {
        let key = (room.to_owned(), mxid.to_owned());
        if let Some(known) = self.names.known.get(&key) {
            return Ok(known);
        }
        let member = self.matrix.bot().get_state(room, "m.room.member", mxid).await?;
        let found = read_member(member.as_ref(), mxid);
        self.names.known.insert(key, found.clone());
        Ok(found)
    }

    /// A member's event was seen: what they are called from now on.
    pub(crate) fn note_name(&self, room: &str, mxid: &str, content: &Value) {
        self.names
            .known
            .insert((room.to_owned(), mxid.to_owned()), read_member(Some(content), mxid));
    }

    /// How somebody without a login appears.
    pub(crate) async fn relay_profile(
        &self,
        room: &str,
        mxid: &str,
    ) -> Result<RelayProfile, Failure> {
        let (name, avatar_mxc) = self.name_in(room, mxid).await?;
        let avatar_url = avatar_mxc.as_deref().and_then(|mxc| self.media.link(mxc, "avatar"));
        Ok(RelayProfile { mxid: mxid.to_owned(), name, avatar_mxc, avatar_url })
    }
}

impl Engine {
    /// How somebody appears who says one thing under a name of its own.
    pub(crate) fn named_as(&self, mut who: RelayProfile, profile: Option<&Value>) -> RelayProfile {
        let text = |key: &str| profile.and_then(|p| p.get(key)).and_then(Value::as_str);
        let Some(name) = text("displayname").filter(|name| !name.trim().is_empty()) else {
            return who;
        };
        who.name = one_line(name.trim());
        if let Some(mxc) = text("avatar_url").filter(|url| url.starts_with("mxc://")) {
            who.avatar_mxc = Some(mxc.to_owned());
            who.avatar_url = self.media.link(mxc, "avatar");
        }
        who
    }
}

/// A name. Line breaks in it would let its owner speak for others on networks that are made of lines.
fn one_line(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { ' ' } else { c }).take(128).collect()
}

fn read_member(content: Option<&Value>, mxid: &str) -> (String, Option<String>) {
    let field = |key: &str| content.and_then(|content| content.get(key)).and_then(Value::as_str);
    let localpart = mxid.trim_start_matches('@').split(':').next().unwrap_or(mxid);
    let name =
        field("displayname").map(str::trim).filter(|name| !name.is_empty()).unwrap_or(localpart);
    (
        one_line(name),
        field("avatar_url").filter(|url| url.starts_with("mxc://")).map(ToOwned::to_owned),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(name: &str) -> RelayProfile {
        RelayProfile { mxid: "@a:b".into(), name: name.into(), avatar_mxc: None, avatar_url: None }
    }

    #[test]
    fn a_name_is_not_a_template() {
        let config = RelayConfig::default();
        let said =
            relayed(&config, TextKind::Text, &profile("{message}"), &Rich::plain("hi {name}"));
        assert_eq!(said.text(), "{message}: hi {name}");
        let done = relayed(&config, TextKind::Emote, &profile("Ann"), &Rich::plain("waves"));
        assert_eq!(done.text(), "* Ann waves");
    }

    #[test]
    fn a_name_has_one_line() {
        let content = serde_json::json!({ "displayname": "A\nB", "avatar_url": "https://x" });
        assert_eq!(read_member(Some(&content), "@a:b"), ("A B".to_owned(), None));
        assert_eq!(read_member(None, "@ann:b").0, "ann");
    }
}
