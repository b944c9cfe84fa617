//! Creating an account in a browser (Client-Server API, "User registration").

use std::sync::Arc;

use axum::extract::{OriginalUri, State};
use axum::response::Response;
use http::StatusCode;
use maud::html;

use super::visitor::Visitor;
use super::{PageResult, onward, sign_in, with_query};
use crate::app::App;
use crate::client::register::{free, needs_token};
use crate::http::error::{ApiError, ApiResult};
use crate::http::limit::Limit;
use crate::http::page::{Page, alert};
use crate::http::params::{FormParams, Params};
use crate::services::accounts::new_user_id;
use crate::services::threepids::Purpose;
use crate::services::uia::Passed;
use crate::storage::accounts::{Account, Kind};

/// Where it is.
pub const PATH: &str = "/_landbridge/sign-up";

/// Whether people may create accounts here.
pub async fn is_open(app: &App) -> ApiResult<bool> {
    match needs_token(app).await {
        Ok(_) => Ok(true),
        Err(error) if error.status == StatusCode::FORBIDDEN => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether an account needs an e-mail address. It is proven before the rest is asked for.
fn needs_email(app: &App) -> bool {
    app.mailer.is_on() && app.config.email.required_to_register
}

/// What a form is filled in with already.
#[derive(Default)]
struct Filled<'a> {
    /// Where it leads.
    to: &'a str,
    /// The name.
    name: &'a str,
    /// The proof of the e-mail address.
    sid: Option<&'a str>,
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    OriginalUri(uri): OriginalUri,
) -> PageResult {
    let by_token = needs_token(&app).await?;
    let params = Params::of(&uri);
    let to = onward(params.get("continue"));
    if needs_email(&app) {
        return Ok(ask(&app, &visitor, to, None));
    }
    Ok(form(&app, &visitor, by_token, &Filled { to, ..Filled::default() }, None))
}

pub(super) async fn sign_up(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    FormParams(params): FormParams,
) -> PageResult {
    let by_token = needs_token(&app).await?;
    visitor.check(&params)?;
    let (to, sid) = (onward(params.get("continue")), params.get("sid"));
    if needs_email(&app) && sid.is_none() {
        return prove(&app, &visitor, by_token, to, params.get("email")).await;
    }
    match account(&app, &visitor, by_token, &params).await {
        Ok(account) => visitor.welcome(&app, &account.user_id, to).await,
        Err(ApiError { status: StatusCode::BAD_REQUEST, error, .. }) => {
            let name = params.get("username").unwrap_or_default();
            let filled = Filled { to, name, sid };
            let mut response = form(&app, &visitor, by_token, &filled, Some(&error));
            *response.status_mut() = StatusCode::BAD_REQUEST;
            Ok(response)
        }
        Err(error) => Err(error.into()),
    }
}

/// Sends the e-mail that proves an address.
async fn prove(
    app: &App,
    visitor: &Visitor,
    by_token: bool,
    to: &str,
    email: Option<&str>,
) -> PageResult {
    match visitor.prove(app, Purpose::Register, email.unwrap_or_default()).await {
        Ok(sid) => {
            let filled = Filled { to, sid: Some(&sid), ..Filled::default() };
            Ok(form(app, visitor, by_token, &filled, None))
        }
        Err(error) if matches!(error.status, StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN) => {
            Ok(ask(app, visitor, to, Some(&error.error)))
        }
        Err(error) => Err(error.into()),
    }
}

async fn account(
    app: &App,
    visitor: &Visitor,
    by_token: bool,
    params: &Params,
) -> ApiResult<Account> {
    let name = params.get("username").unwrap_or_default().trim();
    let password = params.get("password").unwrap_or_default();
    if params.get("again") != Some(password) {
        return Err(ApiError::invalid_param("The two passwords differ."));
    }
    let email = match params.get("sid").filter(|_| needs_email(app)) {
        Some(sid) => Some(visitor.proven(app, Purpose::Register, sid).await?),
        None => None,
    };
    // Tokens can't be tried out faster than accounts can be created.
    app.limits.check(Limit::Registration, &visitor.from())?;
    let token = params.get("token").unwrap_or_default().trim();
    if by_token && !app.uia.token_is_good(token).await? {
        return Err(ApiError::invalid_param("That registration token is not valid."));
    }
    // Those in the settings are for everybody, the others are counted.
    let counted = by_token && !app.registration_tokens.is_configured(token);
    let passed = Passed { token: counted.then(|| token.to_owned()), email };
    let user = new_user_id(name, &app.config.server_name)?;
    free(app, &user).await?;
    let hash = app.accounts.hash_password(password).await?;
    let account = Account { password: Some(hash), ..Account::new(user, Kind::User) };
    app.accounts.create_with(account.clone(), passed).await?;
    Ok(account)
}

/// The form for the e-mail address.
fn ask(app: &App, visitor: &Visitor, to: &str, problem: Option<&str>) -> Response {
    let status = if problem.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let body = html! {
        @if let Some(problem) = problem { (alert(problem)) }
        p { "An account on " strong { (app.config.server_name) } " needs an e-mail address." }
        form method="post" action=(PATH) {
            (visitor.field())
            input type="hidden" name="continue" value=(to);
            label { "E-mail address "
                input type="email" name="email" autocomplete="email" required autofocus;
            }
            button { "Send an e-mail" }
        }
        p { a href=(with_query(sign_in::PATH, &[("continue", to)])) { "Sign in instead" } }
    };
    visitor.show(Page::new("Create an account").status(status).body(body))
}

fn form(
    app: &App,
    visitor: &Visitor,
    by_token: bool,
    &Filled { to, name, sid }: &Filled<'_>,
    problem: Option<&str>,
) -> Response {
    let least = app.config.accounts.password_minimum_length;
    let body = html! {
        @if let Some(problem) = problem { (alert(problem)) }
        p { "Create an account on " strong { (app.config.server_name) } "." }
        @if sid.is_some() {
            p role="status" { "An e-mail is on its way. Open the link in it and confirm, then fill in this form." }
        }
        form method="post" action=(PATH) {
            (visitor.field())
            input type="hidden" name="continue" value=(to);
            @if let Some(sid) = sid { input type="hidden" name="sid" value=(sid); }
            label { "User name "
                input name="username" autocomplete="username" autocapitalize="none" spellcheck="false" value=(name) required
                    autofocus;
            }
            label { "Password, at least " (least) " characters "
                input type="password" name="password" autocomplete="new-password" required;
            }
            label { "The same again "
                input type="password" name="again" autocomplete="new-password" required;
            }
            @if by_token {
                label { "Registration token " input name="token" autocomplete="off" required; }
            }
            button { "Create the account" }
        }
        p { a href=(with_query(sign_in::PATH, &[("continue", to)])) { "Sign in instead" } }
    };
    visitor.show(Page::new("Create an account").body(body))
}
