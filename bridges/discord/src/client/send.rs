//! Saying something on Discord: by the channel's webhook under somebody's name, or, where there can be no webhook, by the bot.
//!
//! A webhook's message carries no key by which Discord would know it again. So only one is under way at a time, the newest message before it
//! is noted first, and where an answer was lost, what the webhook has said since is looked at before anything is sent again.

mod doubt;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use landbridge_framework::{
    IdempotencyKey,
    format::{Rich, Style},
    handlers::{LimitScope, SendError},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    ApiError, Call, Hub, Wait,
    body::File,
    error::UNKNOWN_WEBHOOK,
    webhooks::{Hook, Slot, is_without},
};
use crate::{
    convert::from_matrix::{MAX_CHARS, Manner, Written, write},
    ids::{Id, Post},
};

/// The longest name of a webhook's message.
const MAX_NAME: usize = 80;

/// Who speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speaker {
    /// Their name.
    pub name: String,
    /// Where their picture can be fetched by everybody.
    pub avatar: Option<String>,
}

/// A file to send.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Its name.
    pub name: String,
    /// Its media type.
    pub mime: String,
    /// What is in it.
    pub bytes: Bytes,
    /// What there is to see, for those who can't.
    pub description: Option<String>,
}

/// One message of Discord's.
#[derive(Clone, Debug, Default)]
pub struct Piece {
    /// Its text.
    pub text: Written,
    /// Its file.
    pub file: Option<Upload>,
    /// Its poll, as the API has it.
    pub poll: Option<Value>,
}

/// How far a delivery has got: durable, so that after a crash it goes on where it was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// The newest message of the channel before the piece that is under way was sent.
    pub after: Option<Id>,
    /// When that was, in milliseconds since the Unix epoch.
    pub began_ms: i64,
    /// Whether the next piece may be on its way, or there.
    pub under_way: bool,
    /// The pieces that are there.
    pub sent: Vec<Id>,
    /// Whether the bot speaks itself: a delivery doesn't change its way.
    pub by_bot: bool,
    /// The post of a forum that its first piece has begun.
    pub post: Option<Id>,
}

/// Something to be said, in one or several messages.
pub struct Delivery<'a> {
    /// The room's channel.
    pub channel: Id,
    /// The thread in it.
    pub thread: Option<Id>,
    /// The channel that the webhook belongs to: threads have none of their own.
    pub hook_channel: Id,
    /// What the post is called that it begins, if the channel is a forum: there nothing is said outside of posts.
    pub title: Option<String>,
    /// The tags that this post carries.
    pub tags: Vec<Id>,
    /// Who says it.
    pub speaker: Speaker,
    /// The message it answers.
    pub reply_to: Option<Post>,
    /// What that says, by whom, and where it can be seen.
    pub quote: Option<Quote>,
    /// The messages.
    pub pieces: Vec<Piece>,
    /// Names it for ever.
    pub key: &'a IdempotencyKey,
}

/// What is answered, in words: webhooks can't answer messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quote {
    /// By whom.
    pub sender: String,
    /// How it begins.
    pub text: String,
    /// Where it is.
    pub link: String,
}

/// What saves how far it got; durable when it returns.
pub trait Save: Send {
    /// Saves.
    fn save(&mut self, progress: &Progress) -> impl Future<Output = Result<(), SendError>> + Send;
}

impl Delivery<'_> {
    /// The channel or thread where the next piece belongs.
    fn target(&self, progress: &Progress) -> Id {
        progress.post.or(self.thread).unwrap_or(self.channel)
    }

    /// The title of the post that the next piece begins.
    fn begins(&self, progress: &Progress) -> Option<&str> {
        self.title.as_deref().filter(|_| self.thread.is_none() && progress.post.is_none())
    }

    /// Says it, from where an earlier attempt has left it; gives the messages it became, with their thread.
    pub async fn deliver(
        &self,
        hub: &Hub,
        mut progress: Progress,
        save: &mut impl Save,
    ) -> Result<Vec<Post>, SendError> {
        let slot = hub.webhooks.slot(self.hook_channel);
        let _turn = slot.turn.lock().await;
        if progress.under_way {
            self.look(hub, &slot, &mut progress).await?;
            progress.under_way = false;
            save.save(&progress).await?;
        }
        while progress.sent.len() < self.pieces.len() {
            let number = progress.sent.len();
            let newest = self.newest(hub, &progress).await?;
            progress.after = progress.after.max(Some(newest));
            progress.began_ms = hub.clock.now_ms();
            progress.under_way = true;
            save.save(&progress).await?;
            let sent = match self.send_piece(hub, &slot, &mut progress, number).await {
                Ok(sent) => sent,
                Err(error) => {
                    // What was certainly not done need not be looked for.
                    if !matches!(error, SendError::Unknown { .. }) {
                        progress.under_way = false;
                        save.save(&progress).await?;
                    }
                    return Err(error);
                }
            };
            progress.under_way = false;
            if self.begins(&progress).is_some() {
                // A post is called as its first message.
                hub.cache_mut().note_message(self.channel, sent);
                progress.post = Some(sent);
            }
            progress.sent.push(sent);
            progress.after = Some(sent);
            hub.cache_mut().note_message(self.target(&progress), sent);
            if self.pieces.len() > 1 {
                save.save(&progress).await?;
            }
        }
        // In a thread's own room everything stands in the thread.
        let own = (self.channel != self.hook_channel).then_some(self.channel);
        let thread = progress.post.or(self.thread).or(own);
        Ok(progress.sent.into_iter().map(|id| Post { id, thread }).collect())
    }

    /// The newest message of the channel.
    async fn newest(&self, hub: &Hub, progress: &Progress) -> Result<Id, SendError> {
        let own = progress.sent.last().copied();
        let known = {
            let cache = hub.cache();
            let known = cache.channel(self.target(progress)).and_then(|(_, c)| c.last_message_id);
            let posts = cache.threads_of(self.channel).map(|post| post.id);
            if self.begins(progress).is_some() { posts.max().max(known) } else { known }
        };
        if let Some(known) = own.max(known) {
            return Ok(known);
        }
        if self.begins(progress).is_some() {
            // A forum has no messages to ask for; one without posts is known to have none.
            let known = hub.cache().channel(self.channel).is_some();
            return if known {
                Ok(Id(0))
            } else {
                Err(SendError::retry("the bot is not connected yet"))
            };
        }
        let page =
            hub.page(self.target(progress), ("before", None), 1).await.map_err(
                |error| match error {
                    // Nothing was sent so far.
                    error if error.is_certain() => SendError::from(error),
                    ApiError::Refused { .. } => SendError::from(error),
                    error => SendError::retry(error),
                },
            )?;
        Ok(page.last().map_or(Id(0), |(id, _)| *id))
    }

    async fn send_piece(
        &self,
        hub: &Hub,
        slot: &Slot,
        progress: &mut Progress,
        number: usize,
    ) -> Result<Id, SendError> {
        if !progress.by_bot {
            match slot.hook(hub, self.hook_channel).await {
                Ok(hook) => match self.by_webhook(hub, &hook, progress, number).await {
                    // It was deleted, or has another token: the channel's webhooks are asked for again.
                    Err(error)
                        if error.code() == Some(UNKNOWN_WEBHOOK)
                            || matches!(error, ApiError::Unauthorized) =>
                    {
                        slot.forget(&hook).await;
                        return Err(SendError::limited(Duration::from_secs(1), LimitScope::Chat));
                    }
                    sent => return sent.map_err(SendError::from),
                },
                Err(error) if is_without(&error) => {
                    tracing::info!(channel = %self.hook_channel, %error, "the bot speaks itself: the channel has no webhook");
                    progress.by_bot = true;
                }
                // Nothing was sent so far.
                Err(error @ ApiError::Limited { .. }) => return Err(error.into()),
                Err(error) => return Err(SendError::retry(error)),
            }
        }
        self.by_bot(hub, progress, number).await.map_err(SendError::from)
    }

    /// The fields that all messages have.
    fn message(&self, hub: &Hub, number: usize) -> Value {
        let piece = &self.pieces[number];
        let relay = &hub.checked.config.relay;
        // Whom a message notifies is never left to its text.
        let users: Vec<&Id> =
            piece.text.users.iter().filter(|_| relay.mentions).take(100).collect();
        let parse: &[&str] =
            if piece.text.everyone && relay.everyone { &["everyone"] } else { &[] };
        let mut message = json!({
            "content": piece.text.text,
            "allowed_mentions": { "parse": parse, "users": users },
        });
        if let Some(file) = &piece.file {
            message["attachments"] = json!([{ "id": "0", "filename": file.name }]);
            if let Some(description) = &file.description {
                message["attachments"][0]["description"] =
                    description.chars().take(1_024).collect::<String>().into();
            }
        }
        if let Some(poll) = &piece.poll {
            message["poll"] = poll.clone();
        }
        message
    }

    fn call(&self, number: usize, call: Call, message: Value) -> Call {
        match &self.pieces[number].file {
            Some(file) => {
                let file = File {
                    name: file.name.clone(),
                    mime: file.mime.clone(),
                    bytes: file.bytes.clone(),
                };
                call.files(message, vec![file])
            }
            None => call.json(message),
        }
    }

    async fn by_webhook(
        &self,
        hub: &Hub,
        hook: &Arc<Hook>,
        progress: &Progress,
        number: usize,
    ) -> Result<Id, ApiError> {
        let mut message = self.message(hub, number);
        message["username"] = shown_name(&self.speaker.name).into();
        let avatar = self.speaker.avatar.as_deref();
        if let Some(avatar) = avatar.filter(|url| url.len() <= 2_048 && url.starts_with("http")) {
            message["avatar_url"] = avatar.into();
        }
        if let (Some(quote), 0) = (&self.quote, number) {
            message["embeds"] = json!([embed(quote)]);
        }
        let mut call = Call::post(format!("webhooks/{}/{}", hook.id, hook.token.0))
            .without_token()
            .query("wait", "true");
        match self.begins(progress) {
            Some(title) => {
                message["thread_name"] = title.into();
                if !self.tags.is_empty() {
                    message["applied_tags"] = json!(self.tags);
                }
            }
            None if self.target(progress) != self.hook_channel => {
                call = call.query("thread_id", self.target(progress));
            }
            None => {}
        }
        sent(hub, self.call(number, call, message)).await
    }

    async fn by_bot(&self, hub: &Hub, progress: &Progress, number: usize) -> Result<Id, ApiError> {
        let mut message = self.message(hub, number);
        if number == 0 {
            let mut bold = Rich::new();
            bold.push_styled(&self.speaker.name, Style::Bold);
            let name = write(&bold, &Manner::default()).text;
            let text = &self.pieces[number].text.text;
            let whole = if text.is_empty() { name } else { format!("{name}: {text}") };
            // A name too much must not cost the message.
            if whole.chars().count() <= MAX_CHARS {
                message["content"] = whole.into();
            }
            if let Some(reply) = self.reply_to {
                message["message_reference"] =
                    json!({ "message_id": reply.id, "fail_if_not_exists": false });
                message["allowed_mentions"]["replied_user"] = true.into();
            }
        }
        if let Some(title) = self.begins(progress) {
            let mut post = json!({ "name": title, "message": message });
            if !self.tags.is_empty() {
                post["applied_tags"] = json!(self.tags);
            }
            let call = Call::post(format!("channels/{}/threads", self.channel));
            return sent(hub, self.call(number, call, post)).await;
        }
        // Discord makes one of two messages of the same nonce, for some minutes.
        message["nonce"] = format!("{}{number:02x}", self.key.as_nonce(22)).into();
        message["enforce_nonce"] = true.into();
        let call = Call::post(format!("channels/{}/messages", self.target(progress)));
        sent(hub, self.call(number, call, message)).await
    }
}

#[derive(Deserialize)]
struct Sent {
    id: Id,
}

async fn sent(hub: &Hub, call: Call) -> Result<Id, ApiError> {
    let sent: Sent = hub.rest.ask(call, Wait::No).await?;
    Ok(sent.id)
}

/// Names that Discord keeps for itself, and how each is written so that it is taken: one letter only looks the same.
const KEPT: [(&str, &str); 2] = [("discord", "dⅰscord"), ("clyde", "cⅼyde")];

/// A name as webhooks take it: neither too long nor one of those that Discord keeps for itself.
pub(crate) fn shown_name(name: &str) -> String {
    let plain: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut shown: String = plain.trim().chars().take(MAX_NAME).collect();
    for (kept, written) in KEPT {
        // Each turn takes one away.
        while let Some(at) = shown.to_ascii_lowercase().find(kept) {
            let letters = shown[at..at + kept.len()].chars().zip(written.chars());
            let changed: String =
                letters.map(|(was, is)| if is.is_ascii() { was } else { is }).collect();
            shown.replace_range(at..at + kept.len(), &changed);
        }
    }
    if twilight_validate::request::webhook_username(&shown).is_err() {
        return "Matrix user".into();
    }
    shown
}

/// What is answered, as a box: it can't notify anybody.
fn embed(quote: &Quote) -> Value {
    let words = quote.text.chars().take(200).collect::<String>().replace('\n', " ");
    let words = write(&Rich::plain(words), &Manner::default()).text;
    let sender: String = quote.sender.chars().take(200).collect();
    let mut embed = json!({
        "author": { "name": format!("↪ {}", if sender.is_empty() { "a message" } else { &sender }) },
        "description": words,
    });
    if quote.link.starts_with("https://") {
        embed["author"]["url"] = quote.link.clone().into();
    }
    embed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_webhooks_take() {
        assert_eq!(shown_name("Ann"), "Ann");
        assert_eq!(shown_name("Discord fan"), "Dⅰscord fan");
        assert_eq!(shown_name("A\nB"), "A B");
        assert_eq!(shown_name("  "), "Matrix user");
        assert_eq!(shown_name(&"x".repeat(200)).chars().count(), 80);
    }

    #[test]
    fn progress_reads_back() {
        let progress = Progress {
            after: Some(Id(5)),
            began_ms: 7,
            under_way: true,
            sent: vec![Id(6)],
            by_bot: true,
            post: Some(Id(8)),
        };
        let text = serde_json::to_string(&progress).unwrap();
        assert_eq!(serde_json::from_str::<Progress>(&text).unwrap(), progress);
    }
}
