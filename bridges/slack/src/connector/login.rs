//! People's own accounts: allowed on Slack's own page, or by a token that the app's page shows.

use landbridge_framework::{
    login::{Display, Form, LoginError, LoginIo, OAuthSpec},
    prelude::*,
};
use serde::Deserialize;
use tokio::sync::oneshot;

use super::{Credentials, Slack};
use crate::{
    client::{ApiError, web},
    config::Secret,
    hub::{Hub, Wanted},
    ids::{Account, User},
    json::said,
};

/// On Slack's own page. Where the bridge has an address the browser brings the answer itself; otherwise the person copies it.
pub(super) async fn oauth(mut io: LoginIo<Slack>) -> Result<NewLogin<Slack>, LoginError> {
    let hub = io.network().hub.clone();
    if hub.config.client_id.is_none() {
        return Err(LoginError::refused(
            "whoever runs this bridge has not set slack.client_id; use `login token`",
        ));
    }
    let code = if hub.config.public_url.is_some() && hub.config.listen.is_some() {
        let (answer, heard) = oneshot::channel();
        let state = hub.consent.ask(Wanted::Account(answer));
        let display = Display::Nothing(format!("Open {} and allow it.", page(&hub, &state)?));
        let heard = io.show_until(display, heard).await?;
        heard.map_err(|_| LoginError::Cancelled)?.map_err(LoginError::refused)?
    } else {
        let state = hub.consent.random();
        let authorize_url = page(&hub, &state)?;
        io.oauth(OAuthSpec { authorize_url, state }).await?.0
    };
    let answer = web::exchange(&hub, &code).await.map_err(ApiError::logging_in)?;
    let token = answer.get("authed_user").and_then(|user| said(user, "access_token"));
    let token = token.ok_or_else(|| LoginError::refused("Slack gave no token for you"))?;
    checked(&hub, Secret::new(token)).await
}

fn page(hub: &Hub, state: &str) -> Result<String, LoginError> {
    web::authorize_url(hub, state, false)
        .map(String::from)
        .ok_or_else(|| LoginError::refused("slack.client_id is not set"))
}

#[derive(Deserialize)]
struct Answer {
    token: Secret,
}

/// By a token: for whoever installs the app in a workspace, its page shows one.
pub(super) async fn token(mut io: LoginIo<Slack>) -> Result<NewLogin<Slack>, LoginError> {
    let form = Form::new()
        .instructions(
            "On https://api.slack.com/apps choose the bridge's app, \"OAuth & Permissions\", and copy the User OAuth Token.",
        )
        .token("token", "Token (xoxp-...)");
    let answer: Answer = io.ask(form).await?;
    if !answer.token.expose().starts_with("xoxp-") {
        return Err(LoginError::refused("a person's token of the app begins with xoxp-"));
    }
    let hub = io.network().hub.clone();
    checked(&hub, answer.token).await
}

/// Whose token it is.
async fn checked(hub: &Hub, token: Secret) -> Result<NewLogin<Slack>, LoginError> {
    let me = hub.api.session(&token, "new").identity().await.map_err(ApiError::logging_in)?;
    if me.bot.is_some() {
        return Err(LoginError::refused("this is a bot's token, not a person's"));
    }
    let user = User::new(me.team, me.user);
    let name = format!("{} in {}", me.user_name, me.team_name);
    let credentials = Credentials { token: Some(token) };
    Ok(NewLogin::new(Account::Person(user.clone()), name, credentials).user(user))
}
