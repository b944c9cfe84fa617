//! The gateway: a connection for each shard. twilight keeps the heart beating, resumes, and ends connections that only seem to live; what is
//! said is stored here, in order, before it counts as received.

mod asked;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::StreamExt as _;
use landbridge_framework::{Closed, EventKey, Exit, Inbox, LoginState, NetError};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;
use twilight_gateway::{
    CloseFrame, ConfigBuilder, Intents, Message, Session, Shard, ShardId, queue::InMemoryQueue,
};

use super::{
    ApiError, Call, Hub, Wait,
    asking::{Asking, Wanted},
    catch_up::CatchUpError,
    intake::{Said, unreadable},
    session,
};
use crate::{
    connector::{Discord, slash},
    ids::{Id, Place},
    raw::Raw,
};

/// How many events may wait to be stored before no more are read.
const WAITING: usize = 4_096;
/// How many events are stored in one transaction.
const BATCH: usize = 128;
/// How long the servers of a new session are waited for before what was missed is read.
const SERVERS: Duration = Duration::from_secs(30);

/// How many events are held back meanwhile; with more, those that are still missing are not waited for.
const HELD: usize = 20_000;

/// One event of the gateway.
#[derive(Deserialize)]
struct Frame<'a> {
    op: u8,
    #[serde(default)]
    s: Option<u64>,
    #[serde(default)]
    t: Option<String>,
    #[serde(borrow)]
    d: Option<&'a RawValue>,
}

/// `GET /gateway/bot`.
#[derive(Deserialize)]
struct Recommended {
    url: String,
    shards: u32,
    session_start_limit: StartLimit,
}

#[derive(Deserialize)]
struct StartLimit {
    total: u32,
    remaining: u32,
    reset_after: u64,
    max_concurrency: u16,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Ready {
    session_id: String,
    resume_gateway_url: String,
    guilds: Vec<Unavailable>,
}

#[derive(Deserialize)]
struct Unavailable {
    id: Id,
}

/// What the bridge wants to be told of.
fn intents(hub: &Hub) -> Intents {
    let mut intents = Intents::GUILDS
        | Intents::GUILD_MESSAGES
        | Intents::GUILD_MESSAGE_REACTIONS
        | Intents::GUILD_MESSAGE_TYPING
        | Intents::GUILD_MESSAGE_POLLS
        | Intents::GUILD_EMOJIS_AND_STICKERS
        | Intents::GUILD_MODERATION
        | Intents::MESSAGE_CONTENT;
    if hub.checked.config.gateway.members {
        intents |= Intents::GUILD_MEMBERS;
    }
    if hub.checked.config.gateway.presence {
        intents |= Intents::GUILD_PRESENCES;
    }
    intents
}

/// Follows the gateway until it is told to stop, or can't go on.
pub async fn run(hub: &Arc<Hub>, inbox: Inbox<Discord>, stop: CancellationToken) -> Exit {
    inbox.state(LoginState::Connecting);
    tokio::select! {
        () = stop.cancelled() => Exit::Stopped,
        exit = follow(hub, &inbox) => exit,
    }
}

async fn follow(hub: &Arc<Hub>, inbox: &Inbox<Discord>) -> Exit {
    let open = match inbox.portals().await {
        Ok(open) => open,
        Err(closed) => return exit_of(closed),
    };
    let channels: BTreeSet<Id> = open
        .into_iter()
        .filter_map(|key| match key.id {
            Place::Channel(id) => Some(id),
            Place::Guild(_) | Place::Posts(_) => None,
        })
        .collect();
    hub.set_bridged(channels);
    let found = match hub.introduce().await {
        Ok(me) => {
            if let Err(error) = slash::register(hub, me).await {
                tracing::warn!(%error, "the slash commands could not be registered");
            }
            hub.rest.ask::<Recommended>(Call::get("gateway/bot"), Wait::Yes).await
        }
        Err(error) => Err(error),
    };
    let found = match found {
        Ok(found) => found,
        Err(ApiError::Unauthorized) => {
            return Exit::BadCredentials("Discord doesn't accept the bot's token".into());
        }
        Err(error) => return Exit::Lost(error.into()),
    };
    let limit = &found.session_start_limit;
    let queue = InMemoryQueue::new(
        limit.max_concurrency,
        limit.remaining,
        Duration::from_millis(limit.reset_after),
        limit.total,
    );
    let of = hub.checked.config.gateway.shards.unwrap_or(found.shards).max(1);
    let url = hub.checked.config.gateway.url.clone().unwrap_or(found.url);
    let url = url.trim_end_matches('/').to_owned();
    let mut shards = tokio::task::JoinSet::new();
    for number in 0..of {
        let (hub, inbox, queue, url) = (hub.clone(), inbox.clone(), queue.clone(), url.clone());
        shards.spawn(async move { shard(hub, inbox, queue, url, number, of).await });
    }
    // One that ends ends all: they begin again together. The others are aborted with the set.
    match shards.join_next().await {
        Some(Ok(exit)) => exit,
        Some(Err(error)) => Exit::Lost(NetError::temporary(error)),
        None => Exit::Stopped,
    }
}

fn exit_of(closed: Closed) -> Exit {
    match closed {
        Closed::Stopping => Exit::Stopped,
        error @ Closed::Store(_) => Exit::Lost(NetError::temporary(error)),
    }
}

/// One connection.
async fn shard(
    hub: Arc<Hub>,
    inbox: Inbox<Discord>,
    queue: InMemoryQueue,
    url: String,
    number: u32,
    of: u32,
) -> Exit {
    let Some(id) = ShardId::new_checked(number, of) else { return Exit::Stopped };
    let stream = session::stream(number, of);
    let cursor = match inbox.cursor_of(&stream).await {
        Ok(stored) => session::Cursor::read(stored.as_deref()),
        Err(closed) => return exit_of(closed),
    };
    let token = hub.checked.config.token.0.trim().to_owned();
    let mut config = ConfigBuilder::new(token, intents(&hub)).queue(queue).proxy_url(url);
    // A resumed session goes on where the store ends, but its servers are not told again.
    let resumable = !cursor.session.is_empty() && cursor.sequence > 0;
    if resumable && hub.knows_servers().await {
        config = config
            .session(Session::new(cursor.sequence, cursor.session.clone()))
            .resume_url(cursor.url.clone());
    }
    let mut shard = Shard::with_config(id, config.build());
    let (sender, receiver) = mpsc::channel(WAITING);
    let opened = hub.rooms_opened();
    let mut follower = Follower {
        opened,
        hub,
        inbox,
        stream,
        cursor,
        missing: BTreeSet::new(),
        guilds: Vec::new(),
        since: Id(0),
        held: Vec::new(),
        told: Vec::new(),
        deadline: None,
        asking: Asking::default(),
    };
    let storing = follower.store(receiver);
    tokio::pin!(storing);
    let mut failures = 0_u32;
    loop {
        let message = tokio::select! {
            exit = &mut storing => return exit,
            message = shard.next() => message,
        };
        match message {
            Some(Ok(Message::Text(text))) => {
                failures = 0;
                // Waits while the store is behind; the connection then waits as well, and may end and be resumed.
                tokio::select! {
                    exit = &mut storing => return exit,
                    sent = sender.send(text) => if sent.is_err() {
                        return Exit::Lost(NetError::temporary("nobody stores what comes"));
                    },
                }
            }
            Some(Ok(Message::Close(frame))) => {
                tracing::info!(shard = number, ?frame, "the connection to Discord has ended");
                if let Some(exit) = frame.as_ref().and_then(fatal) {
                    return exit;
                }
            }
            Some(Err(error)) => {
                failures += 1;
                tracing::warn!(shard = number, %error, "the connection to Discord is troubled");
                if failures > 10 {
                    return Exit::Lost(NetError::temporary(error));
                }
            }
            None => {
                return Exit::Lost(NetError::temporary(
                    "Discord has ended the connection for good",
                ));
            }
        }
    }
}

/// Ends that no new connection changes (API reference, "Gateway Close Event Codes").
fn fatal(frame: &CloseFrame<'_>) -> Option<Exit> {
    match frame.code {
        4004 => Some(Exit::BadCredentials("Discord doesn't accept the bot's token".into())),
        4010 | 4011 => Some(Exit::Lost(NetError::temporary(
            "Discord wants more shards: leave discord.gateway.shards unset",
        ))),
        4013 | 4014 => Some(Exit::BadCredentials(
            "the application lacks an intent: on its page \"Bot\", switch on Message Content Intent, and Server Members \
             and Presence if discord.gateway asks for them"
                .into(),
        )),
        _ => None,
    }
}

/// Waits until then, or for ever.
async fn until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Stores what a connection says.
struct Follower {
    hub: Arc<Hub>,
    inbox: Inbox<Discord>,
    stream: String,
    cursor: session::Cursor,
    /// Servers of a new session that have not been told yet.
    missing: BTreeSet<Id>,
    /// The servers of this connection.
    guilds: Vec<Id>,
    /// The newest message that was stored when the session began.
    since: Id,
    /// What came while what was missed is not read yet.
    held: Vec<(u64, String, Value)>,
    /// How the servers stand. Stored with the cursor, so not before what was missed.
    told: Vec<(EventKey, Raw)>,
    /// Until when the missing servers are waited for.
    deadline: Option<tokio::time::Instant>,
    /// What is asked for.
    asking: Asking,
    /// The rooms that are made.
    opened: broadcast::Receiver<Id>,
}

impl Follower {
    async fn store(&mut self, mut frames: mpsc::Receiver<String>) -> Exit {
        let mut some = Vec::with_capacity(BATCH);
        self.asking.resume(&self.hub, &self.cursor.pins, &self.cursor.posts);
        loop {
            let received = tokio::select! {
                received = frames.recv_many(&mut some, BATCH) => received,
                () = until(self.deadline) => {
                    if let Err(exit) = self.begin().await {
                        return exit;
                    }
                    continue;
                }
                // Storing it stores the cursor, which must not be before what was missed is read.
                (wanted, answer) = self.asking.next(), if self.deadline.is_none() => {
                    if let Err(exit) = self.answered(wanted, answer).await {
                        return exit;
                    }
                    continue;
                }
                channel = self.opened.recv(), if self.deadline.is_none() => {
                    if let Err(exit) = self.room_opened(channel.ok()).await {
                        return exit;
                    }
                    continue;
                }
            };
            if received == 0 {
                return Exit::Stopped;
            }
            let mut store: Vec<(EventKey, Raw)> = Vec::new();
            for text in some.drain(..) {
                if let Err(exit) = self.frame(&text, &mut store).await {
                    return exit;
                }
            }
            if let Err(exit) = self.flush(&mut store).await {
                return exit;
            }
        }
    }

    async fn frame(&mut self, text: &str, store: &mut Vec<(EventKey, Raw)>) -> Result<(), Exit> {
        let frame: Frame<'_> = match serde_json::from_str(text) {
            Ok(frame) => frame,
            Err(error) => {
                unreadable("?", &error);
                return Ok(());
            }
        };
        let (0, Some(sequence), Some(name)) = (frame.op, frame.s, frame.t) else { return Ok(()) };
        let data = frame.d.map_or("null", RawValue::get);
        let data: Value = match serde_json::from_str(data) {
            Ok(data) => data,
            Err(error) => {
                unreadable(&name, &error);
                return Ok(());
            }
        };
        match name.as_str() {
            "READY" => return self.ready(&data, sequence, store).await,
            "RESUMED" => {
                self.inbox.state(LoginState::Connected);
                return Ok(());
            }
            _ => {}
        }
        let told = match name.as_str() {
            "GUILD_CREATE" => data.get("id").and_then(|id| Id::deserialize(id).ok()),
            _ => None,
        };
        if self.deadline.is_some() {
            match told {
                Some(guild) => {
                    let mut told = std::mem::take(&mut self.told);
                    self.take(sequence, &name, data, &mut told).await?;
                    self.told = told;
                    self.missing.remove(&guild);
                }
                None => self.held.push((sequence, name, data)),
            }
            if self.missing.is_empty() || self.held.len() >= HELD {
                self.flush(store).await?;
                self.begin().await?;
            }
            return Ok(());
        }
        self.take(sequence, &name, data, store).await?;
        // Discord had trouble with it, and tells it late: it was not caught up with the others.
        if let Some(guild) = told.filter(|guild| self.missing.remove(guild)) {
            self.flush(store).await?;
            self.catch_up(&[guild]).await?;
            store.extend(self.hub.hidden(&[guild], &self.cursor.stamp(sequence)));
        }
        Ok(())
    }

    /// A new session has begun: nothing of it is taken before what was missed has been read.
    async fn ready(
        &mut self,
        data: &Value,
        sequence: u64,
        store: &mut Vec<(EventKey, Raw)>,
    ) -> Result<(), Exit> {
        self.flush(store).await?;
        let ready = Ready::deserialize(data).unwrap_or_default();
        self.guilds = ready.guilds.iter().map(|guild| guild.id).collect();
        self.missing = self.guilds.iter().copied().collect();
        self.since = self.cursor.newest;
        self.cursor.session = ready.session_id;
        self.cursor.url = ready.resume_gateway_url;
        self.cursor.sequence = sequence;
        self.held.clear();
        self.told.clear();
        self.inbox.state(LoginState::Backfilling);
        self.deadline = Some(tokio::time::Instant::now() + SERVERS);
        if self.missing.is_empty() {
            self.begin().await?;
        }
        Ok(())
    }

    /// Reads what was missed in servers since the session before.
    async fn catch_up(&self, guilds: &[Id]) -> Result<(), Exit> {
        match self.hub.catch_up(&self.inbox, guilds, self.since).await {
            Ok(()) => Ok(()),
            Err(CatchUpError::Closed(closed)) => Err(exit_of(closed)),
            // The cursor has not moved: the next connection reads it again.
            Err(CatchUpError::Api(error)) => Err(Exit::Lost(error.into())),
        }
    }

    /// The servers are known: what was missed is read, then what came since.
    async fn begin(&mut self) -> Result<(), Exit> {
        self.deadline = None;
        let guilds = self.guilds.clone();
        self.catch_up(&guilds).await?;
        if self.cursor.newest == Id(0) {
            self.cursor.newest = Id::at_ms(self.hub.clock.now_ms());
        }
        // At the very first there is nothing that was missed.
        let gap = Some(self.since).filter(|since| *since != Id(0));
        let pinned = gap.map(|since| self.hub.pinned_since(&guilds, since));
        for channel in pinned.unwrap_or_default() {
            let stamp = format!("{}:{channel}", self.cursor.stamp(self.cursor.sequence));
            self.want_pins(channel, stamp);
        }
        self.ask_for_old_pins().await?;
        self.inbox.state(LoginState::Connected);
        let mut store = std::mem::take(&mut self.told);
        store.extend(self.hub.hidden(&guilds, &self.cursor.stamp(self.cursor.sequence)));
        for (sequence, name, data) in std::mem::take(&mut self.held) {
            self.take(sequence, &name, data, &mut store).await?;
        }
        self.save(store).await
    }

    async fn take(
        &mut self,
        sequence: u64,
        name: &str,
        data: Value,
        store: &mut Vec<(EventKey, Raw)>,
    ) -> Result<(), Exit> {
        let taken = self.hub.take(Said { name, data, cursor: &self.cursor, sequence });
        store.extend(taken.store);
        for raw in taken.passing {
            self.inbox.passing(raw).await.map_err(exit_of)?;
        }
        if let Some(interaction) = taken.interaction {
            slash::answer(&self.hub, &self.inbox, interaction);
        }
        if let Some(channel) = taken.pins {
            let stamp = self.cursor.stamp(sequence);
            self.want_pins(channel, stamp);
        }
        if let Some(post) = taken.post {
            self.cursor.posts.insert(post, self.cursor.stamp(sequence));
            self.asking.begin(&self.hub, Wanted::Post(post));
        }
        self.cursor.sequence = self.cursor.sequence.max(sequence);
        self.cursor.newest = self.cursor.newest.max(taken.newest.unwrap_or_default());
        Ok(())
    }

    async fn flush(&mut self, store: &mut Vec<(EventKey, Raw)>) -> Result<(), Exit> {
        if store.is_empty() {
            return Ok(());
        }
        self.save(std::mem::take(store)).await
    }

    /// Makes events durable together with how far the session has got.
    async fn save(&mut self, store: Vec<(EventKey, Raw)>) -> Result<(), Exit> {
        let cursor = self.cursor.write();
        self.inbox.put_all(store, Some((&self.stream, &cursor))).await.map_err(exit_of)?;
        Ok(())
    }
}
