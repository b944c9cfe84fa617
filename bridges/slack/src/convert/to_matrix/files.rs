//! Files (<https://docs.slack.dev/reference/objects/file-object>): named here, fetched by the framework when it sends them.

use std::time::Duration;

use landbridge_framework::{
    event::{Content, MediaKind, MediaPart, MediaRef},
    format::Rich,
};
use serde_json::Value;

use crate::{
    convert::Context,
    ids,
    json::{flag, list, number, said, text},
};

/// How a file of a workspace is named for the framework.
pub fn file_ref(team: &str, file: &str) -> String {
    format!("file:{team}:{file}")
}

/// Reads [`file_ref`]: workspace and file.
pub fn read_file_ref(name: &str) -> Option<(&str, &str)> {
    let (team, file) = name.strip_prefix("file:")?.split_once(':')?;
    (ids::is_id(team) && ids::is_id(file)).then_some((team, file))
}

/// A file of a message. What can't be had is said, with where it can be seen.
pub(super) fn read(context: Context<'_>, file: &Value, caption: Option<Rich>) -> Content {
    let name = said(file, "name").or_else(|| said(file, "title")).unwrap_or("file").to_owned();
    let link = said(file, "permalink").map(ToOwned::to_owned);
    let without = |what: String| match &caption {
        // What was said with it stays.
        Some(caption) => {
            let mut rich = caption.clone();
            rich.push(&format!("\n[{what}]"));
            Content::Text(rich)
        }
        None => Content::Unsupported { what, link: link.clone() },
    };
    match text(file, "mode").unwrap_or_default() {
        "tombstone" => return without("a file that was deleted".into()),
        "hidden_by_limit" => {
            return without("a file that the workspace's plan no longer shows".into());
        }
        _ => {}
    }
    match text(file, "file_access").unwrap_or("visible") {
        "visible" => {}
        "file_not_found" => return without("a file that was deleted".into()),
        _ => return without(format!("a file that can be seen in Slack only: {name}")),
    }
    let id = text(file, "id").unwrap_or_default();
    let mime = said(file, "mimetype").map(ToOwned::to_owned);
    let elsewhere = flag(file, "is_external")
        || mime.as_deref().is_some_and(|mime| mime.starts_with("application/vnd.slack-docs"))
        || matches!(
            text(file, "mode"),
            Some("external" | "quip" | "canvas" | "list" | "post" | "space")
        );
    if elsewhere || !ids::is_id(id) {
        let link = said(file, "url_private")
            .filter(|_| flag(file, "is_external"))
            .map(ToOwned::to_owned)
            .or_else(|| link.clone());
        return match caption {
            Some(mut caption) => {
                caption.push("\n");
                match link {
                    Some(url) => super::mentions::link(&mut caption, &url, Some(&name)),
                    None => drop(caption.push(&name)),
                }
                Content::Text(caption)
            }
            None => Content::Unsupported { what: name, link },
        };
    }
    let mut part = MediaPart::new(file_ref(context.team, id), kind(file, mime.as_deref()), name);
    part.mime = mime;
    part.size = number(file, "size").and_then(|size| u64::try_from(size).ok());
    let side = |key| number(file, key).and_then(|side| u32::try_from(side).ok());
    part.dimensions = side("original_w").zip(side("original_h"));
    part.duration = number(file, "duration_ms")
        .and_then(|ms| u64::try_from(ms).ok())
        .map(Duration::from_millis);
    part.caption = caption;
    Content::Media(part)
}

fn kind(file: &Value, mime: Option<&str>) -> MediaKind {
    let subtype = text(file, "subtype").unwrap_or_default();
    let (group, form) = mime.and_then(|mime| mime.split_once('/')).unwrap_or_default();
    match (subtype, group) {
        ("slack_audio", _) => MediaKind::Voice { waveform: waveform(file) },
        ("slack_video", _) | (_, "video") => MediaKind::Video,
        (_, "image") if form == "gif" => MediaKind::Gif,
        // Drawings are programs; nothing shows them as pictures.
        (_, "image") if form.starts_with("svg") => MediaKind::File,
        (_, "image") => MediaKind::Image,
        (_, "audio") => MediaKind::Audio,
        _ => MediaKind::File,
    }
}

/// The loudness over time, which Slack counts to 100.
fn waveform(file: &Value) -> Vec<u8> {
    let level = |level: &Value| {
        let level = level.as_u64().unwrap_or_default().min(100);
        u8::try_from(level * 255 / 100).unwrap_or(u8::MAX)
    };
    list(file, "audio_wave_samples").iter().take(200).map(level).collect()
}

/// The name of a picture that lies at an address of Slack's.
pub(crate) fn picture_ref(url: &str) -> MediaRef {
    MediaRef(url.to_owned())
}
