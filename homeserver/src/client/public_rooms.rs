//! The public directory of rooms (Client-Server API, "Listing rooms").

use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
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
use crate::storage::appservice_directory;

/// Rooms on a page, unless fewer are asked for.
const MAX_PAGE: usize = 100;

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
    let admin = app.accounts.is_admin(&requester.user).await?;
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
    if anyone || app.accounts.is_admin(&requester.user).await? {
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

/// The rooms to choose from: the server's own, those of one bridged network, or all.
async fn candidates(app: &App, search: &Search) -> ApiResult<Vec<OwnedRoomId>> {
    if let Some(instance) = &search.third_party_instance_id {
        let instance: InstanceId = instance.parse().map_err(|()| {
            ApiError::invalid_param("third_party_instance_id is not one of this server's")
        })?;
        let rooms =
            appservice_directory::of_network(&app.db, &instance.appservice, &instance.network)
                .await?;
        return Ok(app.directory.ids(&rooms).await?);
    }
    let mut rooms = app.directory.public().await?;
    if search.include_all_networks {
        rooms.extend(app.directory.ids(&appservice_directory::all(&app.db).await?).await?);
    }
    let mut seen = HashSet::new();
    rooms.retain(|room| seen.insert(room.clone()));
    Ok(rooms)
}

impl Filter {
    fn admits(&self, room: &Listed) -> bool {
        let types = self.room_types.as_ref().is_none_or(|types| types.contains(&room.room_type));
        let term = self
            .generic_search_term
            .as_deref()
            .map(str::to_lowercase)
            .filter(|term| !term.is_empty());
        let found = term.is_none_or(|term| {
            [&room.name, &room.topic, &room.canonical_alias]
                .into_iter()
                .flatten()
                .any(|text| text.to_lowercase().contains(&term))
        });
        types && found
    }
}

/// Where a page begins: after this room in the order of the list. Rooms that come or go meanwhile so neither repeat nor hide
/// others.
type Place = (Reverse<u32>, String);

fn place(token: &str) -> ApiResult<Place> {
    let wrong = || ApiError::invalid_param("since is not a token of this list");
    let (members, room) = token.split_once('~').ok_or_else(wrong)?;
    Ok((Reverse(members.parse().map_err(|_| wrong())?), room.to_owned()))
}

fn token(room: &Listed) -> String {
    format!("{}~{}", room.num_joined_members, room.room_id)
}

fn place_of(room: &Listed) -> Place {
    (Reverse(room.num_joined_members), room.room_id.clone())
}

async fn page(app: &App, search: Search) -> ApiResult<Value> {
    let limit = search.limit.unwrap_or(MAX_PAGE).min(MAX_PAGE);
    let since = search.since.as_deref().filter(|since| !since.is_empty()).map(place).transpose()?;
    let mut rooms = Vec::new();
    for id in candidates(app, &search).await? {
        match app.rooms.get(&id).await {
            Ok(room) => rooms.push(describe(&room).await?),
            Err(RoomError::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
    }
    rooms.retain(|room| search.filter.admits(room));
    rooms.sort_by_cached_key(place_of);
    let total = rooms.len();
    let start =
        since.as_ref().map_or(0, |since| rooms.partition_point(|room| place_of(room) <= *since));
    let end = (start + limit).min(total);
    let mut answer = json!({ "chunk": &rooms[start..end], "total_room_count_estimate": total });
    if end < total && end > start {
        answer["next_batch"] = json!(token(&rooms[end - 1]));
    }
    if start > 0 {
        let before = start.saturating_sub(limit);
        // The page before begins after the room in front of it; the first page has no room in front.
        answer["prev_batch"] =
            json!(if before == 0 { String::new() } else { token(&rooms[before - 1]) });
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(id: &str, members: u32, name: Option<&str>) -> Listed {
        Listed {
            room_id: id.to_owned(),
            name: name.map(ToOwned::to_owned),
            topic: None,
            avatar_url: None,
            canonical_alias: None,
            room_type: None,
            join_rule: "public".to_owned(),
            num_joined_members: members,
            world_readable: false,
            guest_can_join: false,
        }
    }

    #[test]
    fn tokens_lead_back_to_their_place() {
        let big = room("!b:x", 10, None);
        assert_eq!(place(&token(&big)).unwrap(), place_of(&big));
        assert!(place_of(&big) < place_of(&room("!a:x", 3, None)));
        assert!(place("rubbish").is_err());
    }

    #[test]
    fn a_filter_looks_at_words_and_types() {
        let named = room("!a:x", 1, Some("The Attic"));
        let term =
            |term: &str| Filter { generic_search_term: Some(term.to_owned()), room_types: None };
        assert!(term("attic").admits(&named));
        assert!(!term("cellar").admits(&named));
        let spaces = Filter {
            generic_search_term: None,
            room_types: Some(vec![Some("m.space".to_owned())]),
        };
        assert!(!spaces.admits(&named));
        let plain = Filter { generic_search_term: None, room_types: Some(vec![None]) };
        assert!(plain.admits(&named));
    }
}
