//! People come back from a provider, and go on to where they came from.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use url::Url;

use super::browser::Browser;
use super::{found, from, pages};
use crate::app::App;
use crate::client::uia;
use crate::http::auth::Address;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Query;
use crate::pages::onward;
use crate::pages::visitor::welcome;
use crate::services::browsers::SigningIn;
use crate::services::sso::accounts::{self, Fate};
use crate::services::sso::provider::ProviderError;
use crate::services::sso::{Arrival, Back, Goal, SsoError, logout};
use crate::services::uia::SSO;

/// What a provider answers (OpenID Connect Core 1.0, section 3.1.2.5 and the next; RFC 9207).
#[derive(Deserialize)]
pub(super) struct Answer {
    #[serde(default)]
    state: String,
    code: Option<String>,
    error: Option<String>,
    iss: Option<String>,
}

/// Takes a provider's answer.
pub(super) async fn callback(
    State(app): State<Arc<App>>,
    address: Address,
    browser: Browser,
    headers: HeaderMap,
    Query(answer): Query<Answer>,
) -> ApiResult<Response> {
    let code = match (&answer.error, &answer.code) {
        (Some(error), _) => Err(error.as_str()),
        (None, Some(code)) => Ok(code.as_str()),
        (None, None) => Err("it sent no code"),
    };
    let back = app.sso.take(&answer.state, browser.hash(), answer.iss.as_deref(), code).await;
    match back {
        Ok(back) => came_back(&app, &from(address), &browser, &headers, back).await,
        Err(SsoError::Unknown) => Ok(pages::over()),
        Err(error) => {
            tracing::warn!(%error, "somebody could not sign in through an identity provider");
            Ok(match error {
                SsoError::Provider(ProviderError::Unreachable(_)) => pages::away(),
                SsoError::Provider(ProviderError::NotAllowed) => {
                    pages::refused("Your account there does not entitle you to one here.")
                }
                _ => pages::refused(
                    "The identity provider did not say who you are. Go back to your client and try again.",
                ),
            })
        }
    }
}

async fn came_back(
    app: &App,
    from: &str,
    browser: &Browser,
    headers: &HeaderMap,
    back: Back,
) -> ApiResult<Response> {
    if let Some(user) = accounts::owner(app, &back.id).await? {
        return arrived(app, browser, headers, Arrival { user, back }).await;
    }
    if let Goal::Confirm(_) = back.goal {
        return Ok(pages::refused("That is not an identity of this account."));
    }
    match accounts::fate(app, &back.id, &back.attributes).await? {
        Fate::Nothing => Ok(pages::refused("There is no account for you on this server.")),
        Fate::Join(user) => {
            accounts::join(app, &user, &back.id).await?;
            arrived(app, browser, headers, Arrival { user, back }).await
        }
        Fate::Make(user) => {
            match accounts::make(app, &user, &back.id, &back.attributes, from).await {
                Ok(()) => arrived(app, browser, headers, Arrival { user, back }).await,
                // Somebody was quicker to take the name.
                Err(error) if error.errcode == "M_USER_IN_USE" => Ok(ask(app, browser, back)),
                Err(error) => Err(error),
            }
        }
        Fate::Ask => Ok(ask(app, browser, back)),
    }
}

fn ask(app: &App, browser: &Browser, back: Back) -> Response {
    let key = app.sso.keep_newcomer(back, browser.hash());
    browser.remembered(app, found(&format!("{}?key={key}", super::ACCOUNT)))
}

/// Sends somebody on whose account is known, if it is open.
pub(super) async fn arrived(
    app: &App,
    browser: &Browser,
    headers: &HeaderMap,
    arrival: Arrival,
) -> ApiResult<Response> {
    let account = app.accounts.get(&arrival.user).await?;
    match account {
        Some(account) if account.locked => {
            return Ok(pages::refused("Your account is locked. Ask the server's administrators."));
        }
        Some(account) if !account.deactivated => {}
        _ => return Ok(pages::refused("Your account was closed.")),
    }
    match &arrival.back.goal {
        Goal::Client(client) if app.sso.knows(client) => hand_over(app, &arrival, client).await,
        Goal::Client(client) => {
            let client = client.clone();
            let user = arrival.user.clone();
            let key = app.sso.keep_arrival(arrival, browser.hash());
            Ok(browser.remembered(app, pages::unknown_client(&user, &client, &key)))
        }
        Goal::Page { path, .. } => to_page(app, headers, &arrival, path).await,
        Goal::Confirm(session) => {
            if app.uia.confirmed(session, SSO, &arrival.user) {
                Ok(uia::done())
            } else {
                Ok(pages::refused("That is not an identity of this account, or it took too long."))
            }
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Key {
    key: String,
}

/// Lets somebody go on to a client that they were asked about.
pub(super) async fn go_on(
    State(app): State<Arc<App>>,
    browser: Browser,
    Query(Key { key }): Query<Key>,
) -> ApiResult<Response> {
    let Some(arrival) = app.sso.arrival(&key, browser.hash()) else { return Ok(pages::over()) };
    match &arrival.back.goal {
        Goal::Client(client) => hand_over(&app, &arrival, client).await,
        _ => Ok(pages::over()),
    }
}

/// Sends somebody back to their client, with a token to log in with. It is good for longer than the few seconds that the spec
/// proposes: before an app opens, browsers ask whether it may.
async fn hand_over(app: &App, arrival: &Arrival, client: &Url) -> ApiResult<Response> {
    let (token, _) = app.sessions.login_token(&arrival.user).await?;
    logout::begin(app, &token, arrival).await?;
    Ok(found(with_parameter(client, "loginToken", &token).as_str()))
}

/// An address with a parameter in its query, in place of those of the same name.
fn with_parameter(address: &Url, name: &str, value: &str) -> Url {
    let mut address = address.clone();
    // What stands there is not written anew: clients may care for how it is spelled.
    let named = |pair: &&str| {
        let key = url::form_urlencoded::parse(pair.as_bytes()).next();
        key.is_some_and(|(key, _)| key == name)
    };
    let kept: Vec<&str> = address
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty() && !named(pair))
        .collect();
    let kept = kept.join("&");
    let sign = if kept.is_empty() { "" } else { "&" };
    address.set_query(Some(&format!("{kept}{sign}{name}={value}")));
    address
}

/// Signs somebody in in this browser and sends it to a page of this server.
async fn to_page(
    app: &App,
    headers: &HeaderMap,
    arrival: &Arrival,
    path: &str,
) -> ApiResult<Response> {
    let who = SigningIn {
        user: &arrival.user,
        origin: logout::origin(app, arrival),
        proven_ms: arrival.back.proven_ms,
    };
    welcome(app, headers, who, onward(Some(path))).await
}

/// A refusal as a page; what is no fault of the person goes the way of all errors.
pub(super) fn problem(error: ApiError) -> ApiResult<(StatusCode, String)> {
    if error.status.is_client_error() {
        Ok((error.status, error.error.into_owned()))
    } else {
        Err(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_takes_the_place_of_another_and_nothing_else() {
        let with = |address: &str| {
            with_parameter(&Url::parse(address).unwrap(), "loginToken", "t").to_string()
        };
        assert_eq!(with("https://a.test/"), "https://a.test/?loginToken=t");
        assert_eq!(with("https://a.test/?x=%7e&y#/z"), "https://a.test/?x=%7e&y&loginToken=t#/z");
        let twice = "https://a.test/?loginToken=1&x=1&login%54oken=2";
        assert_eq!(with(twice), "https://a.test/?x=1&loginToken=t");
        assert_eq!(with("element://connect"), "element://connect?loginToken=t");
    }
}
