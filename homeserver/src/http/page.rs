//! The frame of the pages that people see in a browser: plain HTML without scripts, nothing from elsewhere, framed by nobody.

use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderValue, StatusCode, header};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

/// Readable on any screen and in both colour schemes; what has the focus can be seen.
const STYLE: &str = "body{font:1.05rem/1.5 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem;\
    color-scheme:light dark}label{display:block;margin:1rem 0}input{display:block;width:100%;font:inherit;padding:.4rem;\
    box-sizing:border-box}input[type=checkbox]{display:inline;width:auto;margin-right:.5rem}\
    button{font:inherit;padding:.5rem 1rem;margin:0 .5rem .5rem 0}[role=alert]{border:1px solid #b00020;padding:.5rem 1rem}\
    [role=status]{border:1px solid #1b7f3b;padding:.5rem 1rem}code{overflow-wrap:anywhere}dt{font-weight:600}\
    dd{margin:0 0 .5rem;overflow-wrap:anywhere}:focus-visible{outline:3px solid #1a73e8;outline-offset:2px}";

/// A page: a title, which is its heading too, and what stands below.
#[derive(Debug)]
pub struct Page {
    status: StatusCode,
    title: String,
    body: Markup,
    onwards: Vec<String>,
}

impl Page {
    /// A page with a title and nothing else.
    pub fn new(title: impl Into<String>) -> Self {
        let body = PreEscaped(String::new());
        Self { status: StatusCode::OK, title: title.into(), body, onwards: Vec::new() }
    }

    /// Answers with another status than 200.
    #[must_use]
    pub const fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// What stands below the heading.
    #[must_use]
    pub fn body(mut self, body: Markup) -> Self {
        self.body = body;
        self
    }

    /// Where the answers to the page's forms may lead, beside to ourselves: an origin, or a scheme with its colon. Browsers count
    /// the redirect that follows a form as a target of the form.
    #[must_use]
    pub fn onwards(mut self, target: impl Into<String>) -> Self {
        let target = target.into();
        // Hosts may hold signs that would end the directive or begin another.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:/[]+_".contains(&byte);
        if target.bytes().all(plain) {
            self.onwards.push(target);
        }
        self
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let digest = BASE64_STANDARD.encode(Sha256::digest(STYLE));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{digest}'; form-action 'self' {}; base-uri 'none'; frame-ancestors 'none'",
            self.onwards.join(" ")
        );
        let html = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width,initial-scale=1";
                    title { (self.title) " · Landbridge" }
                    style { (PreEscaped(STYLE)) }
                }
                body { main { h1 { (self.title) } (self.body) } }
            }
        };
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
            (
                header::CONTENT_SECURITY_POLICY,
                // It is of visible ASCII; were it not, nothing would be allowed at all.
                HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static(
                    "default-src 'none'; frame-ancestors 'none'",
                )),
            ),
            (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            // The address may hold a token.
            (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        (self.status, headers, html.into_string()).into_response()
    }
}

/// A page whose body is markup already. Its forms lead back here or, with `onwards`, to that origin.
pub fn page(status: StatusCode, title: &str, body: &str, onwards: Option<&str>) -> Response {
    let page = Page::new(title).status(status).body(PreEscaped(body.to_owned()));
    match onwards {
        Some(origin) => page.onwards(origin).into_response(),
        None => page.into_response(),
    }
}

/// Text as it stands in a page.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// What went wrong, where a screen reader says it at once.
pub fn alert(text: &str) -> Markup {
    html! { p role="alert" { (text) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_runs_nothing_and_is_framed_by_nobody() {
        let page = Page::new("<b>").body(alert("<i>")).onwards("https://app.example");
        let response = page.into_response();
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert!(policy.contains("form-action 'self' https://app.example;"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    }

    #[test]
    fn a_target_adds_nothing_to_the_policy_but_itself() {
        for odd in ["https://x;sandbox", "https://x,y", "https://*", "https://x y"] {
            let response = Page::new("").onwards(odd).into_response();
            let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(policy.contains("form-action 'self' ; base-uri"), "{policy}");
        }
    }

    #[tokio::test]
    async fn nothing_given_becomes_markup() {
        use http_body_util::BodyExt as _;
        let response = Page::new("<b>").body(alert("<i>")).into_response();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let text = std::str::from_utf8(&body).unwrap();
        assert!(!text.contains("<b>") && !text.contains("<i>"), "{text}");
        assert_eq!(escape("\"><script>&"), "&quot;&gt;&lt;script&gt;&amp;");
    }
}
