//! The extensions of an answer: what is told beside rooms and their timelines.

use std::collections::{BTreeMap, HashMap, HashSet};

use ruma::OwnedRoomId;

use super::build::{Build, Covered};
use super::connection::{ACCOUNT_DATA, RECEIPTS, THREADS};
use super::room::Shown;
use super::sticky;
use crate::http::error::{ApiError, ApiResult};
use crate::nid::{Pos, RoomNid};
use crate::room::Membership;
use crate::services::push_rules::PUSH_RULES;
use crate::services::{device_lists, receipts as told_receipts, threads};
use crate::storage::account_data::{self, Entry};
use crate::storage::receipts::{self, Receipt};
use crate::storage::{sliding, to_device};
use crate::sync::account_data::{write_account_data, write_push_rules};
use crate::sync::json::Writer;

/// Messages to the device in one answer.
const MAX_TO_DEVICE: u64 = 100;

/// Appends the extensions; tells whether there is anything new in them.
pub(super) async fn write(
    build: &Build<'_>,
    out: &mut Writer,
    covered: &[Covered<'_>],
    shown: &[Shown],
    matched: &HashSet<RoomNid>,
) -> ApiResult<bool> {
    out.open_at("extensions");
    let mut something = messages(build, out).await?;
    something |= encryption(build, out).await?;
    something |= account_data(build, out, covered).await?;
    something |= receipts(build, out, covered, shown).await?;
    something |= typing(build, out, covered).await?;
    something |= threads(build, out).await?;
    something |= sticky::extension(build, out, shown, matched).await?;
    out.close();
    Ok(something)
}

/// What the device has of its messages.
pub(super) fn messages_since(build_generation: i64, since: &str) -> ApiResult<Pos> {
    position(build_generation, since, "to_device")
}

/// What the client has, as an extension's `since` says: a position, under the generation of the database that gave it.
pub(super) fn position(build_generation: i64, since: &str, extension: &str) -> ApiResult<Pos> {
    let bad = || {
        let text = format!("extensions.{extension}.since is not one of this server's");
        ApiError::invalid_param(text)
    };
    let (generation, pos) = since.split_once('_').ok_or_else(bad)?;
    let generation: i64 = generation.parse().map_err(|_| bad())?;
    let pos: Pos = pos.parse().map_err(|_| bad())?;
    // After a restore the same positions are other messages; better one twice than one never.
    Ok(if generation == build_generation { pos.max(0) } else { 0 })
}

async fn messages(build: &Build<'_>, out: &mut Writer) -> ApiResult<bool> {
    let Some(asked) = &build.request.to_device else { return Ok(false) };
    let app = build.app;
    let generation = app.feed.generation();
    let since = match &asked.since {
        Some(since) => messages_since(generation, since)?,
        None => 0,
    };
    let mut found = Vec::new();
    let limit = asked.limit.unwrap_or(MAX_TO_DEVICE).clamp(1, MAX_TO_DEVICE) as i64;
    if let Some(device) = &build.requester.device
        && app.sync.heads.to_device_after(&build.viewer.user, since)
    {
        let user = &build.viewer.user;
        found = to_device::after(&app.db, user, device, since, build.upto, limit).await?;
        if let Some((last, _)) = found.last() {
            app.sync.told_device(user, device, *last);
        }
    }
    let next = match found.last() {
        Some((last, _)) if found.len() as i64 == limit => *last,
        _ => build.upto.max(since),
    };
    out.open_at("to_device");
    out.key("next_batch");
    out.text(&format!("{generation}_{next}"));
    out.open_list_at("events");
    for (_, message) in &found {
        out.raw(message);
    }
    out.close_list();
    out.close();
    Ok(!found.is_empty())
}

async fn encryption(build: &Build<'_>, out: &mut Writer) -> ApiResult<bool> {
    if !build.request.e2ee {
        return Ok(false);
    }
    out.open_at("e2ee");
    crate::sync::v3::devices::write_counts(
        build.app,
        &build.viewer.user,
        build.requester.device.as_deref(),
        out,
    )
    .await?;
    let mut something = false;
    if let Some(since) = build.since()
        && may_have_moved(build, since).await?
    {
        let user = &build.viewer.user;
        let (db, rooms) = (&build.app.db, &build.app.rooms);
        let changes = device_lists::between(db, rooms, user, since, build.upto).await?;
        something = !changes.changed.is_empty() || !changes.left.is_empty();
        if something {
            out.open_at("device_lists");
            for (key, users) in [("changed", &changes.changed), ("left", &changes.left)] {
                out.open_list_at(key);
                for user in users {
                    out.text(user.as_str());
                }
                out.close_list();
            }
            out.close();
        }
    }
    out.close();
    Ok(something)
}

/// Whether anybody's devices changed since, or who is where.
async fn may_have_moved(build: &Build<'_>, since: Pos) -> ApiResult<bool> {
    let heads = &build.app.sync.heads;
    let (Some(devices), Some(members)) =
        (heads.device_lists(since, build.upto), heads.members(since, build.upto))
    else {
        return Ok(true);
    };
    if !devices.is_empty() {
        return Ok(true);
    }
    if members.is_empty() {
        return Ok(false);
    }
    let rooms = build.app.rooms.memberships(&build.viewer.user).await?;
    Ok(members.iter().any(|room| rooms.contains_key(room)))
}

async fn account_data(
    build: &Build<'_>,
    out: &mut Writer,
    covered: &[Covered<'_>],
) -> ApiResult<bool> {
    if build.request.account_data.is_none() {
        return Ok(false);
    }
    let since = build.since().filter(|_| build.state.extensions & ACCOUNT_DATA != 0);
    let global = global(build, since).await?;
    let rooms = of_rooms(build, covered).await?;
    if global.is_empty() && rooms.is_empty() && since.is_some() {
        return Ok(false);
    }
    out.open_at("account_data");
    if !global.is_empty() || since.is_none() {
        out.open_list_at("global");
        for entry in &global {
            write_account_data(out, entry);
        }
        if since.is_none() && !global.iter().any(|entry| entry.kind == PUSH_RULES) {
            write_push_rules(out, build.app, &build.viewer.user).await?;
        }
        out.close_list();
    }
    if !rooms.is_empty() {
        out.open_at("rooms");
        for (room, entries) in &rooms {
            out.open_list_at(room);
            for entry in entries {
                write_account_data(out, entry);
            }
            out.close_list();
        }
        out.close();
    }
    out.close();
    Ok(true)
}

async fn global(build: &Build<'_>, since: Option<Pos>) -> ApiResult<Vec<Entry>> {
    let (app, user) = (build.app, &build.viewer.user);
    match since {
        Some(since) if !app.sync.heads.account_data_after(user, since) => Ok(Vec::new()),
        Some(since) => {
            let mut entries = account_data::changed(&app.db, user, since, build.upto).await?;
            entries.retain(|entry| entry.room_id.is_empty());
            Ok(entries)
        }
        None => {
            let none = vec![String::new()];
            Ok(sliding::account_data_of(&app.db, user.as_str(), none, build.upto).await?)
        }
    }
}

/// The account data of the rooms that the answer is about: all of it where the client has none, else what changed.
async fn of_rooms(
    build: &Build<'_>,
    covered: &[Covered<'_>],
) -> ApiResult<BTreeMap<String, Vec<Entry>>> {
    let (app, user) = (build.app, &build.viewer.user);
    let (mut whole, mut changed) = (Vec::new(), HashMap::new());
    for covered in covered.iter().filter(|covered| covered.wanted.account_data) {
        match covered.bound.filter(|_| covered.extensions & ACCOUNT_DATA != 0) {
            None => whole.push(covered.nid),
            Some(bound) => drop(changed.insert(covered.nid, bound)),
        }
    }
    let mut rooms: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    if !whole.is_empty() {
        let ids = ids(build, &whole).await?.into_values().map(Into::into).collect();
        for entry in sliding::account_data_of(&app.db, user.as_str(), ids, build.upto).await? {
            rooms.entry(entry.room_id.clone()).or_default().push(entry);
        }
    }
    let Some(from) = changed.values().min().copied() else { return Ok(rooms) };
    if !app.sync.heads.account_data_after(user, from) {
        return Ok(rooms);
    }
    let mut entries = account_data::changed(&app.db, user, from, build.upto).await?;
    entries.retain(|entry| !entry.room_id.is_empty());
    if entries.is_empty() {
        return Ok(rooms);
    }
    let nids: Vec<RoomNid> = changed.keys().copied().collect();
    let bounds: HashMap<String, Pos> = ids(build, &nids)
        .await?
        .into_iter()
        .filter_map(|(nid, id)| Some((id.to_string(), *changed.get(&nid)?)))
        .collect();
    for entry in entries {
        if bounds.get(&entry.room_id).is_some_and(|bound| entry.pos > *bound) {
            rooms.entry(entry.room_id.clone()).or_default().push(entry);
        }
    }
    Ok(rooms)
}

async fn ids(build: &Build<'_>, rooms: &[RoomNid]) -> ApiResult<HashMap<RoomNid, OwnedRoomId>> {
    let mut ids = HashMap::with_capacity(rooms.len());
    let order = &build.app.sync.order;
    order.visit(&build.app.db, rooms, |nid, facts| drop(ids.insert(nid, facts.id.clone()))).await?;
    Ok(ids)
}

/// Receipts. Of rooms that the client has nothing of, those at the events that it is told and the user's own: a room of thousands has
/// thousands.
async fn receipts(
    build: &Build<'_>,
    out: &mut Writer,
    covered: &[Covered<'_>],
    shown: &[Shown],
) -> ApiResult<bool> {
    if build.request.receipts.is_none() {
        return Ok(false);
    }
    let (app, user) = (build.app, &build.viewer.user);
    let memberships = app.rooms.memberships(user).await?;
    let inside = |nid: &RoomNid| {
        memberships.get(nid).is_some_and(|mine| mine.membership == Membership::Join)
    };
    let (mut whole, mut changed) = (Vec::new(), BTreeMap::<Pos, Vec<RoomNid>>::new());
    let wanted = covered.iter().filter(|covered| covered.wanted.receipts && inside(&covered.nid));
    for covered in wanted {
        match covered.bound.filter(|_| covered.extensions & RECEIPTS != 0) {
            None => whole.push(covered.nid),
            Some(bound) if app.sync.heads.receipts_after(covered.nid, bound) => {
                changed.entry(bound).or_default().push(covered.nid);
            }
            Some(_) => {}
        }
    }
    let mut by_room: BTreeMap<RoomNid, Vec<Receipt>> = BTreeMap::new();
    for (bound, rooms) in changed {
        for receipt in receipts::since(&app.db, &rooms, bound, build.upto).await? {
            by_room.entry(receipt.room).or_default().push(receipt);
        }
    }
    if !whole.is_empty() {
        let events = shown.iter().filter_map(|room| room.inside.as_ref());
        let events = events.flat_map(|inside| &inside.window.events);
        let events = events.map(|(event, _)| event.pdu.event_id.to_string()).collect();
        let own = receipts::of_user(&app.db, user.as_str(), &whole).await?;
        let others = sliding::receipts_at(&app.db, &whole, events, build.upto).await?;
        let own = own.into_iter().filter(|receipt| receipt.pos <= build.upto);
        let others = others.into_iter().filter(|receipt| receipt.user != user.as_str());
        for receipt in own.chain(others) {
            by_room.entry(receipt.room).or_default().push(receipt);
        }
    }
    if by_room.is_empty() {
        return Ok(false);
    }
    let nids: Vec<RoomNid> = by_room.keys().copied().collect();
    let ids = ids(build, &nids).await?;
    let mark = out.len();
    out.open_at("receipts");
    out.open_at("rooms");
    let empty = out.len();
    for (nid, receipts) in &by_room {
        let Some(id) = ids.get(nid) else { continue };
        let before = out.len();
        out.key(id.as_str());
        if !told_receipts::write(out, receipts, user.as_str()) {
            out.truncate(before);
        }
    }
    let something = out.len() > empty;
    if something {
        out.close();
        out.close();
    } else {
        out.truncate(mark);
    }
    Ok(something)
}

async fn typing(build: &Build<'_>, out: &mut Writer, covered: &[Covered<'_>]) -> ApiResult<bool> {
    if build.request.typing.is_none() {
        return Ok(false);
    }
    let boot = build.app.feed.ephemeral().boot();
    let same_boot = build.came.filter(|came| came.at.boot == boot);
    let mut typing = BTreeMap::new();
    for covered in covered.iter().filter(|covered| covered.wanted.typing) {
        let since = same_boot.filter(|_| covered.in_sight).map(|came| came.at.ephemeral);
        let users = build.app.typing.since(covered.nid, since.unwrap_or(0));
        let users = match users {
            // Nobody types, as the client thinks already.
            Some(users) if users.is_empty() && covered.bound.is_none() => continue,
            Some(users) => users,
            // A restart has stopped everyone, and nobody else will tell the client.
            None if covered.in_sight && same_boot.is_none() => Vec::new(),
            None => continue,
        };
        typing.insert(covered.nid, users);
    }
    if typing.is_empty() {
        return Ok(false);
    }
    let nids: Vec<RoomNid> = typing.keys().copied().collect();
    let ids = ids(build, &nids).await?;
    out.open_at("typing");
    out.open_at("rooms");
    for (nid, users) in &typing {
        let Some(id) = ids.get(nid) else { continue };
        out.open_at(id.as_str());
        out.key("type");
        out.text("m.typing");
        out.open_at("content");
        out.open_list_at("user_ids");
        let heard = users.iter().filter(|user| !build.viewer.ignored.contains(user.as_str()));
        heard.for_each(|user| out.text(user.as_str()));
        out.close_list();
        out.close();
        out.close();
    }
    out.close();
    out.close();
    Ok(true)
}

/// What the user says of threads. If there is too much for one answer, the newest, and where going back begins.
async fn threads(build: &Build<'_>, out: &mut Writer) -> ApiResult<bool> {
    let Some(limit) = build.request.threads else { return Ok(false) };
    let (app, user) = (build.app, &build.viewer.user);
    let since = build.since().filter(|_| build.state.extensions & THREADS != 0);
    if since.is_some_and(|since| !app.sync.heads.threads_after(user, since)) {
        return Ok(false);
    }
    let listed = app.threads.newest(user, since.unwrap_or(0), build.upto, limit).await?;
    let Some(last) = listed.last() else { return Ok(false) };
    out.open_at("io.element.msc4308.thread_subscriptions");
    threads::write(out, &listed);
    if listed.len() as i64 == limit {
        out.key("prev_batch");
        out.text(&threads::token(last.subscription.pos - 1));
    }
    out.close();
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_another_generation_begin_anew() {
        assert_eq!(messages_since(2, "2_50").ok(), Some(50));
        assert_eq!(messages_since(2, "1_50").ok(), Some(0));
        for bad in ["", "50", "a_5", "2_x"] {
            assert_eq!(messages_since(2, bad).unwrap_err().errcode, "M_INVALID_PARAM", "{bad}");
        }
    }
}
