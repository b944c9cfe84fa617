//! Where somebody is while they move (MSC3489, MSC3672): state that says that they share it, for how long, and that they
//! stop; and events that say where they are. On the network it is one message that is changed.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Built, Given, said::geo_of, text};
use crate::{
    engine::{Engine, Failure},
    event::Geo,
    handlers::{LiveLocation, Op},
    kv::KeyValue,
    network::MessageRef,
    plain::Plain,
    store::{Batch, RemoteOutboxRow, StoreError},
};

/// The state that somebody shares it, and the events of where they are, by both their names: clients send the unstable ones.
pub(in crate::portal) const INFO: &str = "m.beacon_info";
pub(in crate::portal) const UNSTABLE_INFO: &str = "org.matrix.msc3672.beacon_info";
pub(in crate::portal) const BEACON: &str = "m.beacon";
pub(in crate::portal) const UNSTABLE_BEACON: &str = "org.matrix.msc3672.beacon";
/// The operation that sends it, and changes it.
pub(in crate::portal) const OP: &str = "send:beacon";

/// It is changed at most so often, in milliseconds: networks limit edits, and what is said in between is to pass.
const PAUSE: i64 = 5_000;
/// The longest that it is shared, in milliseconds.
const LONGEST: i64 = 30 * 86_400_000;

/// What is shared.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Shared {
    /// Until when, in milliseconds since the Unix epoch.
    until: i64,
    /// The network's message.
    message: Option<String>,
    /// When it was sent or changed last.
    at: i64,
}

fn shared_key(info: &str) -> String {
    format!("beacon/{info}")
}

/// Where it is noted what somebody shares in a portal.
fn owner_key(given: &Given<'_>) -> String {
    let (sender, key) = (text(given.event, "sender"), text(given.event, "state_key"));
    format!("beacon-of/{}/{sender}/{key}", given.portal.id)
}

fn failed(error: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(error.to_string())
}

/// A field by its stable name, or its unstable one (MSC3488).
fn either<'a>(content: &'a Value, name: &str) -> Option<&'a Value> {
    let unstable = format!("org.matrix.msc3488.{}", name.strip_prefix("m.").unwrap_or(name));
    content.get(name).or_else(|| content.get(&*unstable))
}

fn place(content: &Value) -> Option<Geo> {
    let location = either(content, "m.location")?;
    let place = geo_of(location.get("uri")?.as_str()?, None)?;
    let there = (-90.0..=90.0).contains(&place.lat) && (-180.0..=180.0).contains(&place.lon);
    there.then_some(place)
}

fn related(content: &Value) -> Option<&str> {
    let relates = content.get("m.relates_to")?;
    relates.get("event_id").and_then(Value::as_str).filter(|_| relates["rel_type"] == "m.reference")
}

fn share(batch: &mut Batch, info: &str, shared: &Shared) -> Result<(), StoreError> {
    let text = serde_json::to_string(shared).map_err(failed)?;
    batch.put_value(&shared_key(info), &text);
    Ok(())
}

fn forget_beacon(batch: &mut Batch, owner: &str, info: Option<&str>) {
    if let Some(info) = info {
        batch.forget_value(&shared_key(info));
    }
    batch.forget_value(owner);
}

impl Engine {
    async fn shared(&self, info: &str) -> Result<Option<Shared>, StoreError> {
        let text = self.store.get(&shared_key(info)).await.map_err(failed)?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Somebody begins to share where they are, or stops.
    pub(super) async fn build_beacon_info(
        &self,
        given: &Given<'_>,
    ) -> Result<Result<Op<Plain>, Built>, Failure> {
        let owner = owner_key(given);
        let before = self.store.get(&owner).await.map_err(failed)?;
        let mut effects = Batch::new();
        if given.content.get("live").and_then(Value::as_bool) == Some(true) {
            let now = self.now();
            let stamp = either(given.content, "m.ts").and_then(Value::as_i64);
            let begun = stamp.or_else(|| given.event.get("origin_server_ts")?.as_i64());
            let begun = begun.unwrap_or(now).min(now);
            let timeout = given.content.get("timeout").and_then(Value::as_i64).unwrap_or(0);
            let until = begun.saturating_add(timeout.clamp(0, LONGEST));
            if let Some(before) = before.filter(|before| *before != given.row.event_id) {
                effects.forget_value(&shared_key(&before));
            }
            effects.put_value(&owner, &given.row.event_id);
            let known = self.shared(&given.row.event_id).await?.unwrap_or_default();
            share(&mut effects, &given.row.event_id, &Shared { until, ..known })?;
            return Ok(Err(Built::Nothing(effects)));
        }
        let shared = match &before {
            Some(info) => self.shared(info).await?,
            None => None,
        };
        let Some(message) = shared.and_then(|shared| shared.message) else {
            forget_beacon(&mut effects, &owner, before.as_deref());
            return Ok(Err(Built::Nothing(effects)));
        };
        let message = Some(MessageRef::whole(message));
        let lasts = Duration::ZERO;
        Ok(Ok(Op::LiveLocation(LiveLocation { place: None, lasts, message, ends: true })))
    }

    /// It was ended on the network.
    pub(in crate::portal) async fn beacon_ended(
        &self,
        batch: &mut Batch,
        portal: i64,
        event: &Value,
    ) -> Result<(), StoreError> {
        let (sender, key) = (text(event, "sender"), text(event, "state_key"));
        let owner = format!("beacon-of/{portal}/{sender}/{key}");
        let info = self.store.get(&owner).await.map_err(failed)?;
        forget_beacon(batch, &owner, info.as_deref());
        Ok(())
    }

    /// Somebody says where they are.
    pub(super) async fn build_beacon(
        &self,
        given: &Given<'_>,
    ) -> Result<Result<Op<Plain>, Built>, Failure> {
        let nothing = || Ok(Err(Built::Nothing(Batch::new())));
        let (Some(info), Some(place)) = (related(given.content), place(given.content)) else {
            return nothing();
        };
        // Ended, or begun before there was a bridge.
        let Some(shared) = self.shared(info).await? else { return nothing() };
        let now = self.now();
        let left = shared.until - now;
        if left <= 0 {
            return nothing();
        }
        if shared.message.is_some()
            && ((0..PAUSE).contains(&(now - shared.at)) || self.moves_on(given, info).await?)
        {
            return nothing();
        }
        Ok(Ok(Op::LiveLocation(LiveLocation {
            place: Some(place),
            lasts: Duration::from_millis(left.unsigned_abs()),
            message: shared.message.map(MessageRef::whole),
            ends: false,
        })))
    }

    /// Whether something newer of the same waits.
    async fn moves_on(&self, given: &Given<'_>, info: &str) -> Result<bool, Failure> {
        for row in self.store.open_remote_outbox(given.portal.id, 64).await? {
            if row.op == OP && row.seq > given.row.seq {
                let event = self.event_of_row(&row).await?;
                if event.get("content").and_then(related) == Some(info) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// It is on the network, or was changed there.
    pub(in crate::portal) async fn beacon_sent(
        &self,
        batch: &mut Batch,
        row: &RemoteOutboxRow,
        content: &Value,
        id: &str,
    ) -> Result<(), StoreError> {
        let Some(info) = related(content).filter(|_| row.op == OP) else { return Ok(()) };
        if let Some(shared) = self.shared(info).await? {
            let message = shared.message.or_else(|| Some(id.to_owned()));
            share(batch, info, &Shared { message, at: self.now(), ..shared })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn places_are_read_by_both_names_and_must_exist() {
        let of = |name: &str, uri: &str| place(&json!({ name: { "uri": uri } }));
        for name in ["m.location", "org.matrix.msc3488.location"] {
            let place = of(name, "geo:52.5,-13.25;u=35").unwrap();
            assert_eq!((place.lat, place.lon), (52.5, -13.25));
        }
        for nowhere in ["geo:91,0", "geo:0,181", "geo:x,y", "52,13", "geo:NaN,0"] {
            assert!(of("m.location", nowhere).is_none(), "{nowhere}");
        }
    }
}
