//! Signing in through identity providers (Client-Server API, "SSO client login/authentication"): where clients send browsers,
//! where providers send them back, and the pages in between.

mod arrive;
mod browser;
mod newcomer;
mod pages;

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;

pub(super) use self::browser::Browser;
use crate::app::App;
use crate::http::auth::Address;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::{Form, Path, Query};
use crate::http::json::Reply;
use crate::http::limit::Limit;
use crate::http::router::{Route, get, post};
use crate::pages::visitor::base as pages_base;
use crate::services::sso::{self, Goal, client_address, page_address};

const CONFIRM: &str = "/_landbridge/sso/confirm";
const ACCOUNT: &str = "/_landbridge/sso/account";
const CONTINUE: &str = "/_landbridge/sso/continue";

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_matrix/client/v3/login/sso/redirect", choose),
        get("/_matrix/client/v3/login/sso/redirect/{idpId}", redirect),
        get(sso::START, start),
        get(CONFIRM, confirm),
        get(sso::CALLBACK, arrive::callback),
        get(CONTINUE, arrive::go_on),
        get(ACCOUNT, newcomer::show),
        post(ACCOUNT, newcomer::answer),
        post("/_synapse/client/oidc/backchannel_logout", logout),
    ]
}

fn from(address: Address) -> String {
    address.key()
}

#[derive(Deserialize)]
struct Redirect {
    #[serde(rename = "redirectUrl")]
    redirect_url: String,
    action: Option<String>,
}

impl Redirect {
    /// Where the client is. What the person wants to do there makes no difference: who has no account yet gets one.
    fn client(&self) -> ApiResult<url::Url> {
        if self.action.as_deref().is_some_and(|action| !matches!(action, "login" | "register")) {
            return Err(ApiError::invalid_param("action must be login or register"));
        }
        let client = client_address(&self.redirect_url);
        client.ok_or_else(|| ApiError::invalid_param("redirectUrl is not the address of a client"))
    }
}

/// Sends people to the only provider, or lets them choose one.
async fn choose(
    State(app): State<Arc<App>>,
    address: Address,
    browser: Browser,
    Query(query): Query<Redirect>,
) -> ApiResult<Response> {
    let client = query.client()?;
    match app.sso.providers() {
        [] => Ok(pages::no_provider()),
        [only] => {
            let id = only.settings().id.clone();
            begin(&app, address, browser, &id, Goal::Client(client)).await
        }
        several => Ok(pages::chooser(several, &query.redirect_url, query.action.as_deref())),
    }
}

async fn redirect(
    State(app): State<Arc<App>>,
    address: Address,
    browser: Browser,
    Path(provider): Path<String>,
    Query(query): Query<Redirect>,
) -> ApiResult<Response> {
    let client = query.client()?;
    begin(&app, address, browser, &provider, Goal::Client(client)).await
}

#[derive(Deserialize)]
struct Start {
    provider: String,
    page: String,
    #[serde(default)]
    again: bool,
}

/// Begins a sign-in that ends on a page of this server.
async fn start(
    State(app): State<Arc<App>>,
    address: Address,
    browser: Browser,
    Query(query): Query<Start>,
) -> ApiResult<Response> {
    let page = page_address(&query.page);
    let page = page.ok_or_else(|| ApiError::invalid_param("page is not a path of this server"))?;
    pages_base(&app)?;
    let goal = Goal::Page { path: page.to_owned(), again: query.again };
    begin(&app, address, browser, &query.provider, goal).await
}

#[derive(Deserialize)]
struct Confirm {
    provider: String,
    key: String,
}

/// Begins a sign-in that confirms what a client is about to do.
async fn confirm(
    State(app): State<Arc<App>>,
    address: Address,
    browser: Browser,
    Query(query): Query<Confirm>,
) -> ApiResult<Response> {
    let Some(session) = app.sso.question(&query.key, browser.hash()) else {
        return Ok(pages::over());
    };
    begin(&app, address, browser, &query.provider, Goal::Confirm(session)).await
}

async fn begin(
    app: &App,
    address: Address,
    browser: Browser,
    provider: &str,
    goal: Goal,
) -> ApiResult<Response> {
    app.limits.check(Limit::Login, &from(address))?;
    if app.sso.provider(provider).is_none() {
        return Ok(pages::no_provider());
    }
    let url = match app.sso.begin(provider, goal, browser.hash()).await {
        Ok(url) => url,
        Err(error) => {
            tracing::warn!(%error, provider, "nobody can be sent to an identity provider");
            return Ok(pages::away());
        }
    };
    Ok(browser.remembered(app, found(url.as_str())))
}

/// Sends a browser elsewhere. Nothing of where it was goes with it.
fn found(to: &str) -> Response {
    let Ok(location) = HeaderValue::from_str(to) else {
        return ApiError::internal("an address for a browser is no header").into_response();
    };
    let headers = [
        (header::LOCATION, location),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (StatusCode::FOUND, headers).into_response()
}

/// The page on which people confirm by an identity provider what a client is about to do (Client-Server API, "SSO during
/// User-Interactive Authentication").
pub(super) async fn confirm_page(
    app: &App,
    browser: &Browser,
    session: &str,
) -> ApiResult<Response> {
    let Some((operation, user)) = app.uia.waiting(session) else { return Ok(pages::over()) };
    let Some(user) = user else { return Ok(pages::over()) };
    let known = sso::accounts::of_user(app, &user).await?;
    let known = app
        .sso
        .providers()
        .iter()
        .filter(|provider| known.iter().any(|id| id.provider == provider.settings().id));
    let key = app.sso.keep_question(session.to_owned(), browser.hash());
    Ok(browser.remembered(app, pages::confirm(&operation, &user, &key, known)))
}

#[derive(Deserialize)]
struct Logout {
    logout_token: String,
}

/// Ends sessions at a provider's word (OpenID Connect Back-Channel Logout 1.0, section 2.5).
async fn logout(
    State(app): State<Arc<App>>,
    address: Address,
    Form(body): Form<Logout>,
) -> ApiResult<Response> {
    app.limits.check(Limit::Login, &format!("{}/logout", from(address)))?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if sso::logout::end(&app, &body.logout_token).await? {
        return Ok((StatusCode::OK, headers).into_response());
    }
    let error = serde_json::json!({ "error": "invalid_request" });
    Ok((StatusCode::BAD_REQUEST, headers, Reply(error)).into_response())
}
