//! Messages, edits, deletions and reactions from Matrix.

use landbridge_framework::{
    handlers::{FromOut, Out, RelayProfile},
    prelude::*,
};
use serde_json::{Value, json};

use super::{Connection, Slack, reconcile};
use crate::{
    client::{ApiError, Session},
    config::Replies,
    convert::{
        from_matrix::{self, Target, Written},
        to_matrix,
    },
    decode::METADATA,
    emoji,
    ids::{Chat, Ts},
    json::{list, said, text as field},
};

/// Names that Slack shows are at most this long.
const MAX_NAME: usize = 80;

/// Where something is to be said, by whom, and which attempt at it this is.
pub(super) struct Place {
    pub(super) client: std::sync::Arc<Connection>,
    pub(super) chat: Chat,
    pub(super) key: IdempotencyKey,
    pub(super) relay: Option<RelayProfile>,
    pub(super) reply: Option<Ts>,
    pub(super) thread: Option<Ts>,
    pub(super) attempt: Attempt,
    pub(super) origin: Origin,
}

impl FromOut<Slack> for Place {
    fn take(out: &Out<Slack>) -> Result<Self, SendError> {
        let Via(client): Via<Slack> = FromOut::<Slack>::take(out)?;
        let In(at, _): In<Slack> = FromOut::<Slack>::take(out)?;
        let Key(key): Key = FromOut::<Slack>::take(out)?;
        let As(relay): As = FromOut::<Slack>::take(out)?;
        let ReplyTo(reply): ReplyTo<Slack> = FromOut::<Slack>::take(out)?;
        let Thread(thread): Thread<Slack> = FromOut::<Slack>::take(out)?;
        Ok(Self {
            client,
            chat: at.id,
            key,
            relay,
            reply: reply.map(|reply| reply.id),
            thread,
            attempt: FromOut::<Slack>::take(out)?,
            origin: FromOut::<Slack>::take(out)?,
        })
    }
}

/// The thread that something goes to, and whether it goes to the channel as well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Goal {
    /// The thread's root.
    pub(super) thread: Option<String>,
    /// Whether the channel sees it too.
    pub(super) broadcast: bool,
}

impl Place {
    /// Which thread it goes to. A reply that is in none goes to that of what is answered, because Slack has no others.
    pub(super) async fn goal(&self, session: &Session) -> Result<Goal, SendError> {
        if let Some(root) = &self.thread {
            return Ok(Goal { thread: Some(root.ts.clone()), broadcast: false });
        }
        let replies = self.client.hub.config.replies;
        let Some(answered) = self.reply.as_ref().filter(|_| replies != Replies::Message) else {
            return Ok(Goal::default());
        };
        let root = root_of(session, &self.chat.channel, &answered.ts).await?;
        Ok(Goal { thread: Some(root), broadcast: replies == Replies::Broadcast })
    }

    /// How the text is to be written in its workspace.
    pub(super) async fn write(&self, body: &Rich, kind: TextKind) -> Result<Written, SendError> {
        let (_, lookup) = self.client.eyes(&self.chat.team).map_err(SendError::retry)?;
        let names = if has_pictures(body) {
            lookup.emoji().await.keys().cloned().collect()
        } else {
            std::collections::BTreeSet::new()
        };
        let target = Target { team: &self.chat.team, emoji: &names };
        let written = from_matrix::write(target, body, kind);
        if written.text.trim().is_empty() {
            return Err(SendError::refused("there is no text in it"));
        }
        Ok(written)
    }

    /// Who is shown as its author, where that is not the account itself.
    fn shown(&self, message: &mut Value) {
        let Some(relay) = &self.relay else { return };
        let name: String = relay.name.chars().take(MAX_NAME).collect();
        message["username"] = name.into();
        if let Some(url) = &relay.avatar_url {
            message["icon_url"] = url.as_str().into();
        }
    }
}

/// The thread's root that a message belongs to: itself, if it is in none.
async fn root_of(session: &Session, channel: &str, ts: &str) -> Result<String, SendError> {
    let params = [("channel", channel), ("ts", ts), ("limit", "1")];
    match session.get("conversations.replies", &params).await {
        Ok(found) => {
            let first = list(&found, "messages").first();
            let root = first.and_then(|message| said(message, "thread_ts"));
            Ok(root.unwrap_or(ts).to_owned())
        }
        Err(ApiError::Refused(_)) => Ok(ts.to_owned()),
        // Nothing was sent yet.
        Err(ApiError::Limited(wait)) => Err(SendError::limited(wait, LimitScope::Chat)),
        Err(error) => Err(SendError::retry(error)),
    }
}

fn has_pictures(body: &Rich) -> bool {
    use landbridge_framework::format::Style;
    body.spans()
        .iter()
        .any(|span| matches!(span.style, Style::Emoji { .. } | Style::RemoteEmoji { .. }))
}

pub(super) async fn text(place: Place, text: Text) -> Result<Sent<Slack>, SendError> {
    let session = place.client.session(&place.chat.team)?;
    let written = place.write(&text.body, text.kind).await?;
    let goal = place.goal(&session).await?;
    if place.attempt.maybe_sent
        && let Some(ts) = reconcile::look(&session, &place, goal.thread.as_deref()).await?
    {
        return Ok(sent(&ts));
    }
    // Also for `/me`, which has a method of its own: what that sends carries no metadata, and could not be found again.
    let mut message = json!({
        "channel": place.chat.channel,
        "text": written.text,
        "blocks": written.blocks,
        "metadata": { "event_type": METADATA, "event_payload": { "key": nonce(&place.key) } },
        "link_names": false,
    });
    if let Some(thread) = &goal.thread {
        message["thread_ts"] = thread.as_str().into();
        if goal.broadcast {
            message["reply_broadcast"] = true.into();
        }
    }
    place.shown(&mut message);
    posted(&session, "chat.postMessage", message).await
}

/// The key as Slack is given it.
pub(super) fn nonce(key: &IdempotencyKey) -> String {
    key.as_nonce(40)
}

pub(super) fn sent(ts: &str) -> Sent<Slack> {
    let id = Ts::new(ts);
    let order = Some(StreamOrder(id.micros()));
    Sent::Now { id, order }
}

/// Sends a message; enters the channel first, where the app is not in it yet.
async fn posted(session: &Session, method: &str, body: Value) -> Result<Sent<Slack>, SendError> {
    let answer = session.post(method, &body).await;
    let answer = match answer {
        Err(error) if error.code() == Some("not_in_channel") => {
            let channel = field(&body, "channel").unwrap_or_default();
            session.join(channel).await.map_err(|_| error.sending(LimitScope::Chat))?;
            session.post(method, &body).await
        }
        answer => answer,
    };
    let answer = answer.map_err(|error| error.sending(LimitScope::Chat))?;
    match field(&answer, "ts") {
        Some(ts) => Ok(sent(ts)),
        None => Err(SendError::unknown("Slack did not say which message it is")),
    }
}

pub(super) async fn edit(place: Place, edited: Edited<Slack>) -> Result<Done, SendError> {
    let session = place.client.session(&place.chat.team)?;
    let written = place.write(&edited.body, edited.kind).await?;
    let body = json!({
        "channel": place.chat.channel,
        "ts": edited.target.id.ts,
        "text": written.text,
        "blocks": written.blocks,
        "metadata": { "event_type": METADATA, "event_payload": { "edit": nonce(&place.key) } },
        "link_names": false,
    });
    session.post("chat.update", &body).await.map_err(|error| error.sending(LimitScope::Chat))?;
    Ok(Done)
}

pub(super) async fn remove(
    place: Place,
    Targets(targets): Targets<Slack>,
    removed: Removed<Slack>,
) -> Result<Done, SendError> {
    let session = place.client.session(&place.chat.team)?;
    // A gallery is several messages there.
    let mut all: Vec<String> = targets.into_iter().map(|target| target.id.ts).collect();
    if all.is_empty() {
        all.push(removed.target.id.ts);
    }
    for ts in all {
        let body = json!({ "channel": place.chat.channel, "ts": ts });
        done_or(session.post("chat.delete", &body).await, &["message_not_found"])?;
    }
    Ok(Done)
}

pub(super) async fn react(place: Place, reacted: Reacted<Slack>) -> Result<Done, SendError> {
    let session = place.client.session(&place.chat.team)?;
    let name = reaction_name(&place, &reacted.emoji).await?;
    let body = json!({
        "channel": place.chat.channel,
        "timestamp": reacted.target.id.ts,
        "name": name,
    });
    if reacted.set {
        done_or(session.post("reactions.add", &body).await, &["already_reacted"])
    } else {
        let gone = ["no_reaction", "message_not_found"];
        done_or(session.post("reactions.remove", &body).await, &gone)
    }
}

/// Slack's name of a reaction.
async fn reaction_name(place: &Place, emoji: &Emoji) -> Result<String, SendError> {
    let team = &place.chat.team;
    let shortcode = match emoji {
        Emoji::Unicode(text) => {
            if let Some(name) = emoji::to_name(text) {
                return Ok(name);
            }
            text.trim_matches(':')
        }
        Emoji::Custom { id, shortcode, .. } => {
            if let Some(name) = to_matrix::own_name(team, id) {
                return Ok(name.to_owned());
            }
            shortcode.trim_matches(':')
        }
    };
    if emoji::to_unicode(shortcode).is_some() {
        return Ok(shortcode.to_owned());
    }
    let (_, lookup) = place.client.eyes(team).map_err(SendError::retry)?;
    if emoji::is_name(shortcode) && lookup.emoji().await.contains_key(shortcode) {
        return Ok(shortcode.to_owned());
    }
    Err(SendError::refused("Slack has no such emoji"))
}

/// What is as it should be already need not be done.
pub(super) fn done_or(answer: Result<Value, ApiError>, fine: &[&str]) -> Result<Done, SendError> {
    match answer {
        Err(ApiError::Refused(code)) if fine.contains(&code.as_str()) => Ok(Done),
        // Limits of these methods are kept by method: only this chat's next attempt waits.
        answer => answer.map(|_| Done).map_err(|error| error.sending(LimitScope::Chat)),
    }
}
