//! How a file is sent: as a photo where Telegram takes it as one, else as a document with attributes.

use grammers_tl_types as tl;
use landbridge_framework::event::MediaKind;

use crate::convert::waveform;

/// The largest photo, in bytes; larger ones go as files.
pub const MAX_PHOTO: u64 = 10 << 20;
/// The most that a photo's width and height may come to together.
const MAX_SIDES: u64 = 10_000;
/// The most that one side may be longer than the other.
const MAX_RATIO: u64 = 20;
/// The largest sticker, in bytes (core.telegram.org/stickers).
const MAX_STICKER: u64 = 512 << 10;

/// What an album may hold together (core.telegram.org/api/files, "Grouped media").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Photos and films.
    Visual,
    /// Files.
    Document,
    /// Music.
    Audio,
    /// Never together with anything.
    Alone,
}

/// What is known of a file that is to be sent.
#[derive(Clone, Debug)]
pub struct Sending {
    /// Its sort.
    pub kind: MediaKind,
    /// Its name.
    pub name: String,
    /// Its media type.
    pub mime: String,
    /// Its size in bytes.
    pub size: u64,
    /// Width and height in pixels.
    pub dimensions: Option<(u32, u32)>,
    /// Its length in seconds.
    pub seconds: Option<f64>,
    /// Whether it is hidden until it is asked for.
    pub spoiler: bool,
}

impl Sending {
    /// Whether Telegram shows it as a photo, and doesn't refuse it for its measures (`PHOTO_INVALID_DIMENSIONS`).
    fn is_photo(&self) -> bool {
        let Some((w, h)) = self.dimensions.map(|(w, h)| (u64::from(w), u64::from(h))) else {
            return self.kind == MediaKind::Image && self.is_photo_type() && self.size <= MAX_PHOTO;
        };
        self.kind == MediaKind::Image
            && self.is_photo_type()
            && self.size <= MAX_PHOTO
            && w > 0
            && h > 0
            && w + h <= MAX_SIDES
            && w.max(h) <= w.min(h) * MAX_RATIO
    }

    /// Which files it can be in one album with.
    pub fn class(&self) -> Class {
        match self.kind {
            _ if self.is_photo() => Class::Visual,
            MediaKind::Video => Class::Visual,
            MediaKind::Audio => Class::Audio,
            MediaKind::Image if self.mime == "image/gif" => Class::Alone,
            MediaKind::File | MediaKind::Image => Class::Document,
            MediaKind::Gif
            | MediaKind::VideoNote
            | MediaKind::Voice { .. }
            | MediaKind::Sticker { .. } => Class::Alone,
        }
    }

    fn is_photo_type(&self) -> bool {
        matches!(self.mime.as_str(), "image/jpeg" | "image/png" | "image/webp")
    }
}

/// The media of a file that is uploaded.
pub fn sending(file: tl::enums::InputFile, about: &Sending) -> tl::enums::InputMedia {
    if about.is_photo() {
        return tl::types::InputMediaUploadedPhoto {
            spoiler: about.spoiler,
            live_photo: false,
            file,
            stickers: None,
            ttl_seconds: None,
            video: None,
        }
        .into();
    }
    let mut attributes: Vec<tl::enums::DocumentAttribute> = Vec::new();
    let side = |side: u32| i32::try_from(side).unwrap_or(i32::MAX);
    let (w, h) = about.dimensions.map_or((0, 0), |(w, h)| (side(w), side(h)));
    let seconds = about.seconds.unwrap_or(0.0);
    let mut mime = about.mime.clone();
    let mut nosound_video = false;
    match &about.kind {
        MediaKind::Voice { waveform } => attributes.push(
            tl::types::DocumentAttributeAudio {
                voice: true,
                duration: seconds.round() as i32,
                title: None,
                performer: None,
                waveform: Some(waveform::pack(waveform)).filter(|waveform| !waveform.is_empty()),
            }
            .into(),
        ),
        MediaKind::Audio => attributes.push(
            tl::types::DocumentAttributeAudio {
                voice: false,
                duration: seconds.round() as i32,
                title: None,
                performer: None,
                waveform: None,
            }
            .into(),
        ),
        MediaKind::Video | MediaKind::VideoNote => {
            attributes.push(video(seconds, w, h, about.kind == MediaKind::VideoNote, false).into());
        }
        MediaKind::Gif => {
            nosound_video = true;
            attributes.push(tl::enums::DocumentAttribute::Animated);
            if about.mime.starts_with("video/") {
                attributes.push(video(seconds, w, h, false, true).into());
            }
        }
        MediaKind::Sticker { .. } if about.mime == "image/webp" && about.size <= MAX_STICKER => {
            attributes.push(
                tl::types::DocumentAttributeSticker {
                    mask: false,
                    alt: about.name.chars().take(64).collect(),
                    stickerset: tl::enums::InputStickerSet::Empty,
                    mask_coords: None,
                }
                .into(),
            );
        }
        // A GIF without a kind of its own in Matrix.
        MediaKind::Image if about.mime == "image/gif" => {
            attributes.push(tl::enums::DocumentAttribute::Animated);
        }
        MediaKind::Image | MediaKind::Sticker { .. } | MediaKind::File => {}
    }
    if w > 0 && h > 0 && matches!(about.kind, MediaKind::Image | MediaKind::Sticker { .. }) {
        attributes.push(tl::types::DocumentAttributeImageSize { w, h }.into());
    }
    attributes.push(tl::types::DocumentAttributeFilename { file_name: about.name.clone() }.into());
    if mime.is_empty() {
        mime = "application/octet-stream".into();
    }
    tl::types::InputMediaUploadedDocument {
        nosound_video,
        // Telegram turns some files into what they look like; what was sent as a file stays one.
        force_file: about.kind == MediaKind::File,
        spoiler: about.spoiler,
        file,
        thumb: None,
        mime_type: mime,
        attributes,
        stickers: None,
        video_cover: None,
        video_timestamp: None,
        ttl_seconds: None,
    }
    .into()
}

fn video(
    seconds: f64,
    w: i32,
    h: i32,
    round: bool,
    nosound: bool,
) -> tl::types::DocumentAttributeVideo {
    tl::types::DocumentAttributeVideo {
        round_message: round,
        supports_streaming: true,
        nosound,
        duration: seconds,
        w,
        h,
        preload_prefix_size: None,
        video_start_ts: None,
        video_codec: None,
    }
}
