//! Ending sessions at a provider's word (OpenID Connect Back-Channel Logout 1.0).

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use futures::FutureExt;
use ruma::{DeviceId, UserId};
use serde::Deserialize;

use super::Arrival;
use super::provider::{Provider, ProviderError};
use crate::app::App;
use crate::http::error::ApiResult;
use crate::storage::external_ids::{self, Origin};
use crate::storage::tokens::TokenHash;

/// After how long a log-in token that nobody used is forgotten, in milliseconds.
const UNUSED_MS: i64 = 60 * 60 * 1000;

fn is_on(provider: &Provider) -> bool {
    provider.settings().backchannel_logout
}

/// From which session at the provider somebody came, where it can end what it began here.
pub fn origin(app: &App, arrival: &Arrival) -> Option<Origin> {
    let (id, sid) = (&arrival.back.id, &arrival.back.sid);
    let known = app.sso.provider(&id.provider).is_some_and(is_on);
    known.then(|| Origin { id: id.clone(), sid: sid.clone() })
}

/// Notes from which session at the provider a log-in token comes.
pub async fn begin(app: &App, token: &str, arrival: &Arrival) -> ApiResult<()> {
    if !app.sso.provider(&arrival.back.id.provider).is_some_and(is_on) {
        return Ok(());
    }
    let (token, arrival, now) = (TokenHash::of(token), arrival.clone(), app.clock.now_ms());
    app.committer
        .run(move |tx| {
            let arrival = arrival.clone();
            async move {
                let (id, sid) = (&arrival.back.id, arrival.back.sid.as_deref());
                let times = (now, now - UNUSED_MS);
                external_ids::begin_session(tx, token, id, sid, &arrival.user, times).await
            }
            .boxed()
        })
        .await?;
    Ok(())
}

/// Notes which device a log-in token was used for.
pub async fn bind(app: &App, token: &str, user: &UserId, device: &DeviceId) -> ApiResult<()> {
    if !app.sso.providers().iter().any(is_on) {
        return Ok(());
    }
    let (token, user, device) = (TokenHash::of(token), user.to_owned(), device.to_owned());
    app.committer
        .run(move |tx| {
            let (user, device) = (user.clone(), device.clone());
            async move { external_ids::bind_session(tx, token, &user, &device).await }.boxed()
        })
        .await?;
    Ok(())
}

/// Ends the sessions that a logout token names; `false` when no provider's word it is.
pub async fn end(app: &App, token: &str) -> ApiResult<bool> {
    let Some(issuer) = issuer(token) else { return Ok(false) };
    for provider in app.sso.providers().iter().filter(|provider| is_on(provider)) {
        let settings = provider.settings();
        if settings.issuer.trim_end_matches('/') != issuer.trim_end_matches('/') {
            continue;
        }
        let (sid, subject) = match provider.logged_out(token).await {
            Ok(named) => named,
            Err(ProviderError::Claims(_) | ProviderError::Token(_)) => continue,
            Err(error) => {
                tracing::warn!(%error, provider = %settings.id, "a logout could not be checked");
                continue;
            }
        };
        let subject = subject.filter(|_| settings.subject_claim == "sub");
        let (sid, subject) = (sid.as_deref(), subject.as_deref());
        // First what may become a session yet.
        end_browsers(app, &settings.id, sid, subject).await?;
        let devices = external_ids::devices(&app.db, &settings.id, sid, subject).await?;
        for (user, device) in devices {
            app.sessions.end(&user, std::slice::from_ref(&device)).await?;
            app.devices.forget(&user, &[device]);
        }
        return Ok(true);
    }
    Ok(false)
}

async fn end_browsers(
    app: &App,
    provider: &str,
    sid: Option<&str>,
    subject: Option<&str>,
) -> ApiResult<()> {
    let owned = |text: Option<&str>| text.map(ToOwned::to_owned);
    let named = (provider.to_owned(), owned(sid), owned(subject));
    app.committer
        .run(move |tx| {
            let (provider, sid, subject) = named.clone();
            async move {
                let (sid, subject) = (sid.as_deref(), subject.as_deref());
                external_ids::end_browsers(tx, &provider, sid, subject).await
            }
            .boxed()
        })
        .await?;
    Ok(())
}

#[derive(Deserialize)]
struct Issuer {
    iss: String,
}

/// Whom a token claims to be from, to know whose keys to check it with.
fn issuer(token: &str) -> Option<String> {
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    Some(serde_json::from_slice::<Issuer>(&claims).ok()?.iss)
}
