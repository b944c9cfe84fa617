//! Capability negotiation (IRCv3 "Capability Negotiation", version 302 with `cap-notify`).

use std::collections::BTreeMap;

use super::register::CapSet;
use super::settings::{Interest, Settings};
use crate::message::Message;

/// What every connection asks for.
const ALWAYS: [&str; 9] = [
    "message-tags",
    "server-time",
    "batch",
    "labeled-response",
    "echo-message",
    "cap-notify",
    "chghost",
    "standard-replies",
    "account-tag",
];
/// What only the listening connection asks for, that puppets aren't sent the comings and goings of everybody.
const LISTENER: [&str; 9] = [
    "multi-prefix",
    "away-notify",
    "account-notify",
    "extended-join",
    "userhost-in-names",
    "setname",
    "invite-notify",
    "draft/chathistory",
    "draft/event-playback",
];
/// The most capabilities of one REQ line, so that it stays below 512 bytes.
const PER_REQUEST: usize = 12;
/// The most capabilities kept of what a server lists.
const MAX_OFFERED: usize = 200;

/// The capabilities we would like.
pub(crate) fn wanted(settings: &Settings) -> CapSet {
    let mut names: CapSet = ALWAYS.iter().map(|s| (*s).to_owned()).collect();
    if settings.interest == Interest::Channels {
        names.extend(LISTENER.iter().map(|s| (*s).to_owned()));
        names.insert("chathistory".to_owned());
    }
    if settings.sasl.is_some() {
        names.insert("sasl".to_owned());
    }
    names
}

/// What a server offers and what is on.
#[derive(Clone, Debug, Default)]
pub struct Caps {
    wanted: CapSet,
    offered: BTreeMap<String, String>,
    enabled: CapSet,
    /// Requests not yet answered.
    open: u32,
    /// A refused request is repeated one capability at a time, once.
    refused: CapSet,
}

/// What to do after a CAP line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CapStep {
    Wait,
    Send(Vec<Message>),
    /// Nothing is open any more.
    Settled,
}

impl Caps {
    pub(crate) fn new(wanted: CapSet) -> Self {
        Self { wanted, ..Self::default() }
    }

    /// Whether a capability is on.
    pub fn has(&self, name: &str) -> bool {
        self.enabled.contains(name)
    }

    /// The capabilities that are on.
    pub fn enabled(&self) -> impl Iterator<Item = &str> {
        self.enabled.iter().map(String::as_str)
    }

    /// The value a server gave with a capability, empty if none.
    pub(crate) fn value(&self, name: &str) -> &str {
        self.offered.get(name).map_or("", String::as_str)
    }

    /// Takes a CAP line, during registration or later.
    pub(crate) fn on(&mut self, line: &Message) -> CapStep {
        match line.param(1).to_ascii_uppercase().as_str() {
            "LS" => {
                self.offer(line.last());
                if line.param(2) == "*" && line.params.len() > 3 {
                    CapStep::Wait
                } else {
                    self.request()
                }
            }
            "NEW" => {
                self.offer(line.last());
                self.request()
            }
            "DEL" => {
                for name in line.last().split(' ') {
                    self.offered.remove(name);
                    self.enabled.remove(name);
                }
                CapStep::Wait
            }
            "ACK" => {
                for name in line.last().split(' ').filter(|n| !n.is_empty()) {
                    match name.strip_prefix('-') {
                        Some(off) => self.enabled.remove(off),
                        None => self.enabled.insert(name.to_owned()),
                    };
                }
                self.answered(Vec::new())
            }
            "NAK" => {
                let names: Vec<String> =
                    line.last().split(' ').filter(|n| !n.is_empty()).map(str::to_owned).collect();
                // A server refuses a request as a whole: ask for each alone, so that one doesn't cost us the others.
                let again = if names.len() > 1 { names.clone() } else { Vec::new() };
                let again =
                    again.into_iter().filter(|name| self.refused.insert(name.clone())).collect();
                self.answered(again)
            }
            _ => CapStep::Wait,
        }
    }

    fn offer(&mut self, list: &str) {
        for item in list.split(' ').filter(|item| !item.is_empty()) {
            if self.offered.len() >= MAX_OFFERED {
                break;
            }
            let (name, value) = item.split_once('=').unwrap_or((item, ""));
            self.offered.insert(name.to_owned(), value.to_owned());
        }
    }

    fn request(&mut self) -> CapStep {
        let open = self.wanted.iter().filter(|n| {
            self.offered.contains_key(*n)
                && !self.enabled.contains(*n)
                && !self.refused.contains(*n)
        });
        let mut names: Vec<String> = open.cloned().collect();
        // labeled-response is of no use without batch and message-tags, which its specification requires.
        if !self.offered.contains_key("batch") {
            names.retain(|n| n != "labeled-response");
        }
        let requests: Vec<Message> = names
            .chunks(PER_REQUEST)
            .map(|c| Message::new("CAP", ["REQ".to_owned(), c.join(" ")]))
            .collect();
        self.open += requests.len() as u32;
        if requests.is_empty() { CapStep::Settled } else { CapStep::Send(requests) }
    }

    fn answered(&mut self, again: Vec<String>) -> CapStep {
        self.open = self.open.saturating_sub(1);
        if !again.is_empty() {
            self.open += again.len() as u32;
            return CapStep::Send(
                again
                    .into_iter()
                    .map(|name| Message::new("CAP", ["REQ".to_owned(), name]))
                    .collect(),
            );
        }
        if self.open == 0 { CapStep::Settled } else { CapStep::Wait }
    }
}
