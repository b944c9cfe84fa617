//! Files: parts in, chunks out.

use grammers_tl_types as tl;

use super::{Answer, Asker, refused};
use crate::{
    build::{self, DATE, REFERENCE},
    world::World,
};

/// What the bytes of a picture begin with that this server can't read.
const NO_PICTURE: &[u8] = b"no picture";

pub(super) fn save_part(
    world: &mut World,
    asker: Asker,
    request: tl::functions::upload::SaveFilePart,
) -> Answer<bool> {
    asker.person()?;
    world.parts.entry(request.file_id).or_default().insert(request.file_part, request.bytes);
    Ok(true)
}

pub(super) fn save_big_part(
    world: &mut World,
    asker: Asker,
    request: tl::functions::upload::SaveBigFilePart,
) -> Answer<bool> {
    asker.person()?;
    world.parts.entry(request.file_id).or_default().insert(request.file_part, request.bytes);
    Ok(true)
}

/// Puts an uploaded file together; gives its number and size.
pub(super) fn uploaded(world: &mut World, file: &tl::enums::InputFile) -> Answer<(i64, usize)> {
    let (id, count) = match file {
        tl::enums::InputFile::File(file) => (file.id, file.parts),
        tl::enums::InputFile::Big(file) => (file.id, file.parts),
        tl::enums::InputFile::StoryDocument(_) => return refused(400, "MEDIA_INVALID"),
    };
    let parts = world.parts.remove(&id).unwrap_or_default();
    if parts.keys().copied().ne(0..count) {
        return refused(400, "FILE_PARTS_INVALID");
    }
    let bytes: Vec<u8> = parts.into_values().flatten().collect();
    let size = bytes.len();
    Ok((world.keep(&bytes), size))
}

/// What is made of what was sent.
pub(super) fn made(
    world: &mut World,
    media: tl::enums::InputMedia,
) -> Answer<tl::enums::MessageMedia> {
    Ok(match media {
        tl::enums::InputMedia::UploadedPhoto(photo) => {
            let (id, size) = uploaded(world, &photo.file)?;
            if world.files.get(&id).is_some_and(|bytes| bytes.starts_with(NO_PICTURE)) {
                return refused(400, "IMAGE_PROCESS_FAILED");
            }
            tl::types::MessageMediaPhoto {
                spoiler: photo.spoiler,
                live_photo: false,
                photo: Some(build::photo(id, size).into()),
                ttl_seconds: None,
                video: None,
            }
            .into()
        }
        tl::enums::InputMedia::UploadedDocument(document) => {
            let (id, size) = uploaded(world, &document.file)?;
            let (mime, spoiler) = (document.mime_type, document.spoiler);
            let made = build::document(id, &mime, size as i64, document.attributes);
            tl::types::MessageMediaDocument { spoiler, ..build::carried(made) }.into()
        }
        tl::enums::InputMedia::GeoPoint(point) => {
            tl::types::MessageMediaGeo { geo: geo(&point.geo_point) }.into()
        }
        tl::enums::InputMedia::GeoLive(live) => live_place(&live).into(),
        tl::enums::InputMedia::Venue(venue) => tl::types::MessageMediaVenue {
            geo: geo(&venue.geo_point),
            title: venue.title,
            address: venue.address,
            provider: venue.provider,
            venue_id: venue.venue_id,
            venue_type: venue.venue_type,
        }
        .into(),
        tl::enums::InputMedia::Photo(media) => {
            let tl::enums::InputPhoto::Photo(photo) = media.id else {
                return refused(400, "MEDIA_INVALID");
            };
            there(world, photo.id, &photo.file_reference)?
        }
        tl::enums::InputMedia::Document(media) => {
            let tl::enums::InputDocument::Document(document) = media.id else {
                return refused(400, "MEDIA_INVALID");
            };
            there(world, document.id, &document.file_reference)?
        }
        tl::enums::InputMedia::Poll(poll) => world.asked(poll.poll),
        _ => return refused(400, "MEDIA_INVALID"),
    })
}

/// What was made before.
fn there(world: &World, id: i64, reference: &[u8]) -> Answer<tl::enums::MessageMedia> {
    if reference != REFERENCE {
        return refused(400, "FILE_REFERENCE_EXPIRED");
    }
    match world.made.get(&id) {
        Some(media) => Ok(media.clone()),
        None => refused(400, "MEDIA_INVALID"),
    }
}

/// The number of what was made.
pub(super) fn number(media: &tl::enums::MessageMedia) -> Option<i64> {
    match media {
        tl::enums::MessageMedia::Photo(media) => media.photo.as_ref().map(tl::enums::Photo::id),
        tl::enums::MessageMedia::Document(media) => {
            media.document.as_ref().map(tl::enums::Document::id)
        }
        _ => None,
    }
}

/// A place that moves; one that has ended lasts no longer.
pub(super) fn live_place(live: &tl::types::InputMediaGeoLive) -> tl::types::MessageMediaGeoLive {
    tl::types::MessageMediaGeoLive {
        geo: geo(&live.geo_point),
        heading: live.heading,
        period: if live.stopped { 0 } else { live.period.unwrap_or(0) },
        proximity_notification_radius: live.proximity_notification_radius,
    }
}

fn geo(point: &tl::enums::InputGeoPoint) -> tl::enums::GeoPoint {
    match point {
        tl::enums::InputGeoPoint::Point(point) => tl::types::GeoPoint {
            long: point.long,
            lat: point.lat,
            access_hash: 0,
            accuracy_radius: None,
        }
        .into(),
        tl::enums::InputGeoPoint::Empty => tl::enums::GeoPoint::Empty,
    }
}

pub(super) fn get(
    world: &mut World,
    asker: Asker,
    request: tl::functions::upload::GetFile,
) -> Answer<tl::enums::upload::File> {
    asker.person()?;
    let (id, reference, size) = match request.location {
        tl::enums::InputFileLocation::InputDocumentFileLocation(place) => {
            (place.id, place.file_reference, place.thumb_size)
        }
        tl::enums::InputFileLocation::InputPhotoFileLocation(place) => {
            (place.id, place.file_reference, String::new())
        }
        // Nobody is asked for a reference of these.
        tl::enums::InputFileLocation::InputPeerPhotoFileLocation(place) => {
            (place.photo_id, REFERENCE.to_vec(), String::new())
        }
        _ => return refused(400, "LOCATION_INVALID"),
    };
    if reference != REFERENCE {
        return refused(400, "FILE_REFERENCE_EXPIRED");
    }
    let found =
        if size.is_empty() { world.files.get(&id) } else { world.previews.get(&(id, size)) };
    let Some(bytes) = found else { return refused(400, "LOCATION_INVALID") };
    let begin = usize::try_from(request.offset).unwrap_or(usize::MAX).min(bytes.len());
    let end = begin.saturating_add(usize::try_from(request.limit).unwrap_or(0)).min(bytes.len());
    Ok(tl::types::upload::File {
        r#type: tl::enums::storage::FileType::FileUnknown,
        mtime: DATE,
        bytes: bytes[begin..end].to_vec(),
    }
    .into())
}

/// Custom emoji by their numbers.
pub(super) fn emoji(
    world: &mut World,
    asker: Asker,
    request: tl::functions::messages::GetCustomEmojiDocuments,
) -> Answer<Vec<tl::enums::Document>> {
    asker.person()?;
    let found = request.document_id.iter().filter_map(|id| world.emoji.get(id));
    Ok(found.map(|document| document.clone().into()).collect())
}
