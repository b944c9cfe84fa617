//! The picture that a provider has of somebody.

use std::time::Duration;

use ruma::UserId;
use serde_json::json;
use url::Url;

use crate::app::App;
use crate::outbound::Ask;
use crate::services::media::Description;
use crate::services::profiles::AVATAR_URL;

const MAX_BYTES: usize = 4 << 20;
const TIME: Duration = Duration::from_secs(10);

/// Fetches a picture and makes it the avatar of a new account. People choose their pictures' addresses themselves at many providers, so
/// it is fetched as any other address that somebody names. Without it the account is none the worse.
pub(super) async fn fetch(app: &App, user: &UserId, address: &str) {
    if let Err(problem) = try_fetch(app, user, address).await {
        tracing::info!(%user, problem, "no picture was had from an identity provider");
    }
}

async fn try_fetch(app: &App, user: &UserId, address: &str) -> Result<(), String> {
    let url = Url::parse(address).map_err(|error| error.to_string())?;
    let ask = Ask {
        accept: "image/*",
        language: None,
        max_bytes: MAX_BYTES,
        beginning: false,
        admits: &|_| true,
    };
    let fetched = tokio::time::timeout(TIME, app.outbound.get(url, &ask));
    let fetched =
        fetched.await.map_err(|_| "it took too long")?.map_err(|error| error.to_string())?;
    let format = image::guess_format(&fetched.body).map_err(|_| "it is no picture")?;
    let about = Description {
        content_type: Some(format.to_mime_type().to_owned()),
        ..Description::default()
    };
    let id = app.media.keep(about, fetched.body).await.map_err(|error| error.to_string())?;
    let set = app.profiles.set(user, AVATAR_URL, json!(app.media.uri(&id)));
    set.await.map_err(|error| error.to_string())
}
