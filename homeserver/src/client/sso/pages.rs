//! What people see on the way.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use maud::{Markup, html};
use ruma::UserId;
use url::Url;
use url::form_urlencoded::Serializer;

use super::{ACCOUNT, CONFIRM, CONTINUE};
use crate::http::page::{Page, alert};
use crate::services::sso::Goal;
use crate::services::sso::provider::Provider;

/// A page that says what went wrong.
fn wrong(status: StatusCode, title: &str, text: &str) -> Response {
    Page::new(title).status(status).body(html! { (alert(text)) }).into_response()
}

pub(super) fn no_provider() -> Response {
    let text = "This server knows no identity provider by that name. Go back to your client and choose another way to sign in.";
    wrong(StatusCode::NOT_FOUND, "No such identity provider", text)
}

pub(super) fn away() -> Response {
    let text = "The identity provider can't be reached at the moment. Go back to your client and try again later.";
    wrong(StatusCode::BAD_GATEWAY, "The identity provider is away", text)
}

pub(super) fn over() -> Response {
    let text = "This was not begun in this browser, took too long, or is over already. Go back to your client and begin again.";
    wrong(StatusCode::BAD_REQUEST, "Please begin again", text)
}

pub(super) fn refused(text: &str) -> Response {
    wrong(StatusCode::FORBIDDEN, "You can't sign in", text)
}

/// The choice of a provider.
pub(super) fn chooser(providers: &[Provider], client: &str, action: Option<&str>) -> Response {
    let mut query = Serializer::new(String::new());
    query.append_pair("redirectUrl", client);
    query.extend_pairs(action.map(|action| ("action", action)));
    let query = query.finish();
    let path = |id: &str| format!("/_matrix/client/v3/login/sso/redirect/{id}?{query}");
    let body = html! {
        p { "With what do you want to sign in?" }
        ul {
            @for settings in providers.iter().map(Provider::settings) {
                li { a href=(path(&settings.id)) { (settings.name) } }
            }
        }
    };
    Page::new("Sign in").body(body).into_response()
}

/// The page before somebody confirms by a provider what a client is about to do.
pub(super) fn confirm<'a>(
    operation: &str,
    user: &UserId,
    key: &str,
    providers: impl Iterator<Item = &'a Provider>,
) -> Response {
    let path = |id: &str| {
        let mut query = Serializer::new(String::new());
        query.append_pair("provider", id).append_pair("key", key);
        format!("{CONFIRM}?{}", query.finish())
    };
    let body = html! {
        p { "A client wants to " strong { (deed(operation)) } " of " strong { (user) } "." }
        p { "If that is you, confirm it by signing in once more:" }
        ul {
            @for settings in providers.map(Provider::settings) {
                li { a href=(path(&settings.id)) { "Continue with " (settings.name) } }
            }
        }
        p { "If you did not expect this, somebody else may have got hold of your account: close this page, and sign out devices that you don't know." }
    };
    Page::new("Is this you?").body(body).into_response()
}

/// What a client is about to do, in words.
fn deed(operation: &str) -> &'static str {
    match operation {
        "account/password" => "change the password",
        "account/deactivate" => "close the account",
        "delete_devices" => "sign out devices",
        "keys/device_signing/upload" => "replace the keys that show the identity",
        "login/get_token" => "sign in another client",
        _ => "change the account",
    }
}

/// Where a client is, as people recognise it: the host of a site, else the scheme of an app.
fn place(client: &Url) -> String {
    match (client.scheme(), client.host_str()) {
        ("http" | "https", Some(host)) => {
            client.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
        }
        (scheme, _) => format!("the app that opens {scheme}: links"),
    }
}

/// The page before somebody's account is opened to a client that isn't known.
pub(super) fn unknown_client(user: &UserId, client: &Url, key: &str) -> Response {
    let place = place(client);
    let body = html! {
        p { "You are signed in as " strong { (user) } ". Do you want to open this account to " strong { (place) } "?" }
        p { "Go on only if you came from there and trust it: it will be able to read and write everything in the account." }
        p { a href=(format!("{CONTINUE}?key={key}")) { "Continue to " (place) } }
        p { "Otherwise close this page." }
    };
    Page::new("Is this your client?").body(body).into_response()
}

/// Where the form of a page may lead: a client that isn't asked about.
fn onwards(goal: &Goal) -> Option<String> {
    match goal {
        Goal::Client(url) if matches!(url.scheme(), "http" | "https") => {
            Some(url.origin().ascii_serialization())
        }
        Goal::Client(url) => Some(format!("{}:", url.scheme())),
        _ => None,
    }
}

/// What is offered to somebody without an account.
pub(super) struct Offer<'a> {
    pub(super) key: &'a str,
    pub(super) goal: &'a Goal,
    pub(super) provider: &'a str,
    pub(super) server: &'a str,
    /// The user name that is proposed, where a new account may be made.
    pub(super) new: Option<&'a str>,
    /// Whether an account may be connected by its password.
    pub(super) link: bool,
    pub(super) problem: Option<&'a str>,
}

/// The page on which somebody says which account is theirs.
pub(super) fn account(status: StatusCode, offer: &Offer<'_>) -> Response {
    let key = html! { input type="hidden" name="key" value=(offer.key); };
    let new: Markup = html! {
        @if let Some(name) = offer.new {
            h2 { "A new account" }
            form method="post" action=(ACCOUNT) {
                (key)
                input type="hidden" name="way" value="new";
                label {
                    "User name"
                    input name="username" value=(name) required maxlength="200" autocapitalize="none" autocomplete="username" spellcheck="false"
                        aria-describedby="whole";
                }
                p #whole { "People will find you as @name:" (offer.server) ". It can't be changed later. Letters from a to z, digits and . _ = - / + may be in it." }
                button { "Create the account" }
            }
        }
    };
    let link: Markup = html! {
        @if offer.link {
            h2 { "An account that you have already" }
            form method="post" action=(ACCOUNT) {
                (key)
                input type="hidden" name="way" value="link";
                label { "User name" input name="username" required maxlength="255" autocapitalize="none" autocomplete="username" spellcheck="false"; }
                label { "Password" input type="password" name="password" required autocomplete="current-password"; }
                button { "Connect it with " (offer.provider) }
            }
        }
    };
    let body = html! {
        @if let Some(problem) = offer.problem { (alert(problem)) }
        p { "You signed in with " strong { (offer.provider) } " for the first time. Which account on " strong { (offer.server) } " shall be yours?" }
        (new)
        (link)
    };
    let page = Page::new("Your account").status(status).body(body);
    match onwards(offer.goal) {
        Some(target) => page.onwards(target).into_response(),
        None => page.into_response(),
    }
}
