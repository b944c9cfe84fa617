//! Pinging a service, and through it this server's own way to it (Application Service API, "Pinging").

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use serde_json::json;

use super::{Appservice, CallError};

const TIME: Duration = Duration::from_secs(30);
/// How much of a bad answer is told.
const TOLD_BYTES: usize = 64 << 10;

/// Why a ping failed.
#[derive(Debug, thiserror::Error)]
pub enum PingError {
    /// The service has no URL: `M_URL_NOT_SET`.
    #[error("the application service has no URL")]
    NoUrl,
    /// It answered with an error: `M_BAD_STATUS`.
    #[error("the application service answered {status}")]
    BadStatus {
        /// The status.
        status: u16,
        /// The body, as far as it is text.
        body: String,
    },
    /// It did not answer in time: `M_CONNECTION_TIMEOUT`.
    #[error("the application service did not answer in time")]
    Timeout,
    /// It could not be reached: `M_CONNECTION_FAILED`.
    #[error("{0}")]
    Failed(String),
}

impl Appservice {
    /// Asks the service for a sign of life; how long it took. A queue that is held up tries again at once.
    pub async fn ping(&self, transaction_id: Option<&str>) -> Result<Duration, PingError> {
        if !self.wants_traffic() {
            return Err(PingError::NoUrl);
        }
        self.signs().alive.notify_one();
        let body = transaction_id.map_or_else(|| json!({}), |id| json!({ "transaction_id": id }));
        let start = Instant::now();
        let answer = self
            .transport()
            .call(Method::POST, "/ping", None, Some(Bytes::from(body.to_string())), TIME)
            .await;
        match answer {
            Ok(answer) if answer.status.is_success() => {
                let took = start.elapsed();
                self.signs().alive.notify_one();
                Ok(took)
            }
            Ok(answer) => {
                let told = &answer.body[..answer.body.len().min(TOLD_BYTES)];
                let body = String::from_utf8_lossy(told).into_owned();
                Err(PingError::BadStatus { status: answer.status.as_u16(), body })
            }
            Err(CallError::NoUrl) => Err(PingError::NoUrl),
            Err(CallError::Timeout) => Err(PingError::Timeout),
            Err(CallError::Connection(error)) => Err(PingError::Failed(error)),
        }
    }
}
