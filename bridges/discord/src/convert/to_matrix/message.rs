//! A whole message: its text, then its files, stickers, poll and embeds, each a part under a name that edits find again.

use landbridge_framework::{
    MessageRef,
    event::{Content, Message as RemoteMessage, Part},
    format::{Rich, Style},
};

use super::{Names, components, draft, embed, files, poll, read, system};
use crate::{
    connector::Discord,
    convert::date,
    ids::{Id, Post},
    raw::Scene,
    wire::{Kind, Message, ReferenceKind},
};

/// A message as the framework has it; `None` where it says nothing that Matrix could show.
pub fn message(message: &Message, scene: &Scene) -> Option<RemoteMessage<Discord>> {
    let parts = parts(message, scene);
    if parts.is_empty() {
        return None;
    }
    let post = post_of(message, scene);
    let mut remote = RemoteMessage::new(post, parts);
    if let Some(reference) = &message.message_reference
        && reference.kind == ReferenceKind::About
        && (message.kind == Kind::REPLY || message.kind == Kind::PINNED)
        && let Some(target) = reference.message_id
    {
        remote.reply_to = Some(MessageRef::whole(placed(target, scene)));
    }
    Some(remote)
}

/// What the framework calls a message.
fn post_of(message: &Message, scene: &Scene) -> Post {
    // The notice that a thread was made stands for its beginning, which is no message.
    if message.kind == Kind::THREAD_CREATED
        && let Some(thread) = message.message_reference.as_ref().and_then(|r| r.channel_id)
    {
        return Post::top(thread);
    }
    placed(message.id, scene)
}

/// A message of the scene's thread, or of its channel. What a thread began with stands in the channel, unless it is a forum's post.
pub fn placed(id: Id, scene: &Scene) -> Post {
    match &scene.thread {
        Some(thread) if thread.id != id || thread.post => Post { id, thread: Some(thread.id) },
        _ => Post::top(id),
    }
}

/// What the scene's thread began with, if it may be shown in its channel's room.
pub fn thread_root(scene: &Scene) -> Option<Post> {
    scene.thread.as_ref().filter(|thread| !thread.private).map(|thread| placed(thread.id, scene))
}

/// Orders the states of a message: by its last edit, then by how much Discord has found behind its links.
pub fn edit_version(message: &Message) -> u64 {
    let ms = message.edited_timestamp.as_deref().and_then(date::parse_ms).unwrap_or_default();
    let more = message.embeds.len().min(31) as u64;
    version_at(u64::try_from(ms).unwrap_or_default()) + more
}

/// The version of what was changed at a time, in milliseconds since the Unix epoch.
pub fn version_at(ms: u64) -> u64 {
    ms.saturating_mul(32)
}

fn parts(message: &Message, scene: &Scene) -> Vec<Part<Discord>> {
    let names = Names::of(message, scene);
    if !message.kind.is_said() {
        let Some(words) = system::words(message, &names) else { return Vec::new() };
        let content = if system::is_deed(message.kind) {
            Content::Emote(words)
        } else {
            Content::Notice(words)
        };
        return vec![Part::main(content)];
    }
    if let Some(forwarded) = forwarded(message, scene, &names) {
        return forwarded;
    }
    let mut parts = Vec::new();
    let text = text(message, scene, &names);
    if !text.is_empty() {
        let content = message.content.as_deref().unwrap_or_default();
        let previews = embed::previews(&message.embeds, content);
        parts.push(Part::main(said(message, text)).previewing(previews));
    }
    parts.extend(rest(message, message.channel_id, message.id, &names));
    parts
}

/// Programs' text is a notice, so that Matrix's programs don't answer it; webhooks are used to carry people's words.
fn said(message: &Message, text: Rich) -> Content {
    let program =
        message.author.as_ref().is_some_and(|author| author.bot) && message.webhook().is_none();
    if program { Content::Notice(text) } else { Content::Text(text) }
}

fn text(message: &Message, scene: &Scene, names: &Names) -> Rich {
    let content = message.content.as_deref().unwrap_or_default();
    let mut out = Rich::new();
    // A post's title stands over its first message.
    if let Some(thread) = scene.thread.as_ref().filter(|t| t.post && t.id == message.id) {
        out.push_styled(&thread.name, Style::Heading { level: 3 });
        if let Some(tags) = tags(&thread.tags) {
            out.push("\n");
            out.push_styled(&tags, Style::Italic);
        }
    }
    if message.has(Message::LOADING) {
        return Rich::plain("is thinking…");
    }
    if !embed::replaces(&message.embeds, content) {
        add(&mut out, &read(content, names));
    }
    add(&mut out, &components::words(&message.components, names));
    out
}

/// The tags of a post, in words.
pub fn tags(names: &[String]) -> Option<String> {
    (!names.is_empty()).then(|| format!("Tags: {}", names.join(", ")))
}

fn add(out: &mut Rich, more: &Rich) {
    if more.is_empty() {
        return;
    }
    if !out.is_empty() {
        out.push("\n");
    }
    out.append(more);
}

/// Everything of a message but its text.
fn rest(message: &Message, channel: Id, id: Id, names: &Names) -> Vec<Part<Discord>> {
    let voice = message.has(Message::VOICE);
    let content = message.content.as_deref().unwrap_or_default();
    let mut parts: Vec<Part<Discord>> = message
        .attachments
        .iter()
        .take(10)
        .map(|file| files::attachment(channel, id, voice, file))
        .collect();
    parts.extend(message.sticker_items.iter().take(3).map(files::sticker));
    parts.extend(message.poll.as_ref().map(|found| Part::named("poll", poll(found))));
    parts.extend(embed::parts(&message.embeds, content, names).into_iter().map(|mut part| {
        if let Content::Text(text) = part.content {
            part.content = said(message, text);
        }
        part
    }));
    parts
}

/// What was forwarded, quoted; its files as they are.
fn forwarded(message: &Message, scene: &Scene, names: &Names) -> Option<Vec<Part<Discord>>> {
    let reference = message.message_reference.as_ref()?;
    if reference.kind != ReferenceKind::Forward {
        return None;
    }
    let snapshot = &message.message_snapshots.first()?.message;
    let known = Names::of(snapshot, scene);
    let mut names = names.clone();
    names.users.extend(known.users);
    let mut out = Rich::new();
    out.push_styled("Forwarded", Style::Italic);
    if let Some(name) = reference.channel_id.and_then(|id| scene.channels.get(&id)) {
        out.push(" from ");
        let channel = reference.channel_id.unwrap_or_default();
        out.append(&read(
            &format!("<#{channel}>"),
            &Names { channels: [(channel, name.clone())].into(), ..Names::default() },
        ));
    }
    let quoted = text(snapshot, &Scene::default(), &names);
    if !quoted.is_empty() {
        out.push("\n");
        out.append(&draft::quoted(&quoted));
    }
    let mut parts = vec![Part::main(said(message, out))];
    // Files of a forwarded message are found in the message that forwards it.
    parts.extend(rest(snapshot, message.channel_id, message.id, &names));
    Some(parts)
}
