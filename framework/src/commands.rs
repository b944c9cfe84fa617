//! The bridge's bot: what people say to it in a room of their own, or with the prefix anywhere.
//!
//! A message is a command, or an answer to a login that is going on. Commands are looked up in one table ([`list`]),
//! which also checks who may use them and writes the help.

mod chat_login;
mod groups;
mod list;
mod people;
mod qr;
mod reply;
mod rooms;
mod ways;

#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

use quick_cache::sync::Cache;
use serde_json::Value;

use crate::control::{Control, ControlError, authority};
use crate::kv::KeyValue;
use crate::login::pending;
use crate::matrix::Matrix;
use chat_login::ChatLogins;
use list::{Command, Need};
use reply::Reply;

/// Where users talk to the bot, by room: the user whose management room it is.
const MANAGEMENT: &str = "room/management/";
/// The other way round: the latest such room of a user.
pub(crate) const MANAGEMENT_OF: &str = "room/management-of/";
/// How many rooms are remembered in which more than one person talks.
const SHARED_ROOMS: usize = 10_000;

/// The bot's ear. Cheap to clone.
#[derive(Clone)]
pub struct Commands {
    inner: Arc<Inner>,
}

struct Inner {
    control: Arc<dyn Control>,
    matrix: Matrix,
    kv: Arc<dyn KeyValue>,
    logins: ChatLogins,
    /// Rooms that were seen to be shared: their members aren't asked for again with each message.
    shared: Cache<String, ()>,
}

/// One command being run.
struct Context<'a> {
    inner: &'a Inner,
    room_id: &'a str,
    user: &'a str,
    event_id: &'a str,
    args: Vec<String>,
    /// What followed the command's name, as written.
    rest: &'a str,
}

/// What a command answers, in Markdown.
type Outcome = Result<String, ControlError>;

impl Commands {
    /// The commands of one bridge.
    pub fn new(control: Arc<dyn Control>, matrix: Matrix, kv: Arc<dyn KeyValue>) -> Self {
        let logins = ChatLogins::new(matrix.clone(), kv.clone());
        Self {
            inner: Arc::new(Inner {
                control,
                matrix,
                kv,
                logins,
                shared: Cache::new(SHARED_ROOMS),
            }),
        }
    }

    /// Handles a message in a room that is no portal, or one with the prefix in a portal. Everything that goes wrong is
    /// told in the room; a repeat of the same event gives the same answer once.
    pub async fn handle(&self, room_id: &str, sender: &str, event: &Value) {
        let inner = &*self.inner;
        let content = &event["content"];
        let (Some(event_id), Some(body)) = (event["event_id"].as_str(), content["body"].as_str())
        else {
            return;
        };
        if sender == inner.matrix.bot_id() || content["msgtype"] != "m.text" {
            return;
        }
        if inner.control.level(sender) == crate::permissions::Level::Block {
            return;
        }
        let about = inner.control.about();
        let body = body.trim();
        let prefixed = strip_prefix(body, &about.command_prefix);
        let own_room = match prefixed {
            // With the prefix the bot is meant, wherever it is said.
            Some(_) => false,
            None => self.is_management_room(room_id, sender).await,
        };
        if prefixed.is_none() && !own_room {
            return;
        }
        let text = prefixed.unwrap_or(body);
        let reply = Reply::new(&inner.matrix, room_id, event_id);
        if prefixed.is_none()
            && !text.eq_ignore_ascii_case("cancel")
            && inner.logins.answer(sender, room_id, event_id, text).await
        {
            return;
        }
        let (name, rest) =
            text.split_once(char::is_whitespace).map_or((text, ""), |(n, r)| (n, r.trim()));
        let call = Context {
            inner,
            room_id,
            user: sender,
            event_id,
            args: rest.split_whitespace().map(ToOwned::to_owned).collect(),
            rest,
        };
        let outcome = self.run(&name.to_lowercase(), call).await;
        let text = match outcome {
            Ok(text) => text,
            Err(error) => error.to_string(),
        };
        if !text.is_empty() {
            reply.send(&text).await;
        }
    }

    /// After a start: tells those whose login the restart interrupted.
    pub async fn resume(&self) {
        let inner = &*self.inner;
        let Ok(interrupted) = pending::interrupted(&*inner.kv).await else { return };
        for login in interrupted {
            let reply =
                Reply::new(&inner.matrix, &login.room, &format!("interrupted/{}", login.user));
            if reply.send("The bridge was restarted in the middle of your login. Please start it again: `login`").await
                && let Err(error) = pending::end(&*inner.kv, &login.user).await
            {
                tracing::warn!(%error, "an interrupted login can't be forgotten");
            }
        }
    }

    async fn run(&self, name: &str, context: Context<'_>) -> Outcome {
        let control = &context.inner.control;
        let level = control.level(context.user);
        if name == "help" || name.is_empty() {
            return Ok(list::help(&**control, level));
        }
        let Some(command) = list::find(name) else {
            let own = control.connector_commands();
            if let Some(command) = own.iter().find(|command| command.name == name) {
                if level < command.level {
                    return Err(may_not(command.name));
                }
                return control
                    .run_command(
                        context.user,
                        context.room_id,
                        context.event_id,
                        name,
                        &context.args,
                    )
                    .await;
            }
            return Err(ControlError::NotFound(format!(
                "I don't know `{name}`. What I know: `help`"
            )));
        };
        if level < command.level {
            return Err(may_not(command.name));
        }
        if context.args.len() < command.min_args {
            return Err(ControlError::NotFound(usage(command, &control.about().command_prefix)));
        }
        if command.need == Need::Portal && control.portal(context.room_id).await?.is_none() {
            return Err(ControlError::NotFound("This works only in a bridged room.".into()));
        }
        if command.need == Need::NoPortal && control.portal(context.room_id).await?.is_some() {
            return Err(ControlError::Denied(
                "This room is bridged already; `unbridge` it first.".into(),
            ));
        }
        if command.moderates && level < crate::permissions::Level::Admin {
            authority::require_power(&context.inner.matrix, context.room_id, context.user).await?;
        }
        (command.run)(context).await
    }

    /// Whether the room is the user's own with the bot: nobody else is in it.
    async fn is_management_room(&self, room_id: &str, user: &str) -> bool {
        let inner = &*self.inner;
        if inner.shared.get(room_id).is_some() {
            return false;
        }
        let key = format!("{MANAGEMENT}{room_id}");
        match inner.kv.get(&key).await {
            Ok(Some(owner)) => return owner == user,
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "management rooms can't be looked up"),
        }
        let Ok(members) = inner.matrix.bot().joined_members(room_id).await else {
            return false;
        };
        let own = members.len() == 2
            && members.contains_key(user)
            && members.contains_key(&inner.matrix.bot_id());
        if own {
            let of = format!("{MANAGEMENT_OF}{user}");
            for (key, value) in [(&key, user), (&of, room_id)] {
                if let Err(error) = inner.kv.put(key, value).await {
                    tracing::warn!(%error, "a management room can't be remembered");
                }
            }
        } else if members.len() > 2 {
            inner.shared.insert(room_id.to_owned(), ());
        }
        own
    }
}

fn may_not(name: &str) -> ControlError {
    ControlError::Denied(format!("You may not use `{name}` on this bridge."))
}

fn usage(command: &Command, prefix: &str) -> String {
    format!("How to use it: `{prefix} {} {}`\n{}", command.name, command.usage, command.help)
}

/// The text after the prefix, if the prefix stands before it as a word. No prefix stands before nothing.
pub(crate) fn strip_prefix<'a>(body: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = body.strip_prefix(prefix).filter(|_| !prefix.is_empty())?;
    (rest.is_empty() || rest.starts_with(char::is_whitespace)).then(|| rest.trim())
}
