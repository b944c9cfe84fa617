//! What end-to-end encryption needs to be told
//! ([Extensions to /sync](https://spec.matrix.org/v1.19/client-server-api/#extensions-to-sync-1)), and the messages that a device has received.

use std::collections::BTreeSet;

use ruma::{DeviceId, OwnedUserId, UserId};

use super::build::{Build, Sight};
use super::ephemeral::Joined;
use crate::app::App;
use crate::http::error::ApiResult;
use crate::nid::Pos;
use crate::storage::{devices, to_device};
use crate::sync::json::Writer;

/// The device comes with a token of this position, so it has the messages up to it.
pub(super) async fn acknowledge(
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
    let Some(since) = build.since else { return Ok(()) };
    let app = build.app;
    let updated = match app.sync.heads.device_lists(since, upto) {
        Some(known) => known,
        None => devices::changed_between(&app.db, since, upto).await?,
    };
    if updated.is_empty() && sight.came.is_empty() && sight.went.is_empty() {
        return Ok(());
    }
    let joined = Joined::of(app, &build.viewer.user).await?;
    let mut changed: BTreeSet<OwnedUserId> = sight.came.iter().cloned().collect();
    for user in updated {
        if user == build.viewer.user || joined.shares_with(app, &user).await? {
            changed.insert(user);
        }
    }
    let mut left = BTreeSet::new();
    for user in &sight.went {
        if *user != build.viewer.user && !joined.shares_with(app, user).await? {
            changed.remove(user);
            left.insert(user);
        }
    }
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

/// Appends how many keys the device has left.
pub(super) async fn write_counts(build: &Build<'_>, out: &mut Writer) -> ApiResult<()> {
    let Some(device) = &build.requester.device else { return Ok(()) };
    let counts = build.app.key_counts.of(&build.app.db, &build.viewer.user, device).await?;
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
