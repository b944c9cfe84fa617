//! Embeds. What a program wrote becomes a quote; what Discord shows of a link goes along as its preview; pictures and films that
//! are all that was said become files.

use landbridge_framework::{
    event::{Content, LinkPreview, MediaKind, MediaPart, MediaRef, Part},
    format::{Rich, Style},
};

use super::{Names, draft::quoted, files, read, read_line};
use crate::{
    connector::Discord,
    convert::date,
    wire::{Embed, EmbedMedia},
};

/// The parts that embeds become, after the message's own text.
pub(super) fn parts(embeds: &[Embed], content: &str, names: &Names) -> Vec<Part<Discord>> {
    let mut parts = Vec::new();
    for (at, embed) in embeds.iter().enumerate().take(10) {
        match embed.kind.as_deref().unwrap_or("rich") {
            "rich" => {
                let text = rich(embed, names);
                if !text.is_empty() {
                    parts.push(Part::named(format!("e{at}"), Content::Text(text)));
                }
                let pictures = [(&embed.image, "i"), (&embed.thumbnail, "t")];
                for (picture, name) in pictures {
                    if let Some(part) =
                        picture.as_ref().and_then(|m| file(m, &format!("e{at}{name}"), None))
                    {
                        parts.push(part);
                    }
                }
            }
            // A GIF's page, and a film or picture to which the message is nothing but a link.
            "gifv" if is_only_link(content, embed) => {
                let film = embed.video.as_ref().or(embed.thumbnail.as_ref());
                parts.extend(film.and_then(|m| file(m, &format!("e{at}"), Some(MediaKind::Gif))));
            }
            "image" if is_only_link(content, embed) => {
                let picture = embed.thumbnail.as_ref().or(embed.image.as_ref());
                parts.extend(picture.and_then(|m| file(m, &format!("e{at}"), None)));
            }
            _ => {}
        }
    }
    parts
}

/// What links in the text lead to.
pub(super) fn previews(embeds: &[Embed], content: &str) -> Vec<LinkPreview> {
    let shown = |embed: &&Embed| {
        let kind = embed.kind.as_deref().unwrap_or("rich");
        let link = matches!(kind, "link" | "article" | "video" | "image" | "gifv");
        link && embed.url.as_deref().is_some_and(|url| content.contains(url))
    };
    let preview = |embed: &Embed| LinkPreview {
        url: embed.url.clone().unwrap_or_default(),
        title: embed.title.clone(),
        description: embed.description.clone(),
        image: embed
            .thumbnail
            .as_ref()
            .or(embed.image.as_ref())
            .and_then(proxied)
            .map(|url| MediaRef(format!("url:{url}"))),
    };
    embeds.iter().take(10).filter(shown).map(preview).collect()
}

/// Whether a file of an embed says all that the message's text says.
pub(super) fn replaces(embeds: &[Embed], content: &str) -> bool {
    embeds.iter().any(|embed| {
        matches!(embed.kind.as_deref(), Some("gifv" | "image"))
            && is_only_link(content, embed)
            && [&embed.video, &embed.thumbnail, &embed.image]
                .into_iter()
                .flatten()
                .any(|media| proxied(media).is_some())
    })
}

fn is_only_link(content: &str, embed: &Embed) -> bool {
    embed.url.as_deref().is_some_and(|url| content.trim() == url)
}

/// Discord's copy of a file: the only one that is fetched. The addresses that programs write are nobody's to call. That it is Discord's is
/// looked at when it is fetched.
fn proxied(media: &EmbedMedia) -> Option<&str> {
    let is_address = |url: &&str| url.starts_with("https://") || url.starts_with("http://");
    media.proxy_url.as_deref().filter(|url| is_address(url) && url.len() <= 2_048)
}

fn file(media: &EmbedMedia, part: &str, kind: Option<MediaKind>) -> Option<Part<Discord>> {
    let url = proxied(media)?;
    let path = media.url.as_deref().unwrap_or(url).split(['?', '#']).next().unwrap_or_default();
    let name: String = path.rsplit('/').next().unwrap_or_default().chars().take(100).collect();
    let name = if name.is_empty() { "file".to_owned() } else { name };
    let extension = name.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase());
    let guessed = match extension.as_deref() {
        Some("mp4") => Some("video/mp4"),
        Some("webm") => Some("video/webm"),
        Some("gif") => Some("image/gif"),
        Some("png") => Some("image/png"),
        Some("jpg" | "jpeg") => Some("image/jpeg"),
        Some("webp") => Some("image/webp"),
        _ => None,
    };
    let mime = media.content_type.as_deref().or(guessed);
    let kind = match kind {
        Some(kind) => kind,
        None if mime.is_none() => MediaKind::Image,
        None => files::kind_of(mime, &name),
    };
    let mut file = MediaPart::new(format!("url:{url}"), kind, name);
    file.mime = mime.map(ToOwned::to_owned);
    file.dimensions = media.width.zip(media.height).filter(|(w, h)| *w > 0 && *h > 0);
    Some(Part::named(part, Content::Media(file)))
}

/// An embed as a quote: author, title, text, table, foot.
fn rich(embed: &Embed, names: &Names) -> Rich {
    let mut out = Rich::new();
    let mut line = |write: &mut dyn FnMut(&mut Rich)| {
        if !out.is_empty() {
            out.push("\n");
        }
        write(&mut out);
    };
    if let Some(author) = &embed.author
        && let Some(name) = author.name.as_deref().filter(|name| !name.is_empty())
    {
        line(&mut |out| linked(out, &Rich::plain(name), author.url.as_deref(), Style::Bold));
    }
    if let Some(title) = embed.title.as_deref().filter(|title| !title.is_empty()) {
        let title = read_line(title, names);
        line(&mut |out| linked(out, &title, embed.url.as_deref(), Style::Bold));
    }
    if let Some(text) = embed.description.as_deref().filter(|text| !text.is_empty()) {
        line(&mut |out| drop_ref(out.append(&read(text, names))));
    }
    for field in &embed.fields {
        let name = read_line(&field.name, names);
        if !name.is_empty() {
            line(&mut |out| linked(out, &name, None, Style::Bold));
        }
        let value = read(&field.value, names);
        if !value.is_empty() {
            line(&mut |out| drop_ref(out.append(&value)));
        }
    }
    let foot = embed.footer.as_ref().map(|footer| footer.text.as_str()).filter(|t| !t.is_empty());
    let time = embed
        .timestamp
        .as_deref()
        .and_then(date::parse_ms)
        .and_then(|ms| date::date_time(ms.div_euclid(1_000)));
    let foot: Vec<&str> = foot.into_iter().chain(time.as_deref()).collect();
    if !foot.is_empty() {
        line(&mut |out| drop_ref(out.push_styled(&foot.join(" • "), Style::Italic)));
    }
    quoted(&out.trimmed())
}

/// Some methods give themselves back, for chains; here nobody goes on.
fn drop_ref<T>(_: &mut T) {}

fn linked(out: &mut Rich, text: &Rich, url: Option<&str>, style: Style) {
    let start = out.len();
    out.append(text);
    let range = start..out.len();
    out.style(range.clone(), style);
    if let Some(url) = url.filter(|url| url.starts_with("https://") || url.starts_with("http://")) {
        out.style(range, Style::Link { url: url.to_owned() });
    }
}
