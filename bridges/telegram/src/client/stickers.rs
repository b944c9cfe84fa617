//! Stickers that move, in a form that Matrix's clients show: converted by programs that the settings name, or else as their still
//! preview. Each is converted once: the framework remembers what a sticker was uploaded as.

use std::{process::Stdio, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use landbridge_framework::{NetError, handlers::MediaStream};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
};

use super::account::Live;
use crate::convert::files::{FileRef, Home};

/// The largest sticker that is looked at. Telegram's own limits are 64 KiB, 256 KiB and 512 KiB.
const MAX_STICKER: usize = 4 << 20;
/// The largest picture taken from a converter.
const MAX_PICTURE: u64 = 8 << 20;
/// How long a converter may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The previews that stickers have, the larger first.
const PREVIEWS: [&str; 2] = ["m", "s"];

/// What a sticker is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A picture, as it should be.
    Picture,
    /// Lottie, gzipped (`.tgs`).
    Lottie,
    /// A film (`.webm`).
    Film,
}

fn form(bytes: &[u8]) -> Form {
    match bytes {
        [0x1f, 0x8b, ..] => Form::Lottie,
        [0x1a, 0x45, 0xdf, 0xa3, ..] => Form::Film,
        _ => Form::Picture,
    }
}

impl Live {
    /// A sticker or custom emoji, converted if need be; `None` if the file is none.
    pub(super) async fn sticker(
        self: &Arc<Self>,
        file: &FileRef,
    ) -> Result<Option<MediaStream>, NetError> {
        let FileRef::Document { id, hash, dc, home: home @ (Home::Set(..) | Home::Emoji) } = file
        else {
            return Ok(None);
        };
        let bytes = self.download_all(file, MAX_STICKER).await?;
        let converter = match form(&bytes) {
            Form::Picture => return Ok(Some(whole(bytes))),
            Form::Lottie => &self.config.sticker_converter,
            Form::Film => &self.config.video_sticker_converter,
        };
        if !converter.is_empty() {
            match convert(converter, bytes.clone()).await {
                Ok(picture) => return Ok(Some(whole(picture))),
                Err(error) => {
                    tracing::warn!(sticker = id, %error, "a sticker could not be converted");
                }
            }
        }
        for size in PREVIEWS {
            let preview = FileRef::Thumb {
                id: *id,
                hash: *hash,
                dc: *dc,
                size: size.into(),
                home: home.clone(),
            };
            match self.download_all(&preview, MAX_STICKER).await {
                Ok(picture) if !picture.is_empty() && form(&picture) == Form::Picture => {
                    return Ok(Some(whole(picture)));
                }
                Err(error @ NetError::Temporary { .. }) => return Err(error),
                Ok(_) | Err(NetError::Permanent(_)) => {}
            }
        }
        // As it is: better than nothing, and some clients play it.
        Ok(Some(whole(bytes)))
    }
}

fn whole(bytes: Vec<u8>) -> MediaStream {
    let size = Some(bytes.len() as u64);
    MediaStream { mime: None, size, bytes: stream::iter([Ok(Bytes::from(bytes))]).boxed() }
}

/// Runs a converter: the sticker goes in by standard input, the picture comes out by standard output.
async fn convert(converter: &[String], sticker: Vec<u8>) -> std::io::Result<Vec<u8>> {
    let other = |why: &str| std::io::Error::other(why.to_owned());
    let [program, arguments @ ..] = converter else { return Err(other("no converter is set")) };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(other("the converter has no standard input or output"));
    };
    let feed = async move {
        // A converter that has seen enough may close its input.
        let _ = input.write_all(&sticker).await;
    };
    let read = async {
        let mut picture = Vec::new();
        output.take(MAX_PICTURE + 1).read_to_end(&mut picture).await?;
        Ok::<_, std::io::Error>(picture)
    };
    let work = async {
        let ((), picture) = tokio::join!(feed, read);
        let picture = picture?;
        if picture.len() as u64 > MAX_PICTURE {
            return Err(other("the picture is too large"));
        }
        let status = child.wait().await?;
        if !status.success() || picture.is_empty() {
            return Err(other(&format!("the converter ended with {status}")));
        }
        Ok(picture)
    };
    tokio::time::timeout(PATIENCE, work).await.map_err(|_| other("the converter took too long"))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[tokio::test]
    async fn a_converter_is_a_filter() {
        let made = convert(&words(&["tr", "a-z", "A-Z"]), b"picture".to_vec()).await.unwrap();
        assert_eq!(made, b"PICTURE");
    }

    #[tokio::test]
    async fn bad_converters_fail() {
        assert!(convert(&words(&["/nonexistent/program"]), Vec::new()).await.is_err());
        assert!(convert(&words(&["false"]), b"x".to_vec()).await.is_err());
        assert!(convert(&words(&["true"]), vec![0; 1 << 20]).await.is_err(), "nothing came out");
        assert!(
            convert(&words(&["head", "-c", "9000000", "/dev/zero"]), Vec::new()).await.is_err()
        );
        assert!(convert(&[], Vec::new()).await.is_err());
    }

    #[test]
    fn forms_are_told_by_their_first_bytes() {
        assert_eq!(form(&[0x1f, 0x8b, 8]), Form::Lottie);
        assert_eq!(form(&[0x1a, 0x45, 0xdf, 0xa3]), Form::Film);
        assert_eq!(form(b"RIFF"), Form::Picture);
        assert_eq!(form(&[]), Form::Picture);
    }
}
