//! What can't be taken back: another password, new cross-signing keys, the end of the account. Each asks for a fresh sign-in.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use maud::{Markup, html};
use ruma::UserId;

use super::super::visitor::Visitor;
use super::super::{PageResult, time};
use super::{CROSS_SIGNING_RESET, DEACTIVATE, PASSWORD, back, part};
use crate::app::App;
use crate::client::account::close;
use crate::http::error::ApiError;
use crate::http::limit::Limit;
use crate::http::page::{Page, alert};
use crate::http::params::FormParams;

pub(super) const PASSWORD_PATH: &str = "/_landbridge/account/password";
pub(super) const DEACTIVATE_PATH: &str = "/_landbridge/account/deactivate";
pub(super) const RESET_PATH: &str = "/_landbridge/account/cross-signing";

pub(super) fn password_page(visitor: &Visitor, user: &UserId, problem: Option<&str>) -> Page {
    Page::new("Password").body(html! {
        @if let Some(problem) = problem { (alert(problem)) }
        form method="post" action=(PASSWORD_PATH) {
            (visitor.field())
            input type="hidden" name="username" autocomplete="username" value=(user);
            label { "New password " input type="password" name="password" autocomplete="new-password" required autofocus; }
            label { "The same again " input type="password" name="again" autocomplete="new-password" required; }
            label { input type="checkbox" name="end_sessions" value="1" checked; "Sign out all devices" }
            button { "Set the password" }
        }
        (back())
    })
}

pub(super) async fn set_password(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    FormParams(params): FormParams,
) -> PageResult {
    visitor.check(&params)?;
    let user = visitor.must_be_fresh(&part(PASSWORD))?.user.clone();
    app.limits.check(Limit::Login, user.as_str())?;
    let password = params.get("password").unwrap_or_default();
    let hash = if params.get("again") == Some(password) {
        app.accounts.hash_password(password).await
    } else {
        Err(ApiError::invalid_param("The two passwords differ."))
    };
    let hash = match hash {
        Ok(hash) => hash,
        Err(ApiError { status: StatusCode::BAD_REQUEST, error, .. }) => {
            let page = password_page(&visitor, &user, Some(&error)).status(StatusCode::BAD_REQUEST);
            return Ok(visitor.show(page));
        }
        Err(error) => return Err(error.into()),
    };
    app.accounts.set_password(&user, hash).await?;
    if params.get("end_sessions").is_some() {
        app.sessions.end_all(&user, None).await?;
    }
    // The other browsers are out by the new password; this one comes in again.
    visitor.welcome(&app, &user, super::PATH).await
}

pub(super) fn reset_page(visitor: &Visitor, user: &UserId) -> Page {
    Page::new("Reset your identity").body(html! {
        p { "This lets a client of " strong { (user) } " replace the keys by which others recognise you." }
        p { "Do it only if you have lost all your other devices and your recovery key. Afterwards, your devices and the people that you "
            "talk to have to verify each other again." }
        form method="post" action=(RESET_PATH) {
            (visitor.field())
            button { "Allow the reset" }
        }
        (back())
    })
}

pub(super) async fn allow_reset(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    FormParams(params): FormParams,
) -> PageResult {
    visitor.check(&params)?;
    let signed_in = visitor.must_be_fresh(&part(CROSS_SIGNING_RESET))?;
    let until = app.browsers.allow_reset(&signed_in.user).await?;
    let body =
        html! { p { "Go back to your client to go on. It has until " (time(until)) "." } (back()) };
    Ok(visitor.show(Page::new("The reset is allowed").body(body)))
}

pub(super) fn deactivate_page(visitor: &Visitor, user: &UserId, problem: Option<Markup>) -> Page {
    Page::new("Deactivate the account").body(html! {
        @if let Some(problem) = problem { (problem) }
        p { "The account " strong { (user) } " is closed for good: it leaves all rooms, its keys and settings are deleted, all devices are "
            "signed out, and nobody can ever have its name again. Messages that it sent stay." }
        form method="post" action=(DEACTIVATE_PATH) {
            (visitor.field())
            label { input type="checkbox" name="sure" value="1" required; "I know that this can't be undone" }
            button { "Deactivate the account" }
        }
        (back())
    })
}

pub(super) async fn deactivate(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    FormParams(params): FormParams,
) -> PageResult {
    visitor.check(&params)?;
    let signed_in = visitor.must_be_fresh(&part(DEACTIVATE))?;
    let user = &signed_in.user;
    if params.get("sure").is_none() {
        let problem = alert("Confirm that you know what it means.");
        let page = deactivate_page(&visitor, user, Some(problem));
        return Ok(visitor.show(page.status(StatusCode::BAD_REQUEST)));
    }
    close(&app, user, None).await?;
    let body = html! { p { "The account " strong { (user) } " is closed." } };
    Ok(visitor.show(Page::new("Goodbye").body(body)))
}
