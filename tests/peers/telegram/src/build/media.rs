//! What tests see of a message's file or place.

use grammers_tl_types as tl;

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
