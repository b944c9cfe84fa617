//! The fallback page that proves an e-mail address (Client-Server API, "Email-based (identity / homeserver)").

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use maud::{Markup, html};

use super::{Answer, done, over};
use crate::app::App;
use crate::client::request_token::prove;
use crate::http::auth::Address;
use crate::http::error::{ApiError, ApiResult};
use crate::http::page::{Page, alert};
use crate::services::sessions::random_token;
use crate::services::threepids::{Asked, parse_email};
use crate::services::uia::purpose;

/// The page that asks for the address.
pub(super) fn show(app: &App, session: &str) -> ApiResult<Response> {
    if !app.mailer.is_on() {
        return Err(ApiError::not_found("There is no page for that stage"));
    }
    Ok(match app.uia.waiting(session) {
        // Who confirms something for an account that they have is asked for other things.
        Some((_, None)) => ask(session, None).into_response(),
        _ => over(),
    })
}

/// Sends the e-mail, or looks whether its link was followed.
pub(super) async fn answer(app: &Arc<App>, from: Address, answer: &Answer) -> ApiResult<Response> {
    let session = answer.session.as_str();
    let Some((operation, None)) = app.uia.waiting(session).filter(|_| app.mailer.is_on()) else {
        return Ok(over());
    };
    if let (Some(sid), Some(secret)) = (&answer.sid, &answer.secret) {
        return Ok(if app.uia.complete_email(session, sid, secret).await? {
            done()
        } else {
            let problem = "The address is not confirmed yet: open the link in the e-mail first.";
            wait(session, sid, secret, Some(problem)).into_response()
        });
    }
    let Some(address) = parse_email(answer.email.as_deref().unwrap_or_default()) else {
        return Ok(ask(session, Some("That is not an e-mail address.")).into_response());
    };
    let (client_secret, send_attempt) = (random_token(), app.clock.now_ms());
    let secret = client_secret.clone();
    let asked = Asked { address, client_secret, send_attempt, next_link: None };
    match prove(app, from, purpose(&operation), asked).await {
        Ok(sid) => Ok(wait(session, &sid, &secret, None).into_response()),
        Err(error) if error.status.is_client_error() => {
            Ok(ask(session, Some(&error.error)).status(error.status).into_response())
        }
        Err(error) => Err(error),
    }
}

fn form(session: &str, fields: &Markup, problem: Option<&str>) -> Page {
    let status = if problem.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    Page::new("Confirm your e-mail address").status(status).body(html! {
        @if let Some(problem) = problem { (alert(problem)) }
        form method="post" {
            input type="hidden" name="session" value=(session);
            (fields)
            button { "Continue" }
        }
    })
}

fn ask(session: &str, problem: Option<&str>) -> Page {
    let fields = html! {
        label { "E-mail address " input type="email" name="email" autocomplete="email" required; }
    };
    form(session, &fields, problem)
}

fn wait(session: &str, sid: &str, secret: &str, problem: Option<&str>) -> Page {
    let fields = html! {
        p role="status" { "An e-mail is on its way. Open the link in it and confirm, then go on here." }
        input type="hidden" name="sid" value=(sid);
        input type="hidden" name="secret" value=(secret);
    };
    form(session, &fields, problem)
}
