//! `POST /search` (Client-Server API, "Server Side Search").

mod token;
mod write;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use serde_json::value::RawValue;

use self::token::{Group, Order, Token};
use self::write::write;
use super::event_context::{Around, around};
use super::messages::surroundings;
use crate::app::App;
use crate::event::Event;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Query;
use crate::http::json::{Json, RawReply};
use crate::http::limit::Limit;
use crate::http::router::{Route, post};
use crate::nid::{EventNid, ORD_SHIFT, RoomNid};
use crate::room::Membership;
use crate::services::search::{KEYS, Words};
use crate::storage::search::{Look, Match, find};
use crate::sync::access::Access;
use crate::sync::filter::RoomEventFilter;
use crate::sync::lens::Lens;
use crate::sync::viewer::{Surroundings, Viewer};

/// Results of a page when the filter names no limit.
const DEFAULT_LIMIT: usize = 10;
/// The most results of a page.
const MAX_LIMIT: usize = 100;
/// Results that are looked at for one page; those by rank go no further.
const MAX_HITS: usize = 1_000;
/// Words that are looked for.
const MAX_WORDS: usize = 30;
/// The most bytes of what is looked for.
const MAX_TERM: usize = 2_000;
/// The most events around a result, on either side.
const MAX_CONTEXT: usize = 50;

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
    group_by: Vec<GroupBy>,
}

#[derive(Deserialize)]
struct GroupBy {
    key: Option<String>,
}

/// An event that has the words and that the user may see, with what he was to the room at it.
struct Hit {
    found: Match,
    event: Arc<Event>,
    membership: Membership,
}

/// A page of them.
struct Page {
    hits: Vec<Hit>,
    /// What is around each, where that was asked for.
    around: Vec<Option<Around>>,
    /// The rooms they are in.
    rooms: BTreeMap<RoomNid, Access>,
    /// What the events of each room are written with.
    surroundings: HashMap<RoomNid, Surroundings>,
    count: u64,
    next: Option<String>,
    /// Tokens to go on with in one group only.
    groups: Vec<(Group, String)>,
}

async fn search(
    State(app): State<Arc<App>>,
    requester: Requester,
    Query(params): Query<Params>,
    Json(body): Json<Body>,
) -> ApiResult<RawReply> {
    requester.limit(&app, Limit::Other)?;
    let Some(criteria) = body.search_categories.room_events else {
        return Ok(RawReply(r#"{"search_categories":{}}"#.into()));
    };
    if criteria.search_term.len() > MAX_TERM {
        return Err(ApiError::invalid_param(format!("search_term may have {MAX_TERM} bytes")));
    }
    let filter = match &criteria.filter {
        Some(filter) => RoomEventFilter::parse(filter.get())
            .map_err(|error| ApiError::bad_json(error.to_string()))?,
        None => RoomEventFilter::default(),
    };
    let order = match criteria.order_by.as_deref() {
        None | Some("rank") => Order::Rank,
        Some("recent") => Order::Recent,
        Some(_) => return Err(ApiError::invalid_param("order_by must be rank or recent")),
    };
    let token = params.next_batch.as_deref().filter(|token| !token.is_empty());
    let token = token.map(|token| Token::read(token, order)).transpose()?;
    let viewer = Viewer::of(&app, &requester).await?;
    let mut words = Words::of(&criteria.search_term);
    words.truncate(MAX_WORDS);
    app.search_index.reach().await;
    let page = page(&app, &requester, &viewer, &criteria, &filter, &words, order, token).await?;
    write(&app, &viewer, &criteria, &words, &page).await
}

/// The rooms that are searched: those that the user is or was in and that the filter admits.
async fn rooms(
    app: &App,
    requester: &Requester,
    filter: &RoomEventFilter,
) -> ApiResult<Vec<RoomNid>> {
    let memberships = app.rooms.memberships(&requester.user).await?;
    let nids: Vec<RoomNid> = memberships
        .iter()
        .filter(|(_, mine)| {
            !mine.forgotten
                && matches!(mine.membership, Membership::Join | Membership::Leave | Membership::Ban)
        })
        .map(|(nid, _)| *nid)
        .collect();
    if filter.admits_every_room() {
        return Ok(nids);
    }
    let named = crate::storage::rooms::ids(&app.db, &nids).await?;
    let admitted = named
        .into_iter()
        .filter(|(_, id)| ruma::RoomId::parse(id.as_str()).is_ok_and(|id| filter.admits_room(&id)));
    Ok(admitted.map(|(nid, _)| nid).collect())
}

#[expect(clippy::too_many_arguments, reason = "all that a request says")]
async fn page(
    app: &App,
    requester: &Requester,
    viewer: &Viewer,
    criteria: &Criteria,
    filter: &RoomEventFilter,
    words: &Words,
    order: Order,
    token: Option<Token>,
) -> ApiResult<Page> {
    let limit = filter.explicit_limit().unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let parts: Vec<i64> = KEYS
        .iter()
        .filter(|(key, _)| {
            criteria.keys.as_ref().is_none_or(|keys| keys.iter().any(|asked| asked == key))
        })
        .map(|(_, part)| *part)
        .collect();
    // What is said from now on is not for the pages after this one.
    let bound = token.as_ref().map_or((app.feed.head() + 1) << ORD_SHIFT, |token| token.bound);
    let below = match &token {
        Some(Token { after: Some(after), .. }) => *after,
        _ => (bound, EventNid(i64::MIN)),
    };
    let look = Look {
        words: words.iter().collect(),
        rooms: &rooms(app, requester, filter).await?,
        parts: &parts,
        below,
        by_rank: order == Order::Rank,
        limit: MAX_HITS,
    };
    let matches = find(&app.db, &look).await?;
    let (mut hits, mut rooms) = visible(app, viewer, filter, matches).await?;
    if let Some(group) = token.as_ref().and_then(|token| token.group.as_ref()) {
        hits.retain(|hit| group.has(&hit.event));
    }
    let count = token.as_ref().map_or(hits.len() as u64, |token| token.count);
    let skip = token.as_ref().map_or(0, |token| token.skip).min(hits.len());
    let end = (skip + limit).min(hits.len());
    let rest = hits.split_off(end);
    let step = |hits: &[Hit], group: Option<Group>| {
        let after = hits.last().map(|hit| (hit.found.ord, hit.found.nid));
        let by_rank = order == Order::Rank;
        Token {
            order,
            bound,
            after: after.filter(|_| !by_rank),
            skip: if by_rank { hits.len() } else { 0 },
            count,
            group,
        }
        .to_string()
    };
    // Clients expect a token after every full page; the last one leads to an empty page.
    let next = (end - skip == limit)
        .then(|| step(&hits, token.as_ref().and_then(|token| token.group.clone())));
    let mut groups = Vec::new();
    for group in groups_of(criteria, &hits[skip..]) {
        if rest.iter().any(|hit| group.has(&hit.event)) {
            let of_group: Vec<Hit> =
                hits.iter().filter(|hit| group.has(&hit.event)).map(Hit::again).collect();
            let token = step(&of_group, Some(group.clone()));
            groups.push((group, token));
        }
    }
    let hits = hits.split_off(skip);
    rooms.retain(|nid, _| hits.iter().any(|hit| hit.event.room == *nid));
    let mut around = Vec::with_capacity(hits.len());
    let mut told = HashMap::new();
    for hit in &hits {
        around.push(match (&criteria.event_context, rooms.get(&hit.event.room)) {
            (Some(context), Some(access)) => {
                Some(context_of(app, viewer, access, &hit.event, context).await?)
            }
            _ => None,
        });
    }
    for (nid, access) in &rooms {
        let events: Vec<Arc<Event>> = hits
            .iter()
            .filter(|hit| hit.event.room == *nid)
            .map(|hit| Arc::clone(&hit.event))
            .collect();
        told.insert(*nid, surroundings(app, viewer, access, &events).await?);
    }
    Ok(Page { hits, around, rooms, surroundings: told, count, next, groups })
}

impl Hit {
    fn again(&self) -> Self {
        Self { found: self.found, event: Arc::clone(&self.event), membership: self.membership }
    }
}

/// The groups that some results fall into.
fn groups_of(criteria: &Criteria, hits: &[Hit]) -> BTreeSet<Group> {
    let keys = criteria.groupings.iter().flat_map(|groupings| &groupings.group_by);
    let keys: BTreeSet<&str> = keys.filter_map(|group| group.key.as_deref()).collect();
    keys.iter().flat_map(|key| hits.iter().filter_map(|hit| Group::of(key, &hit.event))).collect()
}

/// Of the matches those that the user may see, with their rooms.
async fn visible(
    app: &App,
    viewer: &Viewer,
    filter: &RoomEventFilter,
    matches: Vec<Match>,
) -> ApiResult<(Vec<Hit>, BTreeMap<RoomNid, Access>)> {
    let nids: Vec<EventNid> = matches.iter().map(|found| found.nid).collect();
    let events = app.rooms.events(&nids).await?;
    let mut events: HashMap<EventNid, Arc<Event>> =
        events.into_iter().map(|event| (event.nid, event)).collect();
    let mut rooms: BTreeMap<RoomNid, Option<(Access, Lens<'_>)>> = BTreeMap::new();
    let mut hits = Vec::with_capacity(matches.len());
    for found in matches {
        let Some(event) = events.remove(&found.nid) else { continue };
        if viewer.ignores(&event)
            || !filter.admits(&event.kind().to_string(), &event.pdu.sender, event.pdu.content())
        {
            continue;
        }
        let room = match rooms.entry(found.room) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(open(app, viewer, &event).await?),
        };
        let Some((_, lens)) = room else { continue };
        if let Some(membership) = lens.see(&event).await?
            // What is erased is found by no word of it.
            && !viewer.erases(&event, Some(membership))
        {
            hits.push(Hit { found, event, membership });
        }
    }
    let rooms = rooms.into_iter().filter_map(|(nid, room)| Some((nid, room?.0)));
    Ok((hits, rooms.collect()))
}

/// The room of an event, unless the user may not read it or it is encrypted: those are not searched.
async fn open<'a>(
    app: &'a App,
    viewer: &'a Viewer,
    event: &Event,
) -> ApiResult<Option<(Access, Lens<'a>)>> {
    match Access::open(app, &viewer.user, &event.pdu.room_id).await {
        Ok(access) if access.snapshot.state_nid("m.room.encryption", "").is_none() => {
            let lens = access.lens(app, &viewer.user);
            Ok(Some((access, lens)))
        }
        Ok(_) => Ok(None),
        // What he can't read he finds nothing in.
        Err(error) if error.errcode == "M_FORBIDDEN" => Ok(None),
        Err(error) => Err(error),
    }
}

async fn context_of(
    app: &App,
    viewer: &Viewer,
    access: &Access,
    event: &Arc<Event>,
    context: &Context,
) -> ApiResult<Around> {
    let limits = (
        context.before_limit.unwrap_or(5).min(MAX_CONTEXT),
        context.after_limit.unwrap_or(5).min(MAX_CONTEXT),
    );
    around(app, viewer, access, event, limits, &RoomEventFilter::default()).await
}
