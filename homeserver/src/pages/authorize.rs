//! The authorisation endpoint (RFC 6749, 4.1; Client-Server API, "Authorisation code flow"): a client sends its user here, who signs
//! in and lets the client in or not.

use std::sync::Arc;

use axum::extract::{OriginalUri, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use maud::html;

use super::consent::Question;
use super::visitor::Visitor;
use super::{PageResult, see_other, sign_in, sign_up, with_query};
use crate::app::App;
use crate::http::limit::Limit;
use crate::http::page::{Page, alert};
use crate::http::params::{FormParams, Params};
use crate::services::oauth::client::{AUTHORIZATION_CODE, Client};
use crate::services::oauth::redirect::{target, with_answer};
use crate::services::oauth::scope::Scope;
use crate::storage::StorageError;

/// Where it is.
pub const PATH: &str = "/_landbridge/oauth/authorize";
/// Longer states than this are refused.
const MAX_STATE: usize = 4_096;
/// The parameters that are carried through the form.
const CARRIED: [&str; 8] = [
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
];

/// What the server is called in answers (RFC 9207).
pub fn issuer(base: &str) -> String {
    format!("{base}/")
}

/// Where answers go.
struct Return {
    client: Client,
    redirect_uri: String,
    in_fragment: bool,
    state: Option<String>,
}

/// What a client asks for.
struct Request {
    scope: Scope,
    challenge: String,
}

/// An error that the client is told.
struct Refusal {
    error: &'static str,
    description: &'static str,
}

const NO_ADMINISTRATOR: Refusal = refusal("invalid_scope", "the user is no administrator");

impl Refusal {
    const fn answer(&self) -> [(&'static str, &'static str); 2] {
        [("error", self.error), ("error_description", self.description)]
    }
}

const fn refusal(error: &'static str, description: &'static str) -> Refusal {
    Refusal { error, description }
}

impl Return {
    /// Reads whose request it is and where the answer goes. While that isn't sure, nobody is sent anywhere: the reason is for
    /// the user to read.
    async fn read(app: &App, params: &Params) -> Result<Result<Self, &'static str>, StorageError> {
        if params.repeated().is_some_and(|name| name == "client_id" || name == "redirect_uri") {
            return Ok(Err("The client said twice who it is or where to return."));
        }
        let Some(id) = params.get("client_id") else {
            return Ok(Err("The client did not say who it is."));
        };
        let Some(client) = app.oauth.client(id).await? else {
            return Ok(Err(
                "The client is not registered here, or not any more. Start again in the client.",
            ));
        };
        let Some(uri) = params.get("redirect_uri") else {
            return Ok(Err("The client did not say where to return."));
        };
        if !client.returns_to(uri) {
            return Ok(Err("The client wants you to return to where it did not register."));
        }
        Ok(Ok(Self {
            client,
            redirect_uri: uri.to_owned(),
            in_fragment: params.get("response_mode") == Some("fragment"),
            state: params
                .get("state")
                .filter(|state| state.len() <= MAX_STATE)
                .map(ToOwned::to_owned),
        }))
    }

    /// Where the browser goes with an answer.
    fn address(&self, base: &str, answer: &[(&str, &str)]) -> String {
        let issuer = issuer(base);
        let mut all: Vec<(&str, &str)> = Vec::new();
        all.extend(self.state.as_deref().map(|state| ("state", state)));
        all.extend(answer);
        all.push(("iss", &issuer));
        with_answer(&self.redirect_uri, self.in_fragment, &all)
    }

    /// Sends the browser back with an answer.
    fn answer(&self, base: &str, answer: &[(&str, &str)]) -> Response {
        see_other(&self.address(base, answer))
    }

    fn refuse(&self, base: &str, refusal: &Refusal) -> Response {
        self.answer(base, &refusal.answer())
    }

    /// A page that says what is wrong with a request, and leads back. Anybody can register a client: if people were sent on by
    /// themselves, a link to this server could lead anywhere (RFC 9700, 4.11.2).
    fn explain(&self, visitor: &Visitor, base: &str, refusal: &Refusal) -> Response {
        let name = self.client.name(&visitor.languages);
        let body = html! {
            (alert(&format!("{name} asked for something that can't be done.")))
            p { "The client says to be of " code { (self.client.host()) } "." }
            dl { dt { "Why" } dd { (refusal.description) " (" code { (refusal.error) } ")" } }
            p {
                a href=(self.address(base, &refusal.answer())) rel="noreferrer" {
                    "Go back to " (target(&self.redirect_uri))
                }
            }
        };
        let page = Page::new("This client can't sign in").status(StatusCode::BAD_REQUEST);
        visitor.show(page.body(body))
    }
}

impl Request {
    /// Reads what the client asks for.
    fn read(client: &Client, params: &Params) -> Result<Self, Refusal> {
        let invalid = |description| refusal("invalid_request", description);
        if params.repeated().is_some() {
            return Err(invalid("a parameter is there more than once"));
        }
        if params.get("state").is_some_and(|state| state.len() > MAX_STATE) {
            return Err(invalid("state is too long"));
        }
        if !matches!(params.get("response_mode"), None | Some("query" | "fragment")) {
            return Err(invalid("response_mode must be query or fragment"));
        }
        for (name, error) in
            [("request", "request_not_supported"), ("request_uri", "request_uri_not_supported")]
        {
            if params.get(name).is_some() {
                return Err(refusal(error, "say it in parameters"));
            }
        }
        match params.get("response_type") {
            Some("code") => {}
            None => return Err(invalid("response_type is missing")),
            Some(_) => {
                return Err(refusal("unsupported_response_type", "response_type must be code"));
            }
        }
        if !client.may(AUTHORIZATION_CODE) {
            return Err(refusal(
                "unauthorized_client",
                "the client did not register for that grant",
            ));
        }
        let challenge = params.get("code_challenge").ok_or(invalid("code_challenge is missing"))?;
        // Without a method it would be "plain".
        if params.get("code_challenge_method") != Some("S256") {
            return Err(invalid("code_challenge_method must be S256"));
        }
        let is_digit = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if challenge.len() != 43 || !challenge.bytes().all(is_digit) {
            return Err(invalid("code_challenge must be a SHA-256 in base64url without padding"));
        }
        let scope = Scope::parse(params.get("scope").unwrap_or_default());
        let scope = scope.ok_or(refusal(
            "invalid_scope",
            "ask for urn:matrix:client:api:* and one urn:matrix:client:device:...",
        ))?;
        if params.get("prompt").is_some_and(|prompt| prompt.split(' ').any(|one| one == "none")) {
            return Err(refusal("interaction_required", "the user is always asked"));
        }
        Ok(Self { scope, challenge: challenge.to_owned() })
    }
}

/// A page of what went wrong before it was sure where to return.
fn lost(reason: &str) -> Response {
    let page = Page::new("This client can't sign in").status(StatusCode::BAD_REQUEST);
    page.body(alert(reason)).into_response()
}

/// The address of this page with what the client asked, without what `leave_out` says.
fn again(params: &Params, leave_out: &str) -> String {
    let kept: Vec<_> = params.iter().filter(|(name, _)| *name != leave_out).collect();
    with_query(PATH, &kept)
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    OriginalUri(uri): OriginalUri,
) -> PageResult {
    let params = Params::of(&uri);
    let back = match Return::read(&app, &params).await? {
        Ok(back) => back,
        Err(reason) => return Ok(lost(reason)),
    };
    let base = app.config.oauth_base().unwrap_or_default();
    let request = match Request::read(&back.client, &params) {
        Ok(request) => request,
        Err(refusal) => return Ok(back.explain(&visitor, base, &refusal)),
    };
    if params.get("prompt") == Some("create") && sign_up::is_open(&app).await? {
        let here = again(&params, "prompt");
        return Ok(see_other(&with_query(sign_up::PATH, &[("continue", &here)])));
    }
    let Some(signed_in) = &visitor.signed_in else {
        let here = again(&params, "prompt");
        let hint = params.get("login_hint").unwrap_or_default();
        let name = hint.strip_prefix("mxid:").unwrap_or(hint);
        let to = [("continue", &*here), ("login_hint", name)];
        return Ok(see_other(&with_query(sign_in::PATH, &to)));
    };
    let user = &signed_in.user;
    if request.scope.admin && !app.accounts.is_admin(user).await? {
        return Ok(back.explain(&visitor, base, &NO_ADMINISTRATOR));
    }
    let known = app.devices.get(user, &request.scope.device).await?;
    let here = again(&params, "prompt");
    let (to, device) = (target(&back.redirect_uri), request.scope.device.as_str());
    let fields = CARRIED.iter().filter_map(|name| Some((*name, params.get(name)?)));
    let place = html! { p { "Then you return to " code { (to) } "." } };
    let question = Question {
        user,
        client: &back.client,
        device,
        replaces: known.as_ref(),
        admin: request.scope.admin,
        place,
        action: PATH,
        fields: fields.collect(),
        here: &here,
    };
    let title = format!("Let {} in?", back.client.name(&visitor.languages));
    Ok(visitor.show(Page::new(title).onwards(&to).body(question.show(&visitor))))
}

pub(super) async fn decide(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    FormParams(params): FormParams,
) -> PageResult {
    visitor.check(&params)?;
    let back = match Return::read(&app, &params).await? {
        Ok(back) => back,
        Err(reason) => return Ok(lost(reason)),
    };
    let Some(signed_in) = &visitor.signed_in else {
        let here: Vec<_> = params.iter().filter(|(name, _)| CARRIED.contains(name)).collect();
        let here = with_query(PATH, &here);
        return Ok(see_other(&with_query(sign_in::PATH, &[("continue", &here)])));
    };
    let base = app.config.oauth_base().unwrap_or_default();
    let request = match Request::read(&back.client, &params) {
        Ok(request) => request,
        Err(refusal) => return Ok(back.refuse(base, &refusal)),
    };
    let user = &signed_in.user;
    app.limits.check(Limit::Other, user.as_str())?;
    if params.get("decision") != Some("allow") {
        return Ok(back.refuse(base, &refusal("access_denied", "the user said no")));
    }
    if request.scope.admin && !app.accounts.is_admin(user).await? {
        return Ok(back.refuse(base, &NO_ADMINISTRATOR));
    }
    if app.keys.is_taken(user, &request.scope.device).await? {
        let refusal = refusal("invalid_scope", "a key of the user has the name of that device");
        return Ok(back.refuse(base, &refusal));
    }
    let (client, uri) = (&back.client, &back.redirect_uri);
    let code = app.oauth.grant(signed_in, client, &request.scope, uri, &request.challenge).await?;
    Ok(back.answer(base, &[("code", &code)]))
}
