//! The page behind the link that stops e-mails. Opening it changes nothing, since programs open links before people do; its button stops
//! them, and so does the button of a mail program (RFC 8058), which posts to the link.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use maud::html;
use ruma::OwnedUserId;
use serde::Deserialize;

use crate::app::App;
use crate::http::error::ApiResult;
use crate::http::extract::Query;
use crate::http::page::Page;
use crate::http::router::{Route, get, post};
use crate::outbox::push::email::APP_ID;
use crate::outbox::push::email::unsubscribe::{PATH, fits};
use crate::storage::pushers::PusherKey;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![get(PATH, show), post(PATH, stop)]
}

#[derive(Deserialize)]
struct Link {
    #[serde(default)]
    user: String,
    #[serde(default)]
    address: String,
    #[serde(default)]
    token: String,
}

impl Link {
    /// Whose e-mails it stops; `None` if it isn't one of ours.
    fn owner(&self, app: &App) -> Option<OwnedUserId> {
        let user = OwnedUserId::try_from(self.user.as_str()).ok()?;
        fits(&app.key, &user, &self.address, &self.token).then_some(user)
    }
}

async fn show(State(app): State<Arc<App>>, Query(link): Query<Link>) -> Page {
    let Some(user) = link.owner(&app) else { return wrong() };
    Page::new("Stop these e-mails").body(html! {
        p {
            "Send no more e-mails about unread messages of " strong { (user) } " to " strong { (link.address) } "?"
        }
        form method="post" { button { "Send no more" } }
    })
}

async fn stop(State(app): State<Arc<App>>, Query(link): Query<Link>) -> ApiResult<Page> {
    let Some(user) = link.owner(&app) else { return Ok(wrong()) };
    let key = PusherKey { app_id: APP_ID.to_owned(), pushkey: link.address };
    app.pushers.delete(&user, key).await?;
    let text =
        "You get no more e-mails about unread messages. Your Matrix client can ask for them again.";
    Ok(Page::new("Stopped").body(html! { p role="status" { (text) } }))
}

fn wrong() -> Page {
    let text = "Perhaps a part of it is missing. Your Matrix client can stop the e-mails, too.";
    Page::new("This link is not right").status(StatusCode::NOT_FOUND).body(html! { p { (text) } })
}
