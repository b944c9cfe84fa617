//! Files: attachments, stickers, pictures of people and servers. Each has a name that stays, by which its upload is remembered: Discord's
//! addresses of attachments end after a day, so an attachment is named by its message.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use landbridge_framework::event::{Content, MediaKind, MediaPart, MediaRef, Part};

use crate::{
    connector::Discord,
    ids::Id,
    wire::{Attachment, Emoji, Sticker, StickerFormat},
};

/// Longer names are cut.
const MAX_NAME: usize = 200;
/// What the names of files begin with that are hidden until one asks for them.
pub(crate) const SPOILER: &str = "SPOILER_";
/// The most values of a waveform.
const MAX_WAVEFORM: usize = 256;

/// Names an attachment of a message.
pub fn source_of_attachment(channel: Id, message: Id, attachment: Id) -> MediaRef {
    MediaRef(format!("attachment:{channel}/{message}/{attachment}"))
}

/// A file of Discord's own, by its path on the CDN.
fn cdn(path: &str) -> MediaRef {
    MediaRef(format!("cdn:{path}"))
}

/// Hashes of moving pictures begin with `a_`.
fn extension(hash: &str) -> &'static str {
    if hash.starts_with("a_") { "gif" } else { "png" }
}

fn is_hash(hash: &str) -> bool {
    (1..=64).contains(&hash.len()) && hash.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// The picture of a user: the one they have in a server, or their own, or one of those Discord gives to who has none.
pub fn avatar(user: Id, own: Option<&str>, member: Option<(Id, &str)>) -> MediaRef {
    if let Some((guild, hash)) = member.filter(|(_, hash)| is_hash(hash)) {
        return cdn(&format!(
            "guilds/{guild}/users/{user}/avatars/{hash}.{}?size=256",
            extension(hash)
        ));
    }
    match own.filter(|hash| is_hash(hash)) {
        Some(hash) => cdn(&format!("avatars/{user}/{hash}.{}?size=256", extension(hash))),
        None => cdn(&format!("embed/avatars/{}.png", (user.0 >> 22) % 6)),
    }
}

/// The picture of a server.
pub fn guild_icon(guild: Id, hash: &str) -> Option<MediaRef> {
    is_hash(hash).then(|| cdn(&format!("icons/{guild}/{hash}.{}?size=256", extension(hash))))
}

/// The picture of a server's own emoji.
pub fn emoji_file(id: Id, animated: bool) -> MediaRef {
    cdn(&format!("emojis/{id}.{}", if animated { "gif" } else { "png" }))
}

/// What an emoji is called, also when it has been deleted.
pub fn emoji_name(emoji: &Emoji) -> String {
    emoji.name.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| "deleted".into())
}

/// The sort of file that a media type stands for.
pub(super) fn kind_of(mime: Option<&str>, name: &str) -> MediaKind {
    let mime = mime.unwrap_or_default();
    match mime.split('/').next().unwrap_or_default() {
        "image" if mime.starts_with("image/gif") => MediaKind::Gif,
        "image" => MediaKind::Image,
        "video" => MediaKind::Video,
        "audio" => MediaKind::Audio,
        _ => match name.rsplit('.').next().map(str::to_ascii_lowercase).as_deref() {
            Some("png" | "jpg" | "jpeg" | "webp") if mime.is_empty() => MediaKind::Image,
            _ => MediaKind::File,
        },
    }
}

fn name_of(file: &Attachment) -> String {
    let filename = file.filename.strip_prefix(SPOILER).unwrap_or(&file.filename);
    let given = file.title.as_deref().filter(|title| !title.is_empty());
    let extension = filename.rsplit_once('.').map(|(_, extension)| extension);
    let name = match (given, extension) {
        // The title is the name as it was, without its extension.
        (Some(title), Some(extension)) if !title.ends_with(extension) => {
            format!("{title}.{extension}")
        }
        (Some(title), _) => title.to_owned(),
        (None, _) if filename.is_empty() => "file".into(),
        (None, _) => filename.to_owned(),
    };
    name.chars().map(|c| if c.is_control() || c == '/' { '_' } else { c }).take(MAX_NAME).collect()
}

fn duration(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}

/// The part of a message that an attachment is.
pub(super) fn attachment(
    channel: Id,
    message: Id,
    voice: bool,
    file: &Attachment,
) -> Part<Discord> {
    let name = name_of(file);
    let kind = if voice {
        let waveform = file.waveform.as_deref().and_then(|text| STANDARD.decode(text).ok());
        let mut waveform = waveform.unwrap_or_default();
        waveform.truncate(MAX_WAVEFORM);
        MediaKind::Voice { waveform }
    } else {
        kind_of(file.content_type.as_deref(), &name)
    };
    let mut media = MediaPart::new(source_of_attachment(channel, message, file.id).0, kind, name);
    media.mime = file.content_type.as_deref().map(|mime| mime.chars().take(100).collect());
    media.size = file.size;
    media.dimensions = file.width.zip(file.height);
    media.duration = file.duration_secs.and_then(duration);
    media.caption = file
        .description
        .as_deref()
        .filter(|text| !text.trim().is_empty())
        .map(landbridge_framework::format::Rich::plain);
    media.spoiler = file.filename.starts_with(SPOILER);
    Part::named(format!("a{}", file.id), Content::Media(media))
}

/// The part of a message that a sticker is. Lottie's drawings are programs: they are drawn when they are fetched.
pub(super) fn sticker(sticker: &Sticker) -> Part<Discord> {
    let id = sticker.id;
    let (source, mime) = match sticker.format_type {
        StickerFormat::Png | StickerFormat::Apng => {
            (cdn(&format!("stickers/{id}.png")), "image/png")
        }
        StickerFormat::Gif => (cdn(&format!("stickers/{id}.gif")), "image/gif"),
        StickerFormat::Lottie => (MediaRef(format!("lottie:{id}")), "image/gif"),
    };
    let kind = MediaKind::Sticker { pack: None };
    let mut media = MediaPart::new(source.0, kind, sticker.name.clone());
    media.mime = Some(mime.into());
    media.dimensions = Some((160, 160));
    Part::named(format!("s{id}"), Content::Media(media))
}
