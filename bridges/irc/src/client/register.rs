//! From the first byte to numeric 001: capabilities (IRCv3 CAP 302), SASL, the nick. A state machine without I/O.

use std::collections::BTreeSet;

use super::caps::Caps;
use super::settings::Settings;
use crate::message::Message;

/// More refused nicks than this and we give up until the next attempt.
const MAX_NICK_TRIES: u32 = 20;

/// How registration goes on after a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Send these, then go on reading.
    Continue(Vec<Message>),
    /// Online, under this nick.
    Done { nick: String, send: Vec<Message> },
    /// The server won't have us.
    Failed(Failure),
}

/// Why a connection attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Wrong password, or the account's login failed: trying again with the same can't help.
    #[error("the server refused the credentials: {0}")]
    Credentials(String),
    /// We are banned from the network: trying again soon only makes it worse.
    #[error("banned from the server: {0}")]
    Banned(String),
    /// Anything else; worth another attempt.
    #[error("{0}")]
    Other(String),
}

/// The state of one registration.
#[derive(Debug)]
pub(crate) struct Registration<'a> {
    settings: &'a Settings,
    pub(crate) caps: Caps,
    nick: String,
    nick_tries: u32,
    nick_len: usize,
    logged_in: bool,
    /// SASL is under way: registration must not be closed before it ends.
    in_sasl: bool,
}

impl<'a> Registration<'a> {
    pub(crate) fn new(settings: &'a Settings) -> Self {
        let nick = settings.nick.clone();
        let wanted = super::caps::wanted(settings);
        Self {
            settings,
            caps: Caps::new(wanted),
            nick,
            nick_tries: 0,
            nick_len: 9,
            logged_in: false,
            in_sasl: false,
        }
    }

    /// The lines a connection begins with.
    pub(crate) fn start(&self) -> Vec<Message> {
        let mut lines = Vec::new();
        if let Some(password) = &self.settings.password {
            lines.push(Message::new("PASS", [password.0.clone()]));
        }
        lines.push(Message::new("CAP", ["LS", "302"]));
        lines.push(Message::new("NICK", [self.nick.clone()]));
        lines.push(Message::new(
            "USER",
            [
                self.settings.username.clone(),
                "0".into(),
                "*".into(),
                self.settings.realname.clone(),
            ],
        ));
        lines
    }

    /// Takes one line of the server.
    pub(crate) fn on(&mut self, line: &Message) -> Step {
        match line.command.as_str() {
            "PING" => Step::Continue(vec![Message::new("PONG", [line.last()])]),
            "CAP" => Step::Continue(self.on_cap(line)),
            "AUTHENTICATE" if line.param(0) == "+" => Step::Continue(
                self.settings.sasl.as_ref().map(super::settings::Sasl::answer).unwrap_or_default(),
            ),
            "ERROR" => Step::Failed(classify_error(line.last())),
            "001" => self.welcome(line),
            // Logged in: 903 closes SASL (900 only names the account).
            "903" | "907" => {
                self.logged_in = true;
                self.in_sasl = false;
                Step::Continue(vec![cap_end()])
            }
            // Nick locked, failed, too long, aborted.
            "902" | "904" | "905" | "906" => self.sasl_failed(line.last()),
            "431" | "432" | "433" | "436" | "437" | "468" => self.next_nick(),
            "464" => Step::Failed(Failure::Credentials(line.last().to_owned())),
            "465" | "466" => Step::Failed(Failure::Banned(line.last().to_owned())),
            _ => Step::Continue(Vec::new()),
        }
    }

    fn on_cap(&mut self, line: &Message) -> Vec<Message> {
        match self.caps.on(line) {
            super::caps::CapStep::Wait => Vec::new(),
            super::caps::CapStep::Send(lines) => lines,
            super::caps::CapStep::Settled => {
                let sasl = self
                    .settings
                    .sasl
                    .as_ref()
                    .filter(|s| self.caps.has("sasl") && s.offered(self.caps.value("sasl")));
                match sasl {
                    Some(sasl) if !self.in_sasl && !self.logged_in => {
                        self.in_sasl = true;
                        vec![Message::new("AUTHENTICATE", [sasl.name()])]
                    }
                    Some(_) if self.in_sasl => Vec::new(),
                    _ => vec![cap_end()],
                }
            }
        }
    }

    fn sasl_failed(&mut self, reason: &str) -> Step {
        self.in_sasl = false;
        if self.settings.nickserv.is_some() {
            return Step::Continue(vec![cap_end()]);
        }
        Step::Failed(Failure::Credentials(reason.to_owned()))
    }

    fn welcome(&mut self, line: &Message) -> Step {
        let nick =
            if line.param(0).is_empty() { self.nick.clone() } else { line.param(0).to_owned() };
        let mut send = Vec::new();
        // A server without SASL: the services' bot is what is left. Never when SASL has logged us in already.
        if let (false, Some(password)) = (self.logged_in, &self.settings.nickserv) {
            send.push(Message::new(
                "PRIVMSG",
                ["NickServ".to_owned(), format!("IDENTIFY {}", password.0)],
            ));
        }
        if let Some(modes) = &self.settings.user_modes {
            send.push(Message::new("MODE", [nick.clone(), modes.clone()]));
        }
        Step::Done { nick, send }
    }

    fn next_nick(&mut self) -> Step {
        self.nick_tries += 1;
        if self.nick_tries > MAX_NICK_TRIES {
            return Step::Failed(Failure::Other("no nick was free".into()));
        }
        // The server's NICKLEN comes only after registration: short nicks of the first tries grow, long ones are cut.
        self.nick_len = self.nick_len.max(self.settings.nick.chars().count()).min(30);
        self.nick = crate::nick::alternative(&self.settings.nick, self.nick_tries, self.nick_len);
        Step::Continue(vec![Message::new("NICK", [self.nick.clone()])])
    }

    /// The capabilities that are on, and whether the services know us.
    pub(crate) fn finish(self) -> (Caps, bool) {
        (self.caps, self.logged_in)
    }
}

/// The text of an ERROR line, sorted.
pub(crate) fn classify_error(text: &str) -> Failure {
    let lower = text.to_ascii_lowercase();
    let words = ["k-line", "kline", "g-line", "gline", "z-line", "banned", "akill", "d-line"];
    if words.iter().any(|word| lower.contains(word)) {
        return Failure::Banned(text.to_owned());
    }
    if lower.contains("bad password") || lower.contains("access denied") {
        return Failure::Credentials(text.to_owned());
    }
    Failure::Other(format!("the server closed the connection: {text}"))
}

fn cap_end() -> Message {
    Message::new("CAP", ["END"])
}

/// A set of capability names.
pub(crate) type CapSet = BTreeSet<String>;

#[cfg(test)]
mod tests;
