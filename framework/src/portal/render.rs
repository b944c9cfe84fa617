//! Files and polls as events.

use serde_json::{Value, json};

use super::{
    convert::Case,
    envelope::{File, MatrixOp, Outgoing, Record},
};
use crate::{
    event::{Disappear, MediaKind, MediaPart, Message, Part, Poll},
    format::{self, Rich},
    plain::Plain,
};

/// A part as Matrix has it.
pub(super) struct Rendered {
    pub(super) kind: &'static str,
    pub(super) content: Value,
    pub(super) file: Option<File>,
}

impl Rendered {
    /// The event of a part that Matrix doesn't have yet, which is recorded as one of the message.
    pub(super) fn out(
        self,
        case: &Case<'_>,
        message: &Message<Plain>,
        place: usize,
        part: &Part<Plain>,
    ) -> Outgoing {
        let record = Record::Message {
            remote_id: message.id.clone(),
            part: part.id.0.clone(),
            place: place as i64,
            order: case.order,
            ts: case.ts,
            thread_root: message.thread.clone(),
            meta: part.meta.clone(),
            disappear: message.timer().map(Disappear::to_text),
        };
        let op = MatrixOp::Event { kind: self.kind.into(), content: self.content, file: self.file };
        case.out(part.id.0.clone(), op, vec![record])
    }
}

/// Whether a moving picture is a film without sound.
fn is_film(media: &MediaPart) -> bool {
    media.mime.as_deref().is_some_and(|mime| mime.starts_with("video/"))
}

/// A poll, by the unstable names: those that clients know (MSC3381).
pub(super) fn render_poll(poll: &Poll) -> Rendered {
    let answers: Vec<Value> = poll
        .options
        .iter()
        .map(|option| json!({ "id": option.id, "org.matrix.msc1767.text": option.text }))
        .collect();
    let kind = if poll.disclosed { "disclosed" } else { "undisclosed" };
    let words = super::polls::in_words(poll);
    Rendered {
        kind: "org.matrix.msc3381.poll.start",
        content: json!({
            "body": words,
            "org.matrix.msc1767.text": words,
            "org.matrix.msc3381.poll.start": {
                "kind": format!("org.matrix.msc3381.poll.{kind}"),
                "max_selections": poll.max_choices.max(1),
                "question": { "org.matrix.msc1767.text": poll.question },
                "answers": answers,
            },
        }),
        file: None,
    }
}

/// A file as Matrix has it (Client-Server API, "m.image" and so on; MSC2530 captions, MSC3245 voice messages).
pub(super) fn render_media(media: &MediaPart, caption: Option<&Rich>) -> Rendered {
    let (kind, msgtype) = match media.kind {
        MediaKind::Gif if is_film(media) => ("m.room.message", "m.video"),
        MediaKind::Image | MediaKind::Gif => ("m.room.message", "m.image"),
        MediaKind::Video | MediaKind::VideoNote => ("m.room.message", "m.video"),
        MediaKind::Audio | MediaKind::Voice { .. } => ("m.room.message", "m.audio"),
        MediaKind::File => ("m.room.message", "m.file"),
        MediaKind::Sticker { .. } => ("m.sticker", ""),
    };
    let mut content = match caption {
        Some(caption) => Value::Object(format::to_content(caption, msgtype)),
        None => json!({ "body": media.name }),
    };
    if !msgtype.is_empty() {
        content["msgtype"] = msgtype.into();
        content["filename"] = media.name.clone().into();
    }
    let mut info = json!({});
    if let Some(mime) = &media.mime {
        info["mimetype"] = mime.clone().into();
    }
    if let Some(size) = media.size {
        info["size"] = size.into();
    }
    if let Some((width, height)) = media.dimensions {
        info["w"] = width.into();
        info["h"] = height.into();
    }
    let millis = media.duration.map(|duration| duration.as_millis() as u64);
    if let Some(millis) = millis {
        info["duration"] = millis.into();
    }
    if media.kind == MediaKind::Gif && is_film(media) {
        // As mautrix bridges say it, and clients know it: shown like a picture.
        for key in ["gif", "loop", "autoplay", "hide_controls", "no_audio"] {
            info[format!("fi.mau.{key}")] = true.into();
        }
    }
    content["info"] = info;
    if media.spoiler {
        content["page.codeberg.everypizza.msc4193.spoiler"] = true.into();
    }
    if let MediaKind::Voice { waveform } = &media.kind {
        content["org.matrix.msc3245.voice"] = json!({});
        let waveform: Vec<u32> = waveform.iter().map(|level| u32::from(*level) * 4).collect();
        content["org.matrix.msc1767.audio"] =
            json!({ "duration": millis.unwrap_or(0), "waveform": waveform });
    }
    let file =
        File { source: media.source.0.clone(), name: media.name.clone(), mime: media.mime.clone() };
    Rendered { kind, content, file: Some(file) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moving_picture_is_a_film_where_its_file_is_one() {
        let mut media = MediaPart::new("file", MediaKind::Gif, "cat.mp4");
        media.mime = Some("video/mp4".into());
        media.spoiler = true;
        let film = render_media(&media, None);
        assert_eq!(film.content["msgtype"], "m.video");
        assert_eq!(film.content["info"]["fi.mau.gif"], true);
        assert_eq!(film.content["page.codeberg.everypizza.msc4193.spoiler"], true);
        media.mime = Some("image/gif".into());
        let picture = render_media(&media, None);
        assert_eq!(picture.content["msgtype"], "m.image");
        assert!(picture.content["info"].get("fi.mau.gif").is_none());
    }
}
