//! Live locations (core.telegram.org/api/live-location): one message, which is edited as somebody moves.

use grammers_tl_types as tl;
use landbridge_framework::{handlers::LiveLocation, prelude::*};

use super::{
    Telegram,
    outgoing::{Target, edit_media, random_id, send_media, send_text, sent},
    send::{Here, Me},
};
use crate::convert::from_matrix::Chunk;

/// How long a place can be shared, in seconds (`inputMediaGeoLive`).
const SHORTEST: u64 = 60;
const LONGEST: u64 = 86_400;

pub(super) fn register(handlers: Handlers<Telegram>) -> Handlers<Telegram> {
    handlers.live_location(Idempotency::Native, live_location)
}

#[allow(clippy::too_many_arguments, reason = "the framework extracts them by type")]
async fn live_location(
    Via(client): Me,
    In(at, _): Here,
    Key(key): Key,
    As(relayed): As,
    Thread(thread): Thread<Telegram>,
    origin: Origin,
    shared: LiveLocation<Telegram>,
) -> Result<Sent<Telegram>, SendError> {
    let live = client.live()?;
    let geo_point: tl::enums::InputGeoPoint = match &shared.place {
        Some(place) => {
            tl::types::InputGeoPoint { lat: place.lat, long: place.lon, accuracy_radius: None }
                .into()
        }
        None => tl::enums::InputGeoPoint::Empty,
    };
    let mut media = tl::types::InputMediaGeoLive {
        stopped: shared.ends,
        geo_point,
        heading: None,
        period: None,
        proximity_notification_radius: None,
    };
    let Some(message) = shared.message else {
        let seconds = shared.lasts.as_secs().clamp(SHORTEST, LONGEST);
        media.period = Some(i32::try_from(seconds).unwrap_or(i32::MAX));
        let target = Target::of(&live, at.id, None, thread).await?;
        let mut ids = Vec::new();
        if let Some(profile) = relayed {
            // A place has no caption that could say whose it is.
            let text = format!("{} shares where they are:", profile.name);
            let words = Chunk { text, ..Chunk::default() };
            let number = random_id(&key, 1);
            ids.push(send_text(&live, &target, &words, number, origin.ts_ms).await?);
        }
        let number = random_id(&key, 0);
        let none = Chunk::default();
        let id = send_media(&live, &target, media.into(), &none, number, origin.ts_ms).await?;
        // The one that is changed comes first.
        ids.insert(0, id);
        return Ok(sent(ids));
    };
    live.note_edit(at.id.peer, message.id, "");
    let peer = live.input(at.id.peer).await?;
    match edit_media(&live, peer, message.id, media.into()).await {
        // There is nothing to end any more.
        Err(error) if shared.ends && error.is("MESSAGE_ID_INVALID") => {}
        edited => edited?,
    }
    Ok(Sent::now(message.id))
}
