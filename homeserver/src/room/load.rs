//! Brings a room from the database into memory.

use std::sync::Arc;

use imbl::Vector;
use ruma::{RoomAliasId, RoomId, RoomVersionId};

use super::{
    Membership, RoomError, RoomInfo, RoomSnapshot,
    context::Context,
    interest::InterestCounts,
    snapshot::{Core, Extremity, RECENT},
};
use crate::{
    event::{Place, Reference},
    storage::{self, StorageError, rooms::StoredRoom, timeline::ord_of},
};

/// The room as it is durable.
pub(super) async fn load(ctx: &Context, stored: StoredRoom) -> Result<RoomSnapshot, RoomError> {
    let info = Arc::new(info(&stored)?);
    let group = stored
        .state_group
        .ok_or_else(|| StorageError::Damaged(format!("room {} has no state", stored.nid)))?;
    let (state, group) = ctx.groups.get(group).await?;
    let mut snapshot = RoomSnapshot::empty(info, state, &*ctx.interest);
    snapshot.group = Some(group);
    snapshot.depth = stored.depth;

    let core: Vec<_> = Core::KINDS.iter().filter_map(|kind| snapshot.state.nid(kind, "")).collect();
    let wanted: Vec<_> = core.iter().chain(&stored.extremities).copied().collect();
    let events = ctx.events.many(&wanted).await?;
    let mut extremities = Vec::with_capacity(stored.extremities.len());
    for event in &events {
        if core.contains(&event.nid) {
            snapshot.set_core(event);
        }
        if stored.extremities.contains(&event.nid)
            && !extremities.iter().any(|known: &Extremity| known.nid == event.nid)
        {
            extremities.push(Extremity {
                nid: event.nid,
                depth: event.pdu.depth,
                reference: Reference::to(&event.pdu, &snapshot.info.rules)?,
                group: event.state_after,
            });
        }
    }
    snapshot.extremities = Arc::new(extremities);

    if stored.pos > 0 {
        snapshot.set_head(Place { pos: stored.pos, ord: ord_of(stored.pos) });
    }
    recent(ctx, &mut snapshot).await?;
    count_interest(ctx, &mut snapshot).await;
    Ok(snapshot)
}

/// Reads the newest events up to a snapshot's head.
pub(super) async fn recent(ctx: &Context, snapshot: &mut RoomSnapshot) -> Result<(), RoomError> {
    let upto = snapshot.head().map_or(0, |head| head.pos);
    let mark = ctx.events.mark();
    let newest =
        storage::timeline::live(&ctx.db, snapshot.info.nid, 0, upto, RECENT as i64).await?;
    let newest = ctx.events.read(newest, mark).await?;
    snapshot.recent = newest.into_iter().rev().collect::<Vector<_>>();
    Ok(())
}

/// Counts anew which appservices the room interests.
pub(super) async fn count_interest(ctx: &Context, view: &mut RoomSnapshot) {
    let aliases = match storage::aliases::of_room(&ctx.db, view.info.nid).await {
        Ok(aliases) => aliases,
        Err(error) => {
            tracing::error!(room = %view.info.id, %error, "the room's aliases can't be read");
            return;
        }
    };
    let aliases = aliases.iter().filter_map(|alias| <&RoomAliasId>::try_from(alias.as_str()).ok());
    let joined = view
        .state
        .members()
        .filter(|(_, entry)| entry.membership == Some(Membership::Join))
        .map(|(user, _)| user);
    view.interest = InterestCounts::count(&*ctx.interest, &view.info.id, aliases, joined);
}

fn info(stored: &StoredRoom) -> Result<RoomInfo, RoomError> {
    let version = RoomVersionId::try_from(stored.version.as_str())
        .map_err(|_| RoomError::UnsupportedVersion(stored.version.clone()))?;
    let rules =
        version.rules().ok_or_else(|| RoomError::UnsupportedVersion(stored.version.clone()))?;
    let id = RoomId::parse(stored.id.as_str())
        .map_err(|error| RoomError::Storage(format!("damaged room id: {error}")))?;
    Ok(RoomInfo { nid: stored.nid, id, version, rules })
}
