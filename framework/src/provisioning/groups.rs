//! Beginning groups: `create_group` and what may be asked of it, in the form of mautrix bridges
//! (mautrix-go, `bridgev2/networkinterface.go`, `GroupCreateParams` and `GroupTypeCapabilities`).

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde_json::{Map, Value, json};

use super::{Answer, Shared, User, Which, answer, answer::Problem, may_decide};
use crate::control::{Control, GroupKind, GroupWanted};
use crate::handlers::GroupField;

/// What may be begun, by its type.
pub(super) fn kinds(control: &dyn Control) -> Value {
    let of = |kind: &GroupKind| {
        json!({
            "type_description": kind.title,
            "name": field(kind.name),
            "topic": field(kind.topic),
            "avatar": field(kind.avatar),
            "participants": field(kind.members),
            "username": field(GroupField::default()),
            "disappear": field(GroupField::default()),
            "parent": field(GroupField::default()),
        })
    };
    let all = control.group_kinds();
    all.iter().map(|kind| (kind.id.to_owned(), of(kind))).collect::<Map<_, _>>().into()
}

fn field(field: GroupField) -> Value {
    let mut out = json!({ "allowed": field.allowed, "required": field.min > 0 });
    for (key, value) in [("min_length", field.min), ("max_length", field.max)] {
        if value > 0 {
            out[key] = value.into();
        }
    }
    out
}

fn invalid(why: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "M_INVALID_PARAM", why)
}

/// A text within the content of a state event: name, topic and avatar are given as those.
fn text(body: &Value, what: &str, key: &str) -> Result<Option<String>, Problem> {
    match body.get(what) {
        None | Some(Value::Null) => Ok(None),
        Some(content) => match content.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            Some(_) => Err(invalid(format!("{what}.{key} is no text"))),
        },
    }
}

pub(super) async fn create(
    State(api): Shared,
    Extension(User(user)): Extension<User>,
    Path(kind): Path<String>,
    Query(which): Query<Which>,
    body: axum::body::Bytes,
) -> Answer {
    let body = if body.is_empty() { json!({}) } else { answer::object(&body)? };
    if let Some(other) = body.get("type").and_then(Value::as_str).filter(|other| **other != kind) {
        return Err(invalid(format!("the type is {kind:?} in the path and {other:?} in the body")));
    }
    for what in ["username", "disappear", "parent"] {
        if body.get(what).is_some_and(|value| !value.is_null() && value != "") {
            return Err(invalid(format!("{what} can't be set when a group is begun")));
        }
    }
    let members = match body.get("participants") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(all)) => all
            .iter()
            .map(|id| id.as_str().map(str::to_owned))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| invalid("participants holds something that is no identifier"))?,
        Some(_) => return Err(invalid("participants is no list")),
    };
    let room = body.get("room_id").and_then(Value::as_str).map(str::to_owned);
    if let Some(room) = &room {
        may_decide(&api, &user, room).await?;
        if api.control.portal(room).await?.is_some() {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                "M_ROOM_IN_USE",
                "that room is bridged already",
            ));
        }
    }
    let wanted = GroupWanted {
        kind,
        name: text(&body, "name", "name")?,
        topic: text(&body, "topic", "topic")?,
        avatar: text(&body, "avatar", "url")?,
        members,
        room,
        asked: None,
    };
    let made = api.control.create_group(&user, which.login_id.as_deref(), wanted).await?;
    let mut out = json!({ "id": made.id, "mxid": made.room_id });
    if !made.failed.is_empty() {
        let failed = made.failed.into_iter().map(|(id, why)| (id, json!({ "reason": why })));
        out["failed_participants"] = failed.collect::<Map<_, _>>().into();
    }
    Ok(Json(out))
}
