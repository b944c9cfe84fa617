//! OpenID tokens: they tell a third party who somebody is, and open nothing else (Client-Server API, "OpenID").

use futures::FutureExt;
use ruma::{OwnedUserId, UserId};

use crate::app::App;
use crate::http::error::ApiResult;
use crate::services::sessions::random_token;
use crate::storage::tokens::{self, TokenHash};

/// How long a token is good, in milliseconds: an hour.
pub const LIFETIME_MS: i64 = 60 * 60 * 1000;
const PURPOSE: &str = "openid";

/// Makes a token for a user.
pub async fn token(app: &App, user: &UserId) -> ApiResult<String> {
    let token = random_token();
    let (hash, now, owner) = (TokenHash::of(&token), app.clock.now_ms(), user.to_owned());
    app.committer
        .run(move |tx| {
            let owner = owner.clone();
            async move {
                tokens::insert_short(tx, hash, PURPOSE, &owner, now + LIFETIME_MS, now).await
            }
            .boxed()
        })
        .await?;
    Ok(token)
}

/// Whose token this is, if it is good and its owner may use their account.
pub async fn owner(app: &App, token: &str) -> ApiResult<Option<OwnedUserId>> {
    let now = app.clock.now_ms();
    let Some(user) = tokens::peek_short(&app.db, TokenHash::of(token), PURPOSE, now).await? else {
        return Ok(None);
    };
    let account = app.accounts.get(&user).await?;
    Ok(account.is_some_and(|account| !account.deactivated && !account.locked).then_some(user))
}
