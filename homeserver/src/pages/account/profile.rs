//! Name and avatar.

use std::sync::Arc;

use axum::extract::State;
use maud::{Markup, html};
use ruma::UserId;
use serde_json::{Value, json};

use super::super::visitor::Visitor;
use super::super::{Failure, PageResult};
use super::{EMAILS, PROFILE, back, done, part};
use crate::app::App;
use crate::http::error::ApiError;
use crate::http::limit::Limit;
use crate::http::page::{Page, alert};
use crate::http::params::FormParams;
use crate::services::profiles::{AVATAR_URL, DISPLAYNAME};

pub(super) const PATH: &str = "/_landbridge/account/profile";

pub(super) async fn page(
    app: &App,
    visitor: &Visitor,
    user: &UserId,
    notice: Option<Markup>,
) -> Result<Page, Failure> {
    let profile = app.profiles.get(user).await?;
    let text = |field| profile.get(field).and_then(Value::as_str).unwrap_or_default();
    Ok(Page::new("Profile").body(html! {
        @if let Some(notice) = notice { (notice) }
        p { "This is how others see " strong { (user) } "." }
        form method="post" action=(PATH) {
            (visitor.field())
            label { "Display name " input name="displayname" autocomplete="name" value=(text(DISPLAYNAME)); }
            @if !text(AVATAR_URL).is_empty() {
                label { input type="checkbox" name="remove_avatar" value="1"; "Remove the avatar " code { (text(AVATAR_URL)) } }
            }
            button { "Save" }
        }
        p { "To choose an avatar, use any Matrix client." }
        p { a href=(part(EMAILS)) { "E-mail addresses" } }
        (back())
    }))
}

pub(super) async fn save(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    FormParams(params): FormParams,
) -> PageResult {
    visitor.check(&params)?;
    let signed_in = visitor.must_be_signed_in_for(&part(PROFILE))?;
    let user = &signed_in.user;
    app.limits.check(Limit::Other, user.as_str())?;
    if app.accounts.get(user).await?.is_some_and(|account| account.suspended) {
        return Err(ApiError::user_suspended().into());
    }
    let name = params.get("displayname").unwrap_or_default().trim();
    let mut fields = serde_json::Map::from_iter([(DISPLAYNAME.to_owned(), json!(name))]);
    if params.get("remove_avatar").is_some() {
        fields.insert(AVATAR_URL.to_owned(), Value::Null);
    }
    let notice = match app.profiles.merge(user, fields, false).await {
        Ok(()) => done("Saved."),
        Err(error) if error.status.is_client_error() => alert(&error.error),
        Err(error) => return Err(error.into()),
    };
    Ok(visitor.show(page(&app, &visitor, user, Some(notice)).await?))
}
