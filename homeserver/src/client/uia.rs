//! User-interactive authentication as handlers use it, and its fallback pages.

mod email;

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderValue, StatusCode, header};
use maud::{Markup, PreEscaped, html};
use ruma::UserId;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::client::sso;
use crate::http::auth::{Address, Requester};
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::{Form, Path, Query};
use crate::http::limit::Limit;
use crate::http::page::{Page, alert};
use crate::http::router::{Route, get, post};
use crate::pages::account;
use crate::services::sso::accounts::of_user;
use crate::services::uia::oauth::{OAUTH, OLD};
use crate::services::uia::{
    Auth, DUMMY, EMAIL_IDENTITY, Flow, Operation, PASSWORD, REGISTRATION_TOKEN, SSO,
};

const BY_PASSWORD: Flow = &[PASSWORD];
const BY_SSO: Flow = &[SSO];

/// Clients wait for this call (Client-Server API, "Fallback").
const DONE: &str = "if (window.onAuthDone) { window.onAuthDone(); } \
    else if (window.opener && window.opener.postMessage) { window.opener.postMessage('authDone', '*'); }";

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_matrix/client/v3/auth/{authType}/fallback/web", page),
        post("/_matrix/client/v3/auth/{authType}/fallback/web", answer),
    ]
}

/// Asks the user who makes a request to confirm it with their password, or by an identity provider that they have signed in
/// through.
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
    // The client has seen no password, and its user shall give it none (Client-Server API, "OAuth 2.0 API").
    if requester.oauth {
        let text = format!("That is done in a browser, at {}", account_uri(app).await?);
        return Err(ApiError::forbidden(text));
    }
    let flows = ways(app, &requester.user).await?;
    let operation = Operation { name, user: Some(&requester.user), flows: &flows };
    app.uia.authorise(&app.accounts, &app.config.server_name, operation, auth).await?;
    Ok(())
}

/// How a user can confirm something.
async fn ways(app: &App, user: &UserId) -> ApiResult<Vec<Flow>> {
    if app.sso.providers().is_empty() {
        return Ok(vec![BY_PASSWORD]);
    }
    let known = of_user(app, user).await?;
    if !known.iter().any(|id| app.sso.provider(&id.provider).is_some()) {
        return Ok(vec![BY_PASSWORD]);
    }
    let has_password =
        app.accounts.get(user).await?.is_some_and(|account| account.password.is_some());
    Ok(if has_password { vec![BY_PASSWORD, BY_SSO] } else { vec![BY_SSO] })
}

/// Where people manage their account in a browser.
async fn account_uri(app: &App) -> ApiResult<String> {
    match &app.delegation {
        Some(delegation) => delegation.account_uri().await,
        None => Ok(format!("{}{}", app.config.oauth_base().unwrap_or_default(), account::PATH)),
    }
}

/// Asks the user who makes a request to confirm that their cross-signing keys are replaced: with their password, or in a browser
/// where the client was let in there.
pub(super) async fn confirm_reset(
    app: &App,
    requester: &Requester,
    name: &str,
    auth: Option<&Auth>,
) -> ApiResult<()> {
    if !requester.oauth {
        return confirm(app, requester, name, auth).await;
    }
    if app.browsers.take_reset(&requester.user).await? {
        return Ok(());
    }
    let url = reset_uri(app).await?;
    Err(app.uia.ask_in_browser(name, &requester.user, auth, &url))
}

/// Where people confirm in a browser that their cross-signing keys are replaced.
async fn reset_uri(app: &App) -> ApiResult<String> {
    let uri = account_uri(app).await?;
    let sign = if uri.contains('?') { '&' } else { '?' };
    Ok(format!("{uri}{sign}action={}", account::CROSS_SIGNING_RESET))
}

#[derive(Deserialize)]
struct SessionQuery {
    session: String,
}

#[derive(Deserialize)]
struct Answer {
    session: String,
    token: Option<String>,
    password: Option<String>,
    email: Option<String>,
    sid: Option<String>,
    secret: Option<String>,
}

async fn page(
    State(app): State<Arc<App>>,
    browser: sso::Browser,
    Path(stage): Path<String>,
    Query(query): Query<SessionQuery>,
) -> ApiResult<Response> {
    if stage == SSO {
        return sso::confirm_page(&app, &browser, &query.session).await;
    }
    if stage == EMAIL_IDENTITY {
        return email::show(&app, &query.session);
    }
    // What is confirmed in the account's pages is confirmed there.
    if matches!(&*stage, OAUTH | OLD) {
        return Ok(match app.uia.waiting(&query.session) {
            Some(_) => Redirect::to(&reset_uri(&app).await?).into_response(),
            None => over(),
        });
    }
    form(&stage, &query.session, false)
}

async fn answer(
    State(app): State<Arc<App>>,
    from: Address,
    Path(stage): Path<String>,
    Form(answer): Form<Answer>,
) -> ApiResult<Response> {
    if stage == EMAIL_IDENTITY {
        return email::answer(&app, from, &answer).await;
    }
    let right = if stage == PASSWORD {
        password(&app, &answer).await?
    } else {
        app.uia.complete(&answer.session, &stage, answer.token.as_deref()).await?
    };
    if right { Ok(done()) } else { form(&stage, &answer.session, true) }
}

async fn password(app: &App, answer: &Answer) -> ApiResult<bool> {
    let Some((_, Some(user))) = app.uia.waiting(&answer.session) else { return Ok(false) };
    app.limits.check(Limit::Login, user.as_str())?;
    let password = answer.password.as_deref().unwrap_or_default();
    let fits = app.accounts.password_fits(&user, password).await?;
    Ok(fits && app.uia.confirmed(&answer.session, PASSWORD, &user))
}

/// The page that says that a stage is done.
pub(super) fn done() -> Response {
    let body = html! {
        p { "You can close this window and go back to your client." }
        script { (PreEscaped(DONE)) }
    };
    let mut response = Page::new("Done").body(body).into_response();
    let digest = BASE64_STANDARD.encode(Sha256::digest(DONE));
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; base-uri 'none'"
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// The page for a session that is over.
fn over() -> Response {
    let text = "It took too long, or is over already. Go back to your client and begin again.";
    let page = Page::new("Please begin again").status(StatusCode::BAD_REQUEST);
    page.body(alert(text)).into_response()
}

fn form(stage: &str, session: &str, again: bool) -> ApiResult<Response> {
    let field: Markup = match stage {
        DUMMY => html! {},
        REGISTRATION_TOKEN => html! { label { "Registration token" input name="token" required; } },
        PASSWORD => html! {
            label { "Password" input type="password" name="password" required autocomplete="current-password"; }
        },
        _ => return Err(ApiError::not_found("There is no page for that stage")),
    };
    let body = html! {
        @if again { (alert("That was not right, or it took too long.")) }
        form method="post" {
            input type="hidden" name="session" value=(session);
            (field)
            button { "Continue" }
        }
    };
    Ok(Page::new("Authentication").body(body).into_response())
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn nothing_of_the_session_is_markup() {
        let page = form(DUMMY, "\"><script>&", false).unwrap();
        let body = page.into_body().collect().await.unwrap().to_bytes();
        let text = std::str::from_utf8(&body).unwrap();
        assert!(
            text.contains("&quot;&gt;&lt;script&gt;&amp;") && !text.contains("<script>"),
            "{text}"
        );
        assert!(form("m.login.recaptcha", "x", false).is_err());
    }

    #[tokio::test]
    async fn the_page_at_the_end_runs_the_call_that_clients_wait_for_and_nothing_else() {
        let page = done();
        let policy = page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        let digest = BASE64_STANDARD.encode(Sha256::digest(DONE));
        assert!(policy.contains(&format!("script-src 'sha256-{digest}';")), "{policy}");
        let body = page.into_body().collect().await.unwrap().to_bytes();
        let text = std::str::from_utf8(&body).unwrap();
        assert!(text.contains(&format!("<script>{DONE}</script>")), "{text}");
    }
}
