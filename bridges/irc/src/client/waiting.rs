//! What has been sent and waits for the server's word: lines for their echo, label or PING barrier; joins; WHOIS; history.
//!
//! A line counts as confirmed when the server shows it has processed it without refusing it. With `labeled-response` the answer
//! carries our label; with `echo-message` alone the line comes back; without either a PING sent right behind it comes back only
//! after the line was processed, for a server takes a client's commands in order. The barrier also catches a line that the server
//! swallowed in silence where an echo was due.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::batch::Batches;
use super::orders::{Answer, Confirmed, SendFailure, Whois};
use super::snapshot::{Incoming, Snapshot};
use super::time::parse_server_time;
use crate::message::Message;

/// How long an echo or label may stay out before a barrier follows it.
const BARRIER_AFTER: Duration = Duration::from_secs(3);
/// The most lines of one history answer.
const MAX_HISTORY: usize = 2_000;

/// A line or command that waits for its confirmation.
#[derive(Debug)]
pub(crate) struct LineWait {
    pub(crate) id: u64,
    pub(crate) target: String,
    pub(crate) command: String,
    /// What was said; of a command, the nick it is about.
    pub(crate) text: String,
    /// An echo or labelled answer is due; without it a barrier's return means the line was swallowed.
    pub(crate) echo_due: bool,
    /// A barrier is out already.
    pub(crate) barrier: bool,
    pub(crate) since: Instant,
    pub(crate) done: Answer<Confirmed>,
}

#[derive(Debug)]
struct HistoryWait {
    id: u64,
    labelled: bool,
    target: String,
    batch: Option<String>,
    lines: Vec<Incoming>,
    done: Answer<Vec<Incoming>>,
}

/// All that is open on a connection.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    next: u64,
    lines: VecDeque<LineWait>,
    joins: Vec<(String, Answer<()>)>,
    whois: Vec<(String, Option<Whois>, Answer<Option<Whois>>)>,
    history: Vec<HistoryWait>,
}

impl Waiting {
    /// A number for a label or barrier.
    pub(crate) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(crate) fn label(id: u64) -> String {
        format!("l{id}")
    }

    pub(crate) fn token(id: u64) -> String {
        format!("lb-{id}")
    }

    /// A line was written that is to be confirmed.
    pub(crate) fn add_line(&mut self, line: LineWait) {
        self.lines.push_back(line);
    }

    pub(crate) fn add_join(&mut self, channel: &str, done: Answer<()>) {
        self.joins.push((channel.to_owned(), done));
    }

    pub(crate) fn add_whois(&mut self, nick: &str, done: Answer<Option<Whois>>) {
        self.whois.push((nick.to_owned(), None, done));
    }

    pub(crate) fn add_history(
        &mut self,
        id: u64,
        labelled: bool,
        target: &str,
        done: Answer<Vec<Incoming>>,
    ) {
        self.history.push(HistoryWait {
            id,
            labelled,
            target: target.to_owned(),
            batch: None,
            lines: Vec::new(),
            done,
        });
    }

    /// Whether anything is open.
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// When the next barrier is due.
    pub(crate) fn barrier_due(&self) -> Option<Instant> {
        self.lines.iter().find(|line| !line.barrier).map(|line| line.since + BARRIER_AFTER)
    }

    /// The tokens of barriers that are due now.
    pub(crate) fn take_barriers(&mut self, now: Instant) -> Vec<String> {
        let due =
            self.lines.iter_mut().filter(|line| !line.barrier && line.since + BARRIER_AFTER <= now);
        due.map(|line| {
            line.barrier = true;
            Self::token(line.id)
        })
        .collect()
    }

    /// Takes a line of the server; `true` if it was an answer to us and nobody else's business.
    pub(crate) fn on(&mut self, line: &Incoming, batches: &Batches, me: &Snapshot) -> bool {
        let message = &line.message;
        if self.on_history(line, batches, me) || self.on_whois(message, me) {
            return true;
        }
        self.on_join(message, me);
        if message.command == "PONG" {
            return self.on_pong(message.last());
        }
        if let Some(label) =
            batches.label_of(message).and_then(|l| l.strip_prefix('l')?.parse::<u64>().ok())
            && let Some(index) = self.lines.iter().position(|wait| wait.id == label)
        {
            return self.on_labelled(index, message, me);
        }
        match message.command.as_str() {
            "PRIVMSG" | "NOTICE" if me.is_me(message.nick()) => self.on_echo(message, me),
            "FAIL" => self.on_fail(message, me),
            _ => {
                message.numeric().is_some_and(|code| code >= 400 || code == 263)
                    && self.on_refusal(message, me)
            }
        }
    }

    fn on_labelled(&mut self, index: usize, message: &Message, me: &Snapshot) -> bool {
        let refused = message.command == "FAIL"
            || message.numeric().is_some_and(|code| (400..600).contains(&code) || code == 263);
        if refused {
            self.refuse(index, message);
        } else if message.command == "ACK"
            || (matches!(message.command.as_str(), "PRIVMSG" | "NOTICE")
                && me.is_me(message.nick()))
        {
            self.confirm(index, message);
        }
        // Anything else that carries the label (301: away) is news about the target, and passes.
        refused || message.command == "ACK" || me.is_me(message.nick())
    }

    fn on_echo(&mut self, message: &Message, me: &Snapshot) -> bool {
        let mapping = me.isupport.casemapping;
        let fits = |wait: &LineWait| {
            wait.command == message.command && mapping.same(&wait.target, message.param(0))
        };
        let exact = self.lines.iter().position(|wait| fits(wait) && wait.text == message.last());
        // The server may have changed the text (stripped colours, censored words): then the oldest to this target is meant.
        if let Some(index) = exact.or_else(|| self.lines.iter().position(fits)) {
            self.confirm(index, message);
        }
        true
    }

    fn on_pong(&mut self, token: &str) -> bool {
        let Some(id) = token.strip_prefix("lb-").and_then(|id| id.parse::<u64>().ok()) else {
            return false;
        };
        let Some(index) = self.lines.iter().position(|wait| wait.id == id) else {
            return true;
        };
        if let Some(wait) = self.lines.remove(index) {
            let answer = if wait.echo_due {
                Err(SendFailure::Refused {
                    code: "none".into(),
                    text: "the server took the line and showed it to nobody".into(),
                })
            } else {
                Ok(Confirmed::default())
            };
            drop(wait.done.send(answer));
        }
        true
    }

    fn on_fail(&mut self, message: &Message, me: &Snapshot) -> bool {
        // FAIL <command> <code> [<context>...] <description>
        let about = message.param(0);
        let named = |target: &str| {
            message.params.iter().skip(2).any(|p| me.isupport.casemapping.same(p, target))
        };
        let index = self.lines.iter().position(|wait| wait.command == about && named(&wait.target));
        let index = index.or_else(|| self.lines.iter().position(|wait| wait.command == about));
        match index {
            Some(index) => self.refuse(index, message),
            None => return false,
        }
        true
    }

    fn on_refusal(&mut self, message: &Message, me: &Snapshot) -> bool {
        let mapping = me.isupport.casemapping;
        let target = message.param(1);
        let about = |wait: &LineWait| {
            let said = matches!(wait.command.as_str(), "PRIVMSG" | "NOTICE");
            mapping.same(&wait.target, target) || (!said && mapping.same(&wait.text, target))
        };
        if let Some(index) = self.lines.iter().position(about) {
            self.refuse(index, message);
            return true;
        }
        if let Some(index) =
            self.joins.iter().position(|(channel, _)| mapping.same(channel, target))
        {
            let (_, done) = self.joins.swap_remove(index);
            drop(done.send(Err(failure_of(message))));
            return true;
        }
        // 412 "no text", 263 "try again" name no target: the oldest line is meant.
        if matches!(message.command.as_str(), "411" | "412" | "263") && !self.lines.is_empty() {
            self.refuse(0, message);
            return true;
        }
        false
    }

    fn on_join(&mut self, message: &Message, me: &Snapshot) {
        if message.command == "JOIN"
            && me.is_me(message.nick())
            && let Some(index) = self
                .joins
                .iter()
                .position(|(c, _)| me.isupport.casemapping.same(c, message.param(0)))
        {
            let (_, done) = self.joins.swap_remove(index);
            drop(done.send(Ok(())));
        }
    }

    fn on_whois(&mut self, message: &Message, me: &Snapshot) -> bool {
        let mapping = me.isupport.casemapping;
        let Some(index) =
            self.whois.iter().position(|(nick, ..)| mapping.same(nick, message.param(1)))
        else {
            return false;
        };
        let found = &mut self.whois[index].1;
        match message.command.as_str() {
            "311" => {
                let param = |n: usize| message.param(n).to_owned();
                *found = Some(Whois {
                    nick: param(1),
                    user: param(2),
                    host: param(3),
                    realname: param(5),
                    ..Whois::default()
                });
            }
            "330" => {
                if let Some(whois) = found {
                    whois.account = Some(message.param(2).to_owned());
                }
            }
            "335" => {
                if let Some(whois) = found {
                    whois.bot = true;
                }
            }
            "401" => *found = None,
            "318" => {
                let (_, found, done) = self.whois.swap_remove(index);
                drop(done.send(Ok(found)));
            }
            "301" | "307" | "312" | "313" | "317" | "319" | "320" | "338" | "378" | "379"
            | "671" => {}
            _ => return false,
        }
        true
    }

    fn on_history(&mut self, line: &Incoming, batches: &Batches, me: &Snapshot) -> bool {
        let message = &line.message;
        if self.history.is_empty() {
            return false;
        }
        if message.command == "FAIL" && message.param(0) == "CHATHISTORY" {
            let wait = self.history.remove(0);
            drop(wait.done.send(Err(failure_of(message))));
            return true;
        }
        if message.command == "421" && message.param(1) == "CHATHISTORY" {
            let wait = self.history.remove(0);
            drop(wait.done.send(Err(failure_of(message))));
            return true;
        }
        if message.command == "BATCH" {
            return self.on_history_batch(message, batches, me);
        }
        let Some((reference, _)) = batches.of(message) else {
            return false;
        };
        let Some(wait) =
            self.history.iter_mut().find(|wait| wait.batch.as_deref() == Some(reference))
        else {
            return false;
        };
        if wait.lines.len() < MAX_HISTORY {
            wait.lines.push(line.clone());
        }
        true
    }

    fn on_history_batch(&mut self, message: &Message, batches: &Batches, me: &Snapshot) -> bool {
        let reference = message.param(0);
        if let Some(opened) = reference.strip_prefix('+')
            && message.param(1) == "chathistory"
        {
            let label = batches.label_of(message).map(str::to_owned);
            let fits = |wait: &&mut HistoryWait| {
                wait.batch.is_none()
                    && if wait.labelled {
                        label.as_deref() == Some(&Self::label(wait.id))
                    } else {
                        me.isupport.casemapping.same(&wait.target, message.param(2))
                    }
            };
            if let Some(wait) = self.history.iter_mut().find(fits) {
                wait.batch = Some(opened.to_owned());
                return true;
            }
        } else if let Some(closed) = reference.strip_prefix('-')
            && let Some(index) =
                self.history.iter().position(|wait| wait.batch.as_deref() == Some(closed))
        {
            let wait = self.history.remove(index);
            drop(wait.done.send(Ok(wait.lines)));
            return true;
        }
        false
    }

    fn confirm(&mut self, index: usize, message: &Message) {
        if let Some(wait) = self.lines.remove(index) {
            let msgid = message.tag("msgid").filter(|id| !id.is_empty()).map(str::to_owned);
            drop(wait.done.send(Ok(Confirmed {
                msgid,
                at: message.tag("time").and_then(parse_server_time),
            })));
        }
    }

    fn refuse(&mut self, index: usize, message: &Message) {
        if let Some(wait) = self.lines.remove(index) {
            drop(wait.done.send(Err(failure_of(message))));
        }
    }

    /// The connection is gone: what is open may have arrived.
    pub(crate) fn lost(self) {
        self.lines.into_iter().for_each(|wait| drop(wait.done.send(Err(SendFailure::Lost))));
        self.joins.into_iter().for_each(|(_, done)| drop(done.send(Err(SendFailure::Lost))));
        self.whois.into_iter().for_each(|(_, _, done)| drop(done.send(Err(SendFailure::Lost))));
        self.history.into_iter().for_each(|wait| drop(wait.done.send(Err(SendFailure::Lost))));
    }
}

fn failure_of(message: &Message) -> SendFailure {
    let text = message.last().to_owned();
    let code = if message.command == "FAIL" {
        message.param(1).to_owned()
    } else {
        message.command.clone()
    };
    match code.as_str() {
        // RPL_TRYAGAIN, ERR_TARGETTOOFAST, ERR_UNAVAILRESOURCE
        "263" | "439" | "437" => SendFailure::Throttled(text),
        _ => SendFailure::Refused { code, text },
    }
}
