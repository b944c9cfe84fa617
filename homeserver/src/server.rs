//! A running homeserver: builds everything once, in order, listens, and stops in the reverse order.

mod identity;
mod listen;
mod restore;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::Router;
use landbridge_database::{Database, DatabaseError, Options};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    app::{App, Background},
    client::room_upgrades::Upgrades,
    clock::{Clock, SystemClock},
    commit::Committer,
    config::{AccountPolicy, Config, ConfigError},
    event::{KeyError, ServerKey},
    feed::Feed,
    http::{limit::Limits, observe::RequestCounter},
    metrics::Metrics,
    outbound::{FetchError, Outbound, trusted::Trusted},
    outbox::{
        appservice::Outbox,
        push::{
            Push,
            webpush::{Vapid, VapidError},
        },
    },
    room::{NoOtherServers, RoomDeps, RoomLimits, Rooms},
    services::{
        account_data::{AccountData, Filters},
        accounts::Accounts,
        appservices::{AppserviceError, Appservices},
        blocked_rooms::BlockedRooms,
        browsers::Browsers,
        delayed::DelayedEvents,
        delegation::Delegation,
        departures::Departures,
        devices::Devices,
        directory::Directory,
        email::{EmailError, Mailer},
        erasure::Erasure,
        guests::Guests,
        identity::{Identity, IdentityError},
        jobs::Jobs,
        key_backup::KeyBackups,
        key_counts::KeyCounts,
        keys::Keys,
        media::{Media, MediaError},
        nonces::Nonces,
        notifications::Notifications,
        oauth::OAuth,
        password::HashError,
        presence::Presence,
        profiles::Profiles,
        push_rules::PushRules,
        pushers::Pushers,
        redactions,
        registration_tokens::RegistrationTokens,
        rendezvous::Rendezvous,
        room_facts::RoomFacts,
        room_jobs,
        search::SearchIndex,
        server_notices::ServerNotices,
        sessions::Sessions,
        spaces::Walks,
        sso::{Sso, provider::SettingError},
        sticky::StickyEvents,
        threads::Threads,
        threepids::Threepids,
        to_device::ToDevice,
        typing::Typing,
        uia::Uia,
        url_previews::UrlPreviews,
    },
    storage::{ACCOUNTS, SCHEMA, StorageError, rate_overrides, receipts, rooms, server},
    sync::SyncService,
};

pub use self::{listen::Peer, restore::restored};

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration contradicts itself.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database could not be opened or brought up to date.
    #[error("database: {0}")]
    Database(#[from] DatabaseError),
    /// The database could not be read.
    #[error("database: {0}")]
    Storage(#[from] StorageError),
    /// The database could not be written.
    #[error("database: {0}")]
    Commit(#[from] crate::commit::CommitError),
    /// The database belongs to another server name.
    #[error(
        "the database belongs to {stored}, the configuration says {configured}: a server's name can't be \
         changed, because it is part of all its users and rooms. Set server_name to {stored}, or begin \
         with an empty database"
    )]
    OtherServerName {
        /// The name in the database.
        stored: String,
        /// The name in the configuration.
        configured: String,
    },
    /// Passwords can't be hashed as configured.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The signing key could not be read.
    #[error("signing key: {0}")]
    Key(#[from] KeyError),
    /// The application services could not be used.
    #[error("application services: {0}")]
    Appservices(#[from] AppserviceError),
    /// The folder for media could not be opened.
    #[error("media: {0}")]
    Media(#[from] MediaError),
    /// The client for requests to others could not be built.
    #[error("outbound: {0}")]
    Outbound(#[from] FetchError),
    /// An identity provider can't be used as it is set.
    #[error(transparent)]
    IdentityProvider(#[from] SettingError),
    /// The key for web push could not be had.
    #[error("web push: {0}")]
    Vapid(#[from] VapidError),
    /// E-mail can't be sent as configured.
    #[error(transparent)]
    Email(#[from] EmailError),
    /// Identity servers can't be asked as configured.
    #[error("identity servers: {0}")]
    Identity(#[from] IdentityError),
    /// A file or an address could not be used.
    #[error("{what}: {source}")]
    Io {
        /// The file or address.
        what: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A TLS certificate or key could not be used.
    #[error("{file}: {reason}")]
    Tls {
        /// The file.
        file: String,
        /// Why not.
        reason: String,
    },
}

impl StartError {
    fn io(what: impl std::fmt::Display) -> impl FnOnce(std::io::Error) -> Self {
        let what = format!("{what}");
        |source| Self::Io { what, source }
    }
}

/// A running homeserver.
pub struct Server {
    app: Arc<App>,
    router: Router,
    addresses: Vec<SocketAddr>,
    stopping: CancellationToken,
    listeners: Mutex<JoinSet<()>>,
}

impl Server {
    /// Starts a server with the machine's clock. When this returns, it listens.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        Self::start_at(config, Arc::new(SystemClock)).await
    }

    /// Starts a server whose time is `clock`'s.
    pub async fn start_at(config: Config, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        // On the heap: whoever starts a server need not carry all that building it takes.
        let app = Arc::new(Box::pin(open(config, clock)).await?);
        crate::services::notifications::follow::begin(&app).await?;
        let router = crate::client::router(&app);
        app.background.spawn(crate::services::profiles::spread::run(Arc::clone(&app)));
        app.background.spawn(crate::client::room_upgrades::run(Arc::clone(&app)));
        app.background.spawn(crate::services::user_directory::fill(Arc::clone(&app)));
        app.background.spawn(crate::services::departures::run(Arc::clone(&app)));
        app.background.spawn(crate::services::threepids::unbinding::run(Arc::clone(&app)));
        app.background.spawn(crate::services::notifications::follow::run(Arc::clone(&app)));
        app.background.spawn(crate::services::key_backup::purge::run(Arc::clone(&app)));
        app.background.spawn(crate::services::guests::run(Arc::clone(&app)));
        app.background.spawn(crate::services::delayed::run(Arc::clone(&app)));
        app.background.spawn(crate::sync::warm::run(Arc::clone(&app)));
        app.background.spawn(room_jobs::run(Arc::clone(&app)));
        app.background.spawn(redactions::run(Arc::clone(&app)));
        let stopping = CancellationToken::new();
        let (addresses, listeners) = listen::start(&app.config.listen, &router, &stopping).await?;
        Ok(Self { app, router, addresses, stopping, listeners: Mutex::new(listeners) })
    }

    /// Everything the server serves, for callers in the same process.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// Its services.
    pub const fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// The addresses it listens on, in the order of the configuration, plain HTTP first.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Stops: no new connections, requests that run may finish for a while, then background work ends, what
    /// was accepted is written, and the database is closed.
    pub async fn stop(&self) {
        self.stopping.cancel();
        // Long polls end with the background work: nothing will wake them any more.
        self.app.background.stop.cancel();
        let mut listeners =
            std::mem::take(&mut *self.listeners.lock().unwrap_or_else(PoisonError::into_inner));
        let drain = Duration::from_secs(self.app.config.listen.drain_seconds);
        let drained = async { while listeners.join_next().await.is_some() {} };
        if tokio::time::timeout(drain, drained).await.is_err() {
            tracing::warn!(seconds = drain.as_secs(), "some requests did not finish in time");
            listeners.shutdown().await;
        }
        self.app.background.end().await;
        if let Err(e) = self.app.committer.flush().await {
            tracing::error!(error = %e, "the last writes failed");
        }
        self.app.db.close().await;
    }
}

/// Opens the database and brings its tables up to date.
async fn open_database(config: &Config) -> Result<Database, StartError> {
    let mut options = Options::default();
    if let Some(connections) = config.database.connections {
        options.readers = connections.max(1);
    }
    let db = Database::open(&config.database_url(), &options).await?;
    db.migrate(&SCHEMA).await?;
    db.migrate(&ACCOUNTS).await?;
    Ok(db)
}

/// One more root certificate (PEM) that the settings trust.
fn extra_root(config: &Config) -> Result<Option<Vec<u8>>, StartError> {
    let Some(file) = &config.outbound.extra_root_certificate else { return Ok(None) };
    std::fs::read(file).map(Some).map_err(StartError::io(file.display()))
}

fn sessions(
    db: &Database,
    committer: &Committer,
    clock: &Arc<dyn Clock>,
    policy: &AccountPolicy,
    key_counts: &Arc<KeyCounts>,
) -> Sessions {
    let lifetime = Duration::from_secs(policy.access_token_lifetime_seconds);
    let (db, committer, clock) = (db.clone(), committer.clone(), Arc::clone(clock));
    Sessions::new(db, committer, clock, lifetime, Arc::clone(key_counts))
}

fn url_previews(
    config: &Config,
    outbound: &Outbound,
    db: &Database,
    committer: &Committer,
    clock: &Arc<dyn Clock>,
    media: &Media,
) -> UrlPreviews {
    let (db, committer, clock) = (db.clone(), committer.clone(), Arc::clone(clock));
    let policy = &config.url_previews;
    UrlPreviews::new(policy, outbound.clone(), db, committer, clock, media.clone())
}

fn threepids(
    config: &Config,
    db: &Database,
    committer: &Committer,
    clock: &Arc<dyn Clock>,
) -> Threepids {
    let (db, committer, clock) = (db.clone(), committer.clone(), Arc::clone(clock));
    Threepids::new(db, committer, clock, config.email.link_lifetime_seconds)
}

fn browsers(
    config: &Config,
    db: &Database,
    committer: &Committer,
    clock: &Arc<dyn Clock>,
) -> Browsers {
    let lifetime = Duration::from_secs(config.oauth.browser_session_lifetime_seconds);
    Browsers::new(db.clone(), committer.clone(), Arc::clone(clock), lifetime)
}

fn delegation(config: &Config, clock: &Arc<dyn Clock>) -> Result<Option<Delegation>, StartError> {
    let Some(settings) = &config.oauth.delegation else { return Ok(None) };
    let root = extra_root(config)?;
    Ok(Some(Delegation::new(settings, root.as_deref(), Arc::clone(clock))?))
}

/// The URL by which push services find out whose server this is.
fn subject(config: &Config) -> String {
    match &config.public_base_url {
        Some(url) if url.starts_with("https://") => url.clone(),
        _ => format!("https://{}", config.server_name),
    }
}

/// Opens the rooms. None is loaded yet.
async fn open_rooms(
    db: &Database,
    committer: &Committer,
    clock: &Arc<dyn Clock>,
    key: &ServerKey,
    appservices: &Appservices,
) -> Result<Rooms, StorageError> {
    Ok(Rooms::new(RoomDeps {
        db: db.clone(),
        committer: committer.clone(),
        clock: Arc::clone(clock),
        key: key.clone(),
        numbers: rooms::numbers(db).await?,
        interest: Arc::new(appservices.clone()),
        missing: Arc::new(NoOtherServers),
        limits: RoomLimits::default(),
    }))
}

fn registration_tokens(
    config: &Config,
    db: &Database,
    committer: &Committer,
    clock: &Arc<dyn Clock>,
) -> RegistrationTokens {
    let configured = config.registration.tokens.clone();
    RegistrationTokens::new(db.clone(), committer.clone(), Arc::clone(clock), configured)
}

fn uia(
    config: &Config,
    clock: &Arc<dyn Clock>,
    tokens: &RegistrationTokens,
    threepids: &Threepids,
) -> Uia {
    let lifetime = Duration::from_secs(config.accounts.uia_session_lifetime_seconds);
    Uia::new(Arc::clone(clock), lifetime, tokens.clone(), threepids.clone())
}

/// The rate limits, with those of single users.
async fn limits(config: &Config, db: &Database) -> Result<Limits, StartError> {
    let limits = Limits::new(&config.rate_limits);
    for (user, limit) in rate_overrides::all(db).await? {
        limits.set_override(user.as_str(), Some(limit));
    }
    Ok(limits)
}

/// Keeps everybody from rooms that are blocked or half deleted. It comes before everything that reads rooms in the background.
async fn guard(
    db: &Database,
    rooms: &Rooms,
    committer: &Committer,
    clock: &Arc<dyn Clock>,
) -> Result<BlockedRooms, StartError> {
    room_jobs::shut_rooms(db, rooms).await?;
    Ok(BlockedRooms::open(db, rooms, committer, clock).await?)
}

/// Starts what goes on beside requests: application services are told, rooms are put away, people stop typing and go away, metrics
/// are tidied.
fn keep_up(
    rooms: &Rooms,
    typing: &Arc<Typing>,
    presence: &Presence,
    outbox: &Outbox,
    committer: &Committer,
    background: &Background,
) -> Metrics {
    let (of_typing, of_presence) = (Arc::clone(typing), presence.clone());
    outbox.start(rooms.clone(), of_typing, of_presence, committer.clone(), background);
    background.spawn(rooms.clone().upkeep());
    let (typing, presence) = (Arc::clone(typing), presence.clone());
    background.spawn(async move { typing.run().await });
    background.spawn(async move { presence.run().await });
    let metrics = Metrics::new();
    background.spawn(metrics.clone().upkeep());
    metrics
}

fn delayed_events(
    db: &Database,
    committer: &Committer,
    clock: &Arc<dyn Clock>,
    feed: &Feed,
    config: &Config,
) -> DelayedEvents {
    let (committer, clock) = (committer.clone(), Arc::clone(clock));
    DelayedEvents::new(db.clone(), committer, clock, feed.clone(), config.delayed_events)
}

/// The sticky events of a database, following the feed.
async fn sticky_events(
    db: &Database,
    clock: &Arc<dyn Clock>,
    feed: &Feed,
) -> Result<Arc<StickyEvents>, StorageError> {
    let sticky = Arc::new(StickyEvents::load(db, Arc::clone(clock)).await?);
    feed.observe(&sticky);
    Ok(sticky)
}

/// Opens the database and builds the services on it.
async fn open(config: Config, clock: Arc<dyn Clock>) -> Result<App, StartError> {
    config.check()?;
    identity::prepare_folder(&config.data_dir)?;
    let key = identity::signing_key(&config)?;
    let db = open_database(&config).await?;
    let generation = identity::generation(&db).await?;

    let stream = server::stream(&db).await?;
    // A receipt that came after a room's newest event is news of that room, too.
    let heads = rooms::heads(&db).await?.into_iter().chain(receipts::heads(&db).await?);
    let feed = Feed::new(generation, stream.head, heads);
    let appservices = Appservices::open(&config)?;
    let outbox = Outbox::new(appservices.clone(), db.clone(), feed.clone(), Arc::clone(&clock));
    let committer =
        Committer::start(db.clone(), feed.clone(), vec![Arc::new(outbox.clone())]).await?;
    identity::claim(&db, &committer, config.server_name.as_str()).await?;

    let config = Arc::new(config);
    let media = Media::open(&config, db.clone(), committer.clone(), clock.clone())?;
    let root = extra_root(&config)?;
    let outbound = Outbound::new(&config.outbound, root.as_deref())?;
    let sso = Sso::new(&config, &Trusted::new(root.as_deref())?, &clock)?;
    let url_previews = url_previews(&config, &outbound, &db, &committer, &clock, &media);
    let key_counts = Arc::<KeyCounts>::default();
    let policy = config.accounts.clone();
    let background = Background::default();
    let rooms = open_rooms(&db, &committer, &clock, &key, &appservices).await?;
    let blocked_rooms = guard(&db, &rooms, &committer, &clock).await?;
    let sync = SyncService::following(&feed);
    let sticky = sticky_events(&db, &clock, &feed).await?;
    let notifications = Arc::new(Notifications::new(db.clone(), rooms.clone()));
    feed.observe(&notifications);
    let guests = Arc::<Guests>::default();
    feed.observe(&guests);
    let search_index = SearchIndex::start(&db, &rooms, &committer, &feed, &background);
    let typing = Arc::new(Typing::new(feed.clone(), Arc::clone(&clock)));
    feed.observe(&typing);
    let presence = Presence::new(feed.clone(), rooms.clone(), Arc::clone(&clock));
    let registration_tokens = registration_tokens(&config, &db, &committer, &clock);
    let metrics = keep_up(&rooms, &typing, &presence, &outbox, &committer, &background);
    let threepids = threepids(&config, &db, &committer, &clock);
    Ok(App {
        blocked_rooms,
        jobs: Jobs::new(db.clone(), committer.clone(), Arc::clone(&clock)),
        room_facts: RoomFacts::default(),
        rooms,
        sync,
        sticky,
        typing,
        presence,
        notifications,
        key_counts: Arc::clone(&key_counts),
        accounts: Accounts::new(db.clone(), committer.clone(), Arc::clone(&clock), &policy)?,
        sso,
        sessions: sessions(&db, &committer, &clock, &policy, &key_counts),
        browsers: browsers(&config, &db, &committer, &clock),
        delegation: delegation(&config, &clock)?,
        oauth: OAuth::new(db.clone(), committer.clone(), Arc::clone(&clock)),
        server_notices: ServerNotices::default(),
        guests,
        delayed: delayed_events(&db, &committer, &clock, &feed, &config),
        departures: Departures::default(),
        erasure: Erasure::load(&db, committer.clone(), Arc::clone(&clock)).await?,
        devices: Devices::new(db.clone(), committer.clone(), Arc::clone(&clock)),
        keys: Keys::new(db.clone(), committer.clone(), key_counts),
        key_backups: KeyBackups::new(db.clone(), committer.clone()),
        threads: Threads::new(db.clone(), committer.clone()),
        to_device: ToDevice::new(committer.clone(), Arc::clone(&clock)),
        profiles: Profiles::new(db.clone(), committer.clone(), Arc::clone(&clock)),
        account_data: AccountData::new(db.clone(), committer.clone()),
        filters: Filters::new(db.clone(), committer.clone()),
        push_rules: PushRules::new(db.clone(), committer.clone()),
        pushers: Pushers::new(db.clone(), committer.clone(), Arc::clone(&clock), feed.clone()),
        push: Push::default(),
        vapid: Vapid::open(&db, &committer, subject(&config)).await?,
        outbound,
        directory: Directory::new(db.clone(), committer.clone(), Arc::clone(&clock)),
        search_index,
        upgrades: Upgrades::default(),
        walks: Walks::default(),
        rendezvous: Rendezvous::new(Arc::clone(&clock)),
        uia: uia(&config, &clock, &registration_tokens, &threepids),
        registration_tokens,
        threepids,
        mailer: Mailer::new(&config)?,
        identity: Identity::new(&config, key.clone())?,
        nonces: Nonces::new(Arc::clone(&clock)),
        limits: limits(&config, &db).await?,
        metrics,
        requests: RequestCounter::default(),
        appservices,
        outbox,
        media,
        url_previews,
        config,
        clock,
        key,
        db,
        committer,
        feed,
        background,
    })
}
