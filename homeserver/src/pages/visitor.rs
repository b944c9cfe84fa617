//! The browser that asks for a page: its cookie, who is signed in in it, and what proves that a form is from there.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, OriginalUri};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::header::{ACCEPT_LANGUAGE, COOKIE, SET_COOKIE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use maud::{Markup, html};
use ruma::UserId;
use sha2::{Digest as _, Sha256};

use super::{Failure, see_other, sign_in, with_query};
use crate::app::App;
use crate::client::request_token::prove;
use crate::http::auth::Address;
use crate::http::error::{ApiError, ApiResult};
use crate::http::params::Params;
use crate::services::browsers::{SignedIn, SigningIn};
use crate::services::sessions::random_token;
use crate::services::threepids::{Asked, Proven, Purpose, parse_email};
use crate::storage::tokens::TokenHash;

/// The field of forms with what only this browser knows.
const FIELD: &str = "csrf";
/// The characters of a token.
const TOKEN: usize = 43;
/// Of what languages a browser likes, this much is looked at.
const MAX_LANGUAGES: usize = 256;

/// A browser.
#[derive(Debug)]
pub struct Visitor {
    /// Who is signed in in it.
    pub signed_in: Option<SignedIn>,
    /// From where it asks.
    pub address: Option<IpAddr>,
    /// The languages that its user likes (`Accept-Language`).
    pub languages: String,
    /// The token in its cookie, or the one that it is about to get.
    token: String,
    /// Whether it has none yet.
    is_new: bool,
    secure: bool,
    foreign: bool,
    path: String,
}

fn cookie_name(secure: bool) -> &'static str {
    // Browsers take a cookie of the first name from this very host alone.
    if secure { "__Host-landbridge" } else { "landbridge" }
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let all = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let value = all.flat_map(|value| value.split(';')).find_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        (key == name).then_some(value)
    })?;
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (value.len() == TOKEN && value.bytes().all(is_token)).then(|| value.to_owned())
}

fn set(response: &mut Response, secure: bool, token: &str, age: Option<u64>) {
    let name = cookie_name(secure);
    let secure = if secure { "; Secure" } else { "" };
    let age = age.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
    let text = format!("{name}={token}; Path=/; HttpOnly; SameSite=Lax{secure}{age}");
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().append(SET_COOKIE, value);
    }
}

async fn let_in(
    app: &App,
    secure: bool,
    old: Option<&str>,
    who: SigningIn<'_>,
    to: &str,
) -> ApiResult<Response> {
    let token = app.browsers.sign_in(who, old).await?;
    let mut response = see_other(to);
    set(&mut response, secure, &token, Some(app.browsers.lifetime().as_secs()));
    Ok(response)
}

/// Signs somebody in who has shown at an identity provider who they are, and sends their browser onwards.
pub async fn welcome(
    app: &App,
    headers: &HeaderMap,
    who: SigningIn<'_>,
    to: &str,
) -> ApiResult<Response> {
    let secure = base(app)?.starts_with("https://");
    let old = cookie(headers, cookie_name(secure));
    let_in(app, secure, old.as_deref(), who, to).await
}

/// The address below which the pages are; 404 where there are none.
pub fn base(app: &App) -> ApiResult<&str> {
    app.config.oauth_base().ok_or_else(|| ApiError::not_found("This server has no such pages"))
}

impl FromRequestParts<Arc<App>> for Visitor {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Failure> {
        let secure = base(app)?.starts_with("https://");
        let token = cookie(&parts.headers, cookie_name(secure));
        let signed_in = match &token {
            Some(token) => app.browsers.find(token).await?,
            None => None,
        };
        let Address(address) = Address::from_request_parts(parts, app).await?;
        let text =
            |name| parts.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let foreign = text("sec-fetch-site").is_some_and(|site| site == "cross-site");
        let languages = text(ACCEPT_LANGUAGE.as_str()).unwrap_or_default();
        let languages = languages.chars().take(MAX_LANGUAGES).collect();
        let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |OriginalUri(uri)| uri);
        let path = uri.path_and_query().map(ToString::to_string).unwrap_or_default();
        let is_new = token.is_none();
        let token = token.unwrap_or_else(random_token);
        Ok(Self { signed_in, address, languages, token, is_new, secure, foreign, path })
    }
}

impl Visitor {
    /// Where it asks from, for limits.
    pub fn from(&self) -> String {
        Address(self.address).key()
    }

    fn proof(&self) -> String {
        // A hash, since the page can be read where the cookie can't.
        BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(format!("form {}", self.token)))
    }

    /// The secret of this browser that belongs to the proofs of addresses that are begun in it.
    fn secret(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(format!("address {}", self.token)))
    }

    /// Sends an e-mail that proves an address to this browser; the proof's ID.
    pub async fn prove(&self, app: &App, purpose: Purpose, email: &str) -> ApiResult<String> {
        let address = parse_email(email)
            .ok_or_else(|| ApiError::invalid_param("That is not an e-mail address."))?;
        // Whoever asks again wants another e-mail.
        let send_attempt = app.clock.now_ms();
        let asked = Asked { address, client_secret: self.secret(), send_attempt, next_link: None };
        prove(app, Address(self.address), purpose, asked).await
    }

    /// The address that was proven so; 400 while it isn't.
    pub async fn proven(&self, app: &App, purpose: Purpose, sid: &str) -> ApiResult<Proven> {
        app.threepids.proven(purpose, sid, &self.secret()).await
    }

    /// What each form holds.
    pub fn field(&self) -> Markup {
        html! { input type="hidden" name=(FIELD) value=(self.proof()); }
    }

    /// Refuses a form that isn't from a page that this browser was shown.
    pub fn check(&self, params: &Params) -> ApiResult<()> {
        let proof = params.get(FIELD).unwrap_or_default();
        // Compared as hashes, so that the time taken tells nothing of how much was right.
        if !self.is_new && !self.foreign && TokenHash::of(proof) == TokenHash::of(&self.proof()) {
            return Ok(());
        }
        let text = "This page was open for too long, or your browser takes no cookies. Go back, load the page again and repeat it.";
        Err(ApiError::forbidden(text))
    }

    /// Who is signed in; whoever isn't is sent to sign in, and then comes back here.
    pub fn must_be_signed_in(&self) -> Result<&SignedIn, Failure> {
        self.must_be_signed_in_for(&self.path)
    }

    /// The same where a form was sent: comes back to `path`, where the form is.
    pub fn must_be_signed_in_for(&self, path: &str) -> Result<&SignedIn, Failure> {
        let here = [("continue", path)];
        let to = || Failure::SignIn(with_query(sign_in::PATH, &here));
        self.signed_in.as_ref().ok_or_else(to)
    }

    /// The same for what can't be taken back: it must have been just now. Comes back to `path`.
    pub fn must_be_fresh(&self, path: &str) -> Result<&SignedIn, Failure> {
        let again = [("continue", path), ("again", "1")];
        let fresh = self.signed_in.as_ref().filter(|who| who.fresh);
        fresh.ok_or_else(|| Failure::SignIn(with_query(sign_in::PATH, &again)))
    }

    /// An answer, with the cookie if the browser has none.
    pub fn show(&self, answer: impl IntoResponse) -> Response {
        let mut response = answer.into_response();
        if self.is_new {
            self.set(&mut response, &self.token, None);
        }
        response
    }

    fn set(&self, response: &mut Response, token: &str, age: Option<u64>) {
        set(response, self.secure, token, age);
    }

    /// Signs somebody in in this browser and sends it onwards.
    pub async fn welcome(&self, app: &App, user: &UserId, to: &str) -> Result<Response, Failure> {
        let old = (!self.is_new).then_some(&*self.token);
        // Whoever was signed in as the same before came from where they came.
        let origin = self.signed_in.as_ref().filter(|who| who.user == user);
        let origin = origin.and_then(|who| who.origin.clone());
        let who = SigningIn { user, origin, proven_ms: Some(app.clock.now_ms()) };
        Ok(let_in(app, self.secure, old, who, to).await?)
    }

    /// Signs out whoever is signed in in this browser and sends it onwards.
    pub async fn farewell(&self, app: &App, to: &str) -> Result<Response, Failure> {
        app.browsers.sign_out(&self.token).await?;
        let mut response = see_other(to);
        self.set(&mut response, "", Some(0));
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_token_of_ours_is_read_from_cookies() {
        let token = "a".repeat(TOKEN);
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("other=1; landbridge=short"));
        assert_eq!(cookie(&headers, "landbridge"), None);
        let value = format!("x=y; landbridge={token}");
        headers.insert(COOKIE, HeaderValue::from_str(&value).unwrap());
        assert_eq!(cookie(&headers, "landbridge").as_deref(), Some(&*token));
        assert_eq!(cookie(&headers, "__Host-landbridge"), None);
    }
}
