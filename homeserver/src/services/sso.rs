//! Signing in through identity providers (Client-Server API, "SSO client login/authentication").
//!
//! What is under way is short and in memory: a restart asks people to begin again. All of it belongs to the browser in which it was
//! begun, by a cookie, so that nobody can be made to finish what somebody else began.

pub mod accounts;
pub mod claims;
pub mod jws;
pub mod logout;
mod picture;
pub mod provider;
mod shelf;
pub mod template;

use std::sync::Arc;

use ruma::OwnedUserId;
use serde_json::{Value, json};
use url::Url;

use self::provider::{Attempt, Identity, Provider, ProviderError, SettingError};
use self::shelf::Shelf;
use self::template::Attributes;
use crate::clock::Clock;
use crate::config::Config;
use crate::outbound::trusted::Trusted;
use crate::services::sessions::random_token;
use crate::storage::external_ids::ExternalId;
use crate::storage::tokens::TokenHash;

/// Where providers send people back to: the path that their guides for Matrix name.
pub const CALLBACK: &str = "/_synapse/client/oidc/callback";
/// Where a sign-in begins that ends on a page of this server.
pub const START: &str = "/_landbridge/sso/start";
/// The page that logs people in for clients that can't, which is this server's own.
pub const LOGIN_FALLBACK: &str = "/_matrix/static/client/login/";

/// For how long somebody may be at the provider, and afterwards choose a name, in milliseconds.
const PATIENCE_MS: i64 = 20 * 60 * 1000;
/// The longest address of a client or page that people are sent back to.
const MAX_RETURN: usize = 4_096;

/// What somebody signs in for.
#[derive(Debug, Clone)]
pub enum Goal {
    /// To log in with a client, which is at this address.
    Client(Url),
    /// To confirm what a client is about to do, in this session of user-interactive authentication.
    Confirm(String),
    /// To be known on a page of this server.
    Page {
        /// Its path.
        path: String,
        /// Whether it is for what can't be taken back, so that who is signed in at the provider has to show again who they are.
        again: bool,
    },
}

impl Goal {
    /// Whether being signed in at the provider is not enough.
    const fn wants_proof(&self) -> bool {
        matches!(self, Self::Confirm(_) | Self::Page { again: true, .. })
    }
}

/// Somebody who is at a provider.
#[derive(Clone)]
struct Away {
    provider: usize,
    nonce: String,
    verifier: String,
    goal: Goal,
}

/// Somebody who came back from a provider.
#[derive(Debug, Clone)]
pub struct Back {
    /// Who, there.
    pub id: ExternalId,
    /// The session there.
    pub sid: Option<String>,
    /// What they are called there.
    pub attributes: Attributes,
    /// When they showed there who they are, in ms since 1970, as far as that is known.
    pub proven_ms: Option<i64>,
    /// What for.
    pub goal: Goal,
}

/// Somebody who came back and whose account is known.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// Who.
    pub user: OwnedUserId,
    /// By what the provider said.
    pub back: Back,
}

/// A way to sign in, as a page shows it.
#[derive(Debug, Clone)]
pub struct Link {
    /// The provider's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What kind it is.
    pub brand: Option<String>,
    /// Where it leads: a path with a query.
    pub href: String,
}

/// Why a sign-in did not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SsoError {
    /// It was not begun in this browser, took too long, or is over.
    #[error("there is no such sign-in in this browser")]
    Unknown,
    /// Another provider's answer.
    #[error("the answer comes from another provider")]
    Mixed,
    /// The provider.
    #[error(transparent)]
    Provider(#[from] ProviderError),
}

/// Signing in through identity providers.
pub struct Sso {
    base: String,
    whitelist: Vec<Url>,
    providers: Vec<Provider>,
    away: Shelf<Away>,
    newcomers: Shelf<Back>,
    arrivals: Shelf<Arrival>,
    questions: Shelf<String>,
    clock: Arc<dyn Clock>,
}

impl Sso {
    /// The providers that are set.
    pub fn new(
        config: &Config,
        http: &Trusted,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, SettingError> {
        let base = config.public_base_url.as_deref().unwrap_or_default().trim_end_matches('/');
        let providers = config.sso.providers.iter().cloned();
        let shelf_clock = || Arc::clone(clock);
        Ok(Self {
            base: base.to_owned(),
            whitelist: config
                .sso
                .client_whitelist
                .iter()
                .filter_map(|url| Url::parse(url).ok())
                .collect(),
            providers: providers
                .map(|provider| Provider::new(provider, http.clone(), Arc::clone(clock)))
                .collect::<Result<_, _>>()?,
            away: Shelf::new(shelf_clock(), PATIENCE_MS),
            newcomers: Shelf::new(shelf_clock(), PATIENCE_MS),
            arrivals: Shelf::new(shelf_clock(), PATIENCE_MS),
            questions: Shelf::new(shelf_clock(), PATIENCE_MS),
            clock: shelf_clock(),
        })
    }

    /// The providers.
    pub fn providers(&self) -> &[Provider] {
        &self.providers
    }

    /// The provider with an id.
    pub fn provider(&self, id: &str) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.settings().id == id)
    }

    /// The flow that `GET /login` offers, if there is any provider.
    pub fn flow(&self) -> Option<Value> {
        if self.providers.is_empty() {
            return None;
        }
        let shown = |provider: &Provider| {
            let settings = provider.settings();
            let mut shown = json!({ "id": settings.id, "name": settings.name });
            for (key, value) in [("icon", &settings.icon), ("brand", &settings.brand)] {
                if let Some(value) = value {
                    shown[key] = json!(value);
                }
            }
            shown
        };
        let providers: Vec<Value> = self.providers.iter().map(shown).collect();
        Some(json!({ "type": "m.login.sso", "identity_providers": providers }))
    }

    /// The ways to sign in for a page of this server. Whoever signed in comes to `page`, a path with or without a query, signed in
    /// in their browser; with `again`, after they have shown at the provider once more who they are.
    pub fn links(&self, page: &str, again: bool) -> Vec<Link> {
        let link = |provider: &Provider| {
            let settings = provider.settings();
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query.append_pair("provider", &settings.id).append_pair("page", page);
            if again {
                query.append_pair("again", "true");
            }
            Link {
                id: settings.id.clone(),
                name: settings.name.clone(),
                brand: settings.brand.clone(),
                href: format!("{START}?{}", query.finish()),
            }
        };
        self.providers.iter().map(link).collect()
    }

    /// Begins a sign-in: where to send the browser.
    pub async fn begin(
        &self,
        provider: &str,
        goal: Goal,
        browser: TokenHash,
    ) -> Result<Url, SsoError> {
        let index = self.providers.iter().position(|known| known.settings().id == provider);
        let index = index.ok_or(SsoError::Unknown)?;
        let (nonce, verifier) = (random_token(), random_token());
        let state = random_token();
        let redirect_uri = self.redirect_uri();
        let attempt = Attempt {
            redirect_uri: &redirect_uri,
            nonce: &nonce,
            verifier: &verifier,
            proof: goal.wants_proof(),
        };
        let url = self.providers[index].authorize(&attempt, &state).await?;
        self.away.put_as(state, Away { provider: index, nonce, verifier, goal }, browser);
        Ok(url)
    }

    /// Takes what a provider answers: the identity of whoever signed in. A state is good once.
    pub async fn take(
        &self,
        state: &str,
        browser: TokenHash,
        issuer: Option<&str>,
        code: Result<&str, &str>,
    ) -> Result<Back, SsoError> {
        let away = self.away.take(state, browser).ok_or(SsoError::Unknown)?;
        let provider = &self.providers[away.provider];
        if !provider.may_have_answered(issuer).await? {
            return Err(SsoError::Mixed);
        }
        let code = code.map_err(|error| ProviderError::Refused(provider::logged(error)))?;
        let redirect_uri = self.redirect_uri();
        let attempt = Attempt {
            redirect_uri: &redirect_uri,
            nonce: &away.nonce,
            verifier: &away.verifier,
            proof: away.goal.wants_proof(),
        };
        let Identity { subject, sid, attributes, proven_ms } =
            provider.identify(code, &attempt).await?;
        let id = ExternalId { provider: provider.settings().id.clone(), subject };
        // A provider that doesn't say when was at least asked to have them prove it now.
        let proven_ms = proven_ms.or_else(|| attempt.proof.then(|| self.clock.now_ms()));
        Ok(Back { id, sid, attributes, proven_ms, goal: away.goal })
    }

    /// Keeps somebody who has to say which account is theirs; gives a key for [`newcomer`](Self::newcomer).
    pub fn keep_newcomer(&self, back: Back, browser: TokenHash) -> String {
        self.newcomers.put(back, browser)
    }

    /// Somebody who has to say which account is theirs.
    pub fn newcomer(&self, key: &str, browser: TokenHash) -> Option<Back> {
        self.newcomers.peek(key, browser)
    }

    /// Ends the wait of a newcomer, who has an account now.
    pub fn settle(&self, key: &str) {
        self.newcomers.forget(key);
    }

    /// Keeps somebody who arrived until they go on; gives a key for [`arrival`](Self::arrival).
    pub fn keep_arrival(&self, arrival: Arrival, browser: TokenHash) -> String {
        self.arrivals.put(arrival, browser)
    }

    /// Lets somebody go on, once.
    pub fn arrival(&self, key: &str, browser: TokenHash) -> Option<Arrival> {
        self.arrivals.take(key, browser)
    }

    /// Notes that somebody was asked whether a session of user-interactive authentication is theirs; gives a key for
    /// [`question`](Self::question). So nobody confirms what they were not asked about, whatever links they are sent.
    pub fn keep_question(&self, session: String, browser: TokenHash) -> String {
        self.questions.put(session, browser)
    }

    /// The session that somebody was asked about.
    pub fn question(&self, key: &str, browser: TokenHash) -> Option<String> {
        self.questions.peek(key, browser)
    }

    /// Whether people are sent back to a client without being asked.
    pub fn knows(&self, client: &Url) -> bool {
        let own = Url::parse(&format!("{}{LOGIN_FALLBACK}", self.base)).ok();
        self.whitelist.iter().chain(&own).any(|known| begins(client, known))
    }

    /// Whether a cookie may be for HTTPS only.
    pub fn is_secure(&self) -> bool {
        self.base.starts_with("https://")
    }

    fn redirect_uri(&self) -> String {
        format!("{}{CALLBACK}", self.base)
    }
}

/// Whether an address has the scheme and host of another, and a path that begins with its path.
fn begins(url: &Url, with: &Url) -> bool {
    let origin = |url: &Url| {
        (
            url.scheme().to_owned(),
            url.host_str().map(ToOwned::to_owned),
            url.port_or_known_default(),
        )
    };
    let clean = url.username().is_empty() && url.password().is_none();
    let rest = url.path().strip_prefix(with.path());
    let whole = with.path().ends_with('/') || with.path().is_empty();
    clean
        && origin(url) == origin(with)
        && rest.is_some_and(|rest| whole || rest.is_empty() || rest.starts_with('/'))
}

/// The address of a client that somebody is to be sent back to, if it is one. Addresses that a browser would run or show by
/// itself are not.
pub fn client_address(text: &str) -> Option<Url> {
    let url = (text.len() <= MAX_RETURN).then(|| Url::parse(text).ok())??;
    let forbidden =
        ["javascript", "data", "vbscript", "file", "blob", "about", "filesystem", "view-source"];
    let web = matches!(url.scheme(), "http" | "https");
    (!forbidden.contains(&url.scheme()) && (!web || url.has_host())).then_some(url)
}

/// The path of a page of this server that somebody is to be sent to, if it is one: never an address elsewhere.
pub fn page_address(text: &str) -> Option<&str> {
    let plain = |c: char| c.is_ascii_graphic() && c != '\\';
    let here = text.starts_with('/') && !text.starts_with("//") && !text.contains('#');
    (here && text.len() <= MAX_RETURN && text.chars().all(plain)).then_some(text)
}

impl std::fmt::Debug for Sso {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sso").field("providers", &self.providers).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_client_is_known_by_scheme_host_and_path() {
        let begins =
            |url: &str, with: &str| begins(&Url::parse(url).unwrap(), &Url::parse(with).unwrap());
        assert!(begins("https://app.test/?x=1#/y", "https://app.test"));
        assert!(begins("https://app.test/a/b", "https://app.test/a"));
        assert!(begins("https://app.test:443/a", "https://app.test/a"));
        assert!(begins("element://connect?x", "element://connect"));
        for (url, with) in [
            ("https://app.test.evil.test/", "https://app.test"),
            ("https://app.test@evil.test/", "https://app.test"),
            ("https://app.test:8443/", "https://app.test"),
            ("http://app.test/", "https://app.test"),
            ("https://app.test/ab", "https://app.test/a"),
            ("https://me@app.test/a", "https://app.test/a"),
            ("element://evil", "element://connect"),
        ] {
            assert!(!begins(url, with), "{url}");
        }
    }

    #[test]
    fn people_are_sent_to_addresses_that_browsers_do_not_run() {
        for good in ["https://app.test/", "element://connect", "io.element.app:/callback"] {
            assert!(client_address(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "app",
            "/path",
            "javascript:alert(1)",
            "JavaScript:x",
            "data:text/html,x",
            " vbscript:x",
        ] {
            assert!(client_address(bad).is_none(), "{bad}");
        }
        assert!(client_address(&format!("https://x.test/{}", "a".repeat(5_000))).is_none());
        assert_eq!(page_address("/oauth2/x?y=1"), Some("/oauth2/x?y=1"));
        for bad in
            ["", "x", "//evil.test", "/\\evil.test", "https://evil.test", "/a b", "/a#b", "/\u{e9}"]
        {
            assert!(page_address(bad).is_none(), "{bad}");
        }
    }
}
