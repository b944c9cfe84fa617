//! Files: fetched from where Slack keeps them, and sent in three steps (<https://docs.slack.dev/messaging/working-with-files>).

use std::{io, time::Duration};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use http::{StatusCode, header};
use landbridge_framework::{NetError, handlers::MediaStream};
use serde_json::{Value, json};
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};
use tokio_util::io::ReaderStream;
use url::Url;

use super::{ApiError, Session};
use crate::json::{flag, said, text};

/// How long nothing may come of a file before it is given up.
const STALLED: Duration = Duration::from_mins(1);
/// How long a whole upload may take.
const UPLOAD: Duration = Duration::from_mins(4);
/// Slack's own limit.
pub(crate) const MAX_FILE: u64 = 1 << 30;
/// Redirects of a download that are followed, each to one of Slack's own hosts.
const MAX_REDIRECTS: usize = 3;

impl Session {
    /// Opens a file by its identifier.
    pub async fn open_file(&self, file: &str) -> Result<MediaStream, NetError> {
        let answer = self.get("files.info", &[("file", file)]).await.map_err(ApiError::looking)?;
        let found = answer.get("file").unwrap_or(&Value::Null);
        if flag(found, "is_external") {
            return Err(NetError::permanent("the file is kept elsewhere than in Slack"));
        }
        let url = said(found, "url_private_download").or_else(|| said(found, "url_private"));
        let url = url.ok_or_else(|| NetError::permanent("the file is no longer there"))?;
        let page_expected =
            text(found, "mimetype").is_some_and(|mime| mime.starts_with("text/html"));
        let mut stream = self.open_url(url, true, page_expected).await?;
        stream.size = stream.size.or_else(|| found.get("size").and_then(Value::as_u64));
        stream.mime = said(found, "mimetype").map(ToOwned::to_owned).or(stream.mime);
        Ok(stream)
    }

    /// Opens a picture at one of Slack's own addresses: an avatar, an icon, an emoji.
    pub async fn open_picture(&self, url: &str) -> Result<MediaStream, NetError> {
        self.open_url(url, false, false).await
    }

    async fn open_url(
        &self,
        url: &str,
        authorised: bool,
        page_expected: bool,
    ) -> Result<MediaStream, NetError> {
        let mut url = self.slacks_own(url)?;
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self.api.http.get(url.clone());
            if authorised && is_for_token(&url, self.api.base()) {
                request = request.bearer_auth(self.bearer());
            }
            let response = request.send().await.map_err(|error| {
                NetError::temporary(format!("Slack can't be reached: {}", error.without_url()))
            })?;
            if response.status().is_redirection() {
                let to = response.headers().get(header::LOCATION).and_then(|to| to.to_str().ok());
                let to = to.and_then(|to| url.join(to).ok());
                let to = to.ok_or_else(|| NetError::permanent("Slack redirects to nowhere"))?;
                url = self.slacks_own(to.as_str())?;
                continue;
            }
            return read(response, page_expected);
        }
        Err(NetError::permanent("Slack redirects too often"))
    }

    /// An address, if it is Slack's own: a message may name any, and none of those is called.
    fn slacks_own(&self, url: &str) -> Result<Url, NetError> {
        let url = Url::parse(url).map_err(|_| NetError::permanent("that is no address"))?;
        let host = url.host_str().unwrap_or_default();
        let own =
            ["slack.com", "slack-edge.com", "slack-files.com", "slack-imgs.com", "slackb.com"];
        // Where Slack shows people's pictures that they never set.
        let known = host == "secure.gravatar.com"
            || own.iter().any(|own| {
                host == *own || host.strip_suffix(own).is_some_and(|sub| sub.ends_with('.'))
            });
        let test = is_same_host(&url, self.api.base()) && self.api.base().scheme() == "http";
        if known && url.scheme() == "https" || test {
            return Ok(url);
        }
        Err(NetError::permanent("the file is kept elsewhere than in Slack"))
    }

    /// The first two steps of sending a file: asks for a place, and fills it. Gives the file's identifier, which is nobody's to see
    /// before [`Self::share`].
    pub async fn upload(
        &self,
        name: &str,
        content: &mut (dyn futures::Stream<Item = io::Result<Bytes>> + Send + Unpin),
        max: u64,
    ) -> Result<String, ApiError> {
        // Slack wants to know the length first, and what is said about a file need not be true.
        let broken =
            |error: io::Error| ApiError::Unreachable(format!("the file broke off: {error}"));
        let spool = tempfile::tempfile().map_err(broken)?;
        let mut spool = tokio::fs::File::from_std(spool);
        let mut length: u64 = 0;
        while let Some(chunk) = content.next().await {
            let chunk = chunk.map_err(broken)?;
            length += chunk.len() as u64;
            if length > max.min(MAX_FILE) {
                return Err(ApiError::Refused("the file is too large".into()));
            }
            spool.write_all(&chunk).await.map_err(broken)?;
        }
        spool.flush().await.map_err(broken)?;
        spool.rewind().await.map_err(broken)?;
        if length == 0 {
            return Err(ApiError::Refused("the file is empty".into()));
        }
        let digits = length.to_string();
        let params = [("filename", name), ("length", digits.as_str())];
        let place = self.get("files.getUploadURLExternal", &params).await?;
        let missing = || ApiError::NoAnswer("there is no place for the file in it".into());
        let url = said(&place, "upload_url").ok_or_else(missing)?;
        let file = said(&place, "file_id").ok_or_else(missing)?.to_owned();
        let url = self.slacks_own(url).map_err(|error| ApiError::Refused(error.to_string()))?;
        let request = self.api.http.post(url).header(header::CONTENT_LENGTH, length);
        let request = request.header(header::CONTENT_TYPE, "application/octet-stream");
        let request = request.body(reqwest::Body::wrap_stream(ReaderStream::new(spool)));
        let sent = request.timeout(UPLOAD).send().await;
        // Nothing was shared yet: whatever happened, it may be done again.
        let sent = sent.map_err(|error| ApiError::Unreachable(error.without_url().to_string()))?;
        match sent.status() {
            status if status.is_success() => Ok(file),
            StatusCode::TOO_MANY_REQUESTS => Err(ApiError::Limited(Duration::from_secs(30))),
            status if status.is_server_error() => {
                Err(ApiError::Unreachable(format!("the upload failed with {status}")))
            }
            status => Err(ApiError::Refused(format!("http_{}", status.as_u16()))),
        }
    }

    /// The third step: shows the file in a channel, or a thread there.
    pub async fn share(
        &self,
        file: &str,
        title: &str,
        channel: &str,
        thread: Option<&str>,
        comment: Option<&str>,
    ) -> Result<(), ApiError> {
        let mut body = json!({ "files": [{ "id": file, "title": title }], "channel_id": channel });
        if let Some(thread) = thread {
            body["thread_ts"] = thread.into();
        }
        if let Some(comment) = comment {
            body["initial_comment"] = comment.into();
        }
        self.post("files.completeUploadExternal", &body).await.map(drop)
    }

    /// The message by which a file was shared in a channel, once Slack has made it: it does so some time after the last step.
    pub async fn shared_as(&self, file: &str, channel: &str) -> Result<Option<String>, ApiError> {
        let answer = self.get("files.info", &[("file", file)]).await?;
        let shares = answer.pointer("/file/shares");
        let place = |kind: &str| shares.and_then(|shares| shares.get(kind)?.get(channel));
        let found = place("public").or_else(|| place("private"));
        let ts = found.and_then(Value::as_array).and_then(|shares| shares.first());
        Ok(ts.and_then(|share| text(share, "ts")).map(ToOwned::to_owned))
    }
}

fn read(response: reqwest::Response, page_expected: bool) -> Result<MediaStream, NetError> {
    let status = response.status();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Err(NetError::temporary(format!("Slack failed with {status}")));
    }
    if !status.is_success() {
        return Err(NetError::permanent(format!("Slack refuses the file with {status}")));
    }
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let mime = header(header::CONTENT_TYPE)
        .map(|mime| mime.split(';').next().unwrap_or(mime).trim().to_owned());
    if mime.as_deref() == Some("text/html") && !page_expected {
        // Slack shows its login page to tokens that may not read files, with 200.
        return Err(NetError::permanent("the app may not read files: it lacks files:read"));
    }
    let size = response.content_length();
    let bytes = response.bytes_stream().map_err(|error| io::Error::other(error.without_url()));
    let bytes = futures::stream::unfold(Box::pin(bytes), |mut bytes| async move {
        match tokio::time::timeout(STALLED, bytes.next()).await {
            Ok(next) => next.map(|chunk| (chunk, bytes)),
            Err(_) => Some((Err(io::ErrorKind::TimedOut.into()), bytes)),
        }
    });
    Ok(MediaStream { mime, size, bytes: bytes.boxed() })
}

fn is_same_host(url: &Url, base: &Url) -> bool {
    url.host() == base.host() && url.port_or_known_default() == base.port_or_known_default()
}

/// Whether a host may see the token.
fn is_for_token(url: &Url, base: &Url) -> bool {
    is_same_host(url, base)
        || url.host_str().is_some_and(|host| host == "slack.com" || host.ends_with(".slack.com"))
}
