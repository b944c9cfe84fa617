//! Photos and documents as files for the framework to fetch.

use std::time::Duration;

use grammers_tl_types as tl;
use landbridge_framework::event::{MediaKind, MediaPart};

use crate::{
    convert::{
        files::{FileRef, Home},
        waveform,
    },
    ids::ChatId,
};

/// Names as long as file systems take them.
const MAX_NAME: usize = 200;

/// The largest size of a photo: its name, width and height, and bytes.
pub(super) fn largest(sizes: &[tl::enums::PhotoSize]) -> Option<(String, u32, u32, u64)> {
    let size = |size: &tl::enums::PhotoSize| match size {
        tl::enums::PhotoSize::Size(s) => Some((s.r#type.clone(), s.w, s.h, s.size)),
        tl::enums::PhotoSize::Progressive(s) => {
            Some((s.r#type.clone(), s.w, s.h, s.sizes.iter().copied().max().unwrap_or(0)))
        }
        _ => None,
    };
    let side = |side: i32| u32::try_from(side).unwrap_or(0);
    sizes
        .iter()
        .filter_map(size)
        .max_by_key(|(_, w, h, _)| i64::from(*w) * i64::from(*h))
        .map(|(name, w, h, bytes)| (name, side(w), side(h), u64::try_from(bytes).unwrap_or(0)))
}

/// A photo; `None` if it has expired or has no size that could be fetched.
pub(super) fn photo(photo: &tl::enums::Photo, chat: ChatId, message: i32) -> Option<MediaPart> {
    let tl::enums::Photo::Photo(photo) = photo else { return None };
    let (size, w, h, bytes) = largest(&photo.sizes)?;
    let home = Home::Message(chat, message);
    let source =
        FileRef::Photo { id: photo.id, hash: photo.access_hash, dc: photo.dc_id, size, home };
    let mut part = MediaPart::new(source.encode().0, MediaKind::Image, "photo.jpg");
    part.mime = Some("image/jpeg".into());
    part.size = Some(bytes);
    part.dimensions = Some((w, h));
    Some(part)
}

/// What a document's attributes say together.
#[derive(Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is one mark that an attribute sets")]
struct Traits {
    name: Option<String>,
    dimensions: Option<(u32, u32)>,
    duration: Option<Duration>,
    animated: bool,
    video: bool,
    round: bool,
    audio: bool,
    voice: Option<Vec<u8>>,
    title: Option<String>,
    /// The emoji it stands for, and the set it belongs to.
    sticker: Option<(String, Option<(i64, i64)>)>,
    custom_emoji: bool,
}

fn set_of(set: &tl::enums::InputStickerSet) -> Option<(i64, i64)> {
    match set {
        tl::enums::InputStickerSet::Id(set) => Some((set.id, set.access_hash)),
        _ => None,
    }
}

fn traits(attributes: &[tl::enums::DocumentAttribute]) -> Traits {
    use tl::enums::DocumentAttribute as A;
    let mut out = Traits::default();
    let sides = |w: i32, h: i32| Some((u32::try_from(w).ok()?, u32::try_from(h).ok()?));
    for attribute in attributes {
        match attribute {
            A::Filename(a) => out.name = Some(clean(&a.file_name)),
            A::ImageSize(a) => out.dimensions = sides(a.w, a.h),
            A::Animated => out.animated = true,
            A::Video(a) => {
                out.video = true;
                out.round = a.round_message;
                out.dimensions = sides(a.w, a.h);
                out.duration = Duration::try_from_secs_f64(a.duration).ok();
            }
            A::Audio(a) => {
                out.audio = true;
                out.duration = u64::try_from(a.duration).ok().map(Duration::from_secs);
                out.voice =
                    a.voice.then(|| waveform::unpack(a.waveform.as_deref().unwrap_or_default()));
                out.title = match (a.performer.as_deref(), a.title.as_deref()) {
                    (Some(who), Some(what)) if !who.is_empty() && !what.is_empty() => {
                        Some(format!("{who} - {what}"))
                    }
                    (_, Some(what)) if !what.is_empty() => Some(what.to_owned()),
                    _ => None,
                };
            }
            A::Sticker(a) => out.sticker = Some((a.alt.clone(), set_of(&a.stickerset))),
            A::CustomEmoji(a) => {
                out.sticker = Some((a.alt.clone(), set_of(&a.stickerset)));
                out.custom_emoji = true;
            }
            A::HasStickers => {}
        }
    }
    out
}

/// A file name without what could lead elsewhere.
fn clean(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or(name);
    last.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect()
}

fn extension(mime: &str) -> &'static str {
    match mime {
        "video/mp4" => ".mp4",
        "video/webm" => ".webm",
        "audio/ogg" => ".ogg",
        "audio/mpeg" => ".mp3",
        "audio/mp4" => ".m4a",
        "image/webp" => ".webp",
        "image/png" => ".png",
        "image/jpeg" => ".jpg",
        "image/gif" => ".gif",
        "application/x-tgsticker" => ".tgs",
        "application/pdf" => ".pdf",
        _ => "",
    }
}

/// A document; `None` if it has expired.
pub(super) fn document(
    document: &tl::enums::Document,
    chat: ChatId,
    message: i32,
) -> Option<MediaPart> {
    let tl::enums::Document::Document(document) = document else { return None };
    let traits = traits(&document.attributes);
    let mime = document.mime_type.to_ascii_lowercase();
    // Stickers are the same wherever they are seen, so that each is converted and uploaded once.
    let home = match &traits.sticker {
        Some((_, Some((id, hash)))) => Home::Set(*id, *hash),
        Some(_) if traits.custom_emoji => Home::Emoji,
        _ => Home::Message(chat, message),
    };
    let (kind, base) = kind(&traits, &mime);
    let (id, hash, dc) = (document.id, document.access_hash, document.dc_id);
    // Stickers are small enough themselves.
    let preview = document.thumbs.as_deref().filter(|_| traits.sticker.is_none());
    let preview = preview
        .and_then(largest)
        .map(|(size, ..)| FileRef::Thumb { id, hash, dc, size, home: home.clone() }.encode());
    let source = FileRef::Document { id, hash, dc, home };
    let name = match (
        &traits.sticker,
        traits.name.as_ref().filter(|name| !name.is_empty()),
        &traits.title,
    ) {
        (Some((alt, _)), ..) if !alt.is_empty() => alt.clone(),
        (_, Some(name), _) => name.clone(),
        (_, None, Some(title)) => format!("{}{}", clean(title), extension(&mime)),
        _ => format!("{base}{}", extension(&mime)),
    };
    let mut part = MediaPart::new(source.encode().0, kind, name);
    // Animated stickers are converted when they are fetched, and are something else then.
    if traits.sticker.is_none() || mime == "image/webp" {
        part.mime = Some(mime).filter(|mime| !mime.is_empty());
        part.size = u64::try_from(document.size).ok();
    }
    part.dimensions = traits.dimensions.filter(|(w, h)| *w > 0 && *h > 0);
    part.duration = traits.duration;
    part.thumbnail = preview;
    Some(part)
}

fn kind(traits: &Traits, mime: &str) -> (MediaKind, &'static str) {
    if let Some((_, set)) = &traits.sticker {
        return (MediaKind::Sticker { pack: set.map(|(id, _)| id.to_string()) }, "sticker");
    }
    if let Some(waveform) = &traits.voice {
        return (MediaKind::Voice { waveform: waveform.clone() }, "voice");
    }
    if traits.round {
        return (MediaKind::VideoNote, "video-message");
    }
    if traits.animated {
        return (MediaKind::Gif, "animation");
    }
    if traits.video && mime.starts_with("video/") {
        return (MediaKind::Video, "video");
    }
    if traits.audio {
        return (MediaKind::Audio, "audio");
    }
    // Sent as a file, on purpose, but clients show it better as what it is.
    if matches!(mime, "image/jpeg" | "image/png" | "image/webp" | "image/gif")
        && traits.dimensions.is_some()
    {
        return (MediaKind::Image, "image");
    }
    (MediaKind::File, "file")
}
