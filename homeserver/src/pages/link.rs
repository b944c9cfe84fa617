//! Where people let in a client that has no browser, by a code that it shows them (RFC 8628, 3.3; Client-Server API, "Device
//! authorisation flow").

use std::sync::Arc;

use axum::extract::{OriginalUri, State};
use axum::response::Response;
use http::StatusCode;
use maud::html;

use super::consent::Question;
use super::visitor::Visitor;
use super::{PageResult, with_query};
use crate::app::App;
use crate::http::limit::Limit;
use crate::http::page::{Page, alert};
use crate::http::params::{FormParams, Params};
use crate::services::oauth::scope::grants_admin;

/// Where it is.
pub const PATH: &str = "/_landbridge/link";

pub(super) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    OriginalUri(uri): OriginalUri,
) -> PageResult {
    let params = Params::of(&uri);
    visitor.must_be_signed_in()?;
    match params.get("user_code") {
        Some(code) => ask(&app, &visitor, code).await,
        None => Ok(form(&visitor, None)),
    }
}

pub(super) async fn decide(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    FormParams(params): FormParams,
) -> PageResult {
    visitor.check(&params)?;
    let code = params.get("user_code").unwrap_or_default();
    let here = with_query(PATH, &[("user_code", code)]);
    let signed_in = visitor.must_be_signed_in_for(&here)?;
    let allowed = match params.get("decision") {
        Some("allow") => true,
        Some(_) => false,
        None => return ask(&app, &visitor, code).await,
    };
    let user = &signed_in.user;
    app.limits.check(Limit::Login, &format!("user code {user}"))?;
    if allowed && let Some(asked) = app.oauth.asked_for(code).await? {
        if grants_admin(&asked.scope) && !app.accounts.is_admin(user).await? {
            return Ok(form(&visitor, Some(NO_ADMINISTRATOR)));
        }
        if app.keys.is_taken(user, &asked.device_id).await? {
            let text = "One of your keys has the name of that device. Start again on the device.";
            return Ok(form(&visitor, Some(text)));
        }
    }
    if !app.oauth.decide(code, signed_in, allowed).await? {
        return Ok(form(&visitor, Some(GONE)));
    }
    let page = if allowed {
        Page::new("The device is signed in")
            .body(html! { p { "Go back to your device to go on." } })
    } else {
        Page::new("The device stays out").body(html! { p { "It can't sign in to your account." } })
    };
    Ok(visitor.show(page))
}

const GONE: &str = "That code is not right, or it took too long.";
const NO_ADMINISTRATOR: &str =
    "The device asks to administer this server, which only administrators can let it do.";

/// Asks whether the client that shows this code is let in.
async fn ask(app: &App, visitor: &Visitor, code: &str) -> PageResult {
    let signed_in = visitor.must_be_signed_in()?;
    // Codes are short: nobody tries out many.
    app.limits.check(Limit::Login, &format!("user code {}", signed_in.user))?;
    let Some(asked) = app.oauth.asked_for(code).await? else {
        return Ok(form(visitor, Some(GONE)));
    };
    let Some(client) = app.oauth.client(&asked.client_id).await? else {
        return Ok(form(visitor, Some(GONE)));
    };
    let (user, admin) = (&signed_in.user, grants_admin(&asked.scope));
    if admin && !app.accounts.is_admin(user).await? {
        return Ok(form(visitor, Some(NO_ADMINISTRATOR)));
    }
    let known = app.devices.get(user, &asked.device_id).await?;
    let here = with_query(PATH, &[("user_code", code)]);
    let place = html! {
        p { "Only go on if a device of yours shows the code " strong { (code) } " right now. Whoever sent you the code or a link could "
            "read your messages otherwise." }
    };
    let question = Question {
        user,
        client: &client,
        device: asked.device_id.as_str(),
        replaces: known.as_ref(),
        admin,
        place,
        action: PATH,
        fields: vec![("user_code", code)],
        here: &here,
    };
    let title = format!("Let {} in?", client.name(&visitor.languages));
    Ok(visitor.show(Page::new(title).body(question.show(visitor))))
}

fn form(visitor: &Visitor, problem: Option<&str>) -> Response {
    let body = html! {
        @if let Some(problem) = problem { (alert(problem)) }
        form method="post" action=(PATH) {
            (visitor.field())
            label { "The code that your device shows "
                input name="user_code" autocomplete="one-time-code" autocapitalize="characters" spellcheck="false" required autofocus;
            }
            button { "Go on" }
        }
    };
    let status = if problem.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    visitor.show(Page::new("Sign in a device").status(status).body(body))
}
