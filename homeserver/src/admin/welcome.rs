//! The page behind a one-time link: choose a password, and learn where to log in. Plain HTML without scripts.

use std::{fmt::Write as _, sync::Arc};

use axum::{
    Form,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;

use crate::{
    app::App,
    http::{
        error::{ApiError, ApiResult},
        extract::Query,
        router::{Route, get, post},
    },
    services::welcome,
};

/// Nothing from elsewhere, no scripts, nowhere to be framed; the form goes back here.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const STYLE: &str = "body{font:1.05rem/1.5 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem;\
    color-scheme:light dark}label{display:block;margin:1rem 0}input{display:block;width:100%;font:inherit;padding:.4rem;\
    box-sizing:border-box}button{font:inherit;padding:.5rem 1rem}[role=alert]{border:1px solid #b00020;padding:.5rem 1rem}\
    code{overflow-wrap:anywhere}";

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
        Some(user) => page(StatusCode::OK, "Welcome", &form(user.as_str(), &link.token, None)),
        None => used_up(),
    })
}

async fn choose(State(app): State<Arc<App>>, Form(choice): Form<Choice>) -> ApiResult<Response> {
    // Before the password is hashed, which is dear: only the holder of a good link gets that far.
    let Some(user) = welcome::owner(&app, &choice.token).await? else { return Ok(used_up()) };
    let again = |problem: &str| {
        let form = form(user.as_str(), &choice.token, Some(problem));
        Ok(page(StatusCode::BAD_REQUEST, "Welcome", &form))
    };
    if choice.password != choice.again {
        return again("The two passwords differ.");
    }
    match welcome::redeem(&app, &choice.token, &choice.password).await {
        Ok(Some(user)) => Ok(page(StatusCode::OK, "All set", &next(&app, user.as_str()))),
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
    page(StatusCode::NOT_FOUND, "This link is no longer good", text)
}

fn page(status: StatusCode, title: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{title} · Landbridge</title>\
         <style>{STYLE}</style></head><body><main><h1>{title}</h1>{body}</main></body></html>"
    );
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        // The address holds the token.
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, html).into_response()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests;
