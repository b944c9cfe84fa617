//! Setting a forgotten password by e-mail. The address is proven as clients prove it; this browser alone knows the secret that belongs
//! to the proof.

use std::sync::Arc;

use axum::extract::{OriginalUri, State};
use axum::response::Response;
use http::StatusCode;
use maud::html;

use super::visitor::Visitor;
use super::{PageResult, onward, sign_in, with_query};
use crate::app::App;
use crate::client::account::set_forgotten;
use crate::http::error::{ApiError, ApiResult};
use crate::http::limit::Limit;
use crate::http::page::{Page, alert};
use crate::http::params::{FormParams, Params};
use crate::services::threepids::Purpose;

/// Where it is.
pub const PATH: &str = "/_landbridge/forgotten";

fn must_send(app: &App) -> ApiResult<()> {
    if app.mailer.is_on() {
        return Ok(());
    }
    Err(ApiError::forbidden("This server sends no e-mail: ask its administrators"))
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    OriginalUri(uri): OriginalUri,
) -> PageResult {
    must_send(&app)?;
    let params = Params::of(&uri);
    Ok(ask(&visitor, onward(params.get("continue")), "", None))
}

pub(super) async fn answer(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    FormParams(params): FormParams,
) -> PageResult {
    must_send(&app)?;
    visitor.check(&params)?;
    let to = onward(params.get("continue"));
    let Some(sid) = params.get("sid") else {
        let email = params.get("email").unwrap_or_default();
        return match visitor.prove(&app, Purpose::Password, email).await {
            Ok(sid) => Ok(choose(&app, &visitor, to, &sid, None)),
            Err(error) if error.status == StatusCode::TOO_MANY_REQUESTS => Err(error.into()),
            Err(error) if error.status.is_client_error() => {
                Ok(ask(&visitor, to, email, Some(&error.error)))
            }
            Err(error) => Err(error.into()),
        };
    };
    app.limits.check(Limit::Login, &format!("forgotten {}", visitor.from()))?;
    match set(&app, &visitor, sid, &params).await {
        Ok(()) => {
            let again = with_query(sign_in::PATH, &[("continue", to)]);
            let body = html! {
                p role="status" { "The new password is set, and all devices are signed out." }
                p { a href=(again) { "Sign in" } }
            };
            Ok(visitor.show(Page::new("Your password").body(body)))
        }
        Err(error) if error.status == StatusCode::BAD_REQUEST => {
            Ok(choose(&app, &visitor, to, sid, Some(&error.error)))
        }
        Err(error) => Err(error.into()),
    }
}

async fn set(app: &Arc<App>, visitor: &Visitor, sid: &str, params: &Params) -> ApiResult<()> {
    let password = params.get("password").unwrap_or_default();
    if params.get("again") != Some(password) {
        return Err(ApiError::invalid_param("The two passwords differ."));
    }
    let proven = visitor.proven(app, Purpose::Password, sid).await?;
    let hash = app.accounts.hash_password(password).await?;
    set_forgotten(app, proven, hash, true).await?;
    Ok(())
}

fn ask(visitor: &Visitor, to: &str, email: &str, problem: Option<&str>) -> Response {
    let status = if problem.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let body = html! {
        @if let Some(problem) = problem { (alert(problem)) }
        p { "If your account has an e-mail address, you can set a new password with it." }
        form method="post" action=(PATH) {
            (visitor.field())
            input type="hidden" name="continue" value=(to);
            label { "E-mail address "
                input type="email" name="email" autocomplete="email" value=(email) required autofocus;
            }
            button { "Send an e-mail" }
        }
        p { a href=(with_query(sign_in::PATH, &[("continue", to)])) { "Sign in instead" } }
    };
    visitor.show(Page::new("Forgotten password").status(status).body(body))
}

fn choose(app: &App, visitor: &Visitor, to: &str, sid: &str, problem: Option<&str>) -> Response {
    let status = if problem.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let least = app.config.accounts.password_minimum_length;
    let body = html! {
        @if let Some(problem) = problem { (alert(problem)) }
        p role="status" { "An e-mail is on its way. Open the link in it and confirm, then choose a new password here." }
        form method="post" action=(PATH) {
            (visitor.field())
            input type="hidden" name="continue" value=(to);
            input type="hidden" name="sid" value=(sid);
            label { "New password, at least " (least) " characters "
                input type="password" name="password" autocomplete="new-password" required;
            }
            label { "The same again "
                input type="password" name="again" autocomplete="new-password" required;
            }
            button { "Set the password" }
        }
    };
    visitor.show(Page::new("Forgotten password").status(status).body(body))
}
