//! Commands about rooms and portals.

use std::fmt::Write as _;

use serde_json::Value;

use super::{Context, Outcome, people};
use crate::control::ControlError;
use crate::matrix::MatrixError;

fn failed(error: &MatrixError) -> ControlError {
    ControlError::Failed(format!("The homeserver said no: {error}"))
}

/// Plumbing decides about a room for everybody in it: who asks must be one of those who may change its state.
pub(super) async fn require_power(c: &Context<'_>) -> Result<(), ControlError> {
    let bot = c.inner.matrix.bot();
    let levels = bot
        .get_state(c.room_id, "m.room.power_levels", "")
        .await
        .map_err(|error| failed(&error))?;
    let levels = levels.unwrap_or_default();
    let needed = levels.get("state_default").and_then(Value::as_i64).unwrap_or(50);
    let own = levels.get("users").and_then(|users| users.get(c.user)).and_then(Value::as_i64);
    let own = own.or_else(|| levels.get("users_default").and_then(Value::as_i64)).unwrap_or(0);
    if own >= needed || is_creator(c).await? {
        return Ok(());
    }
    Err(ControlError::Denied(format!(
        "For that you need power level {needed} in this room; you have {own}."
    )))
}

/// From room version 12 on creators have all power, and stand in no list of levels (MSC4289).
async fn is_creator(c: &Context<'_>) -> Result<bool, ControlError> {
    let state = c.inner.matrix.bot().full_state(c.room_id).await.map_err(|error| failed(&error))?;
    let Some(create) = state.iter().find(|event| event["type"] == "m.room.create") else {
        return Ok(false);
    };
    let version = create["content"]["room_version"].as_str().and_then(|v| v.parse::<u32>().ok());
    let additional = create["content"]["additional_creators"].as_array().into_iter().flatten();
    Ok(version.is_some_and(|v| v >= 12)
        && (create["sender"] == c.user
            || additional.filter_map(Value::as_str).any(|user| user == c.user)))
}

pub(super) async fn create(c: Context<'_>) -> Outcome {
    let room = c.inner.control.open_portal(c.user, None, c.rest).await?;
    Ok(format!("Here it is: https://matrix.to/#/{room}"))
}

pub(super) async fn bridge(c: Context<'_>) -> Outcome {
    let portal = c.inner.control.bridge(c.user, c.room_id, None, c.rest).await?;
    let name = portal.name.as_deref().unwrap_or(&portal.remote_id);
    Ok(format!("This room is now bridged to **{name}**."))
}

pub(super) async fn unbridge(c: Context<'_>) -> Outcome {
    c.inner.control.unbridge(c.user, c.room_id).await?;
    Ok("This room is no longer bridged.".into())
}

pub(super) async fn delete(c: Context<'_>) -> Outcome {
    c.inner.control.delete_portal(c.user, c.room_id).await?;
    // The room is gone, and with it whoever could read an answer.
    Ok(String::new())
}

pub(super) async fn set_relay(c: Context<'_>) -> Outcome {
    let login = match c.args.first() {
        Some(named) => named.clone(),
        None => people::own_login(&c, None).await?,
    };
    c.inner.control.set_relay(c.user, c.room_id, Some(&login)).await?;
    Ok(format!("`{login}` now relays for everybody here who has no login."))
}

pub(super) async fn unset_relay(c: Context<'_>) -> Outcome {
    c.inner.control.set_relay(c.user, c.room_id, None).await?;
    Ok("Nobody is relayed here any more.".into())
}

pub(super) async fn sync(c: Context<'_>) -> Outcome {
    c.inner.control.sync(c.user, c.room_id).await?;
    Ok("The network is being asked again.".into())
}

pub(super) async fn id(c: Context<'_>) -> Outcome {
    let portal = c.inner.control.portal(c.room_id).await?;
    let portal =
        portal.ok_or_else(|| ControlError::NotFound("This room is not bridged.".into()))?;
    let mut out = format!("This room is `{}`", portal.remote_id);
    if let Some(login) = &portal.login {
        let _ = write!(out, " as `{login}` sees it");
    }
    if let Some(relay) = &portal.relay {
        let _ = write!(out, ", relayed by `{relay}`");
    }
    out.push('.');
    if portal.waiting > 0 {
        let _ = write!(out, " {} events are waiting.", portal.waiting);
    }
    Ok(out)
}
