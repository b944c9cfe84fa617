//! Previews of links.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Previews of the links in messages: clients ask, the server fetches the page. Which addresses it may connect to stands in
/// `outbound`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UrlPreviewPolicy {
    /// Whether there are previews.
    pub enabled: bool,
    /// Hosts that may be previewed, `*` standing for anything (`*.example.org`); empty: all.
    pub allowed_hosts: Vec<String>,
    /// Hosts that are never previewed, in the same form. `example.org` doesn't include `www.example.org`.
    pub denied_hosts: Vec<String>,
    /// The languages to ask pages for, as the HTTP header `Accept-Language` has them.
    pub languages: String,
    /// The most bytes of a page that are read.
    pub max_page_bytes: usize,
    /// The largest picture that is kept.
    pub max_image_bytes: usize,
    /// How long fetching a page and its picture may take.
    pub timeout_seconds: u64,
    /// For how long a preview is good.
    pub cache_seconds: u64,
    /// How many pages may be fetched at once.
    pub concurrent: usize,
}

impl Default for UrlPreviewPolicy {
    fn default() -> Self {
        Self {
            enabled: true,
            allowed_hosts: Vec::new(),
            denied_hosts: Vec::new(),
            languages: "en".to_owned(),
            max_page_bytes: 1 << 20,
            max_image_bytes: 10 << 20,
            timeout_seconds: 15,
            cache_seconds: 3_600,
            concurrent: 8,
        }
    }
}
