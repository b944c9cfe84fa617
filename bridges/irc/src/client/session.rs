//! A registered connection's loop: reads, keeps alive, sends what the flood limit allows, confirms.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::batch::Batches;
use super::flood::{Bucket, preset};
use super::orders::Order;
use super::register::{Failure, classify_error};
use super::settings::{Interest, Settings};
use super::snapshot::{Incoming, Snapshot};
use super::time::parse_server_time;
use super::transport::{LineReader, Stream};
use super::waiting::Waiting;
use super::{ClientEvent, State};
use crate::message::Message;

mod follow;
mod outgoing;

/// Events read and not yet taken by the owner; beyond it the socket isn't read.
const MAX_PENDING: usize = 256;
/// Orders taken and not yet written.
const MAX_QUEUE: usize = 64;
/// Bytes written and not yet taken by the socket; beyond it nothing more is written.
const MAX_OUT: usize = 16 * 1024;
/// How long a stop waits for the confirmation of lines already written.
const STOP_PATIENCE: Duration = Duration::from_secs(3);
/// How often we try to get the nick back that we wanted.
const REGAIN_EVERY: Duration = Duration::from_mins(5);

/// A connection that has just registered.
pub(crate) struct Online {
    pub(crate) stream: Box<dyn Stream>,
    pub(crate) reader: LineReader,
    pub(crate) snapshot: Snapshot,
}

/// The state of a registered connection.
pub(crate) struct Session<'a> {
    settings: &'a Settings,
    events: &'a mpsc::Sender<ClientEvent>,
    state: &'a watch::Sender<State>,
    read: ReadHalf<Box<dyn Stream>>,
    write: WriteHalf<Box<dyn Stream>>,
    reader: LineReader,
    snapshot: Arc<Snapshot>,
    batches: Batches,
    waiting: Waiting,
    bucket: Bucket,
    queue: VecDeque<Order>,
    out: BytesMut,
    pending: VecDeque<ClientEvent>,
    lines: u64,
    last_read: Instant,
    pinged: bool,
    next_regain: Instant,
    stopping: Option<Instant>,
}

/// What woke the loop.
enum Wake {
    Read(std::io::Result<Option<Vec<u8>>>),
    Written(std::io::Result<usize>),
    Order(Option<Order>),
    Delivered(bool),
    Timer,
    Stop,
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        settings: &'a Settings,
        online: Online,
        events: &'a mpsc::Sender<ClientEvent>,
        state: &'a watch::Sender<State>,
    ) -> Self {
        let (read, write) = tokio::io::split(online.stream);
        let limits = settings.flood.unwrap_or_else(|| preset(&online.snapshot.version));
        let snapshot = Arc::new(online.snapshot);
        let now = Instant::now();
        Self {
            settings,
            events,
            state,
            read,
            write,
            reader: online.reader,
            pending: VecDeque::from([ClientEvent::Up(Arc::clone(&snapshot))]),
            snapshot,
            batches: Batches::default(),
            waiting: Waiting::default(),
            bucket: Bucket::new(limits, now),
            queue: VecDeque::new(),
            out: BytesMut::new(),
            lines: 0,
            last_read: now,
            pinged: false,
            next_regain: now + REGAIN_EVERY,
            stopping: None,
        }
    }

    /// Runs until the connection ends; everything still open is answered.
    pub(crate) async fn run(
        mut self,
        orders: &mut mpsc::Receiver<Order>,
        stop: &CancellationToken,
    ) -> Failure {
        self.state.send_replace(State::Online(Arc::clone(&self.snapshot)));
        let failure = self.turn(orders, stop).await;
        self.queue.drain(..).for_each(|order| order.not_sent("the connection broke"));
        self.waiting.lost();
        // What was read belongs to the owner, also when the connection is gone since.
        for event in self.pending {
            if self.events.send(event).await.is_err() {
                break;
            }
        }
        failure
    }

    async fn turn(
        &mut self,
        orders: &mut mpsc::Receiver<Order>,
        stop: &CancellationToken,
    ) -> Failure {
        loop {
            let next_write = self.write_queue();
            if self
                .stopping
                .is_some_and(|since| self.waiting.is_empty() || since.elapsed() > STOP_PATIENCE)
            {
                return self.quit().await;
            }
            let timer = self.next_timer(next_write);
            match self.wait(orders, stop, timer).await {
                Wake::Read(Ok(Some(bytes))) => {
                    self.last_read = Instant::now();
                    self.pinged = false;
                    if let Some(failure) = self.on_bytes(&bytes) {
                        return failure;
                    }
                }
                Wake::Read(Ok(None)) => {
                    return Failure::Other("the server closed the connection".into());
                }
                Wake::Read(Err(error)) | Wake::Written(Err(error)) => {
                    return Failure::Other(error.to_string());
                }
                Wake::Written(Ok(0)) => {
                    return Failure::Other("the connection takes nothing more".into());
                }
                Wake::Order(Some(order)) => self.queue.push_back(order),
                Wake::Order(None) => self.stopping = self.stopping.or(Some(Instant::now())),
                Wake::Written(Ok(_)) | Wake::Delivered(true) => {}
                Wake::Delivered(false) => {
                    return Failure::Other("nobody listens to this connection any more".into());
                }
                Wake::Timer => {
                    if let Some(failure) = self.on_timer() {
                        return failure;
                    }
                }
                Wake::Stop => self.stopping = Some(Instant::now()),
            }
        }
    }

    async fn wait(
        &mut self,
        orders: &mut mpsc::Receiver<Order>,
        stop: &CancellationToken,
        timer: Instant,
    ) -> Wake {
        let (reading, taking, stopping) = (
            self.pending.len() < MAX_PENDING,
            self.queue.len() < MAX_QUEUE,
            self.stopping.is_some(),
        );
        tokio::select! {
            line = self.reader.next(&mut self.read), if reading => Wake::Read(line),
            done = self.write.write_buf(&mut self.out), if self.out.has_remaining() => Wake::Written(done),
            permit = self.events.reserve(), if !self.pending.is_empty() => match (permit, self.pending.pop_front()) {
                (Ok(permit), Some(event)) => { permit.send(event); Wake::Delivered(true) }
                _ => Wake::Delivered(false),
            },
            order = orders.recv(), if taking && !stopping => Wake::Order(order),
            () = stop.cancelled(), if !stopping => Wake::Stop,
            () = tokio::time::sleep_until(timer) => Wake::Timer,
        }
    }

    fn next_timer(&self, next_write: Option<Instant>) -> Instant {
        let alive = self.last_read
            + if self.pinged {
                self.settings.ping_interval.mul_f32(1.5)
            } else {
                self.settings.ping_interval
            };
        // While the owner doesn't take events we don't read: the server's silence is ours then.
        let alive = if self.pending.len() < MAX_PENDING {
            alive
        } else {
            Instant::now() + self.settings.ping_interval
        };
        let stop = self.stopping.map(|since| since + STOP_PATIENCE + Duration::from_millis(1));
        let all = [Some(alive), next_write, self.waiting.barrier_due(), self.regain_at(), stop];
        all.into_iter().flatten().min().unwrap_or(alive)
    }

    fn regain_at(&self) -> Option<Instant> {
        let wanted = self.settings.regain && !self.snapshot.is_me(&self.settings.nick);
        wanted.then_some(self.next_regain)
    }

    fn on_timer(&mut self) -> Option<Failure> {
        let now = Instant::now();
        for token in self.waiting.take_barriers(now) {
            self.urgent(&Message::new("PING", [token]));
        }
        if self.regain_at().is_some_and(|at| at <= now) {
            self.next_regain = now + REGAIN_EVERY;
            self.urgent(&Message::new("NICK", [self.settings.nick.clone()]));
        }
        if self.pending.len() >= MAX_PENDING {
            self.last_read = now;
            return None;
        }
        let silent = now.saturating_duration_since(self.last_read);
        if self.pinged && silent >= self.settings.ping_interval.mul_f32(1.5) {
            return Some(Failure::Other("the server no longer answers".into()));
        }
        if !self.pinged && silent >= self.settings.ping_interval {
            self.pinged = true;
            self.urgent(&Message::new("PING", ["alive"]));
        }
        None
    }

    fn on_bytes(&mut self, bytes: &[u8]) -> Option<Failure> {
        let Ok(message) = Message::parse(bytes) else {
            return None;
        };
        match message.command.as_str() {
            "PING" => {
                self.urgent(&Message::new("PONG", [message.last()]));
                return None;
            }
            "ERROR" => return Some(classify_error(message.last())),
            _ => {}
        }
        self.lines += 1;
        let at = message.tag("time").and_then(parse_server_time);
        let batch = self.batches.of(&message).map(|(_, batch)| batch.clone());
        let line = Incoming {
            epoch: Arc::clone(&self.snapshot.epoch),
            number: self.lines,
            message,
            at,
            batch,
        };
        let answered = self.waiting.on(&line, &self.batches, &self.snapshot);
        if line.message.command == "BATCH" {
            self.batches.on_batch(&line.message);
            return None;
        }
        self.follow(&line.message);
        if !answered && self.interesting(&line) {
            self.pending.push_back(ClientEvent::Line(Box::new(line)));
        }
        None
    }

    /// Whether the owner wants to see a line.
    fn interesting(&self, line: &Incoming) -> bool {
        let message = &line.message;
        let mine = self.snapshot.is_me(message.nick());
        match message.command.as_str() {
            "PRIVMSG" | "NOTICE" | "TAGMSG" => {
                !mine
                    && (self.settings.interest == Interest::Channels
                        || self.snapshot.is_me(message.param(0)))
            }
            "CAP" | "PONG" | "AUTHENTICATE" | "ACK" => false,
            "INVITE" => self.snapshot.is_me(message.param(0)),
            "JOIN" | "PART" | "QUIT" | "NICK" => {
                mine || self.settings.interest == Interest::Channels
            }
            "KICK" => {
                self.settings.interest == Interest::Channels
                    || self.snapshot.is_me(message.param(1))
            }
            _ => {
                self.settings.interest == Interest::Channels
                    || message.numeric().is_some_and(|code| code >= 400)
            }
        }
    }
}
