//! User-interactive authentication of clients that signed in by OAuth 2.0: their users confirm in a browser (Client-Server API,
//! "OAuth authentication").

use ruma::UserId;
use serde_json::json;

use super::{Auth, Flow, Operation, Uia};
use crate::http::error::ApiError;

/// The stage that sends the user to the account's page.
pub const OAUTH: &str = "m.oauth";
/// The name that it had before it was in the specification (MSC4312).
pub const OLD: &str = "org.matrix.cross_signing_reset";
const FLOWS: &[Flow] = &[&[OAUTH], &[OLD]];

impl Uia {
    /// The 401 that asks a user to confirm an operation at `url`.
    pub fn ask_in_browser(
        &self,
        name: &str,
        user: &UserId,
        auth: Option<&Auth>,
        url: &str,
    ) -> ApiError {
        let operation = Operation { name, user: Some(user), flows: FLOWS };
        // The same session as long as the client waits for its user.
        let id = auth.and_then(|auth| auth.session.as_deref()).filter(|id| {
            let session = self.live(id);
            session.is_some_and(|session| {
                *session.operation == *name && session.user.as_deref() == Some(user)
            })
        });
        let params = json!({ OAUTH: { "url": url }, OLD: { "url": url } });
        self.challenge(&operation, id, None).with("params", params)
    }
}
