//! How a file is put into an answer: its headers, above all those that keep a browser from running it.

use axum::body::Body;
use axum::response::Response;
use http::header::{self, HeaderMap, HeaderValue};
use http::{HeaderName, StatusCode};
use object_store::GetRange;

use crate::services::media::BlobStream;
use crate::storage::media::FileRow;

/// The spec's recommended policy.
const POLICY: &str = "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; \
    style-src 'unsafe-inline'; object-src 'self';";

/// The types that may be shown in a browser (Client-Server API, "Serving inline content").
const INLINE: [&str; 26] = [
    "text/css",
    "text/plain",
    "text/csv",
    "application/json",
    "application/ld+json",
    "image/jpeg",
    "image/gif",
    "image/png",
    "image/apng",
    "image/webp",
    "image/avif",
    "video/mp4",
    "video/webm",
    "video/ogg",
    "video/quicktime",
    "audio/mp4",
    "audio/webm",
    "audio/aac",
    "audio/mpeg",
    "audio/ogg",
    "audio/wave",
    "audio/wav",
    "audio/x-wav",
    "audio/x-pn-wav",
    "audio/flac",
    "audio/x-flac",
];

/// Whether a browser shows the file or saves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disposition {
    Inline,
    Attachment,
}

impl Disposition {
    /// By the type, without its parameters.
    fn of(content_type: &str) -> Self {
        let essence =
            content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if INLINE.contains(&essence.as_str()) { Self::Inline } else { Self::Attachment }
    }

    fn header(self, filename: Option<&str>) -> HeaderValue {
        let word = match self {
            Self::Inline => "inline",
            Self::Attachment => "attachment",
        };
        let text = filename
            .map_or_else(|| word.to_owned(), |name| format!("{word}; {}", name_parameter(name)));
        HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("attachment"))
    }
}

/// The parameter that names the file: plain, quoted, or in the extended form of RFC 5987.
fn name_parameter(name: &str) -> String {
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte)) {
        format!("filename={name}")
    } else if name.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        format!("filename=\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        let mut text = String::from("filename*=utf-8''");
        for byte in name.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                use std::fmt::Write as _;
                let _ = write!(text, "%{byte:02X}");
            }
        }
        text
    }
}

/// The part of the file that is asked for: one range of bytes; several are answered by the whole.
pub(super) fn range(headers: &HeaderMap) -> Option<GetRange> {
    // A range of another version of the file is meant; media never change, so ours has another tag.
    if headers.contains_key(header::IF_RANGE) {
        return None;
    }
    let text = headers.get(header::RANGE)?.to_str().ok()?.strip_prefix("bytes=")?;
    let (from, to) = text.split_once('-')?;
    match (from.trim(), to.trim()) {
        ("", last) => last.parse().ok().filter(|last| *last > 0).map(GetRange::Suffix),
        (first, "") => first.parse().ok().map(GetRange::Offset),
        (first, last) => {
            let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
            (first <= last).then(|| GetRange::Bounded(first..last.saturating_add(1)))
        }
    }
}

fn tag(file: &FileRow) -> HeaderValue {
    use base64::Engine as _;
    let hash = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&file.sha256);
    HeaderValue::from_str(&format!("\"{hash}\""))
        .unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// Whether the client says that it has this file.
pub(super) fn is_known(file: &FileRow, headers: &HeaderMap) -> bool {
    let tag = tag(file);
    let given = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    given.is_some_and(|given| {
        given.split(',').any(|one| one.trim().trim_start_matches("W/").as_bytes() == tag.as_bytes())
    })
}

/// The answer to a client that has the file.
pub(super) fn not_modified(file: &FileRow) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response.headers_mut().insert(header::ETAG, tag(file));
    response
}

/// A file, under the name in the path or else the uploader's.
pub(super) fn file(
    file: &FileRow,
    name: Option<String>,
    stream: BlobStream,
    old_path: bool,
) -> Response {
    let name = name.or_else(|| file.filename.clone());
    let disposition = Disposition::of(&file.content_type).header(name.as_deref());
    with_tag(file, answer(&file.content_type, disposition, stream, old_path))
}

/// A file that is its own thumbnail.
pub(super) fn original(
    file: &FileRow,
    stream: BlobStream,
    old_path: bool,
    how: Disposition,
) -> Response {
    // Only pictures get here; one that calls itself something else is not shown as that.
    let kind = match Disposition::of(&file.content_type) {
        Disposition::Inline if file.content_type.starts_with("image/") => {
            file.content_type.as_str()
        }
        _ => "image/jpeg",
    };
    with_tag(file, answer(kind, how.header(Some("thumbnail")), stream, old_path))
}

/// A thumbnail of ours.
pub(super) fn thumbnail(kind: &'static str, stream: BlobStream, old_path: bool) -> Response {
    let name = if kind == "image/jpeg" { "thumbnail.jpg" } else { "thumbnail.png" };
    answer(kind, Disposition::Inline.header(Some(name)), stream, old_path)
}

fn with_tag(file: &FileRow, mut response: Response) -> Response {
    response.headers_mut().insert(header::ETAG, tag(file));
    response
}

fn answer(kind: &str, disposition: HeaderValue, stream: BlobStream, old_path: bool) -> Response {
    let BlobStream { total, range, bytes } = stream;
    let mut response = Response::new(Body::from_stream(bytes));
    let headers = response.headers_mut();
    let kind = HeaderValue::from_str(kind)
        .unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"));
    // Media never change; those that need a token must not be kept by a proxy for everybody.
    let caching = if old_path {
        "public, max-age=31536000, immutable"
    } else {
        "private, max-age=31536000, immutable"
    };
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_DISPOSITION, disposition),
        (header::CONTENT_LENGTH, HeaderValue::from(range.end - range.start)),
        (header::ACCEPT_RANGES, HeaderValue::from_static("bytes")),
        (header::CACHE_CONTROL, HeaderValue::from_static(caching)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("cross-origin"),
        ),
    ] {
        headers.insert(name, value);
    }
    if range != (0..total) {
        let text = format!("bytes {}-{}/{total}", range.start, range.end.saturating_sub(1));
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(header::CONTENT_RANGE, value);
        }
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_harmless_types_are_shown() {
        for kind in ["text/plain", "text/plain; charset=utf-8", "IMAGE/PNG", "video/mp4 ; codecs=x"]
        {
            assert_eq!(Disposition::of(kind), Disposition::Inline, "{kind}");
        }
        for kind in ["text/html", "image/svg+xml", "application/pdf", "", "text/plainer"] {
            assert_eq!(Disposition::of(kind), Disposition::Attachment, "{kind}");
        }
    }

    #[test]
    fn names_are_written_so_that_they_stay_one_parameter() {
        for (name, expected) in [
            ("a.png", "inline; filename=a.png"),
            ("name;with;semicolons", "inline; filename=\"name;with;semicolons\""),
            ("a \"b\" \\", "inline; filename=\"a \\\"b\\\" \\\\\""),
            ("\u{1f40d}", "inline; filename*=utf-8''%F0%9F%90%8D"),
        ] {
            assert_eq!(Disposition::Inline.header(Some(name)), expected);
        }
        assert_eq!(Disposition::Attachment.header(None), "attachment");
    }

    #[test]
    fn ranges_are_read_or_left_alone() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, HeaderValue::from_str(text).unwrap());
            range(&headers)
        };
        assert_eq!(read("bytes=0-4"), Some(GetRange::Bounded(0..5)));
        assert_eq!(read("bytes=7-"), Some(GetRange::Offset(7)));
        assert_eq!(read("bytes=-7"), Some(GetRange::Suffix(7)));
        for other in ["bytes=5-4", "bytes=0-1,4-5", "lines=0-4", "bytes=-", "bytes=-0"] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
