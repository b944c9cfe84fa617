//! Commands about rooms and portals.

use std::fmt::Write as _;

use super::{Context, Outcome, people};
use crate::{control::ControlError, event::ThreadMode};

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

pub(super) async fn threads(c: Context<'_>) -> Outcome {
    let mode = c.args.first().and_then(|word| ThreadMode::from_text(&word.to_lowercase()));
    let mode = mode.ok_or_else(|| {
        ControlError::NotFound("Say `threads threads` or `threads rooms`.".into())
    })?;
    c.inner.control.set_threads(c.user, c.room_id, mode).await?;
    Ok(match mode {
        ThreadMode::Threads => "New threads of this chat are shown as threads in this room.",
        ThreadMode::Rooms => "New threads of this chat get rooms of their own.",
    }
    .into())
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
