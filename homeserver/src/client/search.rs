//! `POST /search` (Client-Server API, "Server Side Search").

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use axum::extract::State;
use ruma::{OwnedEventId, OwnedRoomId};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::event_context::{Around, around};
use super::messages::viewer;
use crate::app::App;
use crate::event::Event;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Query;
use crate::http::json::{Json, RawReply};
use crate::http::router::{Route, post};
use crate::nid::{RoomNid, TimelineOrd};
use crate::room::{MEMBER, Membership};
use crate::services::search::{Hit, KEYS, Words, search as find};
use crate::sync::access::Access;
use crate::sync::filter::RoomEventFilter;
use crate::sync::json::Writer;
use crate::sync::token::PageToken;
use crate::sync::viewer::{Form, Surroundings, Viewer};

/// Results of a page when the filter names no limit.
const DEFAULT_LIMIT: usize = 10;
/// The most results of a page.
const MAX_LIMIT: usize = 100;
/// The most events around a result, on either side.
const MAX_CONTEXT: usize = 50;

const FORM: Form<'static> = Form { room_id: true, federation: false, fields: None };

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![post("/_matrix/client/v3/search", search)]
}

#[derive(Deserialize)]
struct Params {
    next_batch: Option<String>,
}

#[derive(Deserialize)]
struct Body {
    search_categories: Categories,
}

#[derive(Deserialize)]
struct Categories {
    room_events: Option<Criteria>,
}

#[derive(Deserialize)]
struct Criteria {
    search_term: String,
    keys: Option<Vec<String>>,
    filter: Option<Box<RawValue>>,
    order_by: Option<String>,
    event_context: Option<Context>,
    #[serde(default)]
    include_state: bool,
    groupings: Option<Groupings>,
}

#[derive(Deserialize)]
struct Context {
    before_limit: Option<usize>,
    after_limit: Option<usize>,
    #[serde(default)]
    include_profile: bool,
}

#[derive(Deserialize)]
struct Groupings {
    #[serde(default)]
    group_by: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    key: Option<String>,
}

/// An event that fits and that the user may see, with what he was to the room at it.
type Seen = (Hit, Membership);

/// A result with what it is told with.
struct Found {
    hit: Hit,
    membership: Membership,
    around: Option<Around>,
}

async fn search(
    State(app): State<Arc<App>>,
    requester: Requester,
    Query(params): Query<Params>,
    Json(body): Json<Body>,
) -> ApiResult<RawReply> {
    let Some(criteria) = body.search_categories.room_events else {
        return Ok(RawReply(r#"{"search_categories":{}}"#.into()));
    };
    let filter = match &criteria.filter {
        Some(filter) => RoomEventFilter::parse(filter.get())
            .map_err(|error| ApiError::bad_json(error.to_string()))?,
        None => RoomEventFilter::default(),
    };
    let by_rank = match criteria.order_by.as_deref() {
        None | Some("rank") => true,
        Some("recent") => false,
        Some(_) => return Err(ApiError::invalid_param("order_by must be rank or recent")),
    };
    let limit = filter.explicit_limit().unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let words = Words::of(&criteria.search_term);
    let viewer = viewer(&app, &requester).await?;
    let rooms = rooms(&app, &requester, &filter).await?;
    let nids: Vec<RoomNid> = rooms.keys().copied().collect();
    let keys: Vec<_> = KEYS
        .iter()
        .filter(|(key, ..)| {
            criteria.keys.as_ref().is_none_or(|keys| keys.iter().any(|asked| asked == key))
        })
        .collect();
    let hits = find(&app.db, &app.rooms, &nids, &words, &keys, TimelineOrd::MAX).await?;
    let mut hits = visible(&app, &viewer, &rooms, &filter, hits).await?;
    if by_rank {
        // Stable: what fits equally well stays in the order of time.
        hits.sort_by(|(one, _), (other, _)| other.rank.total_cmp(&one.rank));
    }
    let count = hits.len();
    let (page, next) = page(hits, params.next_batch.as_deref(), limit, by_rank)?;
    let mut found = Vec::with_capacity(page.len());
    for (hit, membership) in page {
        let around = match (&criteria.event_context, rooms.get(&hit.event.room)) {
            (Some(context), Some(access)) => {
                Some(context_of(&app, &requester, access, &hit.event, context).await?)
            }
            _ => None,
        };
        found.push(Found { hit, membership, around });
    }

    let mut out = Writer::with_capacity(found.len() * 1000 + 200);
    out.open();
    out.open_at("search_categories");
    out.open_at("room_events");
    out.key("count");
    out.int(count as i64);
    out.open_list_at("highlights");
    for word in words.iter().collect::<BTreeSet<_>>() {
        out.text(word);
    }
    out.close_list();
    out.open_list_at("results");
    for found in &found {
        let profiles =
            criteria.event_context.as_ref().is_some_and(|context| context.include_profile);
        let access = rooms.get(&found.hit.event.room);
        result(&app, &viewer, found, access.filter(|_| profiles), &mut out).await?;
    }
    out.close_list();
    if let Some(next) = &next {
        out.key("next_batch");
        out.text(next);
    }
    if let Some(groupings) = &criteria.groupings {
        groups(groupings, &found, &mut out);
    }
    if criteria.include_state {
        state(&app, &viewer, &rooms, &found, &mut out).await?;
    }
    out.close();
    out.close();
    out.close();
    Ok(RawReply(out.into_string().into()))
}

/// The rooms that are searched: those that the user is in and that the filter admits.
async fn rooms(
    app: &App,
    requester: &Requester,
    filter: &RoomEventFilter,
) -> ApiResult<BTreeMap<RoomNid, Access>> {
    let mut rooms = BTreeMap::new();
    let joined: Vec<OwnedRoomId> = if let Some(names) = filter.only_rooms() {
        names.filter_map(|name| OwnedRoomId::try_from(name).ok()).collect()
    } else {
        let joined = app.rooms.load_many(&app.rooms.joined(&requester.user).await?).await?;
        joined.iter().map(|room| room.id().to_owned()).collect()
    };
    for id in joined.iter().filter(|id| filter.admits_room(id)) {
        match Access::joined(app, &requester.user, id).await {
            Ok(access) => drop(rooms.insert(access.room.nid(), access)),
            // What he can't read he finds nothing in.
            Err(error) if error.errcode == "M_FORBIDDEN" => {}
            Err(error) => return Err(error),
        }
    }
    Ok(rooms)
}

async fn visible(
    app: &App,
    viewer: &Viewer,
    rooms: &BTreeMap<RoomNid, Access>,
    filter: &RoomEventFilter,
    hits: Vec<Hit>,
) -> ApiResult<Vec<Seen>> {
    let mut lenses: HashMap<RoomNid, _> =
        rooms.iter().map(|(nid, access)| (*nid, access.lens(app, &viewer.user))).collect();
    let mut seen = Vec::with_capacity(hits.len());
    for hit in hits {
        let event = &hit.event;
        let Some(lens) = lenses.get_mut(&event.room) else { continue };
        if viewer.ignores(event)
            || !filter.admits(&event.kind().to_string(), &event.pdu.sender, event.pdu.content())
        {
            continue;
        }
        if let Some(membership) = lens.see(event).await? {
            seen.push((hit, membership));
        }
    }
    Ok(seen)
}

/// The page that begins at a token. Results by time go on below a place, those by rank behind a number of them.
fn page(
    hits: Vec<Seen>,
    token: Option<&str>,
    limit: usize,
    by_rank: bool,
) -> ApiResult<(Vec<Seen>, Option<String>)> {
    let unknown = || ApiError::invalid_param("next_batch is not one of this server's");
    let ord = |hit: &Hit| hit.event.place().map_or(TimelineOrd::MIN, |place| place.ord);
    let (page, before): (Vec<_>, usize) = match token.filter(|token| !token.is_empty()) {
        None => (hits.into_iter().take(limit).collect(), 0),
        Some(token) if by_rank => {
            let skip: usize = token
                .strip_prefix("r1_")
                .and_then(|number| number.parse().ok())
                .ok_or_else(unknown)?;
            (hits.into_iter().skip(skip).take(limit).collect(), skip)
        }
        Some(token) => {
            let PageToken(below) = token.parse().map_err(|_| unknown())?;
            (hits.into_iter().filter(|(hit, _)| ord(hit) < below).take(limit).collect(), 0)
        }
    };
    let next = page.last().filter(|_| page.len() == limit).map(|(last, _)| {
        if by_rank {
            format!("r1_{}", before + page.len())
        } else {
            PageToken(ord(last)).to_string()
        }
    });
    Ok((page, next))
}

async fn context_of(
    app: &App,
    requester: &Requester,
    access: &Access,
    event: &Arc<Event>,
    context: &Context,
) -> ApiResult<Around> {
    let limits = (
        context.before_limit.unwrap_or(5).min(MAX_CONTEXT),
        context.after_limit.unwrap_or(5).min(MAX_CONTEXT),
    );
    around(app, requester, access, event, limits, &RoomEventFilter::default()).await
}

async fn result(
    app: &App,
    viewer: &Viewer,
    found: &Found,
    profiles: Option<&Access>,
    out: &mut Writer,
) -> ApiResult<()> {
    let plain = Surroundings::default();
    out.open();
    out.key("rank");
    out.raw(&format!("{:.6}", found.hit.rank));
    out.key("result");
    viewer.write(out, &found.hit.event, Some(found.membership), FORM, &plain);
    if let Some(around) = &found.around {
        out.open_at("context");
        for (key, events) in [("events_before", &around.before), ("events_after", &around.after)] {
            out.open_list_at(key);
            for (event, membership) in events {
                viewer.write(out, event, Some(*membership), FORM, &plain);
            }
            out.close_list();
        }
        out.key("start");
        out.text(&PageToken(around.start).to_string());
        out.key("end");
        out.text(&PageToken(around.end).to_string());
        if let Some(access) = profiles {
            profile_info(app, found, around, access, out).await?;
        }
        out.close();
    }
    out.close();
    Ok(())
}

/// The names and pictures of the senders, as they are now.
async fn profile_info(
    app: &App,
    found: &Found,
    around: &Around,
    access: &Access,
    out: &mut Writer,
) -> ApiResult<()> {
    let events =
        around.before.iter().chain(&around.after).map(|(event, _)| event).chain([&found.hit.event]);
    let senders: BTreeSet<&str> = events.map(|event| event.pdu.sender.as_str()).collect();
    let state = access.state().await?;
    let nids: Vec<_> = senders.into_iter().filter_map(|sender| state.nid(MEMBER, sender)).collect();
    out.open_at("profile_info");
    for member in app.rooms.events(&nids).await? {
        out.open_at(member.pdu.state_key().unwrap_or_default());
        for key in ["displayname", "avatar_url"] {
            if let Some(value) = member.pdu.content_str(key) {
                out.key(key);
                out.text(&value);
            }
        }
        out.close();
    }
    out.close();
    Ok(())
}

fn groups(groupings: &Groupings, found: &[Found], out: &mut Writer) {
    out.open_at("groups");
    for key in
        groupings.group_by.iter().filter_map(|group| group.key.as_deref()).collect::<BTreeSet<_>>()
    {
        let name = |event: &Event| match key {
            "room_id" => Some(event.pdu.room_id.to_string()),
            "sender" => Some(event.pdu.sender.to_string()),
            _ => None,
        };
        let mut groups: Vec<(String, Vec<&OwnedEventId>)> = Vec::new();
        for found in found {
            let event = &found.hit.event;
            let Some(name) = name(event) else { continue };
            match groups.iter_mut().find(|(known, _)| *known == name) {
                Some((_, ids)) => ids.push(&event.pdu.event_id),
                None => groups.push((name, vec![&event.pdu.event_id])),
            }
        }
        if groups.is_empty() {
            continue;
        }
        out.open_at(key);
        for (order, (name, ids)) in groups.iter().enumerate() {
            out.open_at(name);
            out.key("order");
            out.int(order as i64);
            out.open_list_at("results");
            for id in ids {
                out.text(id.as_str());
            }
            out.close_list();
            out.close();
        }
        out.close();
    }
    out.close();
}

async fn state(
    app: &App,
    viewer: &Viewer,
    rooms: &BTreeMap<RoomNid, Access>,
    found: &[Found],
    out: &mut Writer,
) -> ApiResult<()> {
    let told: BTreeSet<RoomNid> = found.iter().map(|found| found.hit.event.room).collect();
    out.open_at("state");
    for access in told.iter().filter_map(|nid| rooms.get(nid)) {
        let nids: Vec<_> = access.state().await?.iter().map(|(_, entry)| entry.nid).collect();
        out.open_list_at(access.room.id().as_str());
        for event in app.rooms.events(&nids).await? {
            viewer.write(out, &event, None, FORM, &Surroundings::default());
        }
        out.close_list();
    }
    out.close();
    Ok(())
}
