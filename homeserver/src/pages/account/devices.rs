//! The account's devices: which there are, what they are called, and signing them out.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use maud::{Markup, html};
use ruma::{OwnedDeviceId, UserId};

use super::super::visitor::Visitor;
use super::super::{Failure, PageResult, time, with_query};
use super::{DEVICE_DELETE, DEVICE_VIEW, DEVICES_LIST, back, done, part};
use crate::app::App;
use crate::http::limit::Limit;
use crate::http::page::{Page, alert};
use crate::http::params::FormParams;
use crate::storage::devices::Device;

pub(super) const PATH: &str = "/_landbridge/account/device";
/// Longer names than this are refused.
const MAX_NAME: usize = 1_024;

fn name(device: &Device) -> &str {
    device.display_name.as_deref().unwrap_or_else(|| device.device_id.as_str())
}

fn of(action: &str, device: &Device) -> String {
    with_query(super::PATH, &[("action", action), ("device_id", device.device_id.as_str())])
}

pub(super) async fn list(
    app: &App,
    user: &UserId,
    notice: Option<Markup>,
) -> Result<Page, Failure> {
    let devices = app.devices.list(user).await?;
    Ok(Page::new("Devices").body(html! {
        @if let Some(notice) = notice { (notice) }
        @if devices.is_empty() { p { "No device is signed in." } }
        ul {
            @for device in &devices {
                li {
                    a href=(of(DEVICE_VIEW, device)) { (name(device)) }
                    " (" code { (device.device_id) } ")"
                    @if let Some(ms) = device.last_seen_ms { ", last seen " (time(ms)) }
                }
            }
        }
        (back())
    }))
}

async fn find(app: &App, user: &UserId, id: Option<&str>) -> Result<Option<Device>, Failure> {
    let Some(id) = id else { return Ok(None) };
    Ok(app.devices.get(user, id.into()).await?)
}

async fn unknown(app: &App, user: &UserId) -> Result<Page, Failure> {
    let page = list(app, user, Some(alert("You have no such device, or not any more."))).await?;
    Ok(page.status(StatusCode::NOT_FOUND))
}

pub(super) async fn view(
    app: &App,
    visitor: &Visitor,
    user: &UserId,
    id: Option<&str>,
) -> Result<Page, Failure> {
    let Some(device) = find(app, user, id).await? else { return unknown(app, user).await };
    let granted = app.sessions.was_granted(user, &device.device_id).await?;
    Ok(Page::new(name(&device)).body(html! {
        dl {
            dt { "Device" } dd { code { (device.device_id) } }
            @if let Some(ms) = device.last_seen_ms { dt { "Last seen" } dd { (time(ms)) } }
            @if let Some(address) = &device.last_seen_ip { dt { "From" } dd { code { (address) } } }
            @if let Some(agent) = &device.user_agent { dt { "Program" } dd { (agent) } }
            dt { "Signed in" } dd { @if granted { "in a browser" } @else { "by the client itself" } }
        }
        form method="post" action=(PATH) {
            (visitor.field())
            input type="hidden" name="device_id" value=(device.device_id);
            label { "Name " input name="name" autocomplete="off" value=(device.display_name.as_deref().unwrap_or_default()) required; }
            button name="decision" value="rename" { "Rename" }
        }
        p { a href=(of(DEVICE_DELETE, &device)) { "Sign this device out" } }
        p { a href=(part(DEVICES_LIST)) { "All devices" } }
    }))
}

pub(super) async fn delete(
    app: &App,
    visitor: &Visitor,
    user: &UserId,
    id: Option<&str>,
) -> Result<Page, Failure> {
    let Some(device) = find(app, user, id).await? else { return unknown(app, user).await };
    let title = format!("Sign {} out?", name(&device));
    Ok(Page::new(title).body(html! {
        p { "The device " code { (device.device_id) } " loses its access and its keys. Messages that only it can read are lost." }
        form method="post" action=(PATH) {
            (visitor.field())
            input type="hidden" name="device_id" value=(device.device_id);
            button name="decision" value="delete" { "Sign it out" }
        }
        p { a href=(part(DEVICES_LIST)) { "All devices" } }
    }))
}

pub(super) async fn change(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    FormParams(params): FormParams,
) -> PageResult {
    visitor.check(&params)?;
    let signed_in = visitor.must_be_signed_in_for(&part(DEVICES_LIST))?;
    let user = &signed_in.user;
    app.limits.check(Limit::Other, user.as_str())?;
    let Some(device) = find(&app, user, params.get("device_id")).await? else {
        return Ok(visitor.show(unknown(&app, user).await?));
    };
    let id: OwnedDeviceId = device.device_id;
    let notice = match (params.get("decision"), params.get("name").map(str::trim)) {
        (Some("delete"), _) => {
            app.sessions.end(user, std::slice::from_ref(&id)).await?;
            app.devices.forget(user, std::slice::from_ref(&id));
            done("The device is signed out.")
        }
        (Some("rename"), Some(name)) if !name.is_empty() && name.len() <= MAX_NAME => {
            app.devices.rename(user, &id, Some(name.to_owned())).await?;
            done("The device has its new name.")
        }
        _ => {
            let text = "Give the device a name that isn't too long.";
            let page = list(&app, user, Some(alert(text))).await?;
            return Ok(visitor.show(page.status(StatusCode::BAD_REQUEST)));
        }
    };
    Ok(visitor.show(list(&app, user, Some(notice)).await?))
}
