//! Requests to addresses that somebody else names: the links that people send.
//!
//! Whoever names an address must not reach with our hands what only we can reach: the machine itself, its neighbours, the
//! cloud's metadata. So a name is resolved here, addresses that aren't public are dropped, and the connection goes to one of
//! those that are left, whatever the name resolves to a moment later. Every redirect is checked in the same way.

mod addresses;
pub mod post;
pub mod trusted;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, ACCEPT_LANGUAGE, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

pub use self::addresses::Addresses;
use crate::config::Outbound as Settings;

const CONNECT: Duration = Duration::from_secs(5);
/// For how long another server may say nothing.
const SILENCE: Duration = Duration::from_secs(10);
const MAX_REDIRECTS: usize = 5;

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// It is no `http` or `https` URL of a host.
    #[error("only http and https URLs can be fetched")]
    NotHttp,
    /// The settings, or what called, forbid the URL.
    #[error("that URL is not allowed")]
    Refused,
    /// The host has no address that may be connected to.
    #[error("the host has no public address")]
    NotPublic,
    /// It leads from one URL to the next.
    #[error("too many redirects")]
    Redirects,
    /// It is longer than was asked for.
    #[error("the answer is too long")]
    TooLong,
    /// The other server answered with an error.
    #[error("the other server answered {0}")]
    Status(StatusCode),
    /// The other server could not be reached, or broke off.
    #[error("the other server could not be reached: {0}")]
    Connection(String),
    /// It took too long.
    #[error("the other server did not answer in time")]
    Timeout,
    /// The client could not be built.
    #[error("no client for HTTP: {0}")]
    Client(String),
}

/// What to fetch, and how much of it.
pub struct Ask<'a> {
    /// Media types that are wanted.
    pub accept: &'static str,
    /// Languages that are wanted.
    pub language: Option<&'a str>,
    /// The most bytes that are read.
    pub max_bytes: usize,
    /// Whether the beginning of a longer answer will do.
    pub beginning: bool,
    /// Whether a URL may be asked; each redirect's is, too.
    pub admits: &'a (dyn Fn(&Url) -> bool + Sync),
}

/// What came.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Where it came from at last.
    pub url: Url,
    /// The answer's headers.
    pub headers: HeaderMap,
    /// The answer's body, or its beginning.
    pub body: Bytes,
}

/// The way to public addresses. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Outbound {
    client: reqwest::Client,
    addresses: Arc<Addresses>,
}

/// No address of a host may be connected to.
#[derive(Debug, thiserror::Error)]
#[error("no public address")]
struct NotPublic;

struct Resolver(Arc<Addresses>);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let addresses = Arc::clone(&self.0);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<_> = found.filter(|found| addresses.admit(found.ip())).collect();
            if public.is_empty() {
                return Err(NotPublic.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

impl Outbound {
    /// A way out as the settings have it. `extra_root` is one more certificate (PEM) that other servers may show.
    pub fn new(settings: &Settings, extra_root: Option<&[u8]>) -> Result<Self, FetchError> {
        let failed = |error: reqwest::Error| FetchError::Client(error.to_string());
        let addresses = Arc::new(Addresses::new(
            settings.allowed_addresses.clone(),
            settings.denied_addresses.clone(),
        ));
        // reqwest takes the process's provider; whoever was first to install one, it is this one everywhere.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let roots = extra_root.map(reqwest::Certificate::from_pem_bundle).transpose();
        let client = reqwest::Client::builder()
            .tls_certs_merge(roots.map_err(failed)?.unwrap_or_default())
            .dns_resolver(Arc::new(Resolver(Arc::clone(&addresses))))
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .redirect(reqwest::redirect::Policy::none())
            // A proxy would resolve the names itself.
            .no_proxy()
            .referer(false)
            .user_agent(concat!("Landbridge/", env!("CARGO_PKG_VERSION"), " (bot; link previews)"))
            .build()
            .map_err(failed)?;
        Ok(Self { client, addresses })
    }

    /// Fetches a URL, following redirects. Set a limit of time around it.
    pub async fn get(&self, mut url: Url, ask: &Ask<'_>) -> Result<Fetched, FetchError> {
        for _ in 0..=MAX_REDIRECTS {
            self.check(&url, ask)?;
            let mut request = self.client.get(url.clone()).header(ACCEPT, ask.accept);
            if let Some(Ok(language)) = ask.language.map(HeaderValue::from_str) {
                request = request.header(ACCEPT_LANGUAGE, language);
            }
            let mut response = request.send().await.map_err(told)?;
            let status = response.status();
            if status.is_redirection() {
                let location = response.headers().get(LOCATION);
                let location = location.and_then(|location| location.to_str().ok());
                let next = location.and_then(|location| url.join(location).ok());
                url = next.ok_or(FetchError::Status(status))?;
                continue;
            }
            if !status.is_success() {
                return Err(FetchError::Status(status));
            }
            let headers = std::mem::take(response.headers_mut());
            let body = read(&mut response, ask.max_bytes, ask.beginning).await?;
            return Ok(Fetched { url, headers, body });
        }
        Err(FetchError::Redirects)
    }

    fn check(&self, url: &Url, ask: &Ask<'_>) -> Result<(), FetchError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(FetchError::NotHttp);
        }
        if !(ask.admits)(url) {
            return Err(FetchError::Refused);
        }
        // Addresses that stand in the URL itself are never resolved.
        let literal = match url.host() {
            None => return Err(FetchError::NotHttp),
            Some(Host::Domain(_)) => None,
            Some(Host::Ipv4(address)) => Some(address.into()),
            Some(Host::Ipv6(address)) => Some(address.into()),
        };
        match literal {
            Some(address) if !self.addresses.admit(address) => Err(FetchError::NotPublic),
            _ => Ok(()),
        }
    }
}

/// Reads an answer of at most so many bytes; where `beginning` will do, so many of a longer one.
async fn read(
    response: &mut reqwest::Response,
    max_bytes: usize,
    beginning: bool,
) -> Result<Bytes, FetchError> {
    let announced = response.content_length().unwrap_or(0);
    if !beginning && announced > max_bytes as u64 {
        return Err(FetchError::TooLong);
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(told)? {
        let free = max_bytes - body.len();
        if chunk.len() > free {
            if !beginning {
                return Err(FetchError::TooLong);
            }
            body.extend_from_slice(&chunk[..free]);
            break;
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn told(error: reqwest::Error) -> FetchError {
    let mut cause: Option<&dyn Error> = Some(&error);
    while let Some(at) = cause {
        if at.is::<NotPublic>() {
            return FetchError::NotPublic;
        }
        cause = at.source();
    }
    // The URL may hold a password; the cause alone is told.
    FetchError::Connection(error.without_url().to_string())
}
