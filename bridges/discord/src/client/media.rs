//! Fetching files. Only Discord's own hosts are asked: nobody else's addresses are, whatever a message says.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use landbridge_framework::{NetError, event::MediaRef, handlers::MediaStream};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use url::Url;

use super::{Call, Hub, Wait, lottie};
use crate::{ids::Id, wire::Message};

/// Discord's hosts for files.
const HOSTS: [&str; 4] = [
    "cdn.discordapp.com",
    "media.discordapp.net",
    "images-ext-1.discordapp.net",
    "images-ext-2.discordapp.net",
];
/// How long before its end an address is no longer used, in seconds.
const MARGIN: i64 = 300;

/// Opens a file by the name that the converters gave it.
pub async fn open(hub: &Hub, media: &MediaRef) -> Result<MediaStream, NetError> {
    let unknown = || NetError::permanent(format!("not a file of Discord's: {}", media.0));
    if let Some(path) = media.0.strip_prefix("cdn:") {
        return fetch(hub, hub.checked.cdn.join(path).map_err(|_| unknown())?).await;
    }
    if let Some(id) = media.0.strip_prefix("lottie:") {
        return drawn(hub, id.parse().map_err(|_| unknown())?).await;
    }
    if let Some(url) = media.0.strip_prefix("url:") {
        return fetch(hub, Url::parse(url).map_err(|_| unknown())?).await;
    }
    let names = media.0.strip_prefix("attachment:").ok_or_else(unknown)?;
    let mut ids = names.split('/').map(str::parse::<Id>);
    let (Some(Ok(channel)), Some(Ok(message)), Some(Ok(attachment)), None) =
        (ids.next(), ids.next(), ids.next(), ids.next())
    else {
        return Err(unknown());
    };
    if let Some(url) = hub.address(attachment).and_then(|url| Url::parse(&url).ok())
        && is_fresh(&url, hub.clock.now_ms())
        && let Ok(stream) = fetch(hub, url).await
    {
        return Ok(stream);
    }
    // The address has ended, or was never told to this process: the message has a new one.
    let call = Call::get(format!("channels/{channel}/messages/{message}"));
    let message: Message = hub.rest.ask(call, Wait::Yes).await?;
    let forwarded = message.message_snapshots.iter().flat_map(|s| &s.message.attachments);
    let file = message.attachments.iter().chain(forwarded).find(|file| file.id == attachment);
    let url = file.ok_or_else(|| NetError::permanent("the file is no longer in the message"))?;
    let url = Url::parse(&url.url).map_err(NetError::permanent)?;
    fetch(hub, url).await
}

/// A Lottie sticker, drawn.
async fn drawn(hub: &Hub, sticker: Id) -> Result<MediaStream, NetError> {
    let url = hub.checked.cdn.join(&format!("stickers/{sticker}.json"));
    let url = url.map_err(NetError::permanent)?;
    let failed =
        |reason: &dyn std::fmt::Display| NetError::permanent(format!("{reason}; see {url}"));
    let mut program = Vec::new();
    let mut stream = fetch(hub, url.clone()).await?.bytes;
    while let Some(chunk) = stream.next().await {
        program.extend_from_slice(&chunk.map_err(NetError::temporary)?);
        if program.len() > lottie::MAX_BYTES {
            return Err(failed(&lottie::Undrawable::TooLarge));
        }
    }
    let Ok(_turn) = hub.drawing.acquire().await else {
        return Err(NetError::temporary("the bridge is stopping"));
    };
    let picture = tokio::task::spawn_blocking(move || lottie::draw(&program)).await;
    let picture = picture.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
    let size = Some(picture.len() as u64);
    let bytes = futures::stream::iter([Ok(Bytes::from(picture))]).boxed();
    Ok(MediaStream { mime: Some("image/gif".into()), size, bytes })
}

/// Whether an address is good for a while: `ex` is the second of its end, in hexadecimal digits.
fn is_fresh(url: &Url, now_ms: i64) -> bool {
    let end = url.query_pairs().find(|(key, _)| key == "ex").map(|(_, end)| end.into_owned());
    match end {
        Some(end) => {
            i64::from_str_radix(&end, 16).is_ok_and(|end| end - MARGIN > now_ms.div_euclid(1_000))
        }
        None => true,
    }
}

fn is_discords(hub: &Hub, url: &Url) -> bool {
    let own = url.origin() == hub.checked.cdn.origin();
    let known = url.scheme() == "https" && url.host_str().is_some_and(|host| HOSTS.contains(&host));
    own || known
}

async fn fetch(hub: &Hub, url: Url) -> Result<MediaStream, NetError> {
    if !is_discords(hub, &url) {
        return Err(NetError::permanent(format!(
            "files are fetched from Discord only, not from {}",
            url.host_str().unwrap_or_default()
        )));
    }
    let response = hub
        .files
        .get(url)
        .send()
        .await
        .map_err(|error| NetError::temporary(error.without_url()))?;
    let status = response.status();
    if !status.is_success() {
        let reason = format!("Discord doesn't give the file (status {})", status.as_u16());
        return Err(if status.is_server_error() || status.as_u16() == 429 {
            NetError::Temporary { reason, after: Some(Duration::from_secs(5)) }
        } else {
            NetError::permanent(reason)
        });
    }
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let mime = header(CONTENT_TYPE).map(ToOwned::to_owned);
    let size = header(CONTENT_LENGTH).and_then(|size| size.parse().ok());
    let bytes = response.bytes_stream().map(|chunk| chunk.map_err(std::io::Error::other)).boxed();
    Ok(MediaStream { mime, size, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_end() {
        let url =
            |query: &str| Url::parse(&format!("https://cdn.discordapp.com/a?{query}")).unwrap();
        // 0x607f4690 is 1,618,953,872.
        assert!(is_fresh(&url("ex=607f4690&is=1&hm=2"), 1_618_953_000_000));
        assert!(!is_fresh(&url("ex=607f4690"), 1_618_953_700_000));
        assert!(!is_fresh(&url("ex=nothing"), 0));
        assert!(is_fresh(&url("size=256"), i64::MAX));
    }
}
