//! From Matrix to IRC: messages, edits, reactions, typing.

mod progress;

use std::sync::Arc;

use bytes::Bytes;
use landbridge_framework::format::{Rich, UserTarget};
use landbridge_framework::handlers::{
    As, Attempt, Checkpoint, Done, Edited, Files, FromOut, In, Key, Origin, Out, Quoted, Reacted,
    ReplyTo, SendError, Sent, Text, TextKind, Typing, Via,
};
use landbridge_framework::prelude::Emoji;
use landbridge_framework::{IdempotencyKey, RemoteId as _};

use super::{Irc, IrcClient};
use crate::client::OutLine;
use crate::config::{Edits, Notices};
use crate::convert::edits::correction;
use crate::convert::from_matrix::{Lead, lines, plain};
use crate::hub::{Author, Hub, Voice};
use crate::ids::{Chat, Nick};
use crate::message::Message;
use progress::Progress;

/// The client tag that names what a line came from, so that it can be found in the channel's history after a crash.
pub(super) const KEY_TAG: &str = "+landbridge/key";
/// The most letters of the first line that stand before the link to a long text.
const TEASER: usize = 120;

/// Who says something, where, and by what.
pub(super) struct Speaking {
    client: Arc<IrcClient>,
    chat: Chat,
    author: Author,
    key: IdempotencyKey,
    attempt: Attempt,
}

impl FromOut<Irc> for Speaking {
    fn take(out: &Out<Irc>) -> Result<Self, SendError> {
        let Via(client) = Via::take(out)?;
        let In(portal, _) = In::take(out)?;
        let (As(relay), origin, Key(key)) = (As::take(out)?, Origin::take(out)?, Key::take(out)?);
        let chat = portal.id;
        // A login speaks as its owner on its own network; on others they are a guest like everybody.
        let own = client.account.network == chat.network();
        let personal = own && relay.is_none() && client.account.owner.is_some();
        let name =
            relay.map(|profile| profile.name).or(Some(origin.name)).filter(|name| !name.is_empty());
        let author = Author { mxid: origin.sender, name, personal };
        if let Chat::Query { owner: Some(owner), .. } = &chat
            && *owner != author.mxid
        {
            return Err(SendError::refused(format!("this conversation on IRC is {owner}'s")));
        }
        Ok(Self { client, chat, author, key, attempt: <Attempt as FromOut<Irc>>::take(out)? })
    }
}

impl Speaking {
    fn hub(&self) -> &Arc<Hub> {
        self.client.hub_of(self.chat.network())
    }

    async fn voice(&self) -> Result<Voice, SendError> {
        self.hub().voice(&self.author, &self.chat).await
    }

    /// How far earlier attempts got. A doubt is noted before anything else, so that it outlives attempts that never reach IRC.
    async fn progress(&self, checkpoint: &mut Checkpoint) -> Result<Progress, SendError> {
        let mut progress = Progress::read(checkpoint.get());
        if self.attempt.maybe_sent && !progress.doubt {
            progress.doubt = true;
            checkpoint.save(progress.write()).await?;
        }
        Ok(progress)
    }

    fn lead(&self, voice: &Voice) -> Lead {
        let speaker = voice
            .is_relay()
            .then(|| self.author.name.clone().unwrap_or_else(|| self.author.mxid.clone()));
        Lead { speaker, quote: None }
    }
}

/// Sends text: as many lines as it takes, or a link where that would be too many.
pub(super) async fn text(
    speaking: Speaking,
    text: Text,
    ReplyTo(reply): ReplyTo<Irc>,
    Quoted(quote): Quoted,
    mut checkpoint: Checkpoint,
    files: Files,
) -> Result<Sent<Irc>, SendError> {
    let hub = speaking.hub();
    let notice = match (text.kind, hub.messages.notices) {
        (TextKind::Notice, Notices::Drop) => return Ok(Sent::now(own_id(&speaking.key, 0))),
        (TextKind::Notice, Notices::Notice) => true,
        _ => false,
    };
    let mut progress = speaking.progress(&mut checkpoint).await?;
    let voice = speaking.voice().await?;
    if progress.lines.is_empty() {
        let lead =
            Lead { quote: quote.map(|quote| (quote.sender, quote.text)), ..speaking.lead(&voice) };
        progress.lines = cut(&speaking, &voice, &text, notice, &lead, &files).await?;
    }
    if progress.lines.is_empty() {
        return Err(SendError::refused("there is nothing in this message that IRC can show"));
    }
    let reply = reply.and_then(|target| target.id.strip_prefix("m:").map(str::to_owned));
    say(&speaking, &voice, notice, reply, &mut progress, &mut checkpoint).await?;
    let ids = progress.ids;
    Ok(if ids.len() == 1 {
        Sent::now(ids.into_iter().next().unwrap_or_default())
    } else {
        Sent::Many(ids)
    })
}

/// The lines of a text.
async fn cut(
    speaking: &Speaking,
    voice: &Voice,
    text: &Text,
    notice: bool,
    lead: &Lead,
    files: &Files,
) -> Result<Vec<String>, SendError> {
    let hub = speaking.hub();
    let show = |user: &UserTarget| nick_of(hub, user);
    let max = room(speaking, voice, notice);
    let emote = text.kind == TextKind::Emote;
    let all = lines(&text.body, emote, lead, &show, max);
    if all.len() <= hub.messages.max_lines {
        return Ok(all);
    }
    let pasted = plain(&text.body, &show);
    let published = files
        .publish(
            Bytes::from(pasted.clone().into_bytes()),
            "message.txt",
            "text/plain; charset=utf-8",
        )
        .await;
    match published.map_err(|error| SendError::retry(error.to_string()))? {
        Some(link) => {
            let teaser: String =
                pasted.lines().next().unwrap_or_default().chars().take(TEASER).collect();
            let count = pasted.lines().count();
            let teaser = format!("{teaser}\u{2026} ({count} lines: {link})");
            Ok(lines(&Rich::plain(teaser), emote, lead, &show, max))
        }
        None if all.len() <= hub.messages.hard_max_lines => Ok(all),
        None => Err(SendError::refused(format!(
            "the message takes {} lines on IRC, and {} are allowed",
            all.len(),
            hub.messages.hard_max_lines
        ))),
    }
}

/// Says the lines that haven't been said, one after the other, each confirmed before the next.
async fn say(
    speaking: &Speaking,
    voice: &Voice,
    notice: bool,
    reply: Option<String>,
    progress: &mut Progress,
    checkpoint: &mut Checkpoint,
) -> Result<(), SendError> {
    while let Some(line) = progress.next_line().map(str::to_owned) {
        let index = progress.ids.len();
        let tag = format!("{}.{index}", speaking.key.as_nonce(24));
        let found = if std::mem::take(&mut progress.doubt) {
            look(speaking.hub(), &speaking.chat, &tag).await
        } else {
            None
        };
        let id = if let Some(msgid) = found {
            crate::decode::msgid_key(&msgid)
        } else {
            let mut tags = vec![(KEY_TAG.to_owned(), tag)];
            tags.extend(
                reply
                    .iter()
                    .filter(|_| index == 0)
                    .map(|id| ("+draft/reply".to_owned(), id.clone())),
            );
            let line =
                OutLine { target: speaking.chat.target().to_owned(), notice, text: line, tags };
            let confirmed = speaking.hub().say(voice, &speaking.chat, line).await?;
            confirmed
                .msgid
                .map_or_else(|| own_id(&speaking.key, index), |id| crate::decode::msgid_key(&id))
        };
        progress.ids.push(id);
        // A message of one line needs no note: it is answered for as a whole.
        if progress.lines.len() > 1 {
            checkpoint.save(progress.write()).await?;
        }
    }
    Ok(())
}

/// Looks in the channel's history, where the server keeps one, for a line that may have been sent before a crash.
async fn look(hub: &Arc<Hub>, chat: &Chat, tag: &str) -> Option<String> {
    let Chat::Channel { name, .. } = chat else { return None };
    let listener = hub.listener()?;
    let me = listener.snapshot()?;
    me.isupport
        .chathistory
        .filter(|_| me.caps.has("draft/chathistory") || me.caps.has("chathistory"))?;
    let lines =
        listener.history(["LATEST", name, "*", "100"].map(str::to_owned).to_vec()).await.ok()?;
    let ours = |source: &crate::message::Source| me.is_me(&source.name) || hub.is_ours(source);
    let line = lines.iter().find(|line| {
        line.message.tag(KEY_TAG) == Some(tag) && line.message.source.as_ref().is_some_and(ours)
    })?;
    line.msgid().map(str::to_owned)
}

/// Tells an edit by a correction.
pub(super) async fn edit(
    speaking: Speaking,
    edited: Edited<Irc>,
    mut checkpoint: Checkpoint,
) -> Result<Done, SendError> {
    let hub = speaking.hub();
    if hub.messages.edits == Edits::Drop {
        return Ok(Done);
    }
    let mut progress = speaking.progress(&mut checkpoint).await?;
    let voice = speaking.voice().await?;
    if progress.lines.is_empty() {
        let show = |user: &UserTarget| nick_of(hub, user);
        let body = correction(edited.old.as_ref().map(Rich::text), &edited.body);
        let mut all =
            lines(&body, false, &speaking.lead(&voice), &show, room(&speaking, &voice, false));
        all.truncate(hub.messages.hard_max_lines.max(1));
        progress.lines = all;
    }
    say(&speaking, &voice, false, None, &mut progress, &mut checkpoint).await?;
    Ok(Done)
}

/// Passes a reaction on where the server takes client tags and the message has an id there; elsewhere IRC has no reactions.
pub(super) async fn react(speaking: Speaking, reacted: Reacted<Irc>) -> Result<Done, SendError> {
    let (Some(target), Emoji::Unicode(emoji)) =
        (reacted.target.id.strip_prefix("m:"), &reacted.emoji)
    else {
        return Ok(Done);
    };
    let voice = speaking.voice().await?;
    let tagged = voice.handle().snapshot().is_some_and(|me| me.caps.has("message-tags"));
    if tagged {
        let name = if reacted.set { "+draft/react" } else { "+draft/unreact" };
        let message = Message::new("TAGMSG", [speaking.chat.target()])
            .with_tag(name, emoji)
            .with_tag("+draft/reply", target);
        voice.handle().command(message).await.map_err(SendError::retry)?;
    }
    Ok(Done)
}

/// Passes typing on, where the server takes client tags and the author is there already.
pub(super) async fn typing(
    Via(client): Via<Irc>,
    In(portal, _): In<Irc>,
    origin: Origin,
    Typing(on): Typing,
) -> Result<Done, SendError> {
    let hub = client.hub_of(portal.id.network());
    let Some(puppet) = hub.pool.existing(&origin.sender) else { return Ok(Done) };
    let there = puppet
        .handle
        .snapshot()
        .is_some_and(|me| me.caps.has("message-tags") && me.is_in(portal.id.target()));
    if there {
        let message = Message::new("TAGMSG", [portal.id.target()])
            .with_tag("+typing", if on { "active" } else { "done" });
        puppet.handle.command(message).await.map_err(SendError::retry)?;
    }
    Ok(Done)
}

fn room(speaking: &Speaking, voice: &Voice, notice: bool) -> usize {
    let command = if notice { "NOTICE" } else { "PRIVMSG" };
    voice.handle().snapshot().map_or(350, |me| me.room_for_text(command, speaking.chat.target()))
}

/// The id of a line to which the server gave none.
fn own_id(key: &IdempotencyKey, index: usize) -> String {
    format!("k:{}.{index}", key.as_nonce(32))
}

/// What a mentioned user is called on IRC.
fn nick_of(hub: &Hub, user: &UserTarget) -> Option<String> {
    match user {
        UserTarget::Matrix(mxid) => {
            hub.pool.existing(mxid)?.handle.snapshot().map(|me| me.me.name.clone())
        }
        UserTarget::Remote(id) => {
            let nick = Nick::decode(id).ok().filter(|nick| nick.network == hub.network)?;
            let spelled = hub.tracker().spelling(&nick.nick).map(str::to_owned);
            Some(spelled.unwrap_or(nick.nick))
        }
    }
}
