//! Which rooms an answer tells, and what of each.

use std::collections::HashSet;
use std::sync::Arc;

use super::build::Build;
use super::ephemeral::typing_changed;
use super::state::{Ask, End, Scope, Told, state};
use super::summary::Summary;
use crate::http::error::ApiResult;
use crate::nid::{EventNid, ORD_SHIFT, Pos, RoomNid, TimelineOrd};
use crate::room::{MEMBER, Membership, Room, RoomError, RoomSnapshot, UserRoom};
use crate::services::invitations::{INVITE_FILTER, INVITE_PERMISSION};
use crate::storage::account_data;
use crate::sync::access::leaving;
use crate::sync::invites::hidden;
use crate::sync::lazy::Session;
use crate::sync::lens::Lens;
use crate::sync::window::{Span, Window, saw_as_invited, window};

/// The rooms of an answer.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) joined: Vec<RoomPlan>,
    pub(super) left: Vec<RoomPlan>,
    pub(super) invited: Vec<Asked>,
    pub(super) knocked: Vec<Asked>,
}

/// A room that the user is or was in.
pub(super) struct RoomPlan {
    pub(super) room: Room,
    pub(super) snapshot: Arc<RoomSnapshot>,
    pub(super) window: Window,
    pub(super) told: Told,
    pub(super) summary: Option<Summary>,
    /// The client has nothing of it yet, or wants all of it.
    pub(super) whole: bool,
    /// The user came into it within the span.
    pub(super) newly_joined: bool,
}

/// A room that the user is invited to, or has knocked on.
pub(super) struct Asked {
    pub(super) snapshot: Arc<RoomSnapshot>,
    pub(super) member: EventNid,
}

/// Chooses what to tell.
pub(super) async fn plan(
    build: &Build<'_>,
    upto: Pos,
    account_data: &[account_data::Entry],
    lazy: &mut Session,
) -> ApiResult<Plan> {
    let mut plan = Plan::default();
    let memberships = build.app.rooms.memberships(&build.viewer.user).await?;
    let with_data: HashSet<&str> = account_data
        .iter()
        .filter(|entry| !entry.room_id.is_empty())
        .map(|entry| entry.room_id.as_str())
        .collect();
    // Whoever wants invites again is told those that he did not get to see.
    let reopened = account_data.iter().any(|entry| {
        entry.room_id.is_empty() && (entry.kind == INVITE_PERMISSION || entry.kind == INVITE_FILTER)
    });
    let rooms_filter = &build.request.filter.room;
    let asks_for_left =
        rooms_filter.include_leave && (build.since.is_none() || build.request.full_state);
    for (nid, mine) in &memberships {
        let known = build.since.filter(|since| mine.pos <= *since);
        let quiet = known.is_some() && !build.request.full_state;
        match mine.membership {
            // The user's other devices must hear once that he left, even if he forgot the room at once.
            _ if mine.forgotten && mine.pos <= build.since.unwrap_or(upto) => continue,
            Membership::Join if quiet && with_data.is_empty() && !moved(build, *nid) => continue,
            Membership::Invite if quiet && !reopened => continue,
            Membership::Knock | Membership::Leave | Membership::Ban if quiet => continue,
            Membership::Leave | Membership::Ban
                if !leave_is_told(mine.pos, build.since, upto, asks_for_left) =>
            {
                continue;
            }
            _ => {}
        }
        let Some(room) = build.app.rooms.find(*nid).await? else { continue };
        if !rooms_filter.admits_room(room.id()) {
            continue;
        }
        if quiet
            && mine.membership == Membership::Join
            && !moved(build, *nid)
            && !with_data.contains(room.id().as_str())
        {
            continue;
        }
        let snapshot = room.snapshot();
        let mut lens = Lens::new(&build.app.rooms, &build.viewer.user, &snapshot.state);
        // What became of the user after the span is for the next answer.
        let membership = if mine.pos > upto {
            lens.membership_below((upto + 1) << ORD_SHIFT).await?
        } else {
            mine.membership
        };
        match membership {
            Membership::Join => {
                plan.joined.push(joined(build, room, snapshot, lens, upto, mine, lazy).await?);
            }
            _ if mine.pos > upto => {}
            Membership::Invite if hides(build, mine.event).await? => {}
            Membership::Invite => plan.invited.push(Asked { snapshot, member: mine.event }),
            Membership::Knock => plan.knocked.push(Asked { snapshot, member: mine.event }),
            Membership::Leave | Membership::Ban => {
                if let Some(left) = left(build, room, snapshot, lens, mine, lazy).await? {
                    plan.left.push(left);
                }
            }
        }
    }
    Ok(plan)
}

/// Whether anything of a room may have changed that all its members see.
fn moved(build: &Build<'_>, room: RoomNid) -> bool {
    let Some(since) = build.since else { return true };
    build.app.feed.room_head(room) > since
        || typing_changed(build, room)
        || build.lags_behind_in(room)
}

/// Rooms left within the span are told; those left earlier only to who starts over and asks for them. A room that was left after the span
/// is still the user's: whoever begins has to hear of it now, since what comes next counts on that.
fn leave_is_told(left: Pos, since: Option<Pos>, upto: Pos, asked: bool) -> bool {
    left > since.unwrap_or(upto) || asked
}

/// Whether the user is not to see an invitation.
async fn hides(build: &Build<'_>, invitation: EventNid) -> Result<bool, RoomError> {
    Ok(!hidden(build.app, build.viewer, &[invitation]).await?.is_empty())
}

async fn joined(
    build: &Build<'_>,
    room: Room,
    snapshot: Arc<RoomSnapshot>,
    mut lens: Lens<'_>,
    upto: Pos,
    mine: &UserRoom,
    lazy: &mut Session,
) -> Result<RoomPlan, RoomError> {
    let filter = &build.request.filter.room;
    let newly_joined = match build.since {
        Some(since) if mine.pos > since => lens.was_away(boundary(since), boundary(upto)).await?,
        _ => false,
    };
    let known = build.since.filter(|_| !newly_joined);
    let span =
        Span { filter: &filter.timeline, since: known, upto, limit: filter.timeline.limit() };
    let mut window = window(build.app, &snapshot, &mut lens, build.viewer, &span).await?;
    // The client can't know that what it is told reaches back to the beginning.
    window.limited |= newly_joined;
    let whole = known.is_none() || build.request.full_state;
    let end = End { state: snapshot.state.clone(), group: snapshot.state_group() };
    let scope = match known {
        Some(since) if !whole => Scope::Since(since),
        _ => Scope::Full,
    };
    finish(build, room, snapshot, window, end, scope, newly_joined, lazy).await
}

async fn left(
    build: &Build<'_>,
    room: Room,
    snapshot: Arc<RoomSnapshot>,
    mut lens: Lens<'_>,
    mine: &UserRoom,
    lazy: &mut Session,
) -> Result<Option<RoomPlan>, RoomError> {
    let filter = &build.request.filter.room;
    let Some(leave) = build.app.rooms.events(&[mine.event]).await?.pop() else { return Ok(None) };
    let (was_in, came_within) = match build.since {
        None => (lens.was_ever_in().await?, false),
        Some(since) => {
            let before = lens.membership_below(boundary(since)).await? == Membership::Join;
            let within = !before && lens.came_since(boundary(since)).await?;
            (before || within, within)
        }
    };
    let leaving = leaving(build.app, mine.event).await?;
    let left = leaving.as_deref();
    if !was_in {
        // An invitation turned down, or withdrawn: it told nothing of the room itself. If it followed a stay, the end of that was
        // perhaps not told either.
        let gap = lens.was_ever_in().await?;
        let window = Window::of_one(leave, mine.membership, gap);
        let told = Told::default();
        return Ok(Some(RoomPlan {
            room,
            snapshot,
            window,
            told,
            summary: None,
            whole: false,
            newly_joined: false,
        }));
    }
    let known = build.since.filter(|_| !came_within);
    // He may have been banned after he left; what changed in between is not his to see.
    let left = left.unwrap_or(&leave);
    let (upto, group) = (left.place().map_or(mine.pos, |place| place.pos), left.state_after);
    let window = if upto < mine.pos
        && saw_as_invited(build.app, &snapshot, &mut lens, build.viewer, mine, Some(left)).await?
    {
        Window::of_one(leave, mine.membership, true)
    } else {
        let limit = filter.timeline.limit();
        let span = Span { filter: &filter.timeline, since: known, upto, limit };
        window(build.app, &snapshot, &mut lens, build.viewer, &span).await?
    };
    let state = match group {
        Some(group) => room.state_of(group).await?,
        None => snapshot.state.clone(),
    };
    let end = End { state, group };
    let scope = match known {
        Some(since) if !build.request.full_state => Scope::Since(since),
        _ => Scope::Full,
    };
    finish(build, room, snapshot, window, end, scope, false, lazy).await.map(Some)
}

#[expect(clippy::too_many_arguments, reason = "the common end of the two functions above")]
async fn finish(
    build: &Build<'_>,
    room: Room,
    snapshot: Arc<RoomSnapshot>,
    window: Window,
    end: End,
    scope: Scope,
    newly_joined: bool,
    lazy: &mut Session,
) -> Result<RoomPlan, RoomError> {
    let members_moved = window.all.iter().any(|event| event.kind().to_string() == MEMBER);
    let whole = scope == Scope::Full;
    let summary = (whole || members_moved || window.limited)
        .then(|| Summary::of(&end.state, &build.viewer.user));
    let heroes = summary.as_ref().and_then(|summary| summary.heroes.as_deref()).unwrap_or_default();
    let ask = Ask {
        scope,
        after: build.request.state_after.is_some(),
        filter: &build.request.filter.room.state,
        user: &build.viewer.user,
        heroes,
    };
    let told = state(build.app, &room, &snapshot, &window, &end, &ask, lazy).await?;
    Ok(RoomPlan { room, snapshot, window, told, summary, whole, newly_joined })
}

/// The lowest place of what comes after a position.
fn boundary(pos: Pos) -> TimelineOrd {
    (pos + 1) << ORD_SHIFT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_left_after_an_answers_end_is_still_told() {
        let told = |left, since| leave_is_told(left, since, 10, false);
        assert!(told(11, None), "joined as far as this answer goes");
        assert!(!told(10, None));
        assert!(told(10, Some(9)) && told(11, Some(9)));
        assert!(!told(9, Some(9)));
        assert!(leave_is_told(9, Some(9), 10, true) && leave_is_told(9, None, 10, true));
    }
}
