//! From what Slack said to what happened: pure, so that it can be run again after a crash and tested from recorded JSON.

mod changes;
mod chats;
mod messages;
mod reactions;

pub(crate) use changes::edited_at;
pub use messages::METADATA;
pub(crate) use messages::{key_of, thread_of};
pub(crate) use reactions::reactions_digest;

use std::{fmt::Write as _, time::SystemTime};

use landbridge_framework::{
    DecodeError, PortalKey, Scope,
    clock::time,
    event::{Body, RemoteEvent, Sender},
};
use serde_json::Value;

use crate::{
    connector::Slack,
    convert::Context,
    ids::{self, Account, Chat, User},
    json::text,
    people,
    raw::{Own, Raw, What},
};

/// An event of Slack's, as the framework has it.
pub type Event = RemoteEvent<Slack>;

/// What happened.
pub fn decode(account: &Account, raw: &Raw) -> Result<Vec<Event>, DecodeError> {
    let reader = Reader { account, raw };
    Ok(match &raw.what {
        What::Event { event } => reader.event(event),
        What::Past { channel, message } => reader.message(channel, message),
        What::Edited { channel, message } => reader.edited_in_the_past(channel, message),
        What::Reactions { channel, message, at } => reader.all_reactions(channel, message, at),
        What::Profile { channel, user, at } => {
            let Some(id) = text(user, "id").filter(|id| ids::is_id(id)) else {
                return Ok(Vec::new());
            };
            let changed = Body::UserChanged {
                user: User::new(&raw.team, id),
                info: Some(people::user_info(user)),
            };
            let event = reader.make(channel, reader.user(id), at, format!("u:{id}:{at}"), changed);
            vec![event.only_in_known_portals()]
        }
        What::Resync { channel, at } => {
            vec![reader.make(channel, Sender::System, at, format!("s:{at}"), Body::Resync)]
        }
    })
}

/// Reads for one account.
struct Reader<'a> {
    account: &'a Account,
    raw: &'a Raw,
}

impl<'a> Reader<'a> {
    fn context(&self) -> Context<'a> {
        Context { team: &self.raw.team, names: &self.raw.names }
    }

    fn own(&self) -> &'a Own {
        &self.raw.names.own
    }

    fn portal(&self, channel: &str) -> PortalKey<Slack> {
        let id = Chat::new(&self.raw.team, channel);
        let scope =
            if id.is_direct() { Scope::Private(self.account.clone()) } else { Scope::Shared };
        PortalKey { id, scope }
    }

    /// Who a user of the workspace is to the framework: the account itself, the app's bot, or a ghost.
    fn user(&self, id: &str) -> Sender<Slack> {
        if self.own().user.as_deref() == Some(id) {
            return self.app();
        }
        let user = User::new(&self.raw.team, id);
        if self.account.person() == Some(&user) { Sender::Me } else { Sender::User(user) }
    }

    fn app(&self) -> Sender<Slack> {
        match self.account {
            Account::App => Sender::Me,
            Account::Person(_) => Sender::Login(Account::App),
        }
    }

    /// An event of a chat. The app's bots hear much that nobody asked to be bridged; what a person sees, they want to see.
    fn make(
        &self,
        channel: &str,
        sender: Sender<Slack>,
        at: &str,
        key: String,
        body: impl Into<Body<Slack>>,
    ) -> Event {
        let event = Event::new(self.portal(channel), sender, moment(at), key, body);
        match self.account {
            Account::App => event.only_in_known_portals(),
            Account::Person(_) => event,
        }
    }

    fn event(&self, event: &Value) -> Vec<Event> {
        let kind = text(event, "type").unwrap_or_default();
        match kind {
            "message" => self.message_event(event),
            "reaction_added" | "reaction_removed" => {
                self.reaction(event, kind == "reaction_added").into_iter().collect()
            }
            _ => self.chat_event(kind, event),
        }
    }
}

/// The time of a `ts`.
fn moment(ts: &str) -> SystemTime {
    time(ids::micros(ts).unwrap_or_default() / 1_000)
}

/// A channel, if it is one.
fn channel_of(event: &Value) -> Option<&str> {
    let channel = event.get("channel")?;
    channel.as_str().or_else(|| text(channel, "id")).filter(|id| ids::is_id(id))
}

/// A short name of a text, the same for the same text for ever.
pub(crate) fn digest(text: &str) -> String {
    use sha2::{Digest as _, Sha256};
    hex(&Sha256::digest(text.as_bytes())[..12])
}

/// Bytes as text.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
        // Writing to a string never fails.
        let _ = write!(out, "{byte:02x}");
        out
    })
}
