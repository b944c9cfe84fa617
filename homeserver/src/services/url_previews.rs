//! Previews of links (Client-Server API, "Content repository", `GET /media/preview_url`): fetches the page, reads what it says
//! of itself, and keeps its picture as a file of this server.
//!
//! However many ask for a page at once, it is fetched once; what came is kept in the database for a while. A page that can't
//! be fetched is not tried again at once either.

mod charset;
mod page;

use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use http::header::CONTENT_TYPE;
use image::ImageReader;
use landbridge_database::Database;
use moka::future::Cache;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use url::Url;

use self::page::{Page, clean};
use super::media::{Description, Media, MediaError};
use crate::clock::Clock;
use crate::commit::{CommitError, Committer};
use crate::config::UrlPreviewPolicy;
use crate::outbound::{Ask, FetchError, Fetched, Outbound};
use crate::storage::StorageError;
use crate::storage::url_previews::{self as table, StoredPreview};
use crate::sync::filter::glob::Globs;

/// The longest URL that is previewed.
const MAX_URL: usize = 2_048;
/// For how long an outcome is remembered in memory, failures too.
const REMEMBERED: Duration = Duration::from_mins(1);
const MAX_REMEMBERED: u64 = 10_000;
/// For how long a request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);
/// After this long a preview that nobody asks for is dropped.
const DROPPED_MS: i64 = 30 * 86_400_000;
/// Bytes of a page's description in JSON (oEmbed).
const MAX_OEMBED: usize = 64 << 10;

/// Why there is no preview.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PreviewError {
    /// The server makes none.
    #[error("this server makes no previews")]
    Off,
    /// It isn't a URL that could be fetched.
    #[error("{0}")]
    BadUrl(String),
    /// The page could not be fetched.
    #[error(transparent)]
    Fetch(#[from] Arc<FetchError>),
    /// Too many are being made.
    #[error("too many previews are being made")]
    Busy,
    /// The picture could not be kept.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// The database could not be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The database could not be written.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// Work off the async threads was lost.
    #[error("a page could not be read: {0}")]
    Lost(String),
}

impl From<FetchError> for PreviewError {
    fn from(error: FetchError) -> Self {
        Self::Fetch(Arc::new(error))
    }
}

/// What is remembered of a page: what clients are told, or why it wasn't fetched.
type Outcome = Result<Arc<str>, Arc<FetchError>>;

/// Makes previews.
pub struct UrlPreviews {
    policy: UrlPreviewPolicy,
    allowed: Globs,
    denied: Globs,
    outbound: Outbound,
    db: Database,
    committer: Committer,
    clock: Arc<dyn Clock>,
    media: Media,
    running: Semaphore,
    outcomes: Cache<[u8; 32], Outcome>,
}

impl UrlPreviews {
    /// Previews as the settings have them.
    pub fn new(
        policy: &UrlPreviewPolicy,
        outbound: Outbound,
        db: Database,
        committer: Committer,
        clock: Arc<dyn Clock>,
        media: Media,
    ) -> Self {
        let lower = |hosts: &[String]| hosts.iter().map(|host| host.to_lowercase()).collect();
        Self {
            allowed: Globs::new(lower(&policy.allowed_hosts)),
            denied: Globs::new(lower(&policy.denied_hosts)),
            outbound,
            db,
            committer,
            clock,
            media,
            running: Semaphore::new(policy.concurrent.max(1)),
            outcomes: Cache::builder()
                .max_capacity(MAX_REMEMBERED)
                .time_to_live(REMEMBERED)
                .build(),
            policy: policy.clone(),
        }
    }

    /// What a page says of itself, as JSON.
    pub async fn preview(&self, url: &str) -> Result<Arc<str>, PreviewError> {
        if !self.policy.enabled {
            return Err(PreviewError::Off);
        }
        if url.len() > MAX_URL {
            return Err(PreviewError::BadUrl(format!("a URL may have {MAX_URL} bytes")));
        }
        let mut url = Url::parse(url)
            .map_err(|error| PreviewError::BadUrl(format!("that is no URL: {error}")))?;
        url.set_fragment(None);
        if !matches!(url.scheme(), "http" | "https") {
            return Err(FetchError::NotHttp.into());
        }
        if !self.admits(&url) {
            return Err(FetchError::Refused.into());
        }
        let key: [u8; 32] = Sha256::digest(url.as_str()).into();
        let outcome = self.outcomes.try_get_with(key, self.outcome(&key, url)).await;
        match outcome {
            Ok(outcome) => Ok(outcome?),
            // Shared by all who waited for it.
            Err(error) => Err(match &*error {
                PreviewError::Busy => PreviewError::Busy,
                error => PreviewError::Lost(error.to_string()),
            }),
        }
    }

    /// Whether the settings admit a URL. Passwords are never sent along.
    fn admits(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else { return false };
        url.username().is_empty()
            && url.password().is_none()
            && (self.allowed.is_empty() || self.allowed.matches(host))
            && !self.denied.matches(host)
    }

    /// The preview that is kept, if it is new enough; else a new one.
    async fn outcome(&self, key: &[u8; 32], url: Url) -> Result<Outcome, PreviewError> {
        let stored = table::get(&self.db, key).await?;
        let good =
            i64::try_from(self.policy.cache_seconds).unwrap_or(i64::MAX).saturating_mul(1000);
        let since = self.clock.now_ms().saturating_sub(good);
        if let Some(stored) = stored.as_ref().filter(|stored| stored.fetched > since) {
            return Ok(Ok(stored.body.as_str().into()));
        }
        let turn = tokio::time::timeout(PATIENCE, self.running.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err(PreviewError::Busy) };
        let limit = Duration::from_secs(self.policy.timeout_seconds);
        let made = tokio::time::timeout(limit, self.make(url.clone())).await;
        match made.unwrap_or_else(|_| Err(FetchError::Timeout.into())) {
            Ok(told) => {
                let body = Value::Object(told).to_string();
                self.keep(*key, url, &body).await?;
                Ok(Ok(body.into()))
            }
            Err(PreviewError::Fetch(error)) => Ok(match stored {
                // Better an old preview than none.
                Some(stored) => Ok(stored.body.into()),
                None => Err(error),
            }),
            Err(error) => Err(error),
        }
    }

    async fn keep(&self, key: [u8; 32], url: Url, body: &str) -> Result<(), CommitError> {
        let preview = StoredPreview { fetched: self.clock.now_ms(), body: body.to_owned() };
        let old = preview.fetched - DROPPED_MS;
        self.committer
            .run(move |tx| {
                let (url, preview) = (url.clone(), preview.clone());
                async move {
                    table::prune(tx, old).await?;
                    table::set(tx, &key, url.as_str(), &preview).await
                }
                .boxed()
            })
            .await
    }

    async fn fetch(
        &self,
        url: Url,
        accept: &'static str,
        max_bytes: usize,
        beginning: bool,
    ) -> Result<Fetched, FetchError> {
        let language = Some(self.policy.languages.as_str()).filter(|text| !text.is_empty());
        let admits = |url: &Url| self.admits(url);
        let ask = Ask { accept, language, max_bytes, beginning, admits: &admits };
        self.outbound.get(url, &ask).await
    }

    /// Makes a preview.
    async fn make(&self, url: Url) -> Result<Map<String, Value>, PreviewError> {
        let accept = "text/html,application/xhtml+xml,image/*;q=0.9,*/*;q=0.1";
        let fetched = self.fetch(url, accept, self.policy.max_page_bytes, true).await?;
        let kind = media_type(&fetched);
        if kind.starts_with("image/") {
            let mut told = Map::new();
            if let Some(name) = fetched.url.path_segments().and_then(Iterator::last)
                && !name.is_empty()
            {
                let name = percent_decode(name);
                told.insert("og:title".to_owned(), Value::from(clean(&name, 200)));
            }
            self.image(fetched.url, &mut told).await?;
            return Ok(told);
        }
        if !matches!(&*kind, "text/html" | "application/xhtml+xml") {
            return Ok(Map::new());
        }
        let (page, base) = read(fetched).await?;
        self.told(page, base).await
    }

    /// What is told of a page.
    async fn told(&self, mut page: Page, base: Url) -> Result<Map<String, Value>, PreviewError> {
        let untitled = !page.properties.contains_key("og:title");
        if let Some(link) = page.oembed.take().filter(|_| untitled)
            && let Ok(link) = base.join(&link)
        {
            self.oembed(link, &mut page).await;
        }
        page.complete();
        let image = page.image().and_then(|image| base.join(image).ok());
        let mut told = Map::new();
        for (key, value) in page.properties {
            // Of the picture we say what we found out ourselves.
            if key == "og:image:alt" || !key.starts_with("og:image") {
                told.insert(key, Value::from(value));
            }
        }
        if let Some(image) = image {
            match self.image(image, &mut told).await {
                Err(PreviewError::Fetch(error)) => {
                    tracing::debug!(%error, "a preview goes without its picture");
                }
                other => other?,
            }
        }
        Ok(told)
    }

    /// Takes the title, author and picture that a page's description in JSON has (oEmbed 1.0). It is an extra: without it
    /// the page's own words will do.
    async fn oembed(&self, link: Url, page: &mut Page) {
        let Ok(fetched) = self.fetch(link, "application/json", MAX_OEMBED, false).await else {
            return;
        };
        let Ok(Value::Object(said)) = serde_json::from_slice(&fetched.body) else { return };
        let properties = [
            ("title", "og:title"),
            ("author_name", "og:description"),
            ("provider_name", "og:site_name"),
            ("thumbnail_url", "og:image"),
        ];
        for (key, property) in properties {
            if let Some(text) = said.get(key).and_then(Value::as_str) {
                let text = clean(text, 1_000);
                page.properties.entry(property.to_owned()).or_insert(text);
            }
        }
    }

    /// Keeps a picture and says what it is.
    async fn image(&self, url: Url, told: &mut Map<String, Value>) -> Result<(), PreviewError> {
        let fetched = self.fetch(url, "image/*", self.policy.max_image_bytes, false).await?;
        let kind = media_type(&fetched);
        // Drawings can hold scripts, and no client shows them.
        if !kind.starts_with("image/") || kind.contains("svg") || fetched.body.is_empty() {
            return Ok(());
        }
        let bytes = fetched.body;
        let size = dimensions(bytes.clone()).await?;
        let length = bytes.len();
        let about = Description { content_type: Some(kind.clone()), filename: None };
        let id = self.media.keep(about, bytes).await?;
        told.insert("og:image".to_owned(), json!(self.media.uri(&id)));
        told.insert("og:image:type".to_owned(), json!(kind));
        told.insert("matrix:image:size".to_owned(), json!(length));
        if let Some((width, height)) = size {
            told.insert("og:image:width".to_owned(), json!(width));
            told.insert("og:image:height".to_owned(), json!(height));
        }
        Ok(())
    }
}

/// The media type of an answer, without parameters.
fn media_type(fetched: &Fetched) -> String {
    let header = fetched.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = header.unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim().to_lowercase()
}

/// A segment of a path as people read it.
fn percent_decode(text: &str) -> String {
    // Read as the value of a form, where a plus and an ampersand mean something else.
    let pair = format!("x={}", text.replace('+', "%2B").replace('&', "%26"));
    let decoded = url::form_urlencoded::parse(pair.as_bytes()).next();
    decoded.map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// Reads a page, and finds what its links are relative to.
async fn read(fetched: Fetched) -> Result<(Page, Url), PreviewError> {
    let Fetched { url, headers, body } = fetched;
    let work = move || {
        let header = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        Page::parse(&charset::decode(&body, header.unwrap_or_default()))
    };
    let page = off_thread(work).await?;
    let base = page.base.as_deref().and_then(|base| url.join(base).ok()).unwrap_or(url);
    Ok((page, base))
}

async fn dimensions(bytes: Bytes) -> Result<Option<(u32, u32)>, PreviewError> {
    off_thread(move || {
        let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok()?;
        reader.into_dimensions().ok()
    })
    .await
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, PreviewError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| PreviewError::Lost(error.to_string()))
}

impl std::fmt::Debug for UrlPreviews {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UrlPreviews").finish_non_exhaustive()
    }
}
