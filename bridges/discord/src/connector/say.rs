//! From Matrix to Discord: texts, files, places and polls.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use landbridge_framework::{
    IdempotencyKey, NetError,
    event::MediaKind,
    format::{Rich, Style},
    handlers::{
        As, Checkpoint, FromOut, In, Key, Location, Media, Origin, Out, PollSent, Quoted, ReplyTo,
        SendError, Sent, Text, TextKind, Thread, Via,
    },
};
use serde_json::json;

use super::{Discord, DiscordClient, PortalMeta, tags};
use crate::{
    client::{Delivery, Piece, Progress, Quote, Save, Speaker, Upload, servers::thread_name},
    convert::{
        from_matrix::{MAX_CHARS, Manner, Written, cut, write},
        to_matrix::SPOILER,
    },
    ids::{Account, Id, Person, Place, Post},
};

/// The most answers of a poll.
pub(super) const MAX_ANSWERS: usize = 10;
/// The longest question of a poll, in characters.
const MAX_QUESTION: usize = 300;
/// The longest answer.
const MAX_ANSWER: usize = 55;
/// How long a linked person's name on Discord is waited for.
const COURTESY: Duration = Duration::from_secs(3);
/// The longest alternative text of a file.
const MAX_DESCRIPTION: usize = 1_024;

/// Who says something, where, and by what.
pub(super) struct Saying {
    pub(super) client: Arc<DiscordClient>,
    channel: Id,
    meta: Arc<PortalMeta>,
    relayed: As,
    origin: Origin,
    key: IdempotencyKey,
    reply_to: Option<Post>,
    quoted: Quoted,
    root: Option<Post>,
    checkpoint: Checkpoint,
}

impl FromOut<Discord> for Saying {
    fn take(out: &Out<Discord>) -> Result<Self, SendError> {
        let Via(client) = Via::take(out)?;
        let In(portal, meta) = In::take(out)?;
        let (Key(key), ReplyTo(reply)) = (Key::take(out)?, ReplyTo::<Discord>::take(out)?);
        let Thread(root) = Thread::<Discord>::take(out)?;
        let Place::Channel(channel) = portal.id else {
            return Err(SendError::refused("a space of Discord's is no place to speak in"));
        };
        Ok(Self {
            client,
            channel,
            meta,
            relayed: <As as FromOut<Discord>>::take(out)?,
            origin: <Origin as FromOut<Discord>>::take(out)?,
            key,
            reply_to: reply.map(|target| target.id),
            quoted: <Quoted as FromOut<Discord>>::take(out)?,
            root,
            checkpoint: <Checkpoint as FromOut<Discord>>::take(out)?,
        })
    }
}

/// The framework's note on an operation, as [`Save`] has it.
struct Note(Checkpoint);

impl Save for Note {
    async fn save(&mut self, progress: &Progress) -> Result<(), SendError> {
        let text = serde_json::to_string(progress).map_err(SendError::refused)?;
        self.0.save(text).await
    }
}

impl Saying {
    fn guild(&self) -> Option<Id> {
        self.meta.guild
    }

    fn manner(&self) -> Manner {
        let emojis = self.guild().map(|guild| self.client.hub.cache().emojis(guild));
        let everyone = self.client.hub.checked.config.relay.everyone;
        Manner { emojis: emojis.unwrap_or_default(), everyone }
    }

    /// Who is shown: somebody on Discord under the name they have there, others under that which they have in the room.
    async fn speaker(&self) -> Speaker {
        let As(relayed) = &self.relayed;
        if let Some(profile) = relayed {
            return Speaker { name: profile.name.clone(), avatar: profile.avatar_url.clone() };
        }
        let mut speaker = Speaker { name: self.origin.name.clone(), avatar: None };
        let Account::Person(user) = self.client.account else { return speaker };
        let hub = &self.client.hub;
        // A name is a courtesy: a message must not wait for it.
        let person = Person::User(user);
        let looks = tokio::time::timeout(COURTESY, super::chat::user(hub, &person)).await;
        if let Ok(Ok(info)) = looks {
            speaker.name = info.name.unwrap_or(speaker.name);
            let path = info.avatar.as_ref().and_then(|file| file.0.strip_prefix("cdn:"));
            let url = path.and_then(|path| hub.checked.cdn.join(path).ok());
            speaker.avatar = url.map(|url| url.to_string());
        }
        speaker
    }

    /// The thread of Discord's that a Matrix thread stands for: it is called as the message it began with.
    fn thread(&self) -> Option<Id> {
        self.root.map(|root| root.thread.unwrap_or(root.id))
    }

    /// Makes sure that the thread is there: on Discord a thread has to be begun.
    async fn begin_thread(&self, name: &str) -> Result<Option<Id>, SendError> {
        let Some(thread) = self.thread() else { return Ok(None) };
        let hub = &self.client.hub;
        if self.root.is_some_and(|root| root.thread.is_some())
            || hub.cache().channel(thread).is_some()
        {
            return Ok(Some(thread));
        }
        hub.begin_thread(self.channel, thread, name).await.map_err(|error| match error {
            // Beginning it twice is refused, so that another try is harmless.
            error @ (crate::client::ApiError::Lost(_) | crate::client::ApiError::Failing(_)) => {
                SendError::retry(error)
            }
            error => error.into(),
        })?;
        Ok(Some(thread))
    }

    /// Whether this begins a post of a forum: in a thread, and as an answer, it belongs to one that is there.
    fn begins_post(&self) -> bool {
        let answered = self.reply_to.is_some_and(|post| post.thread.is_some());
        self.meta.forum && self.root.is_none() && !answered
    }

    /// Takes the tags of a new post from its text.
    fn tagged(&self, text: &Rich) -> Result<(Rich, Vec<Id>), SendError> {
        if !self.begins_post() {
            return Ok((text.clone(), Vec::new()));
        }
        let cache = self.client.hub.cache();
        let Some((_, forum)) = cache.channel(self.channel) else {
            return Err(SendError::retry("the bot is not connected yet"));
        };
        let (text, tags) = tags::take(text, &forum.available_tags);
        if tags.is_empty() && forum.requires_tag() {
            return Err(SendError::refused(format!(
                "this forum's posts must carry a tag: end the message with a line of tags. There are {}",
                tags::list(&forum.available_tags)
            )));
        }
        Ok((text, tags))
    }

    async fn deliver(
        &self,
        pieces: Vec<Piece>,
        name: &str,
        tags: Vec<Id>,
    ) -> Result<Vec<Post>, SendError> {
        let progress: Progress = self
            .checkpoint
            .get()
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default();
        let reply_to = self.reply_to;
        let thread = match self.begin_thread(name).await? {
            // In a forum an answer is part of the post that it is about.
            None if self.meta.forum => reply_to.and_then(|post| post.thread),
            thread => thread,
        };
        let quote = self.quoted.0.as_ref().zip(reply_to).map(|(quote, post)| Quote {
            sender: quote.sender.clone(),
            text: quote.text.clone(),
            link: self
                .guild()
                .map(|guild| {
                    let channel = post.channel(self.channel);
                    format!("https://discord.com/channels/{guild}/{channel}/{}", post.id)
                })
                .unwrap_or_default(),
        });
        let delivery = Delivery {
            channel: self.channel,
            thread,
            hook_channel: self.meta.parent.unwrap_or(self.channel),
            title: self.meta.forum.then(|| thread_name(name)),
            tags,
            speaker: self.speaker().await,
            reply_to,
            quote,
            pieces,
            key: &self.key,
        };
        let mut note = Note(self.checkpoint.clone());
        let hub = &self.client.hub;
        delivery.deliver(hub, progress, &mut note).await
    }
}

fn as_sent(mut posts: Vec<Post>) -> Result<Sent<Discord>, SendError> {
    match posts.len() {
        0 => Err(SendError::refused("there is nothing in this message that Discord can show")),
        1 => {
            let post = posts.remove(0);
            let order = i64::try_from(post.id.0).ok().map(landbridge_framework::StreamOrder);
            Ok(Sent::Now { id: post, order })
        }
        _ => Ok(Sent::Many(posts)),
    }
}

/// What somebody does is said in italics, as Discord's own `/me` does it.
pub(super) fn styled(body: &Rich, kind: TextKind) -> Rich {
    let mut body = body.clone();
    if kind == TextKind::Emote {
        let whole = 0..body.len();
        body.style(whole, Style::Italic);
    }
    body
}

/// Sends text.
pub(super) async fn text(saying: Saying, text: Text) -> Result<Sent<Discord>, SendError> {
    let (body, tags) = saying.tagged(&text.body)?;
    let body = styled(&body, text.kind);
    let most = saying.client.hub.checked.config.relay.max_messages.max(1);
    let texts = cut(&body, &saying.manner(), MAX_CHARS, most).ok_or_else(|| {
        SendError::refused(format!("the message is longer than {most} messages of Discord's"))
    })?;
    let pieces = texts.into_iter().map(|text| Piece { text, ..Piece::default() }).collect();
    as_sent(saying.deliver(pieces, text.body.text(), tags).await?)
}

/// Sends a place, as a link to a map.
pub(super) async fn location(
    saying: Saying,
    Location(place): Location,
) -> Result<Sent<Discord>, SendError> {
    let url = format!(
        "https://www.openstreetmap.org/?mlat={lat}&mlon={lon}#map=15/{lat}/{lon}",
        lat = place.lat,
        lon = place.lon
    );
    let name =
        place.name.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| "Location".into());
    let mut rich = Rich::new();
    rich.push_styled(&name, Style::Link { url });
    let piece = Piece { text: write(&rich, &saying.manner()), ..Piece::default() };
    let (_, tags) = saying.tagged(&Rich::new())?;
    as_sent(saying.deliver(vec![piece], &name, tags).await?)
}

fn clipped(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    text.chars().take(max - 1).chain(['…']).collect()
}

/// Starts a poll.
pub(super) async fn poll(
    saying: Saying,
    PollSent(poll): PollSent,
) -> Result<Sent<Discord>, SendError> {
    if poll.options.is_empty() || poll.options.len() > MAX_ANSWERS {
        return Err(SendError::refused(format!(
            "a poll on Discord has 1 to {MAX_ANSWERS} answers"
        )));
    }
    let answers: Vec<_> = poll
        .options
        .iter()
        .map(|option| json!({ "poll_media": { "text": clipped(&option.text, MAX_ANSWER) } }))
        .collect();
    let hours = saying.client.hub.checked.config.relay.poll_hours.clamp(1, 768);
    let question = clipped(&poll.question, MAX_QUESTION);
    let made = json!({
        "question": { "text": question },
        "answers": answers,
        "allow_multiselect": poll.max_choices > 1,
        "duration": hours,
        "layout_type": 1,
    });
    let piece = Piece { poll: Some(made), ..Piece::default() };
    let (_, tags) = saying.tagged(&Rich::new())?;
    let posts = saying.deliver(vec![piece], &poll.question, tags).await?;
    let Some(id) = posts.first().copied() else { return as_sent(posts) };
    // Discord numbers answers from one.
    let options = (1..=poll.options.len()).map(|number| number.to_string()).collect();
    Ok(Sent::Poll { id, options })
}

/// Sends a file: as it is, or as a link where it is larger than Discord takes.
pub(super) async fn media(saying: Saying, media: Media) -> Result<Sent<Discord>, SendError> {
    let hub = saying.client.hub.clone();
    let limit = hub.checked.config.files.max_upload_bytes;
    let (caption, tags) = saying.tagged(&media.caption.clone().unwrap_or_default())?;
    let manner = saying.manner();
    let most = hub.checked.config.relay.max_messages.max(1);
    let mut texts = cut(&caption, &manner, MAX_CHARS, most).ok_or_else(|| {
        SendError::refused(format!("the text is longer than {most} messages of Discord's"))
    })?;
    let Ok(_turn) = hub.uploads.acquire().await else {
        return Err(SendError::retry("the bridge is stopping"));
    };
    let file = if let Some(bytes) = read(&media, limit).await? {
        let mut name = file_name(&media);
        if media.spoiler && !name.starts_with(SPOILER) {
            name = format!("{SPOILER}{name}");
        }
        let description = matches!(media.kind, MediaKind::Image | MediaKind::Gif)
            .then(|| caption.text().chars().take(MAX_DESCRIPTION).collect::<String>())
            .filter(|text| !text.trim().is_empty());
        let mime = media.mime.clone().unwrap_or_else(|| "application/octet-stream".into());
        Some(Upload { name, mime, bytes, description })
    } else {
        let link = media.link().ok_or_else(|| {
            SendError::refused(format!("files on Discord have at most {} MiB", limit >> 20))
        })?;
        let mut rich = Rich::new();
        rich.push_styled(&media.name, Style::Link { url: link });
        texts.insert(0, write(&rich, &manner));
        None
    };
    let mut pieces: Vec<Piece> =
        texts.into_iter().map(|text| Piece { text, ..Piece::default() }).collect();
    if file.is_some() {
        // The text belongs to the file: one message.
        match pieces.first_mut() {
            Some(first) => first.file = file,
            None => pieces.push(Piece { text: Written::default(), file, poll: None }),
        }
    }
    as_sent(saying.deliver(pieces, &media.name, tags).await?)
}

/// A name that tells Discord what sort of file it is.
fn file_name(media: &Media) -> String {
    let name: String = media
        .name
        .chars()
        .map(|c| if c.is_control() || c == '/' || c == '\\' { '_' } else { c })
        .take(200)
        .collect();
    let name = if name.trim().is_empty() { "file".to_owned() } else { name };
    if name.contains('.') {
        return name;
    }
    let extension = match media.mime.as_deref().unwrap_or_default() {
        "image/png" => ".png",
        "image/jpeg" => ".jpg",
        "image/gif" => ".gif",
        "image/webp" => ".webp",
        "video/mp4" => ".mp4",
        "video/webm" => ".webm",
        "audio/ogg" => ".ogg",
        "audio/mpeg" => ".mp3",
        "audio/mp4" => ".m4a",
        _ => "",
    };
    format!("{name}{extension}")
}

/// A file's bytes; `None`: there are more than Discord takes.
async fn read(media: &Media, limit: u64) -> Result<Option<Bytes>, SendError> {
    if media.size.is_some_and(|size| size > limit) {
        return Ok(None);
    }
    let failed = |error: NetError| match error {
        NetError::Temporary { .. } => SendError::retry(error),
        NetError::Permanent(reason) => SendError::refused(reason),
    };
    let mut stream = media.open().await.map_err(failed)?;
    if stream.size.is_some_and(|size| size > limit) {
        return Ok(None);
    }
    let mut bytes = BytesMut::new();
    while let Some(chunk) = stream.bytes.next().await {
        let chunk = chunk.map_err(SendError::retry)?;
        if (bytes.len() + chunk.len()) as u64 > limit {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes.freeze()))
}
