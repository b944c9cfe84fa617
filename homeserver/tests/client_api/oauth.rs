//! The OAuth 2.0 API over HTTP: as clients speak it, and as people see it in a browser.

mod account;
mod authorize;
mod clients;
mod devices;
mod email;
mod tokens;

use std::cell::RefCell;
use std::sync::Arc;

use landbridge_homeserver::clock::Clock;
use landbridge_homeserver::config::Config;
use serde_json::{Value, json};

use super::smtp::Smtp;
use super::support::{Later, TestServer};
use super::threepids::mail;

const BASE: &str = "https://hs.test";
const AUTHORIZE: &str = "/_landbridge/oauth/authorize";
const SIGN_IN: &str = "/_landbridge/sign-in";
const ACCOUNT: &str = "/_landbridge/account";
const REDIRECT: &str = "https://app.example.com/callback";
/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A server that listens, offers OAuth 2.0, and knows alice.
struct Provider {
    server: TestServer,
    clock: Arc<Later>,
    http: reqwest::Client,
    address: String,
}

/// What came.
struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    fn location(&self) -> &str {
        let location = self.headers.get("location");
        location.unwrap_or_else(|| panic!("{} {}", self.status, self.text)).to_str().unwrap()
    }

    /// Where it leads below our address.
    fn path(&self) -> &str {
        let location = self.location();
        assert!(location.starts_with('/'), "{location}");
        location
    }

    /// The status and the error of a refusal.
    fn refusal(&self) -> (u16, String) {
        (self.status, self.json()["error"].as_str().unwrap_or_default().to_owned())
    }
}

fn encoded(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// The parameters behind the query or the fragment of a URL.
fn answer_in(location: &str, sign: char) -> Vec<(String, String)> {
    let (_, answer) = location.split_once(sign).unwrap_or_else(|| panic!("{location}"));
    url::form_urlencoded::parse(answer.as_bytes()).into_owned().collect()
}

fn value<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

impl Provider {
    async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let provider = Self::start_empty_with(change).await;
        provider.register("alice").await;
        provider
    }

    /// A server that knows nobody, and wants an e-mail address of everybody.
    async fn start_needing_email(smtp: &Smtp) -> Self {
        Self::start_empty_with(|config| {
            mail(config, smtp);
            config.email.required_to_register = true;
        })
        .await
    }

    async fn start_empty_with(change: impl FnOnce(&mut Config)) -> Self {
        let clock = Arc::new(Later::default());
        let server = TestServer::start_with_at(
            |config| {
                config.public_base_url = Some(format!("{BASE}/"));
                config.listen.http = vec!["127.0.0.1:0".parse().unwrap()];
                change(config);
            },
            Arc::clone(&clock) as Arc<dyn Clock>,
        )
        .await;
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        let address = format!("http://{}", server.server.addresses()[0]);
        Self { server, clock, http, address }
    }

    async fn register(&self, name: &str) {
        let auth = match self.server.server.app().config.registration.tokens.first() {
            Some(token) => json!({ "type": "m.login.registration_token", "token": token.expose() }),
            None => json!({ "type": "m.login.dummy" }),
        };
        let body = json!({ "auth": auth, "username": name, "password": "correct horse" });
        let path = "/_matrix/client/v3/register";
        let (status, answer) = self.server.request(http::Method::POST, path, None, &body).await;
        assert_eq!(status, 200, "{answer}");
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, text: response.text().await.unwrap() }
    }

    async fn get(&self, path: &str, token: Option<&str>) -> Answer {
        let request = self.http.get(format!("{}{path}", self.address));
        self.send(match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        })
        .await
    }

    async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let request = self.http.post(format!("{}{path}", self.address));
        let kind = "application/x-www-form-urlencoded";
        self.send(request.header("content-type", kind).body(encoded(fields))).await
    }

    /// Sends a form from an address, as a proxy in front tells it.
    async fn form_from(&self, address: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let request = self.http.post(format!("{}{path}", self.address));
        let request = request.header("x-forwarded-for", address);
        let kind = "application/x-www-form-urlencoded";
        self.send(request.header("content-type", kind).body(encoded(fields))).await
    }

    async fn token(&self, fields: &[(&str, &str)]) -> Answer {
        self.form("/_landbridge/oauth/token", fields).await
    }

    async fn post_json(&self, path: &str, body: &Value) -> Answer {
        let request = self.http.post(format!("{}{path}", self.address));
        self.send(request.header("content-type", "application/json").body(body.to_string())).await
    }

    /// Registers a client that may do everything; its ID.
    async fn client(&self) -> String {
        let answer = self.post_json("/_landbridge/oauth/register", &client_metadata()).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()["client_id"].as_str().unwrap().to_owned()
    }

    fn browser(&self) -> Browser<'_> {
        Browser { provider: self, cookie: RefCell::default() }
    }

    /// Whose an access token is, or the status of the refusal.
    async fn whoami(&self, token: &str) -> Result<Value, u16> {
        let answer = self.get("/_matrix/client/v3/account/whoami", Some(token)).await;
        if answer.status == 200 { Ok(answer.json()) } else { Err(answer.status) }
    }

    /// Alice lets a client in: the code.
    async fn code(&self, client: &str, device: &str) -> String {
        let browser = self.browser();
        browser.sign_in("alice").await;
        browser.code(client, device).await
    }

    /// Alice lets a client in: the answer with its tokens.
    async fn tokens(&self, client: &str, device: &str) -> Value {
        let code = self.code(client, device).await;
        let answer = self.token(&redemption(client, &code)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }
}

fn redemption<'a>(client: &'a str, code: &'a str) -> [(&'a str, &'a str); 5] {
    [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("client_id", client),
        ("code_verifier", VERIFIER),
    ]
}

fn refreshing<'a>(client: &'a str, token: &'a str) -> [(&'a str, &'a str); 3] {
    [("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", client)]
}

fn client_metadata() -> Value {
    json!({
        "client_name": "My App",
        "client_name#fr": "Mon application",
        "client_uri": "https://example.com/",
        "tos_uri": "https://example.com/tos.html",
        "redirect_uris": [REDIRECT],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
    })
}

fn scope(device: &str) -> String {
    format!("urn:matrix:client:api:* urn:matrix:client:device:{device}")
}

/// A request for a code, as a path.
fn authorization(client: &str, scope: &str, change: &[(&str, Option<&str>)]) -> String {
    let fields = [
        ("client_id", client),
        ("redirect_uri", REDIRECT),
        ("response_type", "code"),
        ("response_mode", "fragment"),
        ("scope", scope),
        ("state", "a state"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let changed = |name: &str| change.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    let kept = fields.iter().filter_map(|(name, value)| {
        Some((*name, changed(name).map_or(Some(*value), |other| other)?))
    });
    let kept: Vec<_> = kept.collect();
    let added = change.iter().filter(|(name, _)| !fields.iter().any(|(key, _)| key == name));
    let added = added.filter_map(|(name, value)| Some((*name, (*value)?)));
    format!("{AUTHORIZE}?{}", encoded(&kept.into_iter().chain(added).collect::<Vec<_>>()))
}

/// Somebody's browser.
struct Browser<'a> {
    provider: &'a Provider,
    cookie: RefCell<Option<String>>,
}

/// A form on a page.
#[derive(Debug, Clone)]
struct Form {
    action: String,
    fields: Vec<(String, String)>,
}

impl Form {
    fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(key, _)| key != name);
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    let (value, _) = rest.split_once('"')?;
    let unescaped = value.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">");
    Some(unescaped.replace("&amp;", "&"))
}

/// The forms of a page, with what they carry.
fn forms(html: &str) -> Vec<Form> {
    let form = |text: &str| {
        let text = text.split("</form>").next().unwrap();
        let inputs = text.split("<input").skip(1).filter_map(|tag| {
            let tag = tag.split('>').next().unwrap();
            Some((attribute(tag, "name")?, attribute(tag, "value").unwrap_or_default()))
        });
        Form { action: attribute(text, "action").unwrap(), fields: inputs.collect() }
    };
    html.split("<form").skip(1).map(form).collect()
}

impl Browser<'_> {
    async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let cookie = self.cookie.borrow().clone();
        let request = match cookie {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        };
        let answer = self.provider.send(request).await;
        if let Some(set) = answer.headers.get("set-cookie") {
            let set = set.to_str().unwrap();
            for attribute in ["Path=/", "HttpOnly", "SameSite=Lax", "Secure"] {
                assert!(set.contains(attribute), "{set}");
            }
            assert!(set.starts_with("__Host-"), "{set}");
            *self.cookie.borrow_mut() = set.split(';').next().map(ToOwned::to_owned);
        }
        if answer.headers.get("content-type").is_some_and(|kind| kind == "text/html; charset=utf-8")
        {
            let policy = answer.headers["content-security-policy"].to_str().unwrap();
            assert!(
                policy.contains("default-src 'none'") && !policy.contains("unsafe"),
                "{policy}"
            );
            assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
            assert!(!answer.text.contains("<script"), "{}", answer.text);
        }
        answer
    }

    async fn open(&self, path: &str) -> Answer {
        self.send(self.provider.http.get(format!("{}{path}", self.provider.address))).await
    }

    async fn submit(&self, form: &Form) -> Answer {
        let fields: Vec<_> = form.fields.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let request = self.provider.http.post(format!("{}{}", self.provider.address, form.action));
        let kind = "application/x-www-form-urlencoded";
        self.send(request.header("content-type", kind).body(encoded(&fields))).await
    }

    /// Opens a page that must be there: its first form.
    async fn form(&self, path: &str) -> Form {
        let answer = self.open(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        forms(&answer.text).into_iter().next().unwrap_or_else(|| panic!("{}", answer.text))
    }

    async fn sign_in(&self, name: &str) {
        let form = self.form(SIGN_IN).await;
        let answer =
            self.submit(&form.with("username", name).with("password", "correct horse")).await;
        assert_eq!((answer.status, answer.path()), (303, ACCOUNT), "{}", answer.text);
    }

    /// Lets a client in: the code. Who that is signed in already.
    async fn code(&self, client: &str, device: &str) -> String {
        let consent = self.form(&authorization(client, &scope(device), &[])).await;
        let answer = self.submit(&consent.with("decision", "allow")).await;
        assert_eq!(answer.status, 303, "{}", answer.text);
        let answer = answer_in(answer.location(), '#');
        value(&answer, "code").unwrap_or_else(|| panic!("{answer:?}")).to_owned()
    }
}
