//! The stand-in's server: what it is called, its roles, who is in it (API reference, "Guild").

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, put},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

use crate::fake::{Fake, GUILD};

/// A role that moderates, one that manages channels, and one that may do everything.
pub(crate) const MODERATORS: &str = "510";
pub(crate) const STEWARDS: &str = "511";
pub(crate) const RULERS: &str = "512";

/// The server as it is at first.
pub(crate) fn founded() -> Value {
    let role = |id: &str, name: &str, permissions: u64, color: u32| json!({ "id": id, "name": name, "permissions": permissions.to_string(), "color": color, "position": 0 });
    json!({
        "id": GUILD, "name": "Testers", "owner_id": "1", "icon": null, "description": null,
        "roles": [
            role(GUILD, "@everyone", 3072, 0),
            role(MODERATORS, "Moderators", 1 << 13, 0x00_80_ff),
            role(STEWARDS, "Stewards", 1 << 4, 0),
            role(RULERS, "Rulers", 1 << 3, 0),
        ],
        "emojis": [
            { "id": "800", "name": "blob", "animated": false },
            { "id": "801", "name": "dance", "animated": true },
        ],
    })
}

/// Whether events of a name are told to who has asked for these sorts of events (API reference, "Gateway Intents").
pub(crate) fn is_asked_for(name: &str, intents: u64) -> bool {
    let bit = match name {
        "GUILD_MEMBER_ADD" | "GUILD_MEMBER_UPDATE" | "GUILD_MEMBER_REMOVE" => 1,
        "GUILD_BAN_ADD" | "GUILD_BAN_REMOVE" => 2,
        "PRESENCE_UPDATE" => 8,
        "MESSAGE_REACTION_ADD" | "MESSAGE_REACTION_REMOVE" | "MESSAGE_REACTION_REMOVE_ALL" => 10,
        "TYPING_START" => 11,
        "MESSAGE_POLL_VOTE_ADD" | "MESSAGE_POLL_VOTE_REMOVE" => 24,
        _ => return true,
    };
    intents & (1 << bit) != 0
}

pub(crate) fn router() -> Router<Fake> {
    let api = Router::new()
        .route("/guilds/{id}", get(server))
        .route("/guilds/{id}/members", get(members))
        .route("/guilds/{id}/members/{user}", get(member).delete(kick))
        .route("/guilds/{id}/bans/{user}", put(ban).delete(unban));
    Router::new().nest("/api/v10", api)
}

impl Fake {
    /// Changes what the server is called, or the like.
    pub(crate) fn change_server(&self, key: &str, value: Value) {
        let changed = {
            let mut state = self.state();
            state.server[key] = value;
            state.server.clone()
        };
        self.dispatch("GUILD_UPDATE", &changed);
    }

    /// Somebody of the server as the API has them.
    pub(crate) fn member_of(name: &str, nick: Option<&str>, roles: &[&str]) -> Value {
        json!({
            "user": Self::user(name), "nick": nick, "avatar": null, "roles": roles,
            "joined_at": "2026-01-01T00:00:00+00:00", "deaf": false, "mute": false, "flags": 0,
        })
    }

    /// Somebody is in the server.
    pub(crate) fn admit(&self, member: Value) {
        self.state().members.push(member.clone());
        self.tell_member("GUILD_MEMBER_ADD", member);
    }

    /// Somebody looks different there, or has other roles.
    pub(crate) fn change_member(&self, member: Value) {
        let id = member["user"]["id"].clone();
        {
            let mut state = self.state();
            state.members.retain(|known| known["user"]["id"] != id);
            state.members.push(member.clone());
        }
        self.tell_member("GUILD_MEMBER_UPDATE", member);
    }

    fn tell_member(&self, name: &str, mut member: Value) {
        member["guild_id"] = GUILD.into();
        self.dispatch(name, &member);
    }

    /// Somebody is no longer in the server.
    pub(crate) fn dismiss(&self, id: &str) {
        self.state().members.retain(|known| known["user"]["id"] != *id);
        let user = json!({ "id": id, "username": id, "discriminator": "0" });
        self.dispatch("GUILD_MEMBER_REMOVE", &json!({ "guild_id": GUILD, "user": user }));
    }

    /// Somebody is banned from the server: both are told.
    pub(crate) fn banish(&self, id: &str) {
        let user = json!({ "id": id, "username": id, "discriminator": "0" });
        self.dispatch("GUILD_BAN_ADD", &json!({ "guild_id": GUILD, "user": user }));
        self.dismiss(id);
    }
}

async fn server(State(fake): State<Fake>) -> Json<Value> {
    Json(fake.state().server.clone())
}

async fn members(
    State(fake): State<Fake>,
    Query(params): Query<BTreeMap<String, String>>,
) -> Json<Value> {
    let number = |text: &str| text.parse::<u64>().unwrap();
    let after = params.get("after").map_or(0, |after| number(after));
    let id = |member: &Value| number(member["user"]["id"].as_str().unwrap());
    let mut found = fake.state().members.clone();
    found.retain(|member| id(member) > after);
    found.sort_by_key(id);
    found.truncate(params.get("limit").map_or(1, |limit| number(limit)) as usize);
    Json(found.into())
}

fn unknown() -> Response {
    let why = json!({ "code": 10_007, "message": "Unknown Member" });
    (StatusCode::NOT_FOUND, Json(why)).into_response()
}

async fn member(State(fake): State<Fake>, Path((_, user)): Path<(String, String)>) -> Response {
    let found = fake.state().members.iter().find(|known| known["user"]["id"] == user).cloned();
    found.map_or_else(unknown, |member| Json(member).into_response())
}

async fn kick(State(fake): State<Fake>, Path((_, user)): Path<(String, String)>) -> Response {
    if !fake.state().members.iter().any(|known| known["user"]["id"] == user) {
        return unknown();
    }
    fake.dismiss(&user);
    StatusCode::NO_CONTENT.into_response()
}

async fn ban(
    State(fake): State<Fake>,
    Path((_, user)): Path<(String, String)>,
    Json(_): Json<Value>,
) -> StatusCode {
    fake.banish(&user);
    StatusCode::NO_CONTENT
}

async fn unban(
    State(fake): State<Fake>,
    Path((_, user)): Path<(String, String)>,
    Json(_): Json<Value>,
) -> StatusCode {
    let user = json!({ "id": user, "username": user, "discriminator": "0" });
    fake.dispatch("GUILD_BAN_REMOVE", &json!({ "guild_id": GUILD, "user": user }));
    StatusCode::NO_CONTENT
}
