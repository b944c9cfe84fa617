//! What the server itself says to its users.

use ruma::{OwnedUserId, ServerName, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ConfigError;

/// Notices, which administrators send to users in the server's name, each user in a room of their own.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServerNotices {
    /// The name (before the colon) of the user that notices come from. It is made with the first notice, and nobody can log
    /// in as it.
    pub user: String,
    /// The name that this user and its rooms show.
    pub display_name: String,
    /// The picture that this user and its rooms show, as `mxc://...`.
    pub avatar_url: Option<String>,
}

impl Default for ServerNotices {
    fn default() -> Self {
        Self {
            user: "_server".to_owned(),
            display_name: "Server Notices".to_owned(),
            avatar_url: None,
        }
    }
}

impl ServerNotices {
    /// The user that notices come from.
    pub fn sender(&self, server: &ServerName) -> Result<OwnedUserId, ruma::IdParseError> {
        UserId::parse(format!("@{}:{server}", self.user))
    }

    pub(super) fn check(&self, server: &ServerName) -> Result<(), ConfigError> {
        let fail = |key, problem: &str| Err(ConfigError { key, problem: problem.to_owned() });
        if self.sender(server).is_err() {
            return fail("server_notices.user", "not a user name");
        }
        if self.avatar_url.as_deref().is_some_and(|url| !url.starts_with("mxc://")) {
            return fail("server_notices.avatar_url", "must start with mxc://");
        }
        Ok(())
    }
}
