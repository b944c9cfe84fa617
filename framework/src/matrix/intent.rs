//! Acting as one Matrix user.

mod account;
mod media;
mod room;
mod timeline;

use http::Method;
use landbridge_registration::Token;
use serde_json::Value;

use super::Matrix;
use super::error::MatrixError;
use super::request::Call;

pub use account::{Profile, Versions, Whoami};
pub use media::Downloaded;
pub use room::{Members, RoomState};
pub use timeline::{Direction, MessagesPage, ReadMarkers};

/// Prefix of most of the Client-Server API.
const V3: &str = "/_matrix/client/v3";
/// Prefix of its younger parts.
const V1: &str = "/_matrix/client/v1";
/// Prefix of what isn't in the spec yet.
const UNSTABLE: &str = "/_matrix/client/unstable";

/// One Matrix user, acted as: the bot, a ghost, or a person whose double puppet we are. Cheap to clone.
#[derive(Clone)]
pub struct Intent {
    matrix: Matrix,
    user_id: String,
    token: Option<Token>,
    device_id: Option<String>,
    /// Whether the account is somebody's own: it is there, and not ours to register.
    puppet: bool,
}

impl Intent {
    pub(super) fn new(matrix: Matrix, user_id: String, token: Option<Token>) -> Self {
        Self { matrix, user_id, token, device_id: None, puppet: false }
    }

    pub(super) fn puppet(matrix: Matrix, user_id: String, token: Option<Token>) -> Self {
        Self { puppet: true, ..Self::new(matrix, user_id, token) }
    }

    /// Acts on this device of the user (identity assertion, Application Service API).
    #[must_use]
    pub fn on_device(mut self, device_id: impl Into<String>) -> Self {
        self.device_id = Some(device_id.into());
        self
    }

    /// Whom we act as.
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// The homeserver.
    pub fn matrix(&self) -> &Matrix {
        &self.matrix
    }

    /// Whether this is the bridge's bot.
    pub fn is_bot(&self) -> bool {
        self.user_id == self.matrix.bot_id()
    }

    fn token(&self) -> &str {
        self.token.as_ref().map_or_else(|| self.matrix.as_token(), Token::expose)
    }

    /// A call as this user.
    fn call(&self, method: Method, prefix: &str, segments: &[&str]) -> Call {
        let call = Call::new(method, prefix, segments);
        if self.token.is_some() {
            return call;
        }
        let call = call.query("user_id", &self.user_id);
        match &self.device_id {
            // Both names: homeservers of today know the unstable one only (MSC3202).
            Some(device) => {
                call.query("device_id", device).query("org.matrix.msc3202.device_id", device)
            }
            None => call,
        }
    }

    async fn json(&self, call: Call) -> Result<Value, MatrixError> {
        self.matrix.json(self.token(), call).await
    }

    /// A request about a room. A 403 shows that what we remember of the room may be wrong.
    async fn room_json(&self, room_id: &str, call: Call) -> Result<Value, MatrixError> {
        let result = self.json(call).await;
        if let Err(error) = &result
            && error.is_forbidden()
        {
            self.matrix.inner.memory.doubt(room_id, &self.user_id).await?;
        }
        result
    }
}

/// A string of an answer that must have it.
fn text(answer: &Value, key: &str) -> Result<String, MatrixError> {
    answer
        .get(key)
        .and_then(Value::as_str)
        .map(ToOwned::to_owned)
        .ok_or_else(|| MatrixError::BadAnswer(format!("{key} is missing")))
}

/// The strings of a list in an answer.
fn texts(answer: &Value, key: &str) -> Result<Vec<String>, MatrixError> {
    let list = answer.get(key).and_then(Value::as_array);
    let list = list.ok_or_else(|| MatrixError::BadAnswer(format!("{key} is missing")))?;
    Ok(list.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect())
}
