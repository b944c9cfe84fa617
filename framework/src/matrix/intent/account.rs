//! The user themself: registration, profile, account data, presence; and what the homeserver can do.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Intent, V1, V3, text, texts};
use crate::matrix::MatrixError;
use crate::matrix::request::Call;

/// How much longer than it was asked to hang an answer may take.
const GRACE: Duration = Duration::from_secs(10);

/// Who a token stands for.
#[derive(Clone, Debug, Deserialize)]
pub struct Whoami {
    /// The user.
    pub user_id: String,
    /// Their device, if the token belongs to one.
    pub device_id: Option<String>,
}

/// What a homeserver says it can do (`GET /_matrix/client/versions`).
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Versions {
    /// Versions of the spec.
    #[serde(default)]
    pub versions: Vec<String>,
    /// What isn't in the spec.
    #[serde(default)]
    pub unstable_features: BTreeMap<String, bool>,
}

impl Versions {
    /// Whether it has this version (`v1.7`) or a later one.
    pub fn has(&self, wanted: &str) -> bool {
        let wanted = number(wanted);
        wanted.is_some() && self.versions.iter().any(|v| number(v) >= wanted)
    }

    /// Whether it advertises an unstable feature.
    pub fn feature(&self, name: &str) -> bool {
        self.unstable_features.get(name).copied().unwrap_or(false)
    }
}

fn number(version: &str) -> Option<(u32, u32)> {
    let (major, minor) = version.strip_prefix('v')?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// A user's profile.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
pub struct Profile {
    /// Name.
    pub displayname: Option<String>,
    /// Picture, as `mxc:` URI.
    pub avatar_url: Option<String>,
}

impl Intent {
    /// Who we are to the homeserver.
    pub async fn whoami(&self) -> Result<Whoami, MatrixError> {
        let answer = self.json(self.call(Method::GET, V3, &["account", "whoami"])).await?;
        serde_json::from_value(answer).map_err(|error| MatrixError::BadAnswer(error.to_string()))
    }

    /// What the homeserver can do.
    pub async fn versions(&self) -> Result<Versions, MatrixError> {
        let answer = self.json(self.call(Method::GET, "/_matrix/client", &["versions"])).await?;
        serde_json::from_value(answer).map_err(|error| MatrixError::BadAnswer(error.to_string()))
    }

    /// `GET /sync` that asks for nothing, and so hangs for `wait` where it starts from an earlier token; gives the next.
    /// Never repeated: that it breaks off is what is to be learnt.
    pub async fn nothing_since(
        &self,
        since: Option<&str>,
        wait: Duration,
    ) -> Result<String, MatrixError> {
        let nothing = json!({
            "room": { "rooms": [] }, "presence": { "types": [] }, "account_data": { "types": [] },
        });
        let call = self
            .call(Method::GET, V3, &["sync"])
            .query("filter", &nothing.to_string())
            .query("set_presence", "offline")
            .query("timeout", &wait.as_millis().to_string())
            .query_opt("since", since);
        let answer = self.matrix.json_within(self.token(), call, wait + GRACE).await?;
        text(&answer, "next_batch")
    }

    /// Asks the homeserver to call us back (Application Service API, "Pinging"): gives the milliseconds it took.
    pub async fn ping(&self, txn_id: &str) -> Result<u64, MatrixError> {
        let id = self.matrix.appservice_id().to_owned();
        let call = self
            .call(Method::POST, V1, &["appservice", &id, "ping"])
            .json(&json!({ "transaction_id": txn_id }));
        let answer = self.json(call).await?;
        Ok(answer.get("duration_ms").and_then(Value::as_u64).unwrap_or_default())
    }

    /// Creates the user if need be. Remembered, so that it costs nothing the second time.
    pub async fn ensure_registered(&self) -> Result<(), MatrixError> {
        if self.puppet || self.matrix.inner.memory.is_registered(&self.user_id).await? {
            return Ok(());
        }
        let localpart = self
            .user_id
            .strip_prefix('@')
            .and_then(|id| id.split_once(':'))
            .filter(|_| self.matrix.is_local(&self.user_id))
            .map(|(localpart, _)| localpart)
            .ok_or_else(|| {
                MatrixError::Invalid(format!("{} is not a user of this homeserver", self.user_id))
            })?;
        let body = json!({ "type": "m.login.application_service", "username": localpart, "inhibit_login": true });
        // Without user_id: nobody can act as a user who isn't there yet.
        let call = Call::new(Method::POST, V3, &["register"]).json(&body);
        match self.json(call).await {
            Ok(_) => {}
            Err(error) if error.errcode() == Some("M_USER_IN_USE") => {}
            Err(error) => return Err(error),
        }
        self.matrix.inner.memory.set_registered(&self.user_id).await?;
        Ok(())
    }

    /// Anybody's profile; `None` if the homeserver knows no such user.
    pub async fn profile(&self, user_id: &str) -> Result<Option<Profile>, MatrixError> {
        match self.json(self.call(Method::GET, V3, &["profile", user_id])).await {
            Ok(answer) => serde_json::from_value(answer)
                .map(Some)
                .map_err(|error| MatrixError::BadAnswer(error.to_string())),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sets our name, if it isn't that already.
    pub async fn set_displayname(&self, name: &str) -> Result<(), MatrixError> {
        self.set_profile_field("displayname", &json!(name)).await
    }

    /// Sets our picture (an `mxc:` URI, or nothing), if it isn't that already.
    pub async fn set_avatar(&self, mxc: &str) -> Result<(), MatrixError> {
        self.set_profile_field("avatar_url", &json!(mxc)).await
    }

    /// Sets any field of our profile (Client-Server API, "Profiles"; MSC4133), if it isn't that already.
    pub async fn set_profile_field(&self, field: &str, value: &Value) -> Result<(), MatrixError> {
        let written = value.to_string();
        let memory = &self.matrix.inner.memory;
        if memory.has_profile(&self.user_id, field, &written).await? {
            return Ok(());
        }
        self.ensure_registered().await?;
        let call = self
            .call(Method::PUT, V3, &["profile", &self.user_id, field])
            .json(&json!({ field: value }));
        self.json(call).await?;
        memory.set_profile(&self.user_id, field, &written).await?;
        Ok(())
    }

    /// The rooms we are in.
    pub async fn joined_rooms(&self) -> Result<Vec<String>, MatrixError> {
        texts(&self.json(self.call(Method::GET, V3, &["joined_rooms"])).await?, "joined_rooms")
    }

    /// Sets our presence: `online`, `unavailable` or `offline`.
    pub async fn presence(&self, presence: &str, message: Option<&str>) -> Result<(), MatrixError> {
        let mut body = json!({ "presence": presence });
        if let Some(message) = message {
            body["status_msg"] = message.into();
        }
        let call = self.call(Method::PUT, V3, &["presence", &self.user_id, "status"]).json(&body);
        self.json(call).await.map(drop)
    }

    /// Account data of ours, of a room if one is given; `None` if there is none.
    pub async fn account_data(
        &self,
        room_id: Option<&str>,
        kind: &str,
    ) -> Result<Option<Value>, MatrixError> {
        match self.json(self.account_data_call(Method::GET, room_id, kind)).await {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes account data of ours, of a room if one is given.
    pub async fn set_account_data(
        &self,
        room_id: Option<&str>,
        kind: &str,
        data: &Value,
    ) -> Result<(), MatrixError> {
        self.json(self.account_data_call(Method::PUT, room_id, kind).json(data)).await.map(drop)
    }

    fn account_data_call(&self, method: Method, room_id: Option<&str>, kind: &str) -> Call {
        match room_id {
            Some(room) => {
                self.call(method, V3, &["user", &self.user_id, "rooms", room, "account_data", kind])
            }
            None => self.call(method, V3, &["user", &self.user_id, "account_data", kind]),
        }
    }
}
