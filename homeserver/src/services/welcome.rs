//! Links by which somebody sets the password of an account, once: how the first administrator comes in, and whoever an administrator
//! makes an account for. Only the hash of a link's token is kept.

use futures::FutureExt;
use ruma::{OwnedUserId, UserId};

use crate::{
    app::App,
    http::error::ApiResult,
    services::sessions::random_token,
    storage::{
        StorageError, accounts,
        tokens::{self, TokenHash},
    },
};

/// How long a link is good, in milliseconds: a day.
pub const LIFETIME_MS: i64 = 24 * 60 * 60 * 1000;
/// Where the page is.
pub const PATH: &str = "/_landbridge/welcome";
const PURPOSE: &str = "welcome";

/// Makes a link for an account and gives its path with the token. Links made before go on being good until one of them is used.
pub async fn link(app: &App, user: &UserId) -> ApiResult<String> {
    let token = random_token();
    let (hash, now, owner) = (TokenHash::of(&token), app.clock.now_ms(), user.to_owned());
    app.committer
        .run(move |tx| {
            let owner = owner.clone();
            async move { tokens::insert_short(tx, hash, PURPOSE, &owner, now + LIFETIME_MS, now).await }.boxed()
        })
        .await?;
    Ok(format!("{PATH}?token={token}"))
}

/// Whose link it is, if it is good.
pub async fn owner(app: &App, token: &str) -> Result<Option<OwnedUserId>, StorageError> {
    tokens::peek_short(&app.db, TokenHash::of(token), PURPOSE, app.clock.now_ms()).await
}

/// Uses a link up and sets the password, both or neither. Gives the account's owner, or nobody if the link was no longer good. All other
/// sessions of the account end: whoever had the old password is out.
pub async fn redeem(app: &App, token: &str, password: &str) -> ApiResult<Option<OwnedUserId>> {
    let hashed = app.accounts.hash_password(password).await?;
    let (hash, now) = (TokenHash::of(token), app.clock.now_ms());
    let user = app
        .committer
        .run(move |tx| {
            let hashed = hashed.clone();
            async move {
                let Some(user) = tokens::take_short(tx, hash, PURPOSE, now).await? else {
                    return Ok(None);
                };
                tokens::forget_short(tx, PURPOSE, &user).await?;
                accounts::set_password(tx, &user, &hashed).await?;
                Ok(Some(user))
            }
            .boxed()
        })
        .await?;
    if let Some(user) = &user {
        app.accounts.forget(user);
        app.sessions.end_all(user, None).await?;
    }
    Ok(user)
}
