//! People without an account say which shall be theirs: a new one, or one that they have.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::arrive::{arrived, problem};
use super::browser::Browser;
use super::from;
use super::pages::{self, Offer};
use crate::app::App;
use crate::http::auth::Address;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::{Form, Query};
use crate::http::limit::Limit;
use crate::services::accounts::new_user_id;
use crate::services::sso::provider::Provider;
use crate::services::sso::{Arrival, Back, accounts};
use crate::services::uia::login_user;
use crate::storage::accounts::Kind;

#[derive(Deserialize)]
pub(super) struct Key {
    key: String,
}

#[derive(Deserialize)]
pub(super) struct Answer {
    key: String,
    way: Way,
    username: String,
    #[serde(default)]
    password: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Way {
    New,
    Link,
}

/// The page.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    browser: Browser,
    Query(Key { key }): Query<Key>,
) -> ApiResult<Response> {
    let Some(back) = app.sso.newcomer(&key, browser.hash()) else { return Ok(pages::over()) };
    let name = back.attributes.localpart.clone().unwrap_or_default();
    Ok(page(&app, &key, &back, &name, StatusCode::OK, None))
}

fn page(
    app: &App,
    key: &str,
    back: &Back,
    name: &str,
    status: StatusCode,
    problem: Option<&str>,
) -> Response {
    let Some(provider) = app.sso.provider(&back.id.provider) else { return pages::over() };
    let settings = provider.settings();
    let offer = Offer {
        key,
        goal: &back.goal,
        provider: &settings.name,
        server: app.config.server_name.as_str(),
        new: settings.enable_registration.then_some(name),
        link: settings.link_by_password,
        problem,
    };
    pages::account(status, &offer)
}

/// The answer.
pub(super) async fn answer(
    State(app): State<Arc<App>>,
    address: Address,
    browser: Browser,
    headers: HeaderMap,
    Form(answer): Form<Answer>,
) -> ApiResult<Response> {
    let Some(back) = app.sso.newcomer(&answer.key, browser.hash()) else {
        return Ok(pages::over());
    };
    let settled = match answer.way {
        Way::New => make(&app, &back, &answer, &from(address)).await,
        Way::Link => link(&app, &back, &answer, &from(address)).await,
    };
    match settled {
        Ok(user) => {
            app.sso.settle(&answer.key);
            arrived(&app, &browser, &headers, Arrival { user, back }).await
        }
        Err(error) => {
            let (status, text) = problem(error)?;
            let name = if answer.way == Way::New { answer.username.as_str() } else { "" };
            Ok(page(&app, &answer.key, &back, name, status, Some(&text)))
        }
    }
}

fn allowed(app: &App, back: &Back, way: Way) -> ApiResult<()> {
    let settings = app.sso.provider(&back.id.provider).map(Provider::settings);
    let allowed = settings.is_some_and(|settings| match way {
        Way::New => settings.enable_registration,
        Way::Link => settings.link_by_password,
    });
    if allowed { Ok(()) } else { Err(ApiError::forbidden("This server does not offer that")) }
}

async fn make(app: &App, back: &Back, answer: &Answer, from: &str) -> ApiResult<ruma::OwnedUserId> {
    allowed(app, back, Way::New)?;
    let user = new_user_id(answer.username.trim(), &app.config.server_name)?;
    accounts::make(app, &user, &back.id, &back.attributes, from).await?;
    Ok(user)
}

async fn link(app: &App, back: &Back, answer: &Answer, from: &str) -> ApiResult<ruma::OwnedUserId> {
    allowed(app, back, Way::Link)?;
    app.limits.check(Limit::Login, from)?;
    let name = answer.username.trim().to_lowercase();
    let user = login_user(&name, &app.config.server_name)?;
    app.limits.check(Limit::Login, user.as_str())?;
    let person = app.accounts.get(&user).await?.is_some_and(|account| account.kind == Kind::User);
    // The password is compared in any case, so that the time taken tells nothing.
    let fits = app.accounts.password_fits(&user, &answer.password).await?;
    if !(person && fits) {
        return Err(ApiError::forbidden("The user name or the password is not right"));
    }
    accounts::join(app, &user, &back.id).await?;
    Ok(user)
}
