//! What end-to-end encryption needs to be told
//! ([Extensions to /sync](https://spec.matrix.org/v1.19/client-server-api/#extensions-to-sync-1)), and the messages that a device has received.

use std::collections::BTreeSet;

use ruma::{DeviceId, OwnedUserId, UserId};

use super::build::{Build, Sight};
use super::ephemeral::Joined;
use crate::app::App;
use crate::http::error::ApiResult;
use crate::nid::Pos;
use crate::services::device_lists::{Changes, between, joined};
use crate::storage::{devices, to_device};
use crate::sync::json::Writer;

/// The device comes with a token of this position, so it has the messages up to it.
pub(in crate::sync) async fn acknowledge(
    app: &App,
    user: &UserId,
    device: &DeviceId,
    pos: Pos,
) -> ApiResult<()> {
    if !app.sync.device_may_acknowledge(user, device) {
        return Ok(());
    }
    if to_device::waiting(&app.db, user, device, pos).await? {
        let (owner, id) = (user.to_owned(), device.to_owned());
        app.committer
            .run(move |tx| {
                let (owner, id) = (owner.clone(), id.clone());
                Box::pin(async move { to_device::delete_up_to(tx, &owner, &id, pos).await })
            })
            .await?;
    }
    app.sync.device_acknowledged(user, device, pos);
    Ok(())
}

/// Appends whose device lists changed, and whose need no longer be followed.
pub(super) async fn write_lists(
    build: &Build<'_>,
    out: &mut Writer,
    upto: Pos,
    sight: &Sight,
) -> ApiResult<()> {
    let Changes { changed, left } = match build.since {
        // A client that took its token for good follows users of whom it has missed anything.
        None if build.starting_over => everyone(build).await?,
        None => return Ok(()),
        // The rooms that are told are not all of those in which people come and go.
        Some(since) if build.request.full_state || !build.request.filter.room.admits_all() => {
            between(&build.app.db, &build.app.rooms, &build.viewer.user, since, upto).await?
        }
        Some(since) => seen(build, since, upto, sight).await?,
    };
    if changed.is_empty() && left.is_empty() {
        return Ok(());
    }
    out.open_at("device_lists");
    out.open_list_at("changed");
    for user in &changed {
        out.text(user.as_str());
    }
    out.close_list();
    out.open_list_at("left");
    for user in &left {
        out.text(user.as_str());
    }
    out.close_list();
    out.close();
    Ok(())
}

/// Everyone with whom the user shares a room, and the user.
async fn everyone(build: &Build<'_>) -> ApiResult<Changes> {
    let app = build.app;
    let mut changes = Changes::default();
    changes.changed.insert(build.viewer.user.clone());
    for nid in app.rooms.joined(&build.viewer.user).await? {
        if let Some(room) = app.rooms.find(nid).await? {
            changes.changed.extend(joined(&room.snapshot().state));
        }
    }
    Ok(changes)
}

/// What changed within the span, by what its rooms tell of their members.
async fn seen(build: &Build<'_>, since: Pos, upto: Pos, sight: &Sight) -> ApiResult<Changes> {
    let (app, viewer) = (build.app, &build.viewer.user);
    let updated: BTreeSet<OwnedUserId> = match app.sync.heads.device_lists(since, upto) {
        Some(known) => known.into_iter().collect(),
        None => devices::changed_between(&app.db, since, upto).await?.into_iter().collect(),
    };
    let mut changes = Changes::default();
    if app.sync.heads.signed_after(viewer, since) {
        changes.changed.extend(devices::signed_between(&app.db, viewer, since, upto).await?);
    }
    if updated.is_empty() && sight.came.is_empty() && sight.went.is_empty() {
        return Ok(changes);
    }
    let mine = Joined::of(app, viewer).await?;
    changes.changed.extend(sight.came.iter().cloned());
    for user in updated {
        if user == *viewer || mine.shares_with(app, &user).await? {
            changes.changed.insert(user);
        }
    }
    for user in sight.went.iter().filter(|user| *user != viewer) {
        if !mine.shares_with(app, user).await? {
            changes.changed.remove(user);
            changes.left.insert(user.clone());
        }
    }
    Ok(changes)
}

/// Appends how many keys the device has left.
pub(in crate::sync) async fn write_counts(
    app: &App,
    user: &UserId,
    device: Option<&DeviceId>,
    out: &mut Writer,
) -> ApiResult<()> {
    let Some(device) = device else { return Ok(()) };
    let counts = app.key_counts.of(&app.db, user, device).await?;
    out.open_at("device_one_time_keys_count");
    for (algorithm, count) in &counts.one_time {
        out.key(algorithm);
        out.int(*count);
    }
    // Clients take a missing count for "unknown" and would not upload their first keys.
    if !counts.one_time.contains_key("signed_curve25519") {
        out.key("signed_curve25519");
        out.int(0);
    }
    out.close();
    out.open_list_at("device_unused_fallback_key_types");
    for algorithm in &counts.unused_fallback {
        out.text(algorithm);
    }
    out.close_list();
    Ok(())
}
