//! Requests for tests, which ask in the middle of what isn't asynchronous: they are sent in a runtime of their own, and waited for.

use std::{
    fmt::Write as _,
    sync::{Arc, mpsc},
    time::Duration,
};

use hmac::{Hmac, Mac as _};
use reqwest::{Client, Method, RequestBuilder, Url};
use serde_json::{Value, json};
use sha1::Sha1;
use tokio::runtime::{Builder, Handle, Runtime};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a request carries.
#[derive(Clone, Copy)]
pub(super) enum Content<'a> {
    None,
    Json(&'a Value),
    /// A file and its type.
    File(&'a str, &'a [u8]),
}

/// The runtime. It may end inside another one, where waiting for it is not allowed.
struct Own(Option<Runtime>);

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// See the module.
pub(super) struct Http {
    runtime: Arc<Own>,
    client: Client,
    base: Option<Url>,
}

impl Http {
    /// To nobody yet.
    pub(super) fn new() -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a thread can be started");
        let client = Client::builder().timeout(PATIENCE).build().expect("a client of HTTP");
        Self { runtime: Arc::new(Own(Some(runtime))), client, base: None }
    }

    /// The runtime that requests run in.
    pub(super) fn runtime(&self) -> Handle {
        self.runtime.0.as_ref().expect("it ends with its last user").handle().clone()
    }

    /// To the server there.
    pub(super) fn to(mut self, base: &str) -> Self {
        self.base = Some(base.parse().expect("the server's address is a URL"));
        self
    }

    fn request(&self, method: &Method, segments: &[&str]) -> RequestBuilder {
        let mut url = self.base.clone().expect("the server's address is known");
        url.path_segments_mut().expect("an address of HTTP has a path").clear().extend(segments);
        self.client.request(method.clone(), url)
    }

    /// Waits for something that runs in the runtime.
    fn wait<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        let (done, answer) = mpsc::channel();
        self.runtime().spawn(async move {
            // Who asked may be gone.
            let _ = done.send(work.await);
        });
        answer.recv().expect("the runtime outlives its users")
    }

    /// The answer, if there is one, and whether it is a success.
    fn answered(&self, request: RequestBuilder) -> Result<(bool, Value), reqwest::Error> {
        self.wait(async {
            let response = request.send().await?;
            let success = response.status().is_success();
            let body = response.bytes().await?;
            Ok((success, serde_json::from_slice(&body).unwrap_or_default()))
        })
    }

    /// The type and the bytes of a file; nothing when it is refused.
    pub(super) fn file(&self, segments: &[&str], token: &str) -> Option<(String, Vec<u8>)> {
        let request = self.request(&Method::GET, segments).bearer_auth(token);
        let found: Result<_, reqwest::Error> = self.wait(async {
            let response = request.send().await?.error_for_status()?;
            let mime = response.headers().get("content-type").and_then(|it| it.to_str().ok());
            let mime = mime.unwrap_or_default().to_owned();
            Ok((mime, response.bytes().await?.to_vec()))
        });
        found.ok()
    }

    /// Asks whether there is anything; nothing while the server does not answer or is not well.
    pub(super) fn try_ask(&self, segments: &[&str]) -> Option<Value> {
        let answer = self.answered(self.request(&Method::GET, segments));
        answer.ok().and_then(|(success, answer)| success.then_some(answer))
    }

    /// The answer to a request; nothing when it is refused.
    pub(super) fn call(
        &self,
        method: &Method,
        segments: &[&str],
        query: &[(&str, &str)],
        token: &str,
        content: Content<'_>,
    ) -> Option<Value> {
        let request = self.request(method, segments).query(query).bearer_auth(token);
        let request = match content {
            Content::None => request,
            Content::Json(body) => request.json(body),
            Content::File(mime, bytes) => {
                request.header("content-type", mime).body(bytes.to_owned())
            }
        };
        match self.answered(request) {
            Ok((true, answer)) => Some(answer),
            Ok((false, answer)) => {
                tracing::debug!(%method, ?segments, %answer, "refused");
                None
            }
            Err(error) => panic!("the homeserver does not answer: {error:?}"),
        }
    }

    /// Makes an account with the server's registration secret (Synapse's admin API, "Shared-Secret Registration"); gives its access token.
    pub(super) fn register(&self, secret: &str, name: &str, admin: bool) -> String {
        let path = ["_synapse", "admin", "v1", "register"];
        let nonce = self.try_ask(&path).unwrap_or_default();
        let nonce = nonce["nonce"].as_str().expect("a nonce is given").to_owned();
        let role = if admin { "admin" } else { "notadmin" };
        let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).expect("any key will do");
        mac.update(format!("{nonce}\0{name}\0{name}-password\0{role}").as_bytes());
        let mac = mac.finalize().into_bytes().iter().fold(String::new(), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        });
        let body = json!({
            "nonce": nonce, "username": name, "password": format!("{name}-password"),
            "admin": admin, "mac": mac,
        });
        let answer = self.answered(self.request(&Method::POST, &path).json(&body));
        let (_, answer) = answer.expect("the homeserver answers");
        let token = answer["access_token"].as_str();
        token.unwrap_or_else(|| panic!("no account for {name}: {answer}")).to_owned()
    }
}
