//! The `rooms` of an answer. What has to be looked up is looked up for all rooms at once.

use std::collections::HashMap;
use std::sync::Arc;

use super::build::Build;
use super::room::{Inside, Shown};
use crate::app::App;
use crate::event::Event;
use crate::http::error::ApiResult;
use crate::nid::{EventNid, RoomNid};
use crate::room::{MEMBER, Membership, RoomError, StateMap};
use crate::services::notifications::{Ask, Prepared};
use crate::services::relations::in_window;
use crate::sync::json::Writer;
use crate::sync::token::PageToken;
use crate::sync::v3::write::STRIPPED;
use crate::sync::viewer::{Form, Surroundings};

const NAME: &str = "m.room.name";
const AVATAR: &str = "m.room.avatar";

/// Whether a room has a name. An empty one is none
/// ([`m.room.name`](https://spec.matrix.org/v1.19/client-server-api/#mroomname)).
pub(super) async fn is_named(app: &App, state: &StateMap) -> Result<bool, RoomError> {
    let Some(nid) = state.nid(NAME, "") else { return Ok(false) };
    Ok(app.rooms.events(&[nid]).await?.first().is_some_and(|event| name_of(event).is_some()))
}

fn name_of(event: &Event) -> Option<String> {
    event.pdu.content_str("name").filter(|name| !name.is_empty())
}

struct Loaded(HashMap<EventNid, Arc<Event>>);

impl Loaded {
    fn state(&self, state: &StateMap, kind: &str, key: &str) -> Option<&Arc<Event>> {
        self.0.get(&state.nid(kind, key)?)
    }
}

async fn load(build: &Build<'_>, shown: &[Shown]) -> Result<Loaded, RoomError> {
    let mut nids: Vec<EventNid> = Vec::new();
    for room in shown {
        nids.push(room.member);
        match &room.inside {
            None => {
                let state = &room.snapshot.state;
                nids.extend(STRIPPED.iter().filter_map(|kind| state.nid(kind, "")));
            }
            Some(inside) => {
                nids.extend(&inside.required);
                nids.extend(inside.window.events.iter().filter_map(|(event, _)| event.replaces));
                nids.extend([NAME, AVATAR].iter().filter_map(|kind| inside.end.nid(kind, "")));
                let heroes = inside.heroes.iter();
                nids.extend(heroes.filter_map(|hero| inside.end.nid(MEMBER, hero)));
            }
        }
    }
    nids.sort_unstable();
    nids.dedup();
    let events = if nids.is_empty() { Vec::new() } else { build.app.rooms.events(&nids).await? };
    Ok(Loaded(events.into_iter().map(|event| (event.nid, event)).collect()))
}

/// Appends the rooms.
pub(super) async fn write(build: &Build<'_>, out: &mut Writer, shown: &[Shown]) -> ApiResult<()> {
    let loaded = load(build, shown).await?;
    let joined = shown.iter().filter(|room| room.membership == Membership::Join);
    let nids: Vec<RoomNid> = joined.map(|room| room.room.nid()).collect();
    let prepared = build.app.notifications.prepare(&build.viewer.user, &nids).await?;
    out.open_at("rooms");
    for room in shown {
        out.open_at(room.room.id().as_str());
        if room.initial {
            out.key("initial");
            out.bool(true);
        }
        if build.direct.contains(room.room.id().as_str()) {
            out.key("is_dm");
            out.bool(true);
        }
        out.key("bump_stamp");
        out.int(room.bump);
        match &room.inside {
            None => asked(build, out, room, &loaded),
            Some(inside) => {
                within(build, out, room, inside, &loaded);
                if room.membership == Membership::Join {
                    counts(build, out, room, &prepared).await?;
                }
            }
        }
        out.close();
    }
    out.close();
    Ok(())
}

/// What whoever is asked into a room is shown of it.
fn asked(build: &Build<'_>, out: &mut Writer, room: &Shown, loaded: &Loaded) {
    let state = &room.snapshot.state;
    name(out, loaded.state(state, NAME, ""));
    avatar(out, loaded.state(state, AVATAR, ""), false);
    out.open_list_at("invite_state");
    for kind in STRIPPED {
        if let Some(event) = loaded.state(state, kind, "") {
            event.write_stripped(out.value());
        }
    }
    if let Some(member) = loaded.0.get(&room.member) {
        build.viewer.write(out, member, None, Form::default(), &Surroundings::default());
    }
    out.close_list();
}

fn within(build: &Build<'_>, out: &mut Writer, room: &Shown, inside: &Inside, loaded: &Loaded) {
    if inside.tells.name {
        name(out, loaded.state(&inside.end, NAME, ""));
    }
    if inside.tells.avatar {
        avatar(out, loaded.state(&inside.end, AVATAR, ""), !room.initial);
    }
    if inside.tells.members {
        out.key("joined_count");
        out.int(inside.end.count(Membership::Join).into());
        out.key("invited_count");
        out.int(inside.end.count(Membership::Invite).into());
        heroes(out, inside, loaded);
    }
    if !inside.required.is_empty() {
        out.open_list_at("required_state");
        for event in inside.required.iter().filter_map(|nid| loaded.0.get(nid)) {
            build.viewer.write(out, event, None, Form::default(), &Surroundings::default());
        }
        out.close_list();
    }
    if !inside.wants_timeline {
        return;
    }
    let window = &inside.window;
    if inside.expanded {
        out.key("unstable_expanded_timeline");
        out.bool(true);
    }
    let replaced =
        window.events.iter().filter_map(|(event, _)| loaded.0.get(&event.replaces?).cloned());
    let viewer = build.viewer;
    let around = Surroundings::with(
        replaced,
        in_window(&window.all, &window.unseen, &viewer.user, &viewer.ignored),
    );
    if !window.events.is_empty() {
        out.open_list_at("timeline");
        for (event, membership) in &window.events {
            viewer.write(out, event, Some(*membership), Form::default(), &around);
        }
        out.close_list();
    }
    out.key("limited");
    out.bool(window.limited);
    out.key("prev_batch");
    out.text(&PageToken(window.start).to_string());
    out.key("num_live");
    out.int(inside.live as i64);
}

fn name(out: &mut Writer, event: Option<&Arc<Event>>) {
    if let Some(name) = event.and_then(|event| name_of(event)) {
        out.key("name");
        out.text(&name);
    }
}

/// The room's picture. One that was taken away is told as null to whoever has had it.
fn avatar(out: &mut Writer, event: Option<&Arc<Event>>, had: bool) {
    let url = event.and_then(|event| event.pdu.content_str("url")).filter(|url| !url.is_empty());
    match url {
        Some(url) => {
            out.key("avatar");
            out.text(&url);
        }
        None if had => {
            out.key("avatar");
            out.raw("null");
        }
        None => {}
    }
}

fn heroes(out: &mut Writer, inside: &Inside, loaded: &Loaded) {
    if inside.heroes.is_empty() {
        return;
    }
    out.open_list_at("heroes");
    for hero in &inside.heroes {
        out.open();
        out.key("user_id");
        out.text(hero);
        let member = loaded.state(&inside.end, MEMBER, hero);
        for field in ["displayname", "avatar_url"] {
            if let Some(value) = member.and_then(|member| member.pdu.content_str(field)) {
                out.key(field);
                out.text(&value);
            }
        }
        out.close();
    }
    out.close_list();
}

async fn counts(
    build: &Build<'_>,
    out: &mut Writer,
    room: &Shown,
    prepared: &Prepared,
) -> ApiResult<()> {
    let ask = Ask {
        user: &build.viewer.user,
        rules: build.app.push_rules.of(&build.viewer.user).await?,
        ignored: &build.viewer.ignored,
        upto: build.upto,
    };
    let unread = build.app.notifications.unread(&room.room, &ask, prepared).await?.total();
    out.key("notification_count");
    out.int(unread.notify.into());
    out.key("highlight_count");
    out.int(unread.highlight.into());
    Ok(())
}
