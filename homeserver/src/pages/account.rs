//! The page on which people manage their account (Client-Server API, "Account management URL"). Clients link to its parts by
//! `action`.

mod devices;
mod emails;
mod profile;
mod security;

use std::sync::Arc;

use axum::extract::{OriginalUri, State};
use maud::{Markup, html};
use ruma::UserId;

use super::visitor::Visitor;
use super::{PageResult, SIGN_OUT, link, sign_in, with_query};
use crate::app::App;
use crate::http::page::Page;
use crate::http::params::{FormParams, Params};
use crate::http::router::{Route, get, post};

/// Where it is.
pub const PATH: &str = "/_landbridge/account";

/// Where the form leads that signs out everywhere.
const BROWSERS: &str = "/_landbridge/account/browsers";

const PROFILE: &str = "org.matrix.profile";
const DEVICES_LIST: &str = "org.matrix.devices_list";
const DEVICE_VIEW: &str = "org.matrix.device_view";
const DEVICE_DELETE: &str = "org.matrix.device_delete";
const DEACTIVATE: &str = "org.matrix.account_deactivate";
/// The action that lets a user replace their cross-signing keys.
pub const CROSS_SIGNING_RESET: &str = "org.matrix.cross_signing_reset";
/// Ours: e-mail addresses.
const EMAILS: &str = "org.landbridge.emails";
/// Ours: choosing another password.
const PASSWORD: &str = "org.landbridge.password";
/// The names that the actions about devices had before they were in the specification (MSC4191), which clients of then still use.
const OLD: [(&str, &str); 3] = [
    ("org.matrix.sessions_list", DEVICES_LIST),
    ("org.matrix.session_view", DEVICE_VIEW),
    ("org.matrix.session_end", DEVICE_DELETE),
];

/// The pages.
pub(super) fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get(PATH, show),
        post(profile::PATH, profile::save),
        post(devices::PATH, devices::change),
        post(emails::PATH, emails::change),
        post(security::PASSWORD_PATH, security::set_password),
        post(security::DEACTIVATE_PATH, security::deactivate),
        post(security::RESET_PATH, security::allow_reset),
        post(BROWSERS, sign_out_everywhere),
    ]
}

/// The actions that clients may link to (`account_management_actions_supported`).
pub const ACTIONS: [&str; 6] =
    [PROFILE, DEVICES_LIST, DEVICE_VIEW, DEVICE_DELETE, DEACTIVATE, CROSS_SIGNING_RESET];

/// The same for clients that may know old names only.
pub fn actions_with_old_names() -> Vec<&'static str> {
    ACTIONS.into_iter().chain(OLD.map(|(old, _)| old)).collect()
}

/// The address of a part of the page.
pub(super) fn part(action: &str) -> String {
    with_query(PATH, &[("action", action)])
}

async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    OriginalUri(uri): OriginalUri,
) -> PageResult {
    let params = Params::of(&uri);
    let signed_in = visitor.must_be_signed_in()?;
    let user = &signed_in.user;
    let action = params.get("action").unwrap_or_default();
    let action = OLD.iter().find(|(old, _)| *old == action).map_or(action, |(_, today)| today);
    let device = params.get("device_id");
    let page = match action {
        PROFILE => profile::page(&app, &visitor, user, None).await?,
        EMAILS => emails::page(&app, &visitor, user, None).await?,
        DEVICES_LIST => devices::list(&app, user, None).await?,
        DEVICE_VIEW => devices::view(&app, &visitor, user, device).await?,
        DEVICE_DELETE => devices::delete(&app, &visitor, user, device).await?,
        DEACTIVATE | CROSS_SIGNING_RESET | PASSWORD => {
            visitor.must_be_fresh(&part(action))?;
            match action {
                DEACTIVATE => security::deactivate_page(&visitor, user, None),
                PASSWORD => security::password_page(&visitor, user, None),
                _ => security::reset_page(&visitor, user),
            }
        }
        // What isn't known leads to where everything is to be found.
        _ => overview(&visitor, user),
    };
    Ok(visitor.show(page))
}

fn overview(visitor: &Visitor, user: &UserId) -> Page {
    let parts = [
        (PROFILE, "Profile"),
        (EMAILS, "E-mail addresses"),
        (DEVICES_LIST, "Devices"),
        (PASSWORD, "Password"),
        (CROSS_SIGNING_RESET, "Reset your identity"),
        (DEACTIVATE, "Deactivate the account"),
    ];
    Page::new("Your account").body(html! {
        p { "You are signed in as " strong { (user) } "." }
        nav aria-label="Your account" {
            ul {
                @for (action, name) in parts { li { a href=(part(action)) { (name) } } }
                li { a href=(link::PATH) { "Sign in a device by its code" } }
            }
        }
        form method="post" action=(SIGN_OUT) {
            (visitor.field())
            input type="hidden" name="continue" value=(PATH);
            button { "Sign out of this browser" }
        }
        form method="post" action=(BROWSERS) {
            (visitor.field())
            button { "Sign out of all browsers" }
        }
    })
}

/// Signs the user out of all browsers; their devices stay signed in.
async fn sign_out_everywhere(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    FormParams(params): FormParams,
) -> PageResult {
    visitor.check(&params)?;
    let signed_in = visitor.must_be_signed_in_for(PATH)?;
    app.browsers.sign_out_everywhere(&signed_in.user).await?;
    visitor.farewell(&app, &with_query(sign_in::PATH, &[("continue", PATH)])).await
}

/// What went well, where a screen reader says it.
fn done(text: &str) -> Markup {
    html! { p role="status" { (text) } }
}

/// The way back.
fn back() -> Markup {
    html! { p { a href=(PATH) { "Back to your account" } } }
}
