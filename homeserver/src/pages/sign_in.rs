//! Signing in in a browser, and out.

use std::sync::Arc;

use axum::extract::{OriginalUri, State};
use http::StatusCode;
use maud::{Markup, html};

use super::visitor::Visitor;
use super::{PageResult, forgotten, onward, sign_up, with_query};
use crate::app::App;
use crate::client::login::by_name;
use crate::http::error::ApiError;
use crate::http::limit::Limit;
use crate::http::page::{Page, alert};
use crate::http::params::{FormParams, Params};

/// Where it is.
pub const PATH: &str = "/_landbridge/sign-in";

/// Another way to sign in than with a password.
#[derive(Debug, Clone)]
pub struct OtherWay {
    /// What people know it by.
    pub name: String,
    /// Where it begins.
    pub href: String,
}

/// The other ways to sign in; each leads to `onward` at its end.
fn other_ways(app: &App, onward: &str, again: bool) -> Vec<OtherWay> {
    let links = app.sso.links(onward, again).into_iter();
    links.map(|link| OtherWay { name: link.name, href: link.href }).collect()
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    OriginalUri(uri): OriginalUri,
) -> PageResult {
    let params = Params::of(&uri);
    let again = params.get("again").is_some();
    let known = visitor.signed_in.as_ref().filter(|_| again);
    let name = known.map(|who| who.user.localpart()).or(params.get("login_hint"));
    let notice = again.then(|| {
        html! { p role="status" { "Sign in again to confirm that it is you." } }
    });
    let to = (onward(params.get("continue")), again);
    form(&app, &visitor, to, name.unwrap_or_default(), notice).await
}

pub(super) async fn sign_in(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    FormParams(params): FormParams,
) -> PageResult {
    visitor.check(&params)?;
    app.limits.check(Limit::Login, &visitor.from())?;
    let name = params.get("username").unwrap_or_default().trim();
    let to = onward(params.get("continue"));
    let password = params.get("password").unwrap_or_default();
    let found = match by_name(&app, name, password).await {
        Ok(user) => app.accounts.must_not_be_locked(&user).await.map(|()| user),
        Err(error) => Err(error),
    };
    match found {
        Ok(user) => visitor.welcome(&app, &user, to).await,
        Err(ApiError {
            status: StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED, error, ..
        }) => {
            let to = (to, params.get("again").is_some());
            let mut response = form(&app, &visitor, to, name, Some(alert(&error))).await?;
            *response.status_mut() = StatusCode::FORBIDDEN;
            Ok(response)
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn sign_out(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    FormParams(params): FormParams,
) -> PageResult {
    visitor.check(&params)?;
    let to = with_query(PATH, &[("continue", onward(params.get("continue")))]);
    visitor.farewell(&app, &to).await
}

async fn form(
    app: &App,
    visitor: &Visitor,
    (to, again): (&str, bool),
    name: &str,
    notice: Option<Markup>,
) -> PageResult {
    let (others, open) = (other_ways(app, to, again), sign_up::is_open(app).await?);
    let body = html! {
        @if let Some(notice) = notice { (notice) }
        p { "Sign in to your account on " strong { (app.config.server_name) } "." }
        form method="post" action=(PATH) {
            (visitor.field())
            input type="hidden" name="continue" value=(to);
            @if again { input type="hidden" name="again" value="1"; }
            label { "User name or e-mail address "
                input name="username" autocomplete="username" autocapitalize="none" spellcheck="false" value=(name) required
                    autofocus[name.is_empty()];
            }
            label { "Password "
                input type="password" name="password" autocomplete="current-password" required autofocus[!name.is_empty()];
            }
            button { "Sign in" }
        }
        @if app.mailer.is_on() {
            p { a href=(with_query(forgotten::PATH, &[("continue", to)])) { "Forgotten password" } }
        }
        @if !others.is_empty() {
            h2 { "Other ways to sign in" }
            ul { @for way in &others { li { a href=(way.href) { (way.name) } } } }
        }
        @if open {
            p { a href=(with_query(sign_up::PATH, &[("continue", to)])) { "Create an account" } }
        }
    };
    Ok(visitor.show(Page::new("Sign in").body(body)))
}
