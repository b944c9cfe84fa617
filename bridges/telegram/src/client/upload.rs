//! Files to Telegram, part by part (core.telegram.org/api/files): read once, never held whole.

use bytes::{Buf as _, BytesMut};
use futures::StreamExt as _;
use grammers_tl_types as tl;
use landbridge_framework::handlers::{MediaStream, SendError};

use super::account::Live;

/// The size of a part: the largest that Telegram takes.
const PART: usize = 512 << 10;
/// Larger files are uploaded in another way.
const BIG: u64 = 10 << 20;
/// How many parts a file may have, and with Premium.
const MAX_PARTS: u64 = 4000;
const MAX_PARTS_PREMIUM: u64 = 8000;

/// A file that Telegram has, and its true size.
pub(crate) struct Uploaded {
    /// The file.
    pub(crate) file: tl::enums::InputFile,
    /// Its size in bytes.
    pub(crate) size: u64,
}

impl Live {
    /// Uploads a file whose size is known, or which is small. A part that fails is the whole file's failure: the framework tries again.
    pub(crate) async fn upload(
        &self,
        stream: MediaStream,
        name: &str,
    ) -> Result<Uploaded, SendError> {
        let parts = if self.premium { MAX_PARTS_PREMIUM } else { MAX_PARTS };
        let limit = self.config.max_file_bytes.min(parts * PART as u64);
        let too_large =
            || SendError::refused(format!("Telegram takes files of at most {} MiB", limit >> 20));
        if stream.size.is_some_and(|size| size > limit) {
            return Err(too_large());
        }
        let file_id: i64 = rand::random();
        let mut reading = Parts { stream, buffer: BytesMut::new(), ended: false };
        // What is at most as large as one big file's threshold is gathered first: its size decides how it is uploaded.
        let mut gathered = Vec::new();
        let mut size = 0_u64;
        while size <= BIG {
            let Some(part) = reading.next().await? else { break };
            size += part.len() as u64;
            gathered.push(part);
        }
        if size > limit {
            return Err(too_large());
        }
        if size <= BIG {
            let parts = gathered.len();
            for (at, bytes) in gathered.into_iter().enumerate() {
                let request =
                    tl::functions::upload::SaveFilePart { file_id, file_part: at as i32, bytes };
                self.api.invoke(&request).await?;
            }
            if parts == 0 {
                return Err(SendError::refused("Telegram takes no empty files"));
            }
            let file = tl::types::InputFile {
                id: file_id,
                parts: parts as i32,
                name: name.to_owned(),
                // Optional, and the transport has its own checks.
                md5_checksum: String::new(),
            };
            return Ok(Uploaded { file: file.into(), size });
        }
        // The number of parts must be told with each: of a stream without a known size it is -1 until the last.
        let total = reading.stream.size.map(|size| size.div_ceil(PART as u64) as i32);
        let mut sent = 0;
        let mut ready: std::collections::VecDeque<Vec<u8>> = gathered.into();
        loop {
            let bytes = match ready.pop_front() {
                Some(bytes) => bytes,
                None => match reading.next().await? {
                    Some(bytes) => {
                        size += bytes.len() as u64;
                        bytes
                    }
                    None => break,
                },
            };
            if size > limit {
                return Err(too_large());
            }
            let last = ready.is_empty() && reading.is_done();
            let request = tl::functions::upload::SaveBigFilePart {
                file_id,
                file_part: sent,
                file_total_parts: total.unwrap_or(if last { sent + 1 } else { -1 }),
                bytes,
            };
            self.api.invoke(&request).await?;
            sent += 1;
        }
        if total.is_some_and(|total| total != sent) {
            return Err(SendError::retry("the file's size is not what its server says"));
        }
        let file = tl::types::InputFileBig { id: file_id, parts: sent, name: name.to_owned() };
        Ok(Uploaded { file: file.into(), size })
    }
}

/// A stream cut into parts of one size; the last may be shorter.
struct Parts {
    stream: MediaStream,
    buffer: BytesMut,
    ended: bool,
}

impl Parts {
    /// Whether the part given last was the last.
    fn is_done(&self) -> bool {
        self.ended && self.buffer.is_empty()
    }

    async fn next(&mut self) -> Result<Option<Vec<u8>>, SendError> {
        // One byte more than a part, so that it is known of each whether it is the last.
        while self.buffer.len() <= PART && !self.ended {
            match self.stream.bytes.next().await {
                Some(Ok(bytes)) => self.buffer.extend_from_slice(&bytes),
                Some(Err(error)) => {
                    return Err(SendError::retry(format!("the file could not be read: {error}")));
                }
                None => self.ended = true,
            }
        }
        let length = self.buffer.len().min(PART);
        if length == 0 {
            return Ok(None);
        }
        let part = self.buffer[..length].to_vec();
        self.buffer.advance(length);
        Ok(Some(part))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures::stream;

    use super::*;

    #[tokio::test]
    async fn the_last_part_is_known_as_such() {
        for (length, wanted) in [
            (0, vec![]),
            (1, vec![1]),
            (PART, vec![PART]),
            (PART + 1, vec![PART, 1]),
            (3 * PART, vec![PART, PART, PART]),
        ] {
            let pieces: Vec<std::io::Result<Bytes>> = vec![7; length]
                .chunks(1000)
                .map(|piece| Ok(Bytes::copy_from_slice(piece)))
                .collect();
            let stream =
                MediaStream { mime: None, size: None, bytes: stream::iter(pieces).boxed() };
            let mut parts = Parts { stream, buffer: BytesMut::new(), ended: false };
            let mut seen = Vec::new();
            while let Some(part) = parts.next().await.unwrap() {
                seen.push(part.len());
                assert_eq!(parts.is_done(), seen.len() == wanted.len());
            }
            assert_eq!(seen, wanted);
        }
    }
}
