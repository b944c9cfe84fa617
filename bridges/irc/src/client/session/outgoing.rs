//! What a connection writes, and how fast.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

use super::{MAX_OUT, Session};
use crate::client::orders::{Answer, Confirmed, Order};
use crate::client::orders::{OutLine, SendFailure};
use crate::client::register::Failure;
use crate::client::waiting::{LineWait, Waiting};
use crate::message::Message;

/// How long the farewell may take.
const QUIT_PATIENCE: Duration = Duration::from_secs(2);

impl Session<'_> {
    /// Writes what the flood limit allows; says when the next may go.
    pub(super) fn write_queue(&mut self) -> Option<Instant> {
        let now = Instant::now();
        while let Some(order) = self.queue.front() {
            if self.out.len() > MAX_OUT {
                return None;
            }
            if order.is_abandoned() {
                self.queue.pop_front();
                continue;
            }
            let cost =
                if matches!(order, Order::Line { .. }) && self.needs_barrier() { 2.0 } else { 1.0 };
            if let Err(wait) = self.bucket.take(cost, now) {
                return Some(now + wait);
            }
            if let Some(order) = self.queue.pop_front() {
                self.write_order(order);
            }
        }
        None
    }

    /// Whether a line needs a PING behind it: the server neither labels nor echoes.
    fn needs_barrier(&self) -> bool {
        !self.snapshot.caps.has("echo-message") && !self.labels()
    }

    /// Whether answers carry our labels.
    fn labels(&self) -> bool {
        self.snapshot.caps.has("labeled-response") && self.snapshot.caps.has("batch")
    }

    fn write_order(&mut self, order: Order) {
        match order {
            Order::Line { line, done } => self.write_line(&line, done),
            Order::Join { channel, key, done } => {
                if self.snapshot.is_in(&channel) {
                    drop(done.send(Ok(())));
                    return;
                }
                let params = std::iter::once(channel.clone()).chain(key);
                if let Some(done) = self.put(&Message::new("JOIN", params), done) {
                    self.waiting.add_join(&channel, done);
                }
            }
            Order::Whois { nick, done } => {
                if let Some(done) = self.put(&Message::new("WHOIS", [nick.clone()]), done) {
                    self.waiting.add_whois(&nick, done);
                }
            }
            Order::History { params, done } => self.write_history(params, done),
            Order::Checked { message, about: [target, nick], done } => {
                let id = self.waiting.number();
                if let Some(done) = self.put(&message, done) {
                    let (command, since) = (message.command, Instant::now());
                    let wait = LineWait {
                        id,
                        target,
                        command,
                        text: nick,
                        echo_due: false,
                        barrier: true,
                        since,
                        done,
                    };
                    self.waiting.add_line(wait);
                    self.write(&Message::new("PING", [Waiting::token(id)]));
                }
            }
            Order::Command { message, done } => {
                if let Some(done) = self.put(&message, done) {
                    drop(done.send(Ok(())));
                }
            }
        }
    }

    fn write_line(&mut self, line: &OutLine, done: Answer<Confirmed>) {
        let command = if line.notice { "NOTICE" } else { "PRIVMSG" };
        let id = self.waiting.number();
        let mut message = Message::new(command, [line.target.as_str(), line.text.as_str()]);
        if self.snapshot.caps.has("message-tags") {
            message.tags.extend(line.tags.iter().cloned());
        }
        let labels = self.labels();
        if labels {
            message = message.with_tag("label", &Waiting::label(id));
        }
        let Some(done) = self.put(&message, done) else {
            return;
        };
        let barrier = self.needs_barrier();
        let (target, text) = (line.target.clone(), line.text.clone());
        let (command, since) = (command.to_owned(), Instant::now());
        let wait = LineWait { id, target, command, text, echo_due: !barrier, barrier, since, done };
        self.waiting.add_line(wait);
        if barrier {
            self.write(&Message::new("PING", [Waiting::token(id)]));
        }
    }

    fn write_history(&mut self, params: Vec<String>, done: Answer<Vec<crate::client::Incoming>>) {
        let id = self.waiting.number();
        let target = params.get(1).cloned().unwrap_or_default();
        let mut message = Message::new("CHATHISTORY", params);
        if self.labels() {
            message = message.with_tag("label", &Waiting::label(id));
        }
        if let Some(done) = self.put(&message, done) {
            self.waiting.add_history(id, self.labels(), &target, done);
        }
    }

    /// Writes a message, or answers that it can't be written.
    fn put<T>(&mut self, message: &Message, done: Answer<T>) -> Option<Answer<T>> {
        if self.write(message) {
            return Some(done);
        }
        drop(done.send(Err(SendFailure::Refused {
            code: "line".into(),
            text: "it can't be written as one IRC line".into(),
        })));
        None
    }

    fn write(&mut self, message: &Message) -> bool {
        match message.to_line() {
            Ok(line) => {
                self.out.extend_from_slice(line.as_bytes());
                true
            }
            Err(error) => {
                tracing::debug!(command = %message.command, %error, "not a line");
                false
            }
        }
    }

    /// Writes a line past the flood limit: answers to PING and the like.
    pub(super) fn urgent(&mut self, message: &Message) {
        self.bucket.overdraw(1.0, Instant::now());
        self.write(message);
    }

    /// Says goodbye.
    pub(super) async fn quit(&mut self) -> Failure {
        self.write(&Message::new("QUIT", ["bridge stopped"]));
        let farewell = async {
            while !self.out.is_empty() {
                if self.write.write_buf(&mut self.out).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            // The end of the connection is what is wanted here, however it comes.
            let _ = self.write.shutdown().await;
        };
        let _ = tokio::time::timeout(QUIT_PATIENCE, farewell).await;
        Failure::Other("stopped".into())
    }
}
