//! The public directory of rooms (Client-Server API, "Listing rooms").

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use futures::FutureExt as _;
use http::request::Parts;
use ruma::OwnedRoomId;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::client::room_access::find;
use crate::client::room_summary::{Listed, describe};
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::{Path, Query};
use crate::http::json::{EMPTY, Empty, JsonOrEmpty, Reply};
use crate::http::limit::Limit;
use crate::http::router::{Route, get, post, put};
use crate::room::RoomError;
use crate::services::appservices::InstanceId;
use crate::storage::room_listing::{self, Ask, List, Listing, Place};

/// Rooms on a page, unless fewer are asked for.
const MAX_PAGE: usize = 100;
/// Changed rooms that are looked at together.
const BATCH: usize = 200;
/// How often that is done for one request.
const MAX_ROUNDS: usize = 100;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_matrix/client/v3/directory/list/room/{roomId}", visibility),
        put("/_matrix/client/v3/directory/list/room/{roomId}", set_visibility),
        get("/_matrix/client/v3/publicRooms", list),
        post("/_matrix/client/v3/publicRooms", search),
    ]
}

async fn visibility(
    State(app): State<Arc<App>>,
    Path(id): Path<OwnedRoomId>,
) -> ApiResult<Reply<Value>> {
    let room = find(&app, (&*id).into()).await?;
    let visibility = if app.directory.is_public(room.id()).await? { "public" } else { "private" };
    Ok(Reply(json!({ "visibility": visibility })))
}

#[derive(Deserialize)]
struct Visibility {
    visibility: Option<String>,
}

async fn set_visibility(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(id): Path<OwnedRoomId>,
    JsonOrEmpty(body): JsonOrEmpty<Visibility>,
) -> ApiResult<Reply<Empty>> {
    requester.limit(&app, Limit::Other)?;
    let public = is_public(body.visibility.as_deref().unwrap_or("public"))?;
    let room = app.rooms.get(&id).await?;
    let admin = requester.is_admin(&app).await?;
    let snapshot = room.snapshot();
    let powerful = snapshot.is_joined(&requester.user)
        && snapshot
            .power_levels()
            .is_some_and(|power| power.may_send(&requester.user, "m.room.canonical_alias", true));
    if !powerful && !admin {
        return Err(ApiError::forbidden("You have not the power to list the room"));
    }
    may_publish(&app, &requester, public).await?;
    app.directory.publish(&id, public).await?;
    Ok(EMPTY)
}

/// Reads a visibility.
pub(super) fn is_public(visibility: &str) -> ApiResult<bool> {
    match visibility {
        "public" => Ok(true),
        "private" => Ok(false),
        other => Err(ApiError::invalid_param(format!("{other:?} is no visibility"))),
    }
}

/// Whether the settings let this user list rooms.
pub(super) async fn may_publish(app: &App, requester: &Requester, public: bool) -> ApiResult<()> {
    let anyone = app.config.rooms.publish_by_anyone || requester.appservice.is_some() || !public;
    if anyone || requester.is_admin(app).await? {
        Ok(())
    } else {
        Err(ApiError::forbidden("Only administrators list rooms on this server"))
    }
}

/// Those who may read the list: everyone with an account, and all others if the settings say so.
struct Reader;

impl FromRequestParts<Arc<App>> for Reader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        if !app.config.rooms.public_list_without_account {
            Requester::from_request_parts(parts, app).await?;
        }
        Ok(Self)
    }
}

#[derive(Deserialize)]
struct ListQuery {
    limit: Option<usize>,
    since: Option<String>,
    server: Option<String>,
}

#[derive(Deserialize)]
struct ServerQuery {
    server: Option<String>,
}

#[derive(Default, Deserialize)]
struct Search {
    limit: Option<usize>,
    since: Option<String>,
    #[serde(default)]
    filter: Filter,
    #[serde(default)]
    include_all_networks: bool,
    third_party_instance_id: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Filter {
    generic_search_term: Option<String>,
    room_types: Option<Vec<Option<String>>>,
}

fn only_here(app: &App, server: Option<&str>) -> ApiResult<()> {
    match server {
        Some(server) if server != app.config.server_name.as_str() => Err(ApiError::not_found(
            format!("The rooms of {server} can't be asked for: this server doesn't federate"),
        )),
        _ => Ok(()),
    }
}

async fn list(
    State(app): State<Arc<App>>,
    _: Reader,
    Query(query): Query<ListQuery>,
) -> ApiResult<Reply<Value>> {
    only_here(&app, query.server.as_deref())?;
    let search = Search { limit: query.limit, since: query.since, ..Search::default() };
    page(&app, search).await.map(Reply)
}

async fn search(
    State(app): State<Arc<App>>,
    _: Reader,
    Query(query): Query<ServerQuery>,
    JsonOrEmpty(search): JsonOrEmpty<Search>,
) -> ApiResult<Reply<Value>> {
    only_here(&app, query.server.as_deref())?;
    page(&app, search).await.map(Reply)
}

/// Which list a request asks for: the server's own, that of one bridged network, or all.
fn list_of(search: &Search) -> ApiResult<List> {
    if let Some(instance) = &search.third_party_instance_id {
        let instance: InstanceId = instance.parse().map_err(|()| {
            ApiError::invalid_param("third_party_instance_id is not one of this server's")
        })?;
        return Ok(List::Network(instance.appservice, instance.network));
    }
    Ok(if search.include_all_networks { List::All } else { List::Own })
}

/// Where a page begins: after this room in the order of the list. Rooms that come or go meanwhile so neither repeat nor hide
/// others.
fn place(token: &str) -> ApiResult<Place> {
    let wrong = || ApiError::invalid_param("since is not a token of this list");
    let (members, room) = token.split_once('~').ok_or_else(wrong)?;
    let members: u32 = members.parse().map_err(|_| wrong())?;
    Ok((members.into(), room.to_owned()))
}

fn token((members, room): &Place) -> String {
    format!("{members}~{room}")
}

/// Looks at the rooms that changed since somebody asked last.
async fn refresh(app: &App) -> ApiResult<()> {
    for _ in 0..MAX_ROUNDS {
        let stale = room_listing::stale(&app.db, BATCH).await?;
        if stale.is_empty() {
            break;
        }
        // The rows are ahead of the rooms in memory for the moment until the committer has told those.
        app.committer.flush().await?;
        let more = stale.len() == BATCH;
        let mut listings = Vec::with_capacity(stale.len());
        for stale in stale {
            let listing = match app.rooms.handle(stale.room).await {
                Ok(room) => Some(listing(&describe(&room).await?)?),
                Err(RoomError::NotFound) => None,
                Err(error) => return Err(error.into()),
            };
            listings.push((stale, listing));
        }
        let listings = Arc::new(listings);
        app.committer
            .run(move |tx| {
                let listings = Arc::clone(&listings);
                async move {
                    for (stale, listing) in listings.iter() {
                        room_listing::set(tx, *stale, listing.as_ref()).await?;
                    }
                    Ok(())
                }
                .boxed()
            })
            .await?;
        if !more {
            break;
        }
    }
    Ok(())
}

fn listing(room: &Listed) -> ApiResult<Listing> {
    let texts = [&room.name, &room.topic, &room.canonical_alias];
    let words: Vec<String> = texts.into_iter().flatten().map(|text| text.to_lowercase()).collect();
    Ok(Listing {
        members: room.num_joined_members.into(),
        kind: room.room_type.clone().unwrap_or_default(),
        words: words.join("\n"),
        listed: serde_json::to_string(room).map_err(ApiError::internal)?,
    })
}

async fn page(app: &App, search: Search) -> ApiResult<Value> {
    let limit = search.limit.unwrap_or(MAX_PAGE).min(MAX_PAGE);
    let since = search.since.as_deref().filter(|since| !since.is_empty()).map(place).transpose()?;
    let list = list_of(&search)?;
    refresh(app).await?;
    let term = search.filter.generic_search_term.as_deref().unwrap_or_default().to_lowercase();
    let kinds: Option<Vec<String>> = search
        .filter
        .room_types
        .map(|types| types.into_iter().map(Option::unwrap_or_default).collect());
    let ask = Ask { list: &list, term: &term, kinds: kinds.as_deref() };
    let after = since.clone().unwrap_or((i64::MAX, String::new()));
    let mut rooms = room_listing::page(&app.db, &ask, &after, limit + 1).await?;
    let more = rooms.len() > limit;
    rooms.truncate(limit);
    let mut chunk = Vec::with_capacity(rooms.len());
    for (listed, _) in &rooms {
        chunk.push(serde_json::from_str::<Value>(listed).map_err(ApiError::internal)?);
    }
    let total = room_listing::count(&app.db, &ask).await?;
    let mut answer = json!({ "chunk": chunk, "total_room_count_estimate": total });
    if let Some((_, last)) = rooms.last().filter(|_| more) {
        answer["next_batch"] = json!(token(last));
    }
    if let Some(since) = &since {
        let before = room_listing::before(&app.db, &ask, since, limit + 1).await?;
        if !before.is_empty() {
            // The page before begins after the room in front of it; the first page has no room in front.
            let front = before.get(limit).map(|(_, place)| token(place));
            answer["prev_batch"] = json!(front.unwrap_or_default());
        }
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_lead_back_to_their_place() {
        let big = (10, "!b:x~y".to_owned());
        assert_eq!(place(&token(&big)).unwrap(), big);
        for bad in ["rubbish", "-1~!a:x", "x~!a:x"] {
            assert_eq!(place(bad).unwrap_err().errcode, "M_INVALID_PARAM");
        }
    }
}
