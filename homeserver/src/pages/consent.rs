//! What people are asked before a client is let in.

use maud::{Markup, html};
use ruma::UserId;

use super::visitor::Visitor;
use super::{SIGN_OUT, onward};
use crate::services::oauth::client::Client;
use crate::storage::devices::Device;

/// A question.
pub(super) struct Question<'a> {
    /// Who is asked.
    pub(super) user: &'a UserId,
    /// Which client asks.
    pub(super) client: &'a Client,
    /// The device that it would be.
    pub(super) device: &'a str,
    /// The device of that ID that there is.
    pub(super) replaces: Option<&'a Device>,
    /// Whether it asks for the administration API.
    pub(super) admin: bool,
    /// Where it is, in words.
    pub(super) place: Markup,
    /// Where the answer goes.
    pub(super) action: &'static str,
    /// What goes with it.
    pub(super) fields: Vec<(&'a str, &'a str)>,
    /// Where whoever is somebody else comes back to.
    pub(super) here: &'a str,
}

impl Question<'_> {
    /// The question with its buttons.
    pub(super) fn show(&self, visitor: &Visitor) -> Markup {
        let name = self.client.name(&visitor.languages);
        let page = |key| self.client.localised(key, &visitor.languages);
        html! {
            p { strong { (name) } " wants to sign in to your account " strong { (self.user) } "." }
            (self.place)
            p { "It will be able to:" }
            ul {
                li { "read and send messages as you, in all your rooms" }
                li { "see and change your profile, your settings and your contacts" }
                li { "stay signed in until you sign it out" }
                @if self.admin { li { strong { "administer this server: all accounts, rooms and files" } } }
            }
            @if let Some(device) = self.replaces {
                p role="alert" {
                    "You have a device of that name. It is signed out, and this one takes its place: "
                    strong { (device.display_name.as_deref().unwrap_or(self.device)) }
                }
            }
            dl {
                dt { "Client" }
                dd { (name) ", of " code { (self.client.host()) } }
                dt { "Device" }
                dd { code { (self.device) } }
                @if let Some(url) = page("tos_uri") {
                    dt { "Terms of service" }
                    dd { a href=(url) rel="noreferrer" { (url) } }
                }
                @if let Some(url) = page("policy_uri") {
                    dt { "Privacy policy" }
                    dd { a href=(url) rel="noreferrer" { (url) } }
                }
            }
            form method="post" action=(self.action) {
                (visitor.field())
                @for (name, value) in &self.fields { input type="hidden" name=(name) value=(value); }
                button name="decision" value="allow" { "Let it sign in" }
                button name="decision" value="deny" { "Cancel" }
            }
            form method="post" action=(SIGN_OUT) {
                (visitor.field())
                input type="hidden" name="continue" value=(onward(Some(self.here)));
                button { "I am somebody else" }
            }
        }
    }
}
