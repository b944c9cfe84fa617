//! Files: uploaded, then sent as what they are, with their caption.

use grammers_tl_types as tl;
use landbridge_framework::{
    event::MediaKind,
    format::Rich,
    handlers::{FromOut, Media, MediaCaps, Out},
    prelude::*,
};

use super::{
    Telegram,
    outgoing::{Target, note_progress, progress, random_id, send_media, send_text, sent},
    send::{Here, Me},
};
use crate::client::Live;
use crate::convert::from_matrix::{
    Chunk, MAX_CAPTION, MAX_CAPTION_PREMIUM, MAX_TEXT, Sending, sending, split, write,
};

pub(super) fn register(handlers: Handlers<Telegram>) -> Handlers<Telegram> {
    // Sizes depend on the account, and are checked when it is known.
    let caps = MediaCaps { max_size: 0, mimes: Vec::new(), captions: true };
    handlers.media(caps, Idempotency::Native, media)
}

#[allow(clippy::too_many_arguments, reason = "the framework extracts them by type")]
async fn media(
    Via(client): Me,
    In(at, _): Here,
    Key(key): Key,
    ReplyTo(answered): ReplyTo<Telegram>,
    Thread(thread): Thread<Telegram>,
    origin: Origin,
    mut done: Checkpoint,
    said: Said,
) -> Result<Sent<Telegram>, SendError> {
    let live = client.live()?;
    let Said { file, by } = said;
    let caption = caption(by, file.caption.as_ref());
    let most = if live.premium { MAX_CAPTION_PREMIUM } else { MAX_CAPTION };
    let is_sticker = matches!(file.kind, MediaKind::Sticker { .. })
        && file.mime.as_deref() == Some("image/webp");
    let round = file.kind == MediaKind::VideoNote;
    let mut chunks = split(&write(&caption), most, MAX_TEXT).into_iter().peekable();
    // Stickers and round films have no captions: the text follows.
    let first =
        if is_sticker || round { Chunk::default() } else { chunks.next().unwrap_or_default() };
    let mut ids = progress(&done);
    if ids.is_empty() {
        let (uploaded, about) = upload(&live, &file).await?;
        let target = Target::of(&live, at.id, answered.map(|answered| answered.id), thread).await?;
        let media = sending(uploaded, &about);
        let id = send_media(&live, &target, media, &first, random_id(&key, 0), origin.ts_ms).await;
        let id = match id {
            Err(SendError::Refused { user }) if is_no_photo(&user) => {
                // Telegram can't read it as a photo: as a file it can be sent all the same.
                let (uploaded, about) = upload(&live, &file).await?;
                let about = Sending { kind: MediaKind::File, ..about };
                let media = sending(uploaded, &about);
                send_media(&live, &target, media, &first, random_id(&key, 0), origin.ts_ms).await?
            }
            id => id?,
        };
        ids.push(id);
        if chunks.peek().is_some() {
            note_progress(&mut done, &ids).await?;
        }
    }
    for (place, chunk) in chunks.enumerate().skip(ids.len() - 1) {
        let target = Target::of(&live, at.id, None, thread).await?;
        ids.push(
            send_text(&live, &target, &chunk, random_id(&key, place + 1), origin.ts_ms).await?,
        );
        note_progress(&mut done, &ids).await?;
    }
    Ok(sent(ids))
}

/// Gives a file to Telegram, and says what is known of it.
pub(super) async fn upload(
    live: &Live,
    file: &Media,
) -> Result<(tl::enums::InputFile, Sending), SendError> {
    let stream = file.open().await.map_err(|error| match error {
        NetError::Temporary { .. } => SendError::retry(error),
        NetError::Permanent(reason) => SendError::refused(reason),
    })?;
    let mime = file.mime.clone().or_else(|| stream.mime.clone()).unwrap_or_default();
    let uploaded = live.upload(stream, &file.name).await?;
    Ok((uploaded.file, about(file, &mime, uploaded.size)))
}

/// What is known of a file.
pub(super) fn about(file: &Media, mime: &str, size: u64) -> Sending {
    Sending {
        kind: file.kind.clone(),
        name: file.name.clone(),
        mime: mime.to_ascii_lowercase(),
        size,
        dimensions: file.dimensions,
        seconds: file.duration.map(|duration| duration.as_secs_f64()),
        spoiler: file.spoiler,
    }
}

/// Whether Telegram refused something because it can't be read as a photo.
pub(super) fn is_no_photo(reason: &str) -> bool {
    reason.contains("PHOTO_INVALID_DIMENSIONS") || reason.contains("IMAGE_PROCESS_FAILED")
}

/// A file, and for whom it is relayed: one argument, since there are no more.
struct Said {
    file: Media,
    by: Option<String>,
}

impl FromOut<Telegram> for Said {
    fn take(out: &Out<Telegram>) -> Result<Self, SendError> {
        let As(relayed) = As::take(out)?;
        Ok(Self { file: Media::take(out)?, by: relayed.map(|profile| profile.name) })
    }
}

/// A caption. The framework has put the sender before one that there is; a file without one says at least who sent it.
pub(super) fn caption(by: Option<String>, caption: Option<&Rich>) -> Rich {
    match (caption, by) {
        (Some(caption), _) => caption.clone(),
        (None, Some(name)) => Rich::plain(name),
        (None, None) => Rich::new(),
    }
}
