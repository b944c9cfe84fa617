//! The page behind the link in an e-mail. Opening it changes nothing, since programs open links before people do; its button
//! completes the proof.

use std::sync::Arc;

use axum::Form;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use maud::html;
use serde::Deserialize;
use url::Url;

use super::request_token::CONFIRM;
use crate::app::App;
use crate::http::error::ApiResult;
use crate::http::extract::Query;
use crate::http::page::Page;
use crate::http::router::{Route, get, post};

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![get(CONFIRM, show), post(CONFIRM, confirm)]
}

#[derive(Deserialize)]
struct Link {
    #[serde(default)]
    sid: String,
    #[serde(default)]
    token: String,
}

async fn show(State(app): State<Arc<App>>, Query(link): Query<Link>) -> ApiResult<Page> {
    let Some(next) = app.threepids.peek(&link.sid, &link.token).await? else {
        return Ok(used_up());
    };
    let next = next.as_deref().and_then(|next| Url::parse(next).ok());
    let host = next.as_ref().and_then(Url::host_str);
    let page = Page::new("Confirm your e-mail address").body(html! {
        p { "Confirm that this e-mail address is yours, for " strong { (app.config.server_name) } "." }
        @if let Some(host) = host {
            p { "From there you go on to " strong { (host) } "." }
        }
        // Without an action the form goes to where it came from, also behind a proxy that serves this under another path.
        form method="post" {
            input type="hidden" name="sid" value=(link.sid);
            input type="hidden" name="token" value=(link.token);
            button { "Confirm" }
        }
    });
    Ok(match next {
        Some(next) => page.onwards(next.origin().ascii_serialization()),
        None => page,
    })
}

async fn confirm(State(app): State<Arc<App>>, Form(link): Form<Link>) -> ApiResult<Response> {
    Ok(match app.threepids.confirm(&link.sid, &link.token).await? {
        None => used_up().into_response(),
        Some(Some(next)) => Redirect::to(&next).into_response(),
        Some(None) => {
            let text = "Your e-mail address is confirmed. Go back to your Matrix client to go on.";
            Page::new("Confirmed").body(html! { p role="status" { (text) } }).into_response()
        }
    })
}

fn used_up() -> Page {
    let text = "It was used already, it is too old, or a newer e-mail has taken its place. Ask for another one in your Matrix client.";
    Page::new("This link is no longer good")
        .status(StatusCode::NOT_FOUND)
        .body(html! { p { (text) } })
}
