//! An OpenID Connect provider that tells what it is told to, and a browser that goes between it and the server.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use landbridge_homeserver::clock::{Clock, SystemClock};
use landbridge_homeserver::config::{Config, Secret, SsoProvider};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tower::ServiceExt;
use url::Url;

use super::support::TestServer;

pub(crate) const BASE: &str = "https://hs.test";
/// A client that the settings of the tests know.
pub(crate) const CLIENT: &str = "https://app.test/?x=1";
const ID: &str = "us";
/// With signs that have to be escaped in the header.
const SECRET: &str = "s3cret:+ %";

/// A pair of keys with a name.
struct Keys {
    kid: String,
    pair: EcdsaKeyPair,
}

impl Keys {
    fn new(kid: &str) -> Self {
        let (way, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(way, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(way, pkcs8.as_ref(), &random).unwrap();
        Self { kid: kid.to_owned(), pair }
    }

    fn public(&self) -> Value {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        json!({ "kty": "EC", "crv": "P-256", "kid": self.kid, "use": "sig", "x": encode(x), "y": encode(y) })
    }

    fn sign(&self, claims: &Value) -> String {
        let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({ "alg": "ES256", "kid": self.kid, "typ": "JWT" });
        let message = format!("{}.{}", encode(&header), encode(claims));
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

/// What was promised for a code.
struct Promise {
    redirect_uri: String,
    challenge: String,
    claims: Value,
}

struct Inner {
    issuer: String,
    keys: Keys,
    /// Signs instead of `keys`, with the same name.
    forger: Option<Keys>,
    promises: HashMap<String, Promise>,
    userinfo: Option<Value>,
    names_itself: bool,
}

/// A provider that listens on this machine.
#[derive(Clone)]
pub(crate) struct Idp(Arc<Mutex<Inner>>);

impl Idp {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let inner = Inner {
            issuer: format!("http://{}", listener.local_addr().unwrap()),
            keys: Keys::new("one"),
            forger: None,
            promises: HashMap::new(),
            userinfo: None,
            names_itself: false,
        };
        let idp = Self(Arc::new(Mutex::new(inner)));
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(configuration))
            .route("/jwks", get(keys))
            .route("/token", post(token))
            .route("/userinfo", get(userinfo))
            .with_state(idp.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        idp
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.0.lock().unwrap())
    }

    pub(crate) fn issuer(&self) -> String {
        self.with(|inner| inner.issuer.clone())
    }

    /// Signs with other keys from now on.
    pub(crate) fn rotate(&self) {
        self.with(|inner| inner.keys = Keys::new("two"));
    }

    /// Has somebody else sign in its name.
    pub(crate) fn forge(&self) {
        self.with(|inner| inner.forger = Some(Keys::new(&inner.keys.kid)));
    }

    /// Tells more when it is asked with an access token.
    pub(crate) fn tell(&self, userinfo: Value) {
        self.with(|inner| inner.userinfo = Some(userinfo));
    }

    /// Says in every answer whose it is.
    pub(crate) fn name_itself(&self) {
        self.with(|inner| inner.names_itself = true);
    }

    /// A signed token with these claims.
    pub(crate) fn signed(&self, claims: &Value) -> String {
        self.with(|inner| inner.keys.sign(claims))
    }

    /// The settings for it.
    pub(crate) fn settings(&self, id: &str) -> SsoProvider {
        SsoProvider {
            id: id.to_owned(),
            name: format!("The {id}"),
            issuer: self.issuer(),
            client_id: ID.to_owned(),
            client_secret: Some(Secret::new(SECRET)),
            localpart_template: Some("{{ user.preferred_username }}".to_owned()),
            display_name_template: Some("{{ user.name }}".to_owned()),
            ..SsoProvider::default()
        }
    }

    /// Lets somebody sign in who was sent to `url`, and gives where they are sent back to. The claims are added to those that all tokens have;
    /// null takes one away.
    pub(crate) fn sign_in(&self, url: &Url, claims: &Value) -> String {
        let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        assert!(url.as_str().starts_with(&format!("{}/authorize?", self.issuer())), "{url}");
        assert_eq!((&*query["response_type"], &*query["client_id"]), ("code", ID));
        assert_eq!(query["redirect_uri"], format!("{BASE}/_synapse/client/oidc/callback"));
        assert_eq!(query["code_challenge_method"], "S256");
        assert!(query["scope"].split(' ').any(|scope| scope == "openid"));
        let now = SystemClock.now_ms() / 1000;
        let mut all = json!({ "iss": self.issuer(), "aud": ID, "exp": now + 300, "iat": now, "nonce": query["nonce"] });
        for (key, value) in claims.as_object().unwrap() {
            match value {
                Value::Null => drop(all.as_object_mut().unwrap().remove(key)),
                value => all[key] = value.clone(),
            }
        }
        let promise = Promise {
            redirect_uri: query["redirect_uri"].clone(),
            challenge: query["code_challenge"].clone(),
            claims: all,
        };
        let mut back = url::form_urlencoded::Serializer::new(String::new());
        self.with(|inner| {
            let code = format!("code{}", inner.promises.len());
            back.append_pair("code", &code).append_pair("state", &query["state"]);
            if inner.names_itself {
                back.append_pair("iss", &inner.issuer);
            }
            inner.promises.insert(code, promise);
        });
        format!("/_synapse/client/oidc/callback?{}", back.finish())
    }
}

async fn configuration(State(idp): State<Idp>) -> Json<Value> {
    let issuer = idp.issuer();
    let of = |path: &str| format!("{issuer}/{path}");
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": of("authorize"),
        "token_endpoint": of("token"),
        "userinfo_endpoint": idp.with(|inner| inner.userinfo.is_some()).then(|| of("userinfo")),
        "jwks_uri": of("jwks"),
        "authorization_response_iss_parameter_supported": idp.with(|inner| inner.names_itself),
    }))
}

async fn keys(State(idp): State<Idp>) -> Json<Value> {
    Json(json!({ "keys": [idp.with(|inner| inner.keys.public())] }))
}

async fn token(
    State(idp): State<Idp>,
    headers: HeaderMap,
    Form(form): Form<BTreeMap<String, String>>,
) -> Response {
    let refused =
        |error: &str| (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response();
    let encoded: String = url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
    let expected = format!("Basic {}", BASE64_STANDARD.encode(format!("{ID}:{encoded}")));
    if headers.get(header::AUTHORIZATION).is_none_or(|value| *value != *expected) {
        return refused("invalid_client");
    }
    let Some(promise) = idp.with(|inner| inner.promises.remove(&form["code"])) else {
        return refused("invalid_grant");
    };
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"]));
    if challenge != promise.challenge || form["redirect_uri"] != promise.redirect_uri {
        return refused("invalid_grant");
    }
    let signed =
        idp.with(|inner| inner.forger.as_ref().unwrap_or(&inner.keys).sign(&promise.claims));
    Json(json!({ "token_type": "Bearer", "access_token": "opaque", "id_token": signed }))
        .into_response()
}

async fn userinfo(State(idp): State<Idp>, headers: HeaderMap) -> Response {
    if headers.get(header::AUTHORIZATION).is_none_or(|value| value != "Bearer opaque") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    Json(idp.with(|inner| inner.userinfo.clone())).into_response()
}

/// Starts a server that people sign in to by these providers, and that knows [`CLIENT`].
pub(crate) async fn server(providers: Vec<SsoProvider>) -> TestServer {
    server_at(providers, Arc::new(SystemClock)).await
}

/// The same with a clock of its own.
pub(crate) async fn server_at(providers: Vec<SsoProvider>, clock: Arc<dyn Clock>) -> TestServer {
    let change = |config: &mut Config| {
        config.public_base_url = Some(BASE.to_owned());
        config.sso.client_whitelist = vec!["https://app.test/".to_owned()];
        config.sso.providers = providers;
    };
    TestServer::start_with_at(change, clock).await
}

/// What a browser got.
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) location: Option<String>,
    pub(crate) policy: String,
    pub(crate) body: String,
}

impl Got {
    /// Where the browser is sent.
    pub(crate) fn sent(&self) -> Url {
        assert_eq!(self.status, 302, "{}", self.body);
        let location = self.location.as_deref().unwrap();
        Url::parse(BASE).unwrap().join(location).unwrap()
    }

    /// Where a link on the page leads, by the beginning of its address.
    pub(crate) fn link(&self, begins: &str) -> String {
        let page = self.body.replace("&amp;", "&");
        let from =
            page.find(&format!("href=\"{begins}")).unwrap_or_else(|| panic!("{begins} in {page}"));
        page[from + 6..].split('"').next().unwrap().to_owned()
    }
}

/// The path and query of an address.
pub(crate) fn path_of(url: &Url) -> String {
    url[url::Position::BeforePath..url::Position::AfterQuery].to_owned()
}

/// A parameter of an address.
pub(crate) fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// A browser with its cookies.
pub(crate) struct Browser<'a> {
    server: &'a TestServer,
    cookies: Mutex<BTreeMap<String, String>>,
}

impl<'a> Browser<'a> {
    pub(crate) fn new(server: &'a TestServer) -> Self {
        Self { server, cookies: Mutex::default() }
    }

    pub(crate) async fn get(&self, path: &str) -> Got {
        self.send(Request::builder().uri(path), Method::GET, Body::empty()).await
    }

    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Got {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let kind = "application/x-www-form-urlencoded";
        let request = Request::builder().uri(path).header(header::CONTENT_TYPE, kind);
        self.send(request, Method::POST, Body::from(body)).await
    }

    async fn send(&self, request: http::request::Builder, method: Method, body: Body) -> Got {
        let cookies = self
            .cookies
            .lock()
            .unwrap()
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect::<Vec<_>>();
        let request = request.method(method).header(header::COOKIE, cookies.join("; "));
        let answer =
            self.server.server.router().oneshot(request.body(body).unwrap()).await.unwrap();
        for cookie in answer.headers().get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            assert!(cookie.contains("; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
            let (name, rest) = cookie.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            self.cookies.lock().unwrap().insert(name.to_owned(), value.to_owned());
        }
        let text = |name| {
            answer.headers().get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned)
        };
        let (location, policy) = (text(header::LOCATION), text(header::CONTENT_SECURITY_POLICY));
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        let body = String::from_utf8(bytes.to_vec()).unwrap();
        Got { status, location, policy: policy.unwrap_or_default(), body }
    }

    /// Goes to a provider for a client, signs in there, and comes back.
    pub(crate) async fn sign_in(&self, idp: &Idp, id: &str, client: &str, claims: &Value) -> Got {
        let back = idp.sign_in(&self.leave(id, client).await, claims);
        self.get(&back).await
    }

    /// Goes to a provider for a client.
    pub(crate) async fn leave(&self, id: &str, client: &str) -> Url {
        self.get(&redirect(id, client)).await.sent()
    }
}

/// Where a client sends browsers.
pub(crate) fn redirect(id: &str, client: &str) -> String {
    let client: String = url::form_urlencoded::byte_serialize(client.as_bytes()).collect();
    let id = if id.is_empty() { String::new() } else { format!("/{id}") };
    format!("/_matrix/client/v3/login/sso/redirect{id}?redirectUrl={client}")
}

/// Logs in with the token in an address that a client was opened with.
pub(crate) async fn log_in(server: &TestServer, client: &Url) -> (u16, Value) {
    let token = parameter(client, "loginToken").unwrap();
    let body = json!({ "type": "m.login.token", "token": token });
    let (status, answer) =
        server.request(Method::POST, "/_matrix/client/v3/login", None, &body).await;
    (status.as_u16(), answer)
}
