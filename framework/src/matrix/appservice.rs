//! What a homeserver asks of an application service (Application Service API): the router that answers
//! `/_matrix/app/v1/*`. It knows the protocol and nothing else; a [`TransactionSink`] does what is asked, and a
//! transaction is acknowledged only after the sink has made it durable.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::{Path, Query, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use http::StatusCode;
use http::header::AUTHORIZATION;
use landbridge_registration::{Token, TransactionError, is_valid_txn_id};
use serde_json::{Value, json};

pub use landbridge_registration::Transaction;

/// The largest transaction: homeservers put at most 100 events of 64 KiB and as many to-device messages into one; some
/// leave room for more.
const MAX_TRANSACTION: usize = 64 * 1024 * 1024;

/// The sink couldn't do it now; the homeserver is told to try again.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct SinkError(pub String);

/// Fields of a third-party lookup.
pub type Fields = BTreeMap<String, String>;

/// Does what a homeserver asks for.
#[async_trait]
pub trait TransactionSink: Send + Sync + 'static {
    /// Makes a transaction durable, once: an ID that was stored before is acknowledged and its content ignored.
    /// Homeservers send one transaction at a time, in order, and repeat it until this returns `Ok`.
    async fn transaction(&self, txn_id: &str, transaction: Transaction) -> Result<(), SinkError>;

    /// Whether this user of our namespace exists; the sink creates it if it should.
    async fn user_exists(&self, user_id: &str) -> Result<bool, SinkError>;

    /// Whether this alias of our namespace exists; the sink creates room and alias if it should.
    async fn alias_exists(&self, alias: &str) -> Result<bool, SinkError>;

    /// The description of a protocol (`GET /thirdparty/protocol`), if we bridge it.
    async fn protocol(&self, _protocol: &str) -> Result<Option<Value>, SinkError> {
        Ok(None)
    }

    /// Users of the network that match the fields; `None` if we don't bridge this protocol.
    async fn users(
        &self,
        _protocol: &str,
        _fields: Fields,
    ) -> Result<Option<Vec<Value>>, SinkError> {
        Ok(None)
    }

    /// Chats of the network that match the fields; `None` if we don't bridge this protocol.
    async fn locations(
        &self,
        _protocol: &str,
        _fields: Fields,
    ) -> Result<Option<Vec<Value>>, SinkError> {
        Ok(None)
    }

    /// The users of the network behind a Matrix user.
    async fn users_of(&self, _user_id: &str) -> Result<Vec<Value>, SinkError> {
        Ok(Vec::new())
    }

    /// The chats of the network behind an alias.
    async fn locations_of(&self, _alias: &str) -> Result<Vec<Value>, SinkError> {
        Ok(Vec::new())
    }

    /// The homeserver reached us: whatever waits for it may try again.
    async fn ping(&self, _txn_id: Option<&str>) {}
}

/// What the routes share.
struct Shared {
    hs_token: Token,
    sink: Arc<dyn TransactionSink>,
}

/// The router that answers a homeserver which knows `hs_token`.
pub fn router(hs_token: Token, sink: Arc<dyn TransactionSink>) -> Router {
    let shared = Arc::new(Shared { hs_token, sink });
    let routes = Router::new()
        .route("/transactions/{txn_id}", put(transaction))
        .route("/users/{user_id}", get(user))
        .route("/rooms/{alias}", get(alias))
        .route("/ping", post(ping))
        .route("/thirdparty/protocol/{protocol}", get(protocol))
        .route("/thirdparty/user/{protocol}", get(users))
        .route("/thirdparty/location/{protocol}", get(locations))
        .route("/thirdparty/user", get(users_of))
        .route("/thirdparty/location", get(locations_of))
        .fallback(unrecognized)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(shared.clone(), authorize))
        .with_state(shared);
    Router::new().nest("/_matrix/app/v1", routes)
}

/// A Matrix error.
struct Refusal(StatusCode, &'static str, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "errcode": self.1, "error": self.2 }))).into_response()
    }
}

impl From<SinkError> for Refusal {
    fn from(error: SinkError) -> Self {
        tracing::warn!(%error, "an appservice request failed and will be repeated");
        // What went wrong inside is for our log, not for theirs.
        Self(
            StatusCode::INTERNAL_SERVER_ERROR,
            "M_UNKNOWN",
            "it could not be stored; try again".into(),
        )
    }
}

type Answer = Result<Json<Value>, Refusal>;

fn not_found() -> Refusal {
    Refusal(StatusCode::NOT_FOUND, "M_NOT_FOUND", "no such thing on this network".into())
}

/// Checks the `hs_token`: in the header, or in the query as homeservers before v1.4 of the spec have it.
async fn authorize(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let header = request.headers().get(AUTHORIZATION).and_then(|v| v.to_str().ok());
    let bearer = header
        .and_then(|v| v.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let given = bearer.map(|(_, token)| token.trim().to_owned()).or_else(|| {
        let query = request.uri().query().unwrap_or_default();
        url::form_urlencoded::parse(query.as_bytes())
            .find(|(key, _)| key == "access_token")
            .map(|(_, value)| value.into_owned())
    });
    match given {
        None => {
            Refusal(StatusCode::UNAUTHORIZED, "M_UNAUTHORIZED", "the hs_token is missing".into())
                .into_response()
        }
        Some(given) if !shared.hs_token.matches(&given) => Refusal(
            StatusCode::FORBIDDEN,
            "M_FORBIDDEN",
            "that is not this service's hs_token".into(),
        )
        .into_response(),
        Some(_) => next.run(request).await,
    }
}

/// Takes one transaction.
async fn transaction(
    State(shared): State<Arc<Shared>>,
    Path(txn_id): Path<String>,
    request: Request,
) -> Answer {
    if !is_valid_txn_id(&txn_id) {
        return Err(Refusal(
            StatusCode::BAD_REQUEST,
            "M_INVALID_PARAM",
            "that is not a transaction id".into(),
        ));
    }
    let body =
        axum::body::to_bytes(request.into_body(), MAX_TRANSACTION).await.map_err(|error| {
            let mut cause: Option<&dyn std::error::Error> = Some(&error);
            while let Some(error) = cause {
                if error.is::<http_body_util::LengthLimitError>() {
                    let text = format!("a transaction has at most {MAX_TRANSACTION} bytes");
                    return Refusal(StatusCode::PAYLOAD_TOO_LARGE, "M_TOO_LARGE", text);
                }
                cause = error.source();
            }
            Refusal(StatusCode::BAD_REQUEST, "M_UNKNOWN", "the body broke off".into())
        })?;
    let transaction = Transaction::from_slice(&body).map_err(|error| {
        let errcode = match error {
            TransactionError::NotJson(_) => "M_NOT_JSON",
            TransactionError::BadJson(_) => "M_BAD_JSON",
        };
        Refusal(StatusCode::BAD_REQUEST, errcode, error.to_string())
    })?;
    shared.sink.transaction(&txn_id, transaction).await?;
    Ok(Json(json!({})))
}

async fn user(State(shared): State<Arc<Shared>>, Path(user_id): Path<String>) -> Answer {
    if shared.sink.user_exists(&user_id).await? { Ok(Json(json!({}))) } else { Err(not_found()) }
}

async fn alias(State(shared): State<Arc<Shared>>, Path(alias): Path<String>) -> Answer {
    if shared.sink.alias_exists(&alias).await? { Ok(Json(json!({}))) } else { Err(not_found()) }
}

async fn ping(State(shared): State<Arc<Shared>>, body: axum::body::Bytes) -> Answer {
    let body: Value = if body.is_empty() {
        json!({})
    } else {
        serde_json::from_slice(&body)
            .map_err(|error| Refusal(StatusCode::BAD_REQUEST, "M_NOT_JSON", error.to_string()))?
    };
    shared.sink.ping(body.get("transaction_id").and_then(Value::as_str)).await;
    Ok(Json(json!({})))
}

async fn protocol(State(shared): State<Arc<Shared>>, Path(protocol): Path<String>) -> Answer {
    shared.sink.protocol(&protocol).await?.map(Json).ok_or_else(not_found)
}

async fn users(
    State(shared): State<Arc<Shared>>,
    Path(protocol): Path<String>,
    Query(mut fields): Query<Fields>,
) -> Answer {
    fields.remove("access_token");
    shared
        .sink
        .users(&protocol, fields)
        .await?
        .map(|found| Json(found.into()))
        .ok_or_else(not_found)
}

async fn locations(
    State(shared): State<Arc<Shared>>,
    Path(protocol): Path<String>,
    Query(mut fields): Query<Fields>,
) -> Answer {
    fields.remove("access_token");
    shared
        .sink
        .locations(&protocol, fields)
        .await?
        .map(|found| Json(found.into()))
        .ok_or_else(not_found)
}

async fn users_of(State(shared): State<Arc<Shared>>, Query(query): Query<Fields>) -> Answer {
    let user_id = query.get("userid").ok_or_else(|| missing("userid"))?;
    Ok(Json(shared.sink.users_of(user_id).await?.into()))
}

async fn locations_of(State(shared): State<Arc<Shared>>, Query(query): Query<Fields>) -> Answer {
    let alias = query.get("alias").ok_or_else(|| missing("alias"))?;
    Ok(Json(shared.sink.locations_of(alias).await?.into()))
}

fn missing(what: &str) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, "M_MISSING_PARAM", format!("{what} is missing"))
}

async fn unrecognized() -> Refusal {
    Refusal(StatusCode::NOT_FOUND, "M_UNRECOGNIZED", "there is no such endpoint".into())
}

async fn wrong_method() -> Refusal {
    Refusal(
        StatusCode::METHOD_NOT_ALLOWED,
        "M_UNRECOGNIZED",
        "that endpoint takes another method".into(),
    )
}
