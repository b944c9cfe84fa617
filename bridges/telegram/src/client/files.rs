//! Files from Telegram, chunk by chunk. References expire: the message or set that a file was seen in is asked again.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _};
use grammers_tl_types as tl;
use landbridge_framework::{NetError, event::MediaRef, handlers::MediaStream};

use super::{account::Live, chats::messages_of, error::ApiError};
use crate::{
    convert::files::{FileRef, Home},
    ids::Peer,
};

/// The size of a chunk. Telegram gives up to 1 MiB, but the library takes an answer of that size and what surrounds it for a mistake.
const CHUNK: i32 = 512 << 10;

/// What is asked for, and where.
struct Place {
    dc: i32,
    location: tl::enums::InputFileLocation,
}

impl Live {
    /// Opens a file by its name.
    pub(crate) async fn open(self: &Arc<Self>, media: &MediaRef) -> Result<MediaStream, NetError> {
        let file = FileRef::decode(media)
            .ok_or_else(|| NetError::permanent("that names no file of Telegram's"))?;
        let file = match file {
            FileRef::Emoji(id) => self.emoji(id).await?,
            file => file,
        };
        if let Some(converted) = self.sticker(&file).await? {
            return Ok(converted);
        }
        self.download(&file).await
    }

    /// A file as Telegram has it.
    pub(super) async fn download(
        self: &Arc<Self>,
        file: &FileRef,
    ) -> Result<MediaStream, NetError> {
        let first = match self.chunk_of(file, false, 0).await {
            // The reference was good once.
            Err(error) if is_expired(&error) => self.chunk_of(file, true, 0).await?,
            first => first?,
        };
        let mime = mime(&first.0);
        let bytes = self.clone().rest(file.clone(), first);
        Ok(MediaStream { mime, size: None, bytes })
    }

    /// A whole file, if it is no larger than allowed.
    pub(super) async fn download_all(
        self: &Arc<Self>,
        file: &FileRef,
        limit: usize,
    ) -> Result<Vec<u8>, NetError> {
        let mut stream = self.download(file).await?;
        let mut out = Vec::new();
        while let Some(bytes) = stream.bytes.next().await {
            out.extend_from_slice(&bytes.map_err(NetError::temporary)?);
            if out.len() > limit {
                return Err(NetError::permanent("the file is too large"));
            }
        }
        Ok(out)
    }

    fn rest(
        self: Arc<Self>,
        file: FileRef,
        first: (tl::types::upload::File, Place),
    ) -> BoxStream<'static, std::io::Result<Bytes>> {
        let (first, place) = first;
        let limit = self.config.max_file_bytes;
        let state = (self, file, place, Some(first.bytes), 0_i64);
        let chunks =
            futures::stream::try_unfold(state, move |(live, file, place, ready, at)| async move {
                let (bytes, place) = match ready {
                    Some(bytes) => (bytes, place),
                    None => {
                        live.next_chunk(&file, place, at).await.map_err(std::io::Error::other)?
                    }
                };
                if bytes.is_empty() {
                    return Ok(None);
                }
                let length = bytes.len() as i64;
                if (at + length).unsigned_abs() > limit {
                    return Err(std::io::Error::other("the file is larger than allowed"));
                }
                // A short chunk is the last, and the next request would only say so.
                let ready = (length < i64::from(CHUNK)).then(Vec::new);
                Ok(Some((Bytes::from(bytes), (live, file, place, ready, at + length))))
            });
        chunks.boxed()
    }

    async fn next_chunk(
        &self,
        file: &FileRef,
        place: Place,
        at: i64,
    ) -> Result<(Vec<u8>, Place), ApiError> {
        match self.get(&place, at).await {
            Ok(file) => Ok((file.bytes, place)),
            Err(error) if is_expired(&error) => {
                let (chunk, place) = self.chunk_of(file, true, at).await?;
                Ok((chunk.bytes, place))
            }
            Err(error) => Err(error),
        }
    }

    async fn chunk_of(
        &self,
        file: &FileRef,
        fresh: bool,
        at: i64,
    ) -> Result<(tl::types::upload::File, Place), ApiError> {
        let mut place = self.place(file, fresh).await?;
        let chunk = match self.get(&place, at).await {
            // Files move.
            Err(error) if error.migrate().is_some() => {
                place.dc = error.migrate().unwrap_or(place.dc);
                self.get(&place, at).await?
            }
            chunk => chunk?,
        };
        Ok((chunk, place))
    }

    async fn get(&self, place: &Place, offset: i64) -> Result<tl::types::upload::File, ApiError> {
        let request = tl::functions::upload::GetFile {
            precise: true,
            cdn_supported: false,
            location: place.location.clone(),
            offset,
            limit: CHUNK,
        };
        match self.api.invoke_in(place.dc, &request).await? {
            tl::enums::upload::File::File(file) => Ok(file),
            tl::enums::upload::File::CdnRedirect(_) => {
                Err(ApiError::Unreachable("Telegram names a CDN, which was not asked for".into()))
            }
        }
    }

    async fn place(&self, file: &FileRef, fresh: bool) -> Result<Place, ApiError> {
        let location = match file {
            FileRef::Document { id, hash, dc, home } => {
                let file_reference = self.reference(*id, home, fresh).await?;
                let location = tl::types::InputDocumentFileLocation {
                    id: *id,
                    access_hash: *hash,
                    file_reference,
                    thumb_size: String::new(),
                };
                return Ok(Place { dc: *dc, location: location.into() });
            }
            FileRef::Thumb { id, hash, dc, size, home } => {
                let file_reference = self.reference(*id, home, fresh).await?;
                let location = tl::types::InputDocumentFileLocation {
                    id: *id,
                    access_hash: *hash,
                    file_reference,
                    thumb_size: size.clone(),
                };
                return Ok(Place { dc: *dc, location: location.into() });
            }
            FileRef::Photo { id, hash, dc, size, home } => {
                let file_reference = self.reference(*id, home, fresh).await?;
                let location = tl::types::InputPhotoFileLocation {
                    id: *id,
                    access_hash: *hash,
                    file_reference,
                    thumb_size: size.clone(),
                };
                return Ok(Place { dc: *dc, location: location.into() });
            }
            FileRef::Avatar { peer, photo, .. } => tl::types::InputPeerPhotoFileLocation {
                big: true,
                peer: self.input(*peer).await?,
                photo_id: *photo,
            },
            FileRef::Emoji(_) => return Err(ApiError::Unknown("that emoji".into())),
        };
        let FileRef::Avatar { dc, .. } = file else {
            return Err(ApiError::Unknown("that file".into()));
        };
        Ok(Place { dc: *dc, location: location.into() })
    }

    /// A file's reference: the one seen last, or asked for where the file was seen.
    async fn reference(&self, id: i64, home: &Home, fresh: bool) -> Result<Vec<u8>, ApiError> {
        if !fresh && let Some(known) = self.files.get(&id) {
            return Ok(known.to_vec());
        }
        match home {
            Home::Message(chat, message) => self.look_at(chat.peer, *message).await?,
            Home::Set(set, access_hash) => {
                let set = tl::types::InputStickerSetId { id: *set, access_hash: *access_hash };
                let request =
                    tl::functions::messages::GetStickerSet { stickerset: set.into(), hash: 0 };
                if let tl::enums::messages::StickerSet::Set(set) = self.api.invoke(&request).await?
                {
                    set.documents.iter().for_each(|document| self.remember_document(document));
                }
            }
            Home::Emoji => {
                let request =
                    tl::functions::messages::GetCustomEmojiDocuments { document_id: vec![id] };
                let documents = self.api.invoke(&request).await?;
                for document in &documents {
                    self.remember_document(document);
                }
            }
        }
        self.files
            .get(&id)
            .map(|reference| reference.to_vec())
            .ok_or_else(|| ApiError::Unknown("that file any more".into()))
    }

    /// Asks for one message, for the references of its files.
    async fn look_at(&self, peer: Peer, message: i32) -> Result<(), ApiError> {
        let id: Vec<tl::enums::InputMessage> =
            vec![tl::types::InputMessageId { id: message }.into()];
        let answer = match peer {
            Peer::Channel(channel) => {
                let channel = self.peers.input_channel(channel).await?;
                self.api.invoke(&tl::functions::channels::GetMessages { channel, id }).await?
            }
            Peer::User(_) | Peer::Group(_) => {
                self.api.invoke(&tl::functions::messages::GetMessages { id }).await?
            }
        };
        let (messages, users, chats) = messages_of(answer);
        self.learn(&users, &chats).await?;
        for message in &messages {
            self.remember_files(message);
            self.remember_service_photo(message);
        }
        Ok(())
    }

    fn remember_service_photo(&self, message: &tl::enums::Message) {
        if let tl::enums::Message::Service(message) = message
            && let tl::enums::MessageAction::ChatEditPhoto(edit) = &message.action
            && let tl::enums::Photo::Photo(photo) = &edit.photo
        {
            self.files.insert(photo.id, Arc::new(photo.file_reference.clone()));
        }
    }

    /// The document behind a custom emoji.
    async fn emoji(&self, id: i64) -> Result<FileRef, ApiError> {
        let request = tl::functions::messages::GetCustomEmojiDocuments { document_id: vec![id] };
        let documents = self.api.invoke(&request).await?;
        documents
            .iter()
            .find_map(|document| match document {
                tl::enums::Document::Document(document) if document.id == id => {
                    self.files.insert(id, Arc::new(document.file_reference.clone()));
                    let (hash, dc) = (document.access_hash, document.dc_id);
                    Some(FileRef::Document { id, hash, dc, home: Home::Emoji })
                }
                _ => None,
            })
            .ok_or_else(|| ApiError::Unknown("that emoji".into()))
    }
}

fn is_expired(error: &ApiError) -> bool {
    error.name().is_some_and(|name| name.starts_with("FILE_REFERENCE_"))
}

/// What Telegram says of a file's type, where it says anything.
fn mime(file: &tl::types::upload::File) -> Option<String> {
    use tl::enums::storage::FileType as T;
    let mime = match file.r#type {
        T::FileJpeg => "image/jpeg",
        T::FileGif => "image/gif",
        T::FilePng => "image/png",
        T::FilePdf => "application/pdf",
        T::FileMp3 => "audio/mpeg",
        T::FileMov => "video/quicktime",
        T::FileMp4 => "video/mp4",
        T::FileWebp => "image/webp",
        T::FileUnknown | T::FilePartial => return None,
    };
    Some(mime.to_owned())
}
