//! Which account belongs to an identity, and how it gets one.

use futures::FutureExt;
use ruma::{OwnedUserId, UserId};
use serde_json::json;

use super::picture;
use super::provider::Provider;
use super::template::Attributes;
use crate::app::App;
use crate::http::error::{ApiError, ApiResult};
use crate::http::limit::Limit;
use crate::services::accounts::{new_user_id, user_in_use};
use crate::services::profiles::{DISPLAYNAME, Profile};
use crate::services::threepids::EMAIL;
use crate::services::user_directory::words_of;
use crate::storage::accounts::{self, Account, Kind};
use crate::storage::external_ids::{self, ExternalId};
use crate::storage::threepids::{self, Threepid};
use crate::storage::{StorageError, user_directory};

/// Whose account an identity has been given, if anybody's.
pub async fn owner(app: &App, id: &ExternalId) -> Result<Option<OwnedUserId>, StorageError> {
    external_ids::owner(&app.db, id).await
}

/// Who a user is at identity providers.
pub async fn of_user(app: &App, user: &UserId) -> Result<Vec<ExternalId>, StorageError> {
    external_ids::of_user(&app.db, user).await
}

/// What becomes of an identity without an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It gets this account, which exists.
    Join(OwnedUserId),
    /// It gets this account, which is to be made.
    Make(OwnedUserId),
    /// Its person is asked.
    Ask,
    /// Nothing: the settings give accounts to nobody.
    Nothing,
}

/// Decides what becomes of an identity without an account, as the settings of its provider have it.
pub async fn fate(app: &App, id: &ExternalId, attributes: &Attributes) -> ApiResult<Fate> {
    let Some(settings) = app.sso.provider(&id.provider).map(Provider::settings) else {
        return Ok(Fate::Nothing);
    };
    let user = attributes.localpart.as_deref();
    let user = user.and_then(|name| new_user_id(name, &app.config.server_name).ok());
    if let Some(user) = &user
        && settings.allow_existing_users
        && let Some(account) = app.accounts.get(user).await?
        && account.kind == Kind::User
        && !account.deactivated
    {
        return Ok(Fate::Join(user.clone()));
    }
    if !settings.enable_registration {
        return Ok(if settings.link_by_password { Fate::Ask } else { Fate::Nothing });
    }
    match user {
        Some(user) if !settings.confirm_localpart && is_free(app, &user).await? => {
            Ok(Fate::Make(user))
        }
        _ => Ok(Fate::Ask),
    }
}

/// Whether an account may have this name.
pub async fn is_free(app: &App, user: &UserId) -> ApiResult<bool> {
    Ok(!app.appservices.exclusive_user(user, None) && app.accounts.get(user).await?.is_none())
}

/// Gives an identity to an account that exists. Another's identity is refused.
pub async fn join(app: &App, user: &UserId, id: &ExternalId) -> ApiResult<()> {
    let (owner, new) = (user.to_owned(), id.clone());
    let given = app
        .committer
        .run(move |tx| {
            let (owner, new) = (owner.clone(), new.clone());
            async move {
                let known = external_ids::owner_in(tx, &new).await?;
                match known {
                    Some(known) => Ok(known == owner),
                    None => external_ids::insert(tx, &new, &owner).await,
                }
            }
            .boxed()
        })
        .await?;
    if given { Ok(()) } else { Err(taken()) }
}

/// Makes these identities all that an account has. Where one is another's, nothing changes.
pub async fn replace(app: &App, user: &UserId, ids: Vec<ExternalId>) -> ApiResult<()> {
    let owner = user.to_owned();
    let given = app
        .committer
        .run(move |tx| {
            let (owner, ids) = (owner.clone(), ids.clone());
            async move {
                for id in &ids {
                    let known = external_ids::owner_in(tx, id).await?;
                    if known.is_some_and(|known| known != owner) {
                        return Ok(false);
                    }
                }
                external_ids::clear(tx, &owner).await?;
                for id in &ids {
                    external_ids::insert(tx, id, &owner).await?;
                }
                Ok(true)
            }
            .boxed()
        })
        .await?;
    if given { Ok(()) } else { Err(taken()) }
}

/// Makes an account for an identity, both or neither, and gives it the profile that the provider told of.
pub async fn make(
    app: &App,
    user: &UserId,
    id: &ExternalId,
    attributes: &Attributes,
    from: &str,
) -> ApiResult<()> {
    app.limits.check(Limit::Registration, from)?;
    if !is_free(app, user).await? {
        return Err(user_in_use());
    }
    let (owner, new, now) = (user.to_owned(), id.clone(), app.clock.now_ms());
    let email = attributes.email.clone();
    let made = app
        .committer
        .run(move |tx| {
            let (owner, new, email) = (owner.clone(), new.clone(), email.clone());
            async move {
                if external_ids::owner_in(tx, &new).await?.is_some() {
                    return Ok(Err(taken()));
                }
                let account = Account::new(owner, Kind::User);
                if !accounts::insert(tx, &account, now).await? {
                    return Ok(Err(user_in_use()));
                }
                let words = words_of(&account.user_id, None);
                user_directory::set(tx, &account.user_id, &words).await?;
                external_ids::insert(tx, &new, &account.user_id).await?;
                if let Some(email) = &email
                    && threepids::owner_in(tx, EMAIL, email).await?.is_none()
                {
                    let vouched = Threepid::vouched_email(email, now);
                    threepids::insert(tx, &account.user_id, &vouched).await?;
                }
                Ok(Ok(()))
            }
            .boxed()
        })
        .await?;
    app.accounts.forget(user);
    made?;
    describe(app, user, attributes).await;
    Ok(())
}

/// Sets the profile of a new account. Without it the account is none the worse, so troubles are only noted.
async fn describe(app: &App, user: &UserId, attributes: &Attributes) {
    if let Some(name) = &attributes.display_name {
        let fields = Profile::from_iter([(DISPLAYNAME.to_owned(), json!(name))]);
        if let Err(error) = app.profiles.merge(user, fields, false).await {
            tracing::warn!(%user, %error, "the display name from an identity provider could not be set");
        }
    }
    if let Some(address) = &attributes.picture {
        picture::fetch(app, user, address).await;
    }
}

fn taken() -> ApiError {
    ApiError::forbidden("That identity belongs to another account here")
}
