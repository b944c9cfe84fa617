//! User-interactive authentication as handlers use it, and its fallback pages.

use std::sync::Arc;

use axum::extract::{Form, State};
use axum::response::{Html, IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;

use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::{Path, Query};
use crate::http::router::{Route, get, post};
use crate::services::uia::{Auth, DUMMY, Flow, Operation, PASSWORD, REGISTRATION_TOKEN};

const BY_PASSWORD: &[Flow] = &[&[PASSWORD]];

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_matrix/client/v3/auth/{authType}/fallback/web", page),
        post("/_matrix/client/v3/auth/{authType}/fallback/web", answer),
    ]
}

/// Asks the user who makes a request to confirm it with their password.
pub(super) async fn confirm(
    app: &App,
    requester: &Requester,
    name: &str,
    auth: Option<&Auth>,
) -> ApiResult<()> {
    // An application service has no password to ask for, and may act as its users anyway.
    if requester.appservice.is_some() {
        return Ok(());
    }
    let operation = Operation { name, user: Some(&requester.user), flows: BY_PASSWORD };
    app.uia.authorise(&app.accounts, &app.config.server_name, operation, auth).await
}

#[derive(Deserialize)]
struct SessionQuery {
    session: String,
}

#[derive(Deserialize)]
struct Answer {
    session: String,
    token: Option<String>,
}

async fn page(Path(stage): Path<String>, Query(query): Query<SessionQuery>) -> ApiResult<Response> {
    form(&stage, &query.session, "")
}

async fn answer(
    State(app): State<Arc<App>>,
    Path(stage): Path<String>,
    Form(answer): Form<Answer>,
) -> ApiResult<Response> {
    if app.uia.complete(&answer.session, &stage, answer.token.as_deref()) {
        // Clients wait for this call (Client-Server API, "Fallback").
        Ok(html(
            "<p>Done. You can close this window.</p><script>if (window.onAuthDone) { window.onAuthDone(); } \
             else if (window.opener && window.opener.postMessage) { window.opener.postMessage('authDone', '*'); }</script>",
        ))
    } else {
        form(
            &stage,
            &answer.session,
            "<p role=\"alert\">That was not right, or it took too long.</p>",
        )
    }
}

fn form(stage: &str, session: &str, notice: &str) -> ApiResult<Response> {
    let field = match stage {
        DUMMY => "",
        REGISTRATION_TOKEN => {
            "<label for=\"token\">Registration token</label> <input id=\"token\" name=\"token\" required> "
        }
        _ => return Err(ApiError::not_found("There is no page for that stage")),
    };
    let session = escape(session);
    Ok(html(&format!(
        "{notice}<form method=\"post\"><input type=\"hidden\" name=\"session\" value=\"{session}\">{field}\
         <button>Continue</button></form>"
    )))
}

fn html(body: &str) -> Response {
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Authentication</title>\
         <meta name=\"viewport\" content=\"width=device-width\"></head><body>{body}</body></html>"
    );
    let mut response = (StatusCode::OK, Html(page)).into_response();
    let policy = "default-src 'none'; script-src 'unsafe-inline'; form-action 'self'";
    response
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_session_is_markup() {
        assert_eq!(escape("\"><script>&"), "&quot;&gt;&lt;script&gt;&amp;");
        assert!(form("m.login.recaptcha", "x", "").is_err());
    }
}
