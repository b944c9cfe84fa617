//! Identity servers, which publish whose an address is (Identity Service API). Only those that the administrator names are asked:
//! a client's choice would make this server send requests to wherever it likes.

mod redeem;
mod stored_invite;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::StatusCode;
use ruma::UserId;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::config::Config;
use crate::event::{ServerKey, canonical_object, canonical_string};
use crate::http::error::{ApiError, ApiResult};
use crate::storage::threepid_binds::Bind;

pub use redeem::{inviter, redeem};
pub use stored_invite::StoredInvite;

const TIMEOUT: Duration = Duration::from_secs(30);
/// The longest answer that is read, in bytes.
const ANSWER_BYTES: usize = 64 << 10;
/// The longest address that is noted as published, in bytes.
const MAX_ADDRESS: usize = 512;

/// The longest text of theirs that is passed on, in characters.
const LONGEST_TEXT: usize = 200;
/// What servers say of the session of whoever asks: theirs there.
const OF_SESSIONS: [&str; 4] =
    ["M_UNKNOWN_TOKEN", "M_MISSING_TOKEN", "M_UNAUTHORIZED", "M_USER_LOCKED"];

/// Identity servers could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The extra root certificate can't be read.
    #[error("outbound.extra_root_certificate {file}: {source}")]
    Root {
        /// The file.
        file: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The client for requests could not be built.
    #[error("the HTTP client for identity servers could not be built: {0}")]
    Client(#[from] reqwest::Error),
}

/// The identity servers that may be asked.
pub struct Identity {
    http: reqwest::Client,
    servers: BTreeMap<String, String>,
    key: ServerKey,
}

/// What a client got from an identity server: a session there, and a token to use it.
#[derive(Debug, Clone, Deserialize)]
pub struct Credentials {
    /// The identity server.
    pub id_server: String,
    /// The client's token there.
    pub id_access_token: String,
    /// The session.
    pub sid: String,
    /// The client's secret in it.
    pub client_secret: String,
}

#[derive(Deserialize)]
struct Association {
    medium: String,
    address: String,
}

impl Identity {
    /// Those that the settings name.
    pub fn new(config: &Config, key: ServerKey) -> Result<Self, IdentityError> {
        // reqwest takes the process's provider; whoever was first to install one, it is this one everywhere.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("Landbridge/", env!("CARGO_PKG_VERSION")));
        if let Some(file) = &config.outbound.extra_root_certificate {
            let pem = std::fs::read(file).map_err(|source| IdentityError::Root {
                file: file.display().to_string(),
                source,
            })?;
            client = client.tls_certs_merge(reqwest::Certificate::from_pem_bundle(&pem)?);
        }
        Ok(Self { http: client.build()?, servers: config.identity_servers.clone(), key })
    }

    /// The address of a server. 400 `M_SERVER_NOT_TRUSTED` for one that the administrator doesn't name.
    fn base(&self, server: &str) -> ApiResult<&str> {
        self.servers.get(server).map(|base| base.trim_end_matches('/')).ok_or_else(|| {
            let text = "This server does not work with that identity server";
            ApiError::new(StatusCode::BAD_REQUEST, "M_SERVER_NOT_TRUSTED", text)
        })
    }

    /// Publishes that an address, proven to the identity server, is a user's. The identity server's refusal is passed on.
    pub async fn bind(&self, user: &UserId, credentials: &Credentials) -> ApiResult<Bind> {
        let url = format!("{}/_matrix/identity/v2/3pid/bind", self.base(&credentials.id_server)?);
        let body = json!({
            "sid": credentials.sid,
            "client_secret": credentials.client_secret,
            "mxid": user,
        });
        let request = self.http.post(url).bearer_auth(&credentials.id_access_token).json(&body);
        let answer = self.call(request).await?;
        let association: Association =
            serde_json::from_slice(&answer).map_err(|_| nonsense(&credentials.id_server))?;
        let known = matches!(association.medium.as_str(), "email" | "msisdn");
        if !known || association.address.len() > MAX_ADDRESS {
            return Err(nonsense(&credentials.id_server));
        }
        Ok(Bind {
            medium: association.medium,
            address: association.address,
            id_server: credentials.id_server.clone(),
        })
    }

    /// Whether a server is one that the administrator names.
    pub fn knows(&self, server: &str) -> bool {
        self.servers.contains_key(server)
    }

    /// Takes a binding back; `false` when the identity server doesn't let us, or isn't one that may be asked.
    pub async fn unbind(&self, user: &UserId, bind: &Bind) -> bool {
        match self.ask_to_unbind(user, bind).await {
            Ok(()) => true,
            Err(error) => {
                tracing::info!(server = %bind.id_server, %error, "an identity server did not unbind");
                false
            }
        }
    }

    /// The request is signed as one of this server's, which is how the identity server knows that the user wants it.
    async fn ask_to_unbind(&self, user: &UserId, bind: &Bind) -> ApiResult<()> {
        const PATH: &str = "/_matrix/identity/v2/3pid/unbind";
        let base = self.base(&bind.id_server)?;
        let content = json!({
            "mxid": user,
            "threepid": { "medium": bind.medium, "address": bind.address },
        });
        let signed = json!({
            "method": "POST",
            "uri": PATH,
            "origin": self.key.server(),
            "destination": bind.id_server,
            "content": content,
        });
        let canonical = canonical_object(&signed.to_string()).map_err(ApiError::internal)?;
        let authorization = format!(
            "X-Matrix origin=\"{}\",destination=\"{}\",key=\"{}\",sig=\"{}\"",
            self.key.server(),
            bind.id_server,
            self.key.id(),
            self.key.sign(canonical_string(&canonical).as_bytes())
        );
        let request = self
            .http
            .post(format!("{base}{PATH}"))
            .header(http::header::AUTHORIZATION, authorization)
            .json(&content);
        self.call(request).await.map(drop)
    }

    /// The body of a successful answer; another becomes the error it holds.
    async fn call(&self, request: reqwest::RequestBuilder) -> ApiResult<Bytes> {
        let unreachable = |error: reqwest::Error| {
            let error = error.without_url();
            tracing::info!(%error, "an identity server could not be reached");
            let text = "The identity server could not be reached";
            ApiError::new(StatusCode::BAD_GATEWAY, "M_UNKNOWN", text)
        };
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        let mut body = BytesMut::new();
        let mut parts = answer.bytes_stream();
        while let Some(part) = parts.next().await {
            body.extend_from_slice(&part.map_err(unreachable)?);
            if body.len() > ANSWER_BYTES {
                return Err(nonsense("it"));
            }
        }
        if status.is_success() { Ok(body.freeze()) } else { Err(refusal(status, &body)) }
    }
}

/// An identity server's refusal, as the client is told.
fn refusal(status: StatusCode, body: &[u8]) -> ApiError {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |key: &str| body[key].as_str().map(shortened);
    let mut error = ApiError::new(
        // A client would take a 401 for an answer about its session here.
        if status.is_client_error() && status != StatusCode::UNAUTHORIZED {
            status
        } else {
            StatusCode::BAD_GATEWAY
        },
        "M_UNKNOWN",
        text("error").unwrap_or_else(|| format!("The identity server answered {status}")),
    );
    // Clients would take some for the end of their session here.
    if let Some(errcode) = text("errcode").filter(|code| !OF_SESSIONS.contains(&code.as_str())) {
        error.errcode = errcode.into();
    }
    error
}

/// What an identity server says, on one line and not for ever: it stands in the log and in answers.
fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST_TEXT).collect()
}

fn nonsense(server: &str) -> ApiError {
    tracing::info!(%server, "an identity server's answer makes no sense");
    let text = "The identity server's answer makes no sense";
    ApiError::new(StatusCode::BAD_GATEWAY, "M_UNKNOWN", text)
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("servers", &self.servers).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_about_nothing_here_and_short() {
        let said = |status, errcode: &str| {
            let body = json!({ "errcode": errcode, "error": "a\r\nb".repeat(10_000) });
            refusal(status, body.to_string().as_bytes())
        };
        let error = said(StatusCode::NOT_FOUND, "M_NO_VALID_SESSION");
        assert_eq!((error.status, &*error.errcode), (StatusCode::NOT_FOUND, "M_NO_VALID_SESSION"));
        assert_eq!(error.error.chars().count(), LONGEST_TEXT);
        assert!(!error.error.contains('\n'));
        for errcode in OF_SESSIONS {
            assert_eq!(said(StatusCode::FORBIDDEN, errcode).errcode, "M_UNKNOWN");
        }
        let error = said(StatusCode::UNAUTHORIZED, "M_UNAUTHORIZED");
        assert_eq!((error.status, &*error.errcode), (StatusCode::BAD_GATEWAY, "M_UNKNOWN"));
    }
}
