//! Web push without a gateway in between ([RFC 8030](https://www.rfc-editor.org/rfc/rfc8030),
//! [MSC4174](https://github.com/matrix-org/matrix-spec-proposals/pull/4174)): pushers of the kind `webpush`, whose pushkey is the public
//! key that messages are encrypted for.

mod encrypt;
mod vapid;

use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use ring::error::Unspecified;
use serde_json::{Map, Value, json};
use url::Url;

pub(crate) use self::encrypt::{MAX_BYTES, Recipient};
pub use self::vapid::{Vapid, VapidError};
use crate::storage::pushers::Pusher;

/// The kind of these pushers.
pub(crate) const KIND: &str = "webpush";
/// For how long a push service keeps a message for a device that it can't reach. A client that comes back later syncs.
const TTL_S: u32 = 24 * 60 * 60;

/// Who reads what is sent to a pusher.
pub(super) fn recipient(pusher: &Pusher, data: &Map<String, Value>) -> Option<Recipient> {
    let auth = data.get("auth").and_then(Value::as_str)?;
    Recipient::parse(&pusher.key.pushkey, auth)
}

/// Whether a pusher is told of counts alone. Browsers want to show something for each message, so that clients may do without.
pub(super) fn wants_counts(data: &Map<String, Value>) -> bool {
    data.get("events_only") != Some(&Value::Bool(true))
}

/// The message that asks a client whether it gets what is sent to its pusher.
pub(super) fn challenge(pusher: &Pusher, token: &str) -> Value {
    json!({ "app_id": pusher.key.app_id, "ack_token": token })
}

/// The headers of a message.
pub(super) fn headers(
    vapid: &Vapid,
    url: &Url,
    urgent: bool,
    now_ms: i64,
) -> Result<HeaderMap, Unspecified> {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, vapid.authorization(url, now_ms)?);
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("aes128gcm"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(HeaderName::from_static("ttl"), HeaderValue::from(TTL_S));
    let urgency = if urgent { "high" } else { "normal" };
    headers.insert(HeaderName::from_static("urgency"), HeaderValue::from_static(urgency));
    Ok(headers)
}

/// Whether an answer says that the subscription is over.
pub(super) fn is_over(status: StatusCode) -> bool {
    matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::FORBIDDEN)
}
