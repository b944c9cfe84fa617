//! The page behind the link in an e-mail. Opening it changes nothing, since programs open links before people do; its button
//! completes the proof.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use maud::html;
use serde::Deserialize;
use url::Url;

use super::request_token::CONFIRM;
use crate::app::App;
use crate::http::error::ApiResult;
use crate::http::extract::{Form, Query};
use crate::http::page::Page;
use crate::http::router::{Route, get, post};
use crate::services::threepids::{EMAIL, Purpose};

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
    let Some(peeked) = app.threepids.peek(&link.sid, &link.token).await? else {
        return Ok(used_up());
    };
    let server = &app.config.server_name;
    let (title, body, button) = match peeked.purpose {
        Purpose::Password => {
            // Whoever asked needs nothing but this click, so it says what the click does, and to which account.
            let Some(user) = app.threepids.owner(EMAIL, &peeked.address).await? else {
                return Ok(used_up());
            };
            let body = html! {
                p { "Somebody has asked to set a new password for the account " strong { (user) } "." }
                p {
                    "If you go on, "
                    strong { "whoever asked can choose the new password and gets into the account" }
                    ". Go on only if that was you, just now, in your own Matrix client. If it was not, close this page, and nothing happens."
                }
            };
            ("Set a new password", body, "Let the password be changed")
        }
        Purpose::Register => {
            let body = html! {
                p {
                    "Somebody has asked to create an account on " strong { (server) } " with the address "
                    strong { (peeked.address) } ". Go on only if that was you."
                }
            };
            ("Confirm your e-mail address", body, "Confirm")
        }
        Purpose::Add => {
            let body = html! {
                p {
                    "Somebody has asked to add the address " strong { (peeked.address) } " to their account on "
                    strong { (server) } ". They can get into that account with it. Go on only if that was you."
                }
            };
            ("Confirm your e-mail address", body, "Confirm")
        }
    };
    let next = peeked.next_link.as_deref().and_then(|next| Url::parse(next).ok());
    let host = next.as_ref().and_then(Url::host_str);
    let page = Page::new(title).body(html! {
        (body)
        @if let Some(host) = host {
            p { "From there you go on to " strong { (host) } "." }
        }
        // Without an action the form goes to where it came from, also behind a proxy that serves this under another path.
        form method="post" {
            input type="hidden" name="sid" value=(link.sid);
            input type="hidden" name="token" value=(link.token);
            button { (button) }
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
            let text = "That is confirmed. Go back to your Matrix client to go on.";
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
