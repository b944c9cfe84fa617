//! What the bridge serves itself, for Slack (Events API, slash commands: every request signed) and for people's browsers (installing the
//! app, allowing the bridge to act for them).

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Query, State},
    http::{HeaderMap, StatusCode},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use landbridge_framework::CancellationToken;
use serde::Deserialize;
use serde_json::Value;
use slack_morphism::{SlackSigningSecret, signature_verifier::SlackEventSignatureVerifier};
use tokio::net::TcpListener;
use url::Url;

use super::ApiError;
use crate::{
    hub::{Hub, Wanted},
    json::{said, text},
    manifest,
};

/// The largest request; Slack's are far smaller.
const MAX_BODY: usize = 2 << 20;
/// How long Slack is kept waiting: after three seconds it counts a request as failed, and sends it again later.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a new start waits for the address that the one before it had.
const TAKEN: Duration = Duration::from_secs(10);

/// What the routes need.
#[derive(Clone)]
struct Served {
    hub: Arc<Hub>,
    verifier: Option<Arc<SlackEventSignatureVerifier>>,
}

/// The routes.
pub fn router(hub: Arc<Hub>) -> Router {
    let secret = hub.config.signing_secret.as_ref();
    let verifier = secret.map(|secret| {
        let secret: SlackSigningSecret = secret.expose().to_owned().into();
        Arc::new(SlackEventSignatureVerifier::new(&secret))
    });
    Router::new()
        .route("/slack/events", post(events))
        .route("/slack/commands", post(commands))
        .route("/slack/install", get(install))
        .route("/slack/oauth", get(oauth))
        .route("/health", get(async || "ok\n"))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(Served { hub, verifier })
}

/// Listens until `stop`. After a restart within the process the address may be taken for a moment.
pub async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let end = tokio::time::Instant::now() + TAKEN;
    loop {
        match TcpListener::bind(address).await {
            Err(error)
                if error.kind() == std::io::ErrorKind::AddrInUse
                    && tokio::time::Instant::now() < end =>
            {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            bound => return bound,
        }
    }
}

/// Serves until `stop`.
pub async fn serve(listener: TcpListener, hub: Arc<Hub>, stop: CancellationToken) {
    let served = axum::serve(listener, router(hub));
    let served = served.with_graceful_shutdown(stop.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "Slack can no longer reach the bridge");
    }
}

impl Served {
    /// The body, if Slack signed it a moment ago.
    fn verified(&self, headers: &HeaderMap, body: &Bytes) -> Result<String, Refused> {
        let Some(verifier) = &self.verifier else {
            return Err((StatusCode::NOT_FOUND, "slack.signing_secret is not set"));
        };
        let Ok(body) = String::from_utf8(body.to_vec()) else {
            return Err((StatusCode::BAD_REQUEST, "the body is no text"));
        };
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
        let signature = header(SlackEventSignatureVerifier::SLACK_SIGNED_HASH_HEADER);
        let at = header(SlackEventSignatureVerifier::SLACK_SIGNED_TIMESTAMP);
        match verifier.verify(signature, &body, at) {
            Ok(()) => Ok(body),
            Err(_) => Err((StatusCode::UNAUTHORIZED, "the signature is wrong or too old")),
        }
    }
}

/// Why a request is not taken.
type Refused = (StatusCode, &'static str);

/// The Events API (<https://docs.slack.dev/apis/events-api/using-http-request-urls>).
async fn events(State(served): State<Served>, headers: HeaderMap, body: Bytes) -> Response {
    let body = match served.verified(&headers, &body) {
        Ok(body) => body,
        Err(refused) => return refused.into_response(),
    };
    let Ok(payload) = serde_json::from_str::<Value>(&body) else {
        return (StatusCode::BAD_REQUEST, "the body is no JSON").into_response();
    };
    match text(&payload, "type") {
        Some("url_verification") => {
            text(&payload, "challenge").unwrap_or_default().to_owned().into_response()
        }
        Some("event_callback") => {
            let taken = served.hub.receive(payload).await;
            match tokio::time::timeout(PATIENCE, taken).await {
                Ok(Ok(true)) => StatusCode::OK.into_response(),
                // Slack sends it again.
                _ => (StatusCode::SERVICE_UNAVAILABLE, "not stored yet").into_response(),
            }
        }
        Some("app_rate_limited") => {
            tracing::warn!("Slack sends fewer events than there are: this app gets too many");
            served.hub.gap();
            StatusCode::OK.into_response()
        }
        _ => StatusCode::OK.into_response(),
    }
}

/// Slash commands come as a form.
async fn commands(State(served): State<Served>, headers: HeaderMap, body: Bytes) -> Response {
    let body = match served.verified(&headers, &body) {
        Ok(body) => body,
        Err(refused) => return refused.into_response(),
    };
    let fields = url::form_urlencoded::parse(body.as_bytes());
    let payload: serde_json::Map<String, Value> =
        fields.map(|(key, value)| (key.into_owned(), Value::String(value.into_owned()))).collect();
    axum::Json(served.hub.command(&Value::Object(payload))).into_response()
}

#[derive(Deserialize)]
struct Ticket {
    ticket: Option<String>,
}

/// Sends an administrator to Slack's page, if the bridge gave them the link.
async fn install(State(served): State<Served>, Query(ticket): Query<Ticket>) -> Response {
    let hub = &served.hub;
    let state = ticket.ticket.unwrap_or_default();
    if !hub.consent.is_open(&state) {
        return page(
            StatusCode::FORBIDDEN,
            "This link is not, or no longer, good. Ask the bridge's bot for a new one: install",
        );
    }
    match authorize_url(hub, &state, true) {
        Some(url) => Redirect::temporary(url.as_str()).into_response(),
        None => page(StatusCode::NOT_FOUND, "slack.client_id and slack.public_url are not set."),
    }
}

#[derive(Deserialize)]
struct Returned {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
}

/// Where Slack sends the browser back to.
async fn oauth(State(served): State<Served>, Query(returned): Query<Returned>) -> Response {
    let hub = &served.hub;
    let wanted = returned.state.as_deref().and_then(|state| hub.consent.answered(state));
    let Some(wanted) = wanted else {
        return page(
            StatusCode::FORBIDDEN,
            "This page was not expected, or it is too late. Please begin again.",
        );
    };
    let code = match (returned.code, returned.error) {
        (Some(code), None) => Ok(code),
        (_, Some(error)) if error == "access_denied" => Err("it was not allowed".to_owned()),
        _ => Err("Slack gave no code".to_owned()),
    };
    match (wanted, code) {
        (Wanted::Account(answer), code) => {
            let done = code.is_ok();
            // Whoever waited for it may have given up.
            let heard = answer.send(code).is_ok();
            if done && heard {
                page(StatusCode::OK, "Done. You can close this page and go back to Matrix.")
            } else {
                page(StatusCode::OK, "Nothing was changed. You can close this page.")
            }
        }
        (Wanted::Install, Err(_)) => {
            page(StatusCode::OK, "The app was not installed. You can close this page.")
        }
        (Wanted::Install, Ok(code)) => match installed(hub, &code).await {
            Ok(name) => {
                tracing::info!(workspace = name, "the app was installed by the bridge's link");
                page(
                    StatusCode::OK,
                    "The app is installed. Invite it to the channels that are to be bridged.",
                )
            }
            Err(error) => {
                tracing::warn!(%error, "the app could not be installed");
                page(
                    StatusCode::BAD_GATEWAY,
                    "The app could not be installed; the bridge's log says why.",
                )
            }
        },
    }
}

/// Takes a new workspace in.
async fn installed(hub: &Arc<Hub>, code: &str) -> Result<String, String> {
    let answer = exchange(hub, code).await.map_err(|error| error.to_string())?;
    let token = said(&answer, "access_token").ok_or("Slack gave no token for the bot")?;
    let token = crate::config::Secret::new(token);
    let workspace = hub.open_workspace(&token, true).await.map_err(|error| error.to_string())?;
    hub.keep_installs().await.map_err(|error| error.to_string())?;
    Ok(workspace.name.clone())
}

/// Exchanges a code for what it stands for.
pub(crate) async fn exchange(hub: &Hub, code: &str) -> Result<Value, ApiError> {
    let missing = || ApiError::Refused("slack.client_id is not set".into());
    let id = hub.config.client_id.as_deref().ok_or_else(missing)?;
    let secret = hub.config.client_secret.as_ref().ok_or_else(missing)?;
    hub.api.exchange(id, secret, code, &redirect_url(hub)).await
}

/// Where Slack sends browsers back to. Without an address of its own the page doesn't load, and people copy its address.
pub(crate) fn redirect_url(hub: &Hub) -> String {
    match &hub.config.public_url {
        Some(base) => format!("{}/slack/oauth", base.trim_end_matches('/')),
        None => "https://localhost/slack/oauth".into(),
    }
}

/// Slack's page that asks to install the app, or to let it act for a person.
pub(crate) fn authorize_url(hub: &Hub, state: &str, install: bool) -> Option<Url> {
    let mut url = hub.api.base().join("/oauth/v2/authorize").ok()?;
    let client_id = hub.config.client_id.as_deref()?;
    let (bot, user) = if install {
        (manifest::BOT_SCOPES.join(","), String::new())
    } else {
        (String::new(), manifest::USER_SCOPES.join(","))
    };
    url.query_pairs_mut()
        .append_pair("client_id", client_id)
        .append_pair("scope", &bot)
        .append_pair("user_scope", &user)
        .append_pair("redirect_uri", &redirect_url(hub))
        .append_pair("state", state);
    Some(url)
}

/// A page of one sentence.
fn page(status: StatusCode, words: &'static str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Slack bridge</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><body><p>{words}</p></body></html>"
    );
    (status, Html(html)).into_response()
}

#[cfg(test)]
mod tests;
