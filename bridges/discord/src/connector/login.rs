//! Linking: a Matrix user proves who they are on Discord. No password and no token of theirs is kept or used: Discord forbids programs to
//! act by people's accounts.

use landbridge_framework::{
    LoginIo, NewLogin,
    login::{Form, LoginError, OAuthSpec},
};
use serde::Deserialize;
use url::Url;

use super::{Discord, LoginMeta};
use crate::{
    client::{Call, Hub, Wait},
    config::OAuthConfig,
    ids::{Account, Id, Person},
    wire::User,
};

#[derive(Deserialize)]
struct Answer {
    code: String,
}

fn linked(user: Id, name: &str) -> NewLogin<Discord> {
    NewLogin::new(Account::Person(user), name, LoginMeta { user: Some(user) })
        .user(Person::User(user))
}

/// By a code that `/matrix link` gave them on Discord, where they are known.
pub(super) async fn code(mut io: LoginIo<Discord>) -> Result<NewLogin<Discord>, LoginError> {
    let form = Form::new()
        .instructions(
            "On Discord, in a server that this bridge's bot is in, type /matrix link. The answer, which only you see, is a code.",
        )
        .token("code", "Code");
    let answer: Answer = io.ask(form).await?;
    let found = io.network().hub.take_code(&answer.code);
    let (user, name) = found.ok_or_else(|| {
        LoginError::refused("that code is not, or no longer, good; ask for another by /matrix link")
    })?;
    Ok(linked(user, &name))
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
}

/// By Discord's own page, with the scope `identify` (API reference, "OAuth2", "Authorization Code Grant").
pub(super) async fn oauth(mut io: LoginIo<Discord>) -> Result<NewLogin<Discord>, LoginError> {
    let hub = io.network().hub.clone();
    let oauth = hub.checked.config.oauth.clone().ok_or_else(|| {
        LoginError::refused("this bridge has no OAuth2 client; use `login code` instead")
    })?;
    let state = format!("{:032x}", rand::random::<u128>());
    let page = authorize_url(&hub, &oauth, &state)?;
    let code = io.oauth(OAuthSpec { authorize_url: page, state }).await?;
    let token: Token = hub
        .rest
        .ask(
            client_call(
                "oauth2/token",
                &oauth,
                &[
                    ("grant_type", "authorization_code"),
                    ("code", &code.0),
                    ("redirect_uri", &oauth.redirect_uri),
                ],
            ),
            Wait::Yes,
        )
        .await
        .map_err(|error| LoginError::Network(error.to_string()))?;
    let user = hub.rest.whose(&token.access_token).await;
    // It has served its purpose.
    let revoke = client_call("oauth2/token/revoke", &oauth, &[("token", &token.access_token)]);
    if let Err(error) = hub.rest.tell(revoke, Wait::Yes).await {
        tracing::warn!(%error, "a token that is no longer needed could not be revoked");
    }
    let user: User = user.map_err(|error| LoginError::Network(error.to_string()))?;
    hub.note_person(None, &user, None);
    Ok(linked(user.id, user.name()))
}

fn client_call(path: &str, oauth: &OAuthConfig, fields: &[(&str, &str)]) -> Call {
    let own = [
        ("client_id".to_owned(), oauth.client_id.clone()),
        ("client_secret".to_owned(), oauth.client_secret.0.clone()),
    ];
    let fields = fields.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Call::post(path).without_token().form(own.into_iter().chain(fields).collect())
}

/// The page that asks the user. It is beside the API: `https://discord.com/oauth2/authorize`.
fn authorize_url(hub: &Hub, oauth: &OAuthConfig, state: &str) -> Result<String, LoginError> {
    let mut url: Url = hub
        .checked
        .api
        .join("/oauth2/authorize")
        .map_err(|error| LoginError::refused(format!("discord.api_url: {error}")))?;
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", &oauth.client_id)
        .append_pair("scope", "identify")
        .append_pair("state", state)
        .append_pair("redirect_uri", &oauth.redirect_uri)
        .append_pair("prompt", "consent");
    Ok(url.into())
}
