//! Files and places, and what tests see of them.

use grammers_tl_types as tl;

use super::DATE;

/// The reference of every file, which never expires.
pub(crate) const REFERENCE: [u8; 4] = *b"good";

/// A file of that number, name and size.
pub(crate) fn file(number: i64, name: &str, size: i64) -> tl::enums::MessageMedia {
    let name = tl::types::DocumentAttributeFilename { file_name: name.into() };
    carried(document(number, "application/octet-stream", size, vec![name.into()])).into()
}

/// A file of that number, type and size.
pub(crate) fn document(
    number: i64,
    mime: &str,
    size: i64,
    attributes: Vec<tl::enums::DocumentAttribute>,
) -> tl::types::Document {
    tl::types::Document {
        id: number,
        access_hash: number * 7,
        file_reference: REFERENCE.to_vec(),
        date: DATE,
        mime_type: mime.into(),
        size,
        thumbs: None,
        video_thumbs: None,
        dc_id: 2,
        attributes,
    }
}

/// A file as messages carry it.
pub(crate) fn carried(document: tl::types::Document) -> tl::types::MessageMediaDocument {
    tl::types::MessageMediaDocument {
        nopremium: false,
        spoiler: false,
        video: false,
        round: false,
        voice: false,
        document: Some(document.into()),
        alt_documents: None,
        video_cover: None,
        video_timestamp: None,
        ttl_seconds: None,
    }
}

/// A photo of that number and size.
pub(crate) fn photo(number: i64, size: usize) -> tl::types::Photo {
    let size = tl::types::PhotoSize { r#type: "y".into(), w: 640, h: 480, size: size as i32 };
    tl::types::Photo {
        has_stickers: false,
        id: number,
        access_hash: number * 7,
        file_reference: REFERENCE.to_vec(),
        date: DATE,
        sizes: vec![size.into()],
        video_sizes: None,
        dc_id: 2,
    }
}

/// A place that moves, as tests see it.
pub(crate) fn live(media: &tl::enums::MessageMedia) -> Option<String> {
    let tl::enums::MessageMedia::GeoLive(live) = media else { return None };
    let tl::enums::GeoPoint::Point(at) = &live.geo else { return None };
    Some(format!("{},{} for {}", at.lat, at.long, live.period))
}

/// The size of a message's file.
pub(crate) fn size(media: &tl::enums::MessageMedia) -> Option<i64> {
    match media {
        tl::enums::MessageMedia::Document(media) => match media.document.as_ref()? {
            tl::enums::Document::Document(document) => Some(document.size),
            tl::enums::Document::Empty(_) => None,
        },
        tl::enums::MessageMedia::Photo(media) => match media.photo.as_ref()? {
            tl::enums::Photo::Photo(photo) => photo.sizes.iter().find_map(|size| match size {
                tl::enums::PhotoSize::Size(size) => Some(i64::from(size.size)),
                _ => None,
            }),
            tl::enums::Photo::Empty(_) => None,
        },
        _ => None,
    }
}
