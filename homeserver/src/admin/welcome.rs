//! The page behind a one-time link: choose a password, and learn where to log in. Plain HTML without scripts.

use std::{fmt::Write as _, sync::Arc};

use axum::{extract::State, response::Response};
use http::StatusCode;
use serde::Deserialize;

use crate::{
    app::App,
    http::{
        error::{ApiError, ApiResult},
        extract::{Form, Query},
        page::{escape, page},
        router::{Route, get, post},
    },
    services::welcome,
};

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![get(welcome::PATH, show), post(welcome::PATH, choose)]
}

#[derive(Deserialize)]
struct Link {
    #[serde(default)]
    token: String,
}

#[derive(Deserialize)]
struct Choice {
    token: String,
    password: String,
    again: String,
}

async fn show(State(app): State<Arc<App>>, Query(link): Query<Link>) -> ApiResult<Response> {
    Ok(match welcome::owner(&app, &link.token).await? {
        Some(user) => {
            page(StatusCode::OK, "Welcome", &form(user.as_str(), &link.token, None), None)
        }
        None => used_up(),
    })
}

async fn choose(State(app): State<Arc<App>>, Form(choice): Form<Choice>) -> ApiResult<Response> {
    // Before the password is hashed, which is dear: only the holder of a good link gets that far.
    let Some(user) = welcome::owner(&app, &choice.token).await? else { return Ok(used_up()) };
    let again = |problem: &str| {
        let form = form(user.as_str(), &choice.token, Some(problem));
        Ok(page(StatusCode::BAD_REQUEST, "Welcome", &form, None))
    };
    if choice.password != choice.again {
        return again("The two passwords differ.");
    }
    match welcome::redeem(&app, &choice.token, &choice.password).await {
        Ok(Some(user)) => Ok(page(StatusCode::OK, "All set", &next(&app, user.as_str()), None)),
        Ok(None) => Ok(used_up()),
        Err(ApiError { status: StatusCode::BAD_REQUEST, error, .. }) => again(&error),
        Err(error) => Err(error),
    }
}

fn form(user: &str, token: &str, problem: Option<&str>) -> String {
    let mut html = String::new();
    if let Some(problem) = problem {
        let _ = write!(html, "<p role=\"alert\">{}</p>", escape(problem));
    }
    let _ = write!(
        html,
        "<p>Choose a password for <strong>{user}</strong>. This link works once.</p>\
         <form method=\"post\" action=\"{path}\"><input type=\"hidden\" name=\"token\" value=\"{token}\">\
         <input type=\"hidden\" name=\"username\" autocomplete=\"username\" value=\"{user}\">\
         <label>Password <input type=\"password\" name=\"password\" autocomplete=\"new-password\" required autofocus></label>\
         <label>The same again <input type=\"password\" name=\"again\" autocomplete=\"new-password\" required></label>\
         <button>Set the password</button></form>",
        user = escape(user),
        token = escape(token),
        path = welcome::PATH,
    );
    html
}

fn next(app: &App, user: &str) -> String {
    let address = app.config.public_base_url.clone().or_else(|| {
        let address = app.config.listen.http.first()?;
        Some(format!("http://{address}"))
    });
    let address = address.unwrap_or_else(|| format!("https://{}", app.config.server_name));
    format!(
        "<p>The password of <strong>{user}</strong> is set. Log in with any Matrix client:</p>\
         <dl><dt>Homeserver</dt><dd><code>{}</code></dd><dt>User name</dt><dd><code>{user}</code></dd></dl>",
        escape(&address),
        user = escape(user),
    )
}

fn used_up() -> Response {
    let text = "<p>It was used already, or it is older than a day. <code>landbridge user link NAME</code>, on the machine the \
                server runs on, makes another.</p>";
    page(StatusCode::NOT_FOUND, "This link is no longer good", text, None)
}

#[cfg(test)]
mod tests;
