//! Files, both ways.

use std::time::Duration;

use landbridge_framework::{
    event::{MediaKind, MediaRef},
    handlers::{Media, MediaStream},
    prelude::*,
};
use serde::{Deserialize, Serialize};

use super::{
    Connection, Slack,
    send::{Place, sent},
};
use crate::{
    client::{ApiError, Session},
    convert::{
        from_matrix::{self, Target},
        to_matrix::read_file_ref,
    },
};

/// How long Slack is asked, in one attempt, for the message that shows a file: it makes it some time after the upload.
const SHOWN: [u64; 8] = [200, 400, 800, 1_500, 3_000, 6_000, 12_000, 24_000];
/// Attempts after which a file that Slack never showed is given up.
const ATTEMPTS: u32 = 20;

/// How far the sending of a file has got: kept durably, so that none is shown twice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Progress {
    /// The file that was uploaded.
    #[serde(default)]
    file: Option<String>,
    /// Whether Slack may have been told to show it.
    #[serde(default)]
    shared: bool,
}

impl Progress {
    fn read(note: Option<&str>) -> Self {
        note.and_then(|note| serde_json::from_str(note).ok()).unwrap_or_default()
    }
    fn write(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

pub(super) async fn send(
    place: Place,
    mut checkpoint: Checkpoint,
    media: Media,
) -> Result<Sent<Slack>, SendError> {
    let session = place.client.session(&place.chat.team)?;
    let channel = place.chat.channel.as_str();
    let mut progress = Progress::read(checkpoint.get());
    let name = file_name(&media);
    let file = if let Some(file) = progress.file.clone() {
        file
    } else {
        let mut stream = media.open().await.map_err(|error| match error {
            NetError::Permanent(why) => SendError::refused(why),
            error @ NetError::Temporary { .. } => SendError::retry(error),
        })?;
        let uploaded = session.upload(&name, &mut stream.bytes, crate::client::files::MAX_FILE);
        let file = uploaded.await.map_err(|error| match error {
            // Nobody sees a file that was never shown: it is uploaded again.
            ApiError::NoAnswer(_) | ApiError::Failed(_) => SendError::retry(error),
            error => error.sending(LimitScope::Chat),
        })?;
        progress.file = Some(file.clone());
        checkpoint.save(progress.write()).await?;
        file
    };
    if progress.shared
        && let Some(ts) = shown(&session, &file, channel, &SHOWN).await?
    {
        return Ok(sent(&ts));
    }
    if !progress.shared || place.attempt.before < 2 {
        let comment = comment(&place, &media).await?;
        let goal = place.goal(&session).await?;
        progress.shared = true;
        checkpoint.save(progress.write()).await?;
        let shared =
            session.share(&file, &name, channel, goal.thread.as_deref(), comment.as_deref()).await;
        match shared {
            Ok(()) => {}
            // It was told before.
            Err(ApiError::Refused(code))
                if code == "file_already_shared"
                    || code == "file_not_found" && place.attempt.maybe_sent => {}
            Err(error) => return Err(error.sending(LimitScope::Chat)),
        }
    }
    if let Some(ts) = shown(&session, &file, channel, &SHOWN).await? {
        return Ok(sent(&ts));
    }
    if place.attempt.before >= ATTEMPTS {
        return Err(SendError::refused("Slack took the file, but does not show it"));
    }
    Err(SendError::unknown("Slack has not shown the file yet"))
}

/// The message that shows a file, once there is one.
async fn shown(
    session: &Session,
    file: &str,
    channel: &str,
    waits: &[u64],
) -> Result<Option<String>, SendError> {
    for wait in waits {
        match session.shared_as(file, channel).await {
            Ok(Some(ts)) => return Ok(Some(ts)),
            Ok(None) => tokio::time::sleep(Duration::from_millis(*wait)).await,
            Err(ApiError::Limited(wait)) => {
                tokio::time::sleep(wait.min(Duration::from_secs(30))).await;
            }
            Err(error) => return Err(SendError::unknown(error)),
        }
    }
    Ok(None)
}

/// What is said with a file. Slack shows files as the app's own: for people who are relayed, their name stands before it.
async fn comment(place: &Place, media: &Media) -> Result<Option<String>, SendError> {
    let mut words = Rich::new();
    if let Some(relay) = &place.relay {
        words.push_styled(&relay.name, landbridge_framework::format::Style::Bold);
        if media.caption.is_some() {
            words.push(": ");
        }
    }
    if let Some(caption) = &media.caption {
        words.append(caption);
    }
    if words.is_empty() {
        return Ok(None);
    }
    let (_, lookup) = place.client.eyes(&place.chat.team).map_err(SendError::retry)?;
    let names = lookup.emoji().await.keys().cloned().collect();
    let target = Target { team: &place.chat.team, emoji: &names };
    Ok(Some(from_matrix::write_mrkdwn(target, &words)))
}

/// A name by which Slack knows the sort of file: its ending decides how it is shown.
fn file_name(media: &Media) -> String {
    let clean: String = media
        .name
        .chars()
        .filter(|c| !c.is_control() && !matches!(c, '/' | '\\'))
        .take(200)
        .collect();
    let clean = clean.trim().trim_start_matches('.').to_owned();
    let base = if clean.is_empty() { "file".to_owned() } else { clean };
    if base.rsplit_once('.').is_some_and(|(_, ending)| (1..=5).contains(&ending.len())) {
        return base;
    }
    match ending(media.mime.as_deref(), &media.kind) {
        Some(ending) => format!("{base}.{ending}"),
        None => base,
    }
}

fn ending(mime: Option<&str>, kind: &MediaKind) -> Option<&'static str> {
    let known = match mime? {
        "image/png" => "png",
        "image/jpeg" => "jpg",
        "image/gif" => "gif",
        "image/webp" => "webp",
        "video/mp4" => "mp4",
        "video/webm" => "webm",
        "video/quicktime" => "mov",
        "audio/ogg" => "ogg",
        "audio/mpeg" => "mp3",
        "audio/mp4" | "audio/x-m4a" => "m4a",
        "audio/wav" | "audio/x-wav" => "wav",
        "text/plain" => "txt",
        "application/pdf" => "pdf",
        "application/zip" => "zip",
        _ if matches!(kind, MediaKind::Sticker { .. }) => "png",
        _ => return None,
    };
    Some(known)
}

/// Fetches what Slack keeps: files of messages, avatars, icons and emoji.
pub(super) struct Files;

impl MediaSource<Slack> for Files {
    async fn open(&self, client: &Connection, media: &MediaRef) -> Result<MediaStream, NetError> {
        if let Some((team, file)) = read_file_ref(&media.0) {
            let (session, _) = client.eyes(team)?;
            return session.open_file(file).await;
        }
        // Pictures are anybody's to see; whose connection asks for them makes no difference.
        let team = super::room::teams(client).into_iter().next();
        let team = team.ok_or_else(|| NetError::temporary("no workspace is connected"))?;
        let (session, _) = client.eyes(&team)?;
        session.open_picture(&media.0).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_reads_back() {
        let progress = Progress { file: Some("F1".into()), shared: true };
        assert_eq!(Progress::read(Some(&progress.write())), progress);
        assert_eq!(Progress::read(None), Progress::default());
        assert_eq!(Progress::read(Some("?")), Progress::default());
    }
}
