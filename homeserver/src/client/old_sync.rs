//! Rooms as clients asked for them before there was `/sync` (Client-Server API, "Syncing", deprecated; and "Room previews").

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use axum::extract::State;
use ruma::OwnedRoomId;
use serde::Deserialize;

use super::messages::surroundings;
use crate::app::App;
use crate::event::Event;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::{Path, Query};
use crate::http::json::RawReply;
use crate::http::router::{Route, get};
use crate::nid::{Pos, RoomNid, TimelineOrd};
use crate::room::Membership;
use crate::services::presence;
use crate::services::push_rules::PUSH_RULES;
use crate::storage::account_data::{self, Entry};
use crate::sync::access::Access;
use crate::sync::account_data::{write_account_data, write_push_rules};
use crate::sync::filter::{MAX_LIMIT, RoomEventFilter};
use crate::sync::invites::hidden;
use crate::sync::json::Writer;
use crate::sync::page::{Ask, page};
use crate::sync::token::{PageToken, SyncToken};
use crate::sync::viewer::{Form, Surroundings, Viewer};

/// Messages of each room unless the request says how many.
const DEFAULT_LIMIT: usize = 10;
const FORM: Form<'static> = Form { room_id: true, federation: false, fields: None };

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_matrix/client/v3/initialSync", initial_sync),
        get("/_matrix/client/v3/rooms/{roomId}/initialSync", room_initial_sync),
    ]
}

#[derive(Deserialize)]
struct Params {
    limit: Option<usize>,
    #[serde(default)]
    archived: bool,
}

impl Params {
    fn limit(&self) -> usize {
        self.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT)
    }
}

/// The token for what comes after a position.
pub(super) fn token_at(app: &App, pos: Pos) -> SyncToken {
    let ephemeral = app.feed.ephemeral();
    SyncToken {
        generation: app.feed.generation(),
        pos,
        boot: ephemeral.boot(),
        ephemeral: ephemeral.head(),
        to_device: pos,
        sticky: pos,
    }
}

async fn initial_sync(
    State(app): State<Arc<App>>,
    requester: Requester,
    Query(params): Query<Params>,
) -> ApiResult<RawReply> {
    let token = token_at(&app, app.feed.head());
    let viewer = Viewer::of(&app, &requester).await?;
    let entries = account_data::changed(&app.db, &viewer.user, 0, token.pos).await?;
    let memberships = app.rooms.memberships(&viewer.user).await?;
    let mut out = Writer::with_capacity(4096);
    out.open();
    out.key("end");
    out.text(&token.to_string());
    out.open_list_at("rooms");
    for (nid, mine) in &memberships {
        let told = match mine.membership {
            Membership::Join | Membership::Invite => true,
            Membership::Leave | Membership::Ban => params.archived && !mine.forgotten,
            Membership::Knock => false,
        };
        if !told {
            continue;
        }
        let Some(room) = app.rooms.find(*nid).await? else { continue };
        if mine.membership == Membership::Invite {
            let Some(invite) = app.rooms.events(&[mine.event]).await?.pop() else { continue };
            if !hidden(&app, &viewer, &[mine.event]).await?.is_empty() {
                continue;
            }
            out.open();
            head(&app, &mut out, room.id(), Some(mine.membership)).await?;
            out.key("invite");
            viewer.write(&mut out, &invite, None, FORM, &Surroundings::default());
            out.close();
            continue;
        }
        match Access::open(&app, &viewer.user, room.id()).await {
            Ok(access) => {
                out.open();
                head(&app, &mut out, room.id(), Some(mine.membership)).await?;
                inside(&app, &mut out, &viewer, &access, token, params.limit(), &entries).await?;
                out.close();
            }
            // An invitation turned down: of the room itself nothing was ever the user's to see.
            Err(error) if error.errcode == "M_FORBIDDEN" => {}
            Err(error) => return Err(error),
        }
    }
    out.close_list();
    present(&app, &mut out, &viewer).await?;
    global_account_data(&app, &mut out, &viewer, &entries).await?;
    out.close();
    Ok(RawReply(out.into_string().into()))
}

async fn room_initial_sync(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(room): Path<OwnedRoomId>,
    Query(params): Query<Params>,
) -> ApiResult<RawReply> {
    let token = token_at(&app, app.feed.head());
    let access = Access::open(&app, &requester.user, &room).await?;
    let viewer = Viewer::of(&app, &requester).await?;
    let entries = account_data::changed(&app.db, &viewer.user, 0, token.pos).await?;
    let mut out = Writer::with_capacity(4096);
    out.open();
    let membership = access.snapshot.membership(&viewer.user);
    head(&app, &mut out, &room, membership.filter(|mine| *mine != Membership::Knock)).await?;
    inside(&app, &mut out, &viewer, &access, token, params.limit(), &entries).await?;
    out.close();
    Ok(RawReply(out.into_string().into()))
}

async fn head(
    app: &App,
    out: &mut Writer,
    room: &ruma::RoomId,
    membership: Option<Membership>,
) -> ApiResult<()> {
    out.key("room_id");
    out.text(room.as_str());
    if let Some(membership) = membership {
        out.key("membership");
        out.text(membership.as_str());
    }
    out.key("visibility");
    out.text(if app.directory.is_public(room).await? { "public" } else { "private" });
    Ok(())
}

/// The newest messages, the state and the account data of a room, as far as the user may see them.
async fn inside(
    app: &App,
    out: &mut Writer,
    viewer: &Viewer,
    access: &Access,
    token: SyncToken,
    limit: usize,
    entries: &[Entry],
) -> ApiResult<()> {
    let ceiling = access.ceiling().min(token.boundary());
    let mut lens = access.lens(app, &viewer.user);
    let filter = RoomEventFilter::default();
    let ask = Ask {
        room: access.room.nid(),
        from: ceiling,
        to: TimelineOrd::MIN,
        forwards: false,
        limit,
        filter: &filter,
    };
    let page = page(app, &mut lens, viewer, &ask).await?;
    let events: Vec<Arc<Event>> = page.events.iter().map(|(event, _)| Arc::clone(event)).collect();
    let around = surroundings(app, viewer, access, &events).await?;
    out.open_at("messages");
    if let Some(start) = page.end {
        out.key("start");
        out.text(&PageToken(start).to_string());
    }
    out.key("end");
    out.text(&PageToken(ceiling).to_string());
    out.open_list_at("chunk");
    for (event, membership) in page.events.iter().rev() {
        viewer.write(out, event, Some(*membership), FORM, &around);
    }
    out.close_list();
    out.close();
    let nids: Vec<_> = access.state().await?.iter().map(|(_, entry)| entry.nid).collect();
    out.open_list_at("state");
    for event in app.rooms.events(&nids).await? {
        viewer.write(out, &event, None, FORM, &Surroundings::default());
    }
    out.close_list();
    out.open_list_at("account_data");
    for entry in entries.iter().filter(|entry| entry.room_id == access.room.id().as_str()) {
        write_account_data(out, entry);
    }
    out.close_list();
    Ok(())
}

/// Who is there of those who share a room with the user.
async fn present(app: &App, out: &mut Writer, viewer: &Viewer) -> ApiResult<()> {
    let mine: BTreeSet<RoomNid> = app.rooms.joined(&viewer.user).await?.into_iter().collect();
    out.open_list_at("presence");
    for (user, seen) in app.presence.since(0) {
        let theirs = app.rooms.joined(&user).await?;
        if user == viewer.user || theirs.iter().any(|room| mine.contains(room)) {
            presence::write(out, &user, &seen);
        }
    }
    out.close_list();
    Ok(())
}

async fn global_account_data(
    app: &App,
    out: &mut Writer,
    viewer: &Viewer,
    entries: &[Entry],
) -> ApiResult<()> {
    let global: HashMap<&str, &Entry> = entries
        .iter()
        .filter(|entry| entry.room_id.is_empty())
        .map(|entry| (entry.kind.as_str(), entry))
        .collect();
    out.open_list_at("account_data");
    for entry in global.values() {
        write_account_data(out, entry);
    }
    if !global.contains_key(PUSH_RULES) {
        write_push_rules(out, app, &viewer.user).await?;
    }
    out.close_list();
    Ok(())
}

/// Reads the token of one of these endpoints.
pub(super) fn read_token(text: &str) -> ApiResult<SyncToken> {
    text.parse().map_err(|error| ApiError::invalid_param(format!("from: {error}")))
}
