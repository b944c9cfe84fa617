//! The content repository's endpoints (Client-Server API, "Content repository").
//!
//! The paths under `/_matrix/media/` that need no access token are frozen, as the spec asks since v1.12: they
//! serve only what was uploaded while the configuration left them open.

mod serve;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};

use self::serve::Disposition;
use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::{Path, Query};
use crate::http::json::{EMPTY, Empty, Reply};
use crate::http::router::{Route, get, post, put};
use crate::services::media::{
    Description, MediaError, Method, Size, Thumbnail, ThumbnailRequest, Uploader, is_valid_id,
};

/// How long a download waits for an upload unless the client says otherwise (the spec's default).
const DEFAULT_WAIT_MS: u64 = 20_000;
const MAX_WAIT_MS: u64 = 60_000;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_matrix/client/v1/media/config", config),
        get("/_matrix/client/v1/media/download/{serverName}/{mediaId}", download),
        get("/_matrix/client/v1/media/download/{serverName}/{mediaId}/{fileName}", download_named),
        get("/_matrix/client/v1/media/thumbnail/{serverName}/{mediaId}", thumbnail),
        post("/_matrix/media/v1/create", create),
        post("/_matrix/media/v3/upload", upload),
        put("/_matrix/media/v3/upload/{serverName}/{mediaId}", fill),
        get("/_matrix/media/v3/config", config),
        get("/_matrix/media/v3/download/{serverName}/{mediaId}", old_download),
        get("/_matrix/media/v3/download/{serverName}/{mediaId}/{fileName}", old_download_named),
        get("/_matrix/media/v3/thumbnail/{serverName}/{mediaId}", old_thumbnail),
    ]
}

#[derive(Serialize)]
struct ConfigReply {
    #[serde(rename = "m.upload.size")]
    upload_size: u64,
}

async fn config(State(app): State<Arc<App>>, _: Requester) -> Reply<ConfigReply> {
    Reply(ConfigReply { upload_size: app.media.max_upload_bytes() })
}

#[derive(Serialize)]
struct CreateReply {
    content_uri: String,
    unused_expires_at: i64,
}

async fn create(State(app): State<Arc<App>>, who: Requester) -> ApiResult<Reply<CreateReply>> {
    let reserved = app.media.create(uploader(&who)).await?;
    Ok(Reply(CreateReply {
        content_uri: app.media.uri(&reserved.id),
        unused_expires_at: reserved.expires_ms,
    }))
}

#[derive(Deserialize)]
struct UploadQuery {
    filename: Option<String>,
}

#[derive(Serialize)]
struct UploadReply {
    content_uri: String,
}

async fn upload(
    State(app): State<Arc<App>>,
    who: Requester,
    Query(query): Query<UploadQuery>,
    request: Request,
) -> ApiResult<Reply<UploadReply>> {
    let (about, length) = describe(request.headers(), query.filename);
    let body = request.into_body().into_data_stream();
    let id = app.media.upload(uploader(&who), about, length, body).await?;
    Ok(Reply(UploadReply { content_uri: app.media.uri(&id) }))
}

async fn fill(
    State(app): State<Arc<App>>,
    who: Requester,
    Path((server, id)): Path<(String, String)>,
    Query(query): Query<UploadQuery>,
    request: Request,
) -> ApiResult<Reply<Empty>> {
    if !app.media.is_ours(&server) || !is_valid_id(&id) {
        return Err(MediaError::NotFound.into());
    }
    let (about, length) = describe(request.headers(), query.filename);
    let body = request.into_body().into_data_stream();
    app.media.fill(uploader(&who), &id, about, length, body).await?;
    Ok(EMPTY)
}

fn uploader(who: &Requester) -> Uploader<'_> {
    Uploader { user: &who.user, exempt: who.appservice.is_some() }
}

fn describe(headers: &HeaderMap, filename: Option<String>) -> (Description, Option<u64>) {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let content_type = text(header::CONTENT_TYPE).map(str::to_owned);
    let length = text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    (Description { content_type, filename }, length)
}

#[derive(Deserialize)]
struct WaitQuery {
    timeout_ms: Option<u64>,
}

impl WaitQuery {
    fn wait(&self) -> Duration {
        wait(self.timeout_ms)
    }
}

fn wait(timeout_ms: Option<u64>) -> Duration {
    Duration::from_millis(timeout_ms.unwrap_or(DEFAULT_WAIT_MS).min(MAX_WAIT_MS))
}

/// What a download names, and how.
struct Wanted {
    server: String,
    id: String,
    /// The file name in the path; `None` leaves the uploader's.
    name: Option<String>,
    /// Whether it came by a path that needs no token.
    old_path: bool,
}

async fn download(
    State(app): State<Arc<App>>,
    _: Requester,
    Path((server, id)): Path<(String, String)>,
    Query(query): Query<WaitQuery>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let wanted = Wanted { server, id, name: None, old_path: false };
    send_file(&app, wanted, query.wait(), &headers).await
}

async fn download_named(
    State(app): State<Arc<App>>,
    _: Requester,
    Path((server, id, name)): Path<(String, String, String)>,
    Query(query): Query<WaitQuery>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let wanted = Wanted { server, id, name: Some(name), old_path: false };
    send_file(&app, wanted, query.wait(), &headers).await
}

async fn old_download(
    State(app): State<Arc<App>>,
    Path((server, id)): Path<(String, String)>,
    Query(query): Query<WaitQuery>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let wanted = Wanted { server, id, name: None, old_path: true };
    send_file(&app, wanted, query.wait(), &headers).await
}

async fn old_download_named(
    State(app): State<Arc<App>>,
    Path((server, id, name)): Path<(String, String, String)>,
    Query(query): Query<WaitQuery>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let wanted = Wanted { server, id, name: Some(name), old_path: true };
    send_file(&app, wanted, query.wait(), &headers).await
}

async fn send_file(
    app: &App,
    wanted: Wanted,
    wait: Duration,
    headers: &HeaderMap,
) -> ApiResult<Response> {
    let Wanted { server, id, name, old_path } = wanted;
    // Media of other servers comes with federation; until then none of it is known here.
    if !app.media.is_ours(&server) || !is_valid_id(&id) {
        return Err(MediaError::NotFound.into());
    }
    let file = app.media.find(&id, old_path, wait).await?;
    if serve::is_known(&file, headers) {
        return Ok(serve::not_modified(&file));
    }
    let stream = app.media.read(&file, serve::range(headers)).await?;
    Ok(serve::file(&file, name, stream, old_path))
}

#[derive(Deserialize)]
struct ThumbnailQuery {
    width: u32,
    height: u32,
    method: Option<String>,
    animated: Option<bool>,
    timeout_ms: Option<u64>,
}

impl ThumbnailQuery {
    fn request(&self) -> ApiResult<ThumbnailRequest> {
        if self.width == 0 || self.height == 0 {
            return Err(ApiError::invalid_param("width and height must be above 0"));
        }
        let method = match self.method.as_deref() {
            None | Some("scale") => Method::Scale,
            Some("crop") => Method::Crop,
            Some(_) => return Err(ApiError::invalid_param("method must be crop or scale")),
        };
        let size = Size { width: self.width, height: self.height };
        Ok(ThumbnailRequest { size, method, animated: self.animated.unwrap_or(false) })
    }
}

async fn thumbnail(
    State(app): State<Arc<App>>,
    _: Requester,
    Path((server, id)): Path<(String, String)>,
    Query(query): Query<ThumbnailQuery>,
) -> ApiResult<Response> {
    send_thumbnail(&app, &server, &id, &query, false).await
}

async fn old_thumbnail(
    State(app): State<Arc<App>>,
    Path((server, id)): Path<(String, String)>,
    Query(query): Query<ThumbnailQuery>,
) -> ApiResult<Response> {
    send_thumbnail(&app, &server, &id, &query, true).await
}

async fn send_thumbnail(
    app: &App,
    server: &str,
    id: &str,
    query: &ThumbnailQuery,
    old_path: bool,
) -> ApiResult<Response> {
    let request = query.request()?;
    if !app.media.is_ours(server) || !is_valid_id(id) {
        return Err(MediaError::NotFound.into());
    }
    let file = app.media.find(id, old_path, wait(query.timeout_ms)).await?;
    match app.media.thumbnail(&file, request).await? {
        Thumbnail::Made(stream, kind) => Ok(serve::thumbnail(kind, stream, old_path)),
        Thumbnail::Original => {
            let stream = app.media.read(&file, None).await?;
            Ok(serve::original(&file, stream, old_path, Disposition::Inline))
        }
    }
}

impl From<MediaError> for ApiError {
    fn from(error: MediaError) -> Self {
        let text = error.to_string();
        match error {
            MediaError::NotFound => Self::not_found(text),
            MediaError::NotYetUploaded => {
                Self::new(StatusCode::GATEWAY_TIMEOUT, "M_NOT_YET_UPLOADED", text)
            }
            MediaError::TooLarge { .. } | MediaError::TooLargeForThumbnail => Self::too_large(text),
            MediaError::QuotaExceeded | MediaError::NotYours => Self::forbidden(text),
            MediaError::TooManyPending => Self::limit_exceeded(Duration::from_mins(1)),
            MediaError::TooManyWaiting => Self::limit_exceeded(Duration::from_secs(1)),
            MediaError::AlreadyUploaded => {
                Self::new(StatusCode::CONFLICT, "M_CANNOT_OVERWRITE_MEDIA", text)
            }
            MediaError::BrokenOff | MediaError::NoThumbnail => Self::unknown(text),
            MediaError::BadRange => Self::unknown(text).status(StatusCode::RANGE_NOT_SATISFIABLE),
            MediaError::Store(_)
            | MediaError::Io(_)
            | MediaError::Storage(_)
            | MediaError::Commit(_) => Self::internal(text),
        }
    }
}
