//! The `rooms` of an answer, written from their plans. What has to be looked up is looked up for all rooms at once.

use std::collections::HashMap;
use std::sync::Arc;

use super::build::{Build, Sight};
use super::ephemeral;
use super::plan::{Asked, Plan, RoomPlan};
use super::write::{Loaded, asked, form, room_state, timeline, whole_account_data};
use crate::event::Event;
use crate::http::error::ApiResult;
use crate::nid::{EventNid, Pos, RoomNid};
use crate::room::{MEMBER, Membership, RoomError};
use crate::services::device_lists;
use crate::services::notifications::{Ask, Counts, Prepared};
use crate::services::relations::in_window;
use crate::storage::account_data;
use crate::storage::receipts::Receipt;
use crate::sync::json::Writer;
use crate::sync::sticky;
use crate::sync::viewer::Surroundings;

/// Appends the rooms, if there are any to tell of.
pub(super) async fn write(
    build: &Build<'_>,
    out: &mut Writer,
    plan: &Plan,
    personal: &Personal<'_>,
    sight: &mut Sight,
) -> ApiResult<()> {
    let Personal { account_data, sticky, upto } = *personal;
    let loaded = load(build, plan).await?;
    let (whole, changed) = receipt_rooms(build, plan);
    let receipts = ephemeral::receipts(build, &whole, &changed, upto).await?;
    let nids: Vec<RoomNid> = plan.joined.iter().map(|plan| plan.room.nid()).collect();
    let prepared = build.app.notifications.prepare(&build.viewer.user, &nids).await?;
    let data =
        Data { entries: account_data, receipts: &receipts, prepared: &prepared, sticky, upto };

    let mark = out.len();
    out.open_at("rooms");
    let empty = out.len();
    out.open_at("join");
    let none = out.len();
    for plan in &plan.joined {
        joined(build, out, plan, &loaded, &data).await?;
    }
    end(out, empty, none);
    let start = out.len();
    out.open_at("leave");
    let none = out.len();
    for plan in &plan.left {
        left(build, out, plan, &loaded, account_data);
    }
    end(out, start, none);
    asked_section(build, out, "invite", "invite_state", &plan.invited, &loaded);
    asked_section(build, out, "knock", "knock_state", &plan.knocked, &loaded);
    if out.len() == empty {
        out.truncate(mark);
    } else {
        out.close();
    }
    if build.since.is_some() {
        look_around(build, plan, &loaded, sight).await?;
    }
    Ok(())
}

/// What an answer tells beside its rooms, or up to where.
#[derive(Clone, Copy)]
pub(super) struct Personal<'a> {
    pub(super) account_data: &'a [account_data::Entry],
    pub(super) sticky: &'a sticky::Told,
    pub(super) upto: Pos,
}

/// What the rooms are told with beside their plans.
struct Data<'a> {
    entries: &'a [account_data::Entry],
    receipts: &'a HashMap<RoomNid, Vec<Receipt>>,
    prepared: &'a Prepared,
    sticky: &'a sticky::Told,
    upto: Pos,
}

/// Closes a section, or takes it back if nothing was put in.
fn end(out: &mut Writer, start: usize, none: usize) {
    if out.len() == none {
        out.truncate(start);
    } else {
        out.close();
    }
}

/// All events that the plans name by their numbers, in two look-ups at most.
async fn load(build: &Build<'_>, plan: &Plan) -> Result<Loaded, RoomError> {
    let rooms = plan.joined.iter().chain(&plan.left);
    let mut nids: Vec<EventNid> =
        rooms.clone().flat_map(|plan| plan.told.nids.iter().copied()).collect();
    // What came in a timeline may have come in place of another, whose content the client may want.
    nids.extend(rooms.flat_map(|plan| &plan.window.events).filter_map(|(event, _)| event.replaces));
    for asked in plan.invited.iter().chain(&plan.knocked) {
        nids.push(asked.member);
        nids.extend(
            super::write::STRIPPED.iter().filter_map(|kind| asked.snapshot.state_nid(kind, "")),
        );
    }
    let events = if nids.is_empty() { Vec::new() } else { build.app.rooms.events(&nids).await? };
    Ok(Loaded(events.into_iter().map(|event| (event.nid, event)).collect()))
}

/// The rooms whose receipts are all told, and those where there may be new ones.
fn receipt_rooms(build: &Build<'_>, plan: &Plan) -> (Vec<RoomNid>, Vec<RoomNid>) {
    let (mut whole, mut changed) = (Vec::new(), Vec::new());
    for plan in &plan.joined {
        let nid = plan.room.nid();
        if plan.whole {
            whole.push(nid);
        } else if build.since.is_some_and(|since| build.app.sync.heads.receipts_after(nid, since)) {
            changed.push(nid);
        }
    }
    (whole, changed)
}

async fn joined(
    build: &Build<'_>,
    out: &mut Writer,
    plan: &RoomPlan,
    loaded: &Loaded,
    data: &Data<'_>,
) -> ApiResult<()> {
    let mark = out.len();
    out.open_at(plan.room.id().as_str());
    let empty = out.len();
    let around = surroundings(build, plan, loaded);
    timeline(build, out, plan, &around);
    let stuck = data.sticky.of(plan.room.nid(), &plan.window.events);
    sticky::write(out, build.viewer, form(build), "msc4354_sticky", stuck);
    room_state(build, out, plan, loaded);
    whole_account_data(build, out, plan, data.entries);
    ephemeral::write(build, out, plan.room.nid(), data.receipts.get(&plan.room.nid()));
    if let Some(summary) = &plan.summary {
        summary.write(out);
    }
    if out.len() == empty {
        out.truncate(mark);
        return Ok(());
    }
    let ask = Ask {
        user: &build.viewer.user,
        rules: build.app.push_rules.of(&build.viewer.user).await?,
        ignored: &build.viewer.ignored,
        upto: data.upto,
    };
    let unread = build.app.notifications.unread(&plan.room, &ask, data.prepared).await?;
    let by_thread = build.request.filter.room.timeline.unread_thread_notifications;
    counts(out, "unread_notifications", if by_thread { unread.main } else { unread.total() });
    if by_thread && !unread.threads.is_empty() {
        out.open_at("unread_thread_notifications");
        for (root, unread) in &unread.threads {
            counts(out, root.as_str(), *unread);
        }
        out.close();
    }
    out.close();
    Ok(())
}

fn counts(out: &mut Writer, key: &str, counts: Counts) {
    out.open_at(key);
    out.key("highlight_count");
    out.int(counts.highlight.into());
    out.key("notification_count");
    out.int(counts.notify.into());
    out.close();
}

fn left(
    build: &Build<'_>,
    out: &mut Writer,
    plan: &RoomPlan,
    loaded: &Loaded,
    account_data: &[account_data::Entry],
) {
    out.open_at(plan.room.id().as_str());
    let around = surroundings(build, plan, loaded);
    timeline(build, out, plan, &around);
    room_state(build, out, plan, loaded);
    whole_account_data(build, out, plan, account_data);
    out.close();
}

fn surroundings(build: &Build<'_>, plan: &RoomPlan, loaded: &Loaded) -> Surroundings {
    let replaced =
        plan.window.events.iter().filter_map(|(event, _)| loaded.0.get(&event.replaces?).cloned());
    Surroundings::with(
        replaced,
        in_window(&plan.window.all, &plan.window.unseen, &build.viewer.user, &build.viewer.ignored),
    )
}

fn asked_section(
    build: &Build<'_>,
    out: &mut Writer,
    section: &str,
    key: &str,
    rooms: &[Asked],
    loaded: &Loaded,
) {
    let start = out.len();
    out.open_at(section);
    let none = out.len();
    for room in rooms {
        out.open_at(room.snapshot.info.id.as_str());
        asked(build, out, key, room, loaded);
        out.close();
    }
    end(out, start, none);
}

/// Who came into the user's sight and who went out of it.
async fn look_around(
    build: &Build<'_>,
    plan: &Plan,
    loaded: &Loaded,
    sight: &mut Sight,
) -> Result<(), RoomError> {
    for plan in &plan.joined {
        if plan.newly_joined {
            sight.came.extend(device_lists::joined(&plan.snapshot.state));
            continue;
        }
        let mut note = |user: &str, membership: Membership| {
            let Ok(user) = ruma::UserId::parse(user) else { return };
            match membership {
                Membership::Join => drop(sight.came.insert(user)),
                Membership::Leave | Membership::Ban => drop(sight.went.insert(user)),
                Membership::Invite | Membership::Knock => {}
            }
        };
        for (user, membership) in &plan.told.moved {
            note(user, *membership);
        }
        for event in plan.window.all.iter().filter(|event| event.kind().to_string() == MEMBER) {
            let (Some(user), Some(membership)) = (event.pdu.state_key(), event.pdu.membership())
            else {
                continue;
            };
            if membership == Membership::Join && was_joined(build, event, loaded).await? {
                // Another name or picture.
                continue;
            }
            note(user, membership);
        }
    }
    // Whoever was invited again has left before.
    let asked = plan.invited.iter().chain(&plan.knocked).map(|asked| asked.snapshot.info.nid);
    let away: Vec<RoomNid> = plan.left.iter().map(|plan| plan.room.nid()).chain(asked).collect();
    if away.is_empty() {
        return Ok(());
    }
    let memberships = build.app.rooms.memberships(&build.viewer.user).await?;
    for mine in away.iter().filter_map(|nid| memberships.get(nid)) {
        let stay = device_lists::last_stay(&build.app.rooms, mine.event).await?;
        // Whom he left behind then, not who is there by now.
        if let Some(stay) = stay.filter(|stay| build.since.is_none_or(|since| stay.end > since)) {
            sight.went.extend(stay.members);
        }
    }
    Ok(())
}

async fn was_joined(
    build: &Build<'_>,
    event: &Arc<Event>,
    loaded: &Loaded,
) -> Result<bool, RoomError> {
    let Some(nid) = event.replaces else { return Ok(false) };
    let before = match loaded.0.get(&nid) {
        Some(event) => Some(Arc::clone(event)),
        None => build.app.rooms.events(&[nid]).await?.pop(),
    };
    Ok(before.is_some_and(|event| event.pdu.membership() == Some(Membership::Join)))
}
