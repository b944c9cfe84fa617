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
use crate::services::uia::Passed;
use crate::storage::accounts::{Account, Kind};

/// Where it is.
pub const PATH: &str = "/_landbridge/sign-up";

/// Whether people may create accounts here.
pub async fn is_open(app: &App) -> ApiResult<bool> {
    match must_be_open(app).await {
        Ok(_) => Ok(true),
        Err(error) if error.status == StatusCode::FORBIDDEN => Ok(false),
        Err(error) => Err(error),
    }
}

/// Refuses where nobody may create an account here; whether people need a token to.
async fn must_be_open(app: &App) -> ApiResult<bool> {
    if app.mailer.is_on() && app.config.email.required_to_register {
        let text = "An account here needs an e-mail address, which your Matrix client asks for: create it there.";
        return Err(ApiError::forbidden(text));
    }
    needs_token(app).await
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    OriginalUri(uri): OriginalUri,
) -> PageResult {
    let by_token = must_be_open(&app).await?;
    let params = Params::of(&uri);
    Ok(form(&app, &visitor, by_token, onward(params.get("continue")), "", None))
}

pub(super) async fn sign_up(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    FormParams(params): FormParams,
) -> PageResult {
    let by_token = must_be_open(&app).await?;
    visitor.check(&params)?;
    let to = onward(params.get("continue"));
    match account(&app, &visitor, by_token, &params).await {
        Ok(account) => visitor.welcome(&app, &account.user_id, to).await,
        Err(ApiError { status: StatusCode::BAD_REQUEST, error, .. }) => {
            let name = params.get("username").unwrap_or_default();
            let mut response = form(&app, &visitor, by_token, to, name, Some(&error));
            *response.status_mut() = StatusCode::BAD_REQUEST;
            Ok(response)
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
    // Tokens can't be tried out faster than accounts can be created.
    app.limits.check(Limit::Registration, &visitor.from())?;
    let token = params.get("token").unwrap_or_default().trim();
    if by_token && !app.uia.token_is_good(token).await? {
        return Err(ApiError::invalid_param("That registration token is not valid."));
    }
    // Those in the settings are for everybody, the others are counted.
    let counted = by_token && !app.registration_tokens.is_configured(token);
    let passed = Passed { token: counted.then(|| token.to_owned()), ..Passed::default() };
    let user = new_user_id(name, &app.config.server_name)?;
    free(app, &user).await?;
    let hash = app.accounts.hash_password(password).await?;
    let account = Account { password: Some(hash), ..Account::new(user, Kind::User) };
    app.accounts.create_with(account.clone(), passed).await?;
    Ok(account)
}

fn form(
    app: &App,
    visitor: &Visitor,
    by_token: bool,
    to: &str,
    name: &str,
    problem: Option<&str>,
) -> Response {
    let least = app.config.accounts.password_minimum_length;
    let body = html! {
        @if let Some(problem) = problem { (alert(problem)) }
        p { "Create an account on " strong { (app.config.server_name) } "." }
        form method="post" action=(PATH) {
            (visitor.field())
            input type="hidden" name="continue" value=(to);
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
