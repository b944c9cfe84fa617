//! What handlers and background tasks share: every service, built once at start.

use std::sync::Arc;

use landbridge_database::Database;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    client::room_upgrades::Upgrades,
    clock::Clock,
    commit::Committer,
    config::Config,
    event::ServerKey,
    feed::Feed,
    http::{limit::Limits, observe::RequestCounter},
    metrics::Metrics,
    outbound::Outbound,
    outbox::{
        appservice::Outbox,
        push::{Push, webpush::Vapid},
    },
    room::Rooms,
    services::{
        account_data::{AccountData, Filters},
        accounts::Accounts,
        appservices::Appservices,
        blocked_rooms::BlockedRooms,
        browsers::Browsers,
        delayed::DelayedEvents,
        delegation::Delegation,
        departures::Departures,
        devices::Devices,
        directory::Directory,
        email::Mailer,
        erasure::Erasure,
        guests::Guests,
        identity::Identity,
        jobs::Jobs,
        key_backup::KeyBackups,
        key_counts::KeyCounts,
        keys::Keys,
        media::Media,
        nonces::Nonces,
        notifications::Notifications,
        oauth::OAuth,
        presence::Presence,
        profiles::Profiles,
        push_rules::PushRules,
        pushers::Pushers,
        registration_tokens::RegistrationTokens,
        rendezvous::Rendezvous,
        room_facts::RoomFacts,
        search::SearchIndex,
        server_notices::ServerNotices,
        sessions::Sessions,
        spaces::Walks,
        sso::Sso,
        sticky::StickyEvents,
        threads::Threads,
        threepids::Threepids,
        to_device::ToDevice,
        typing::Typing,
        uia::Uia,
        url_previews::UrlPreviews,
    },
    sync::SyncService,
};

/// The services of one homeserver. Handlers get it as `State<Arc<App>>`.
pub struct App {
    /// What the administrator decided.
    pub config: Arc<Config>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The key that events are signed with.
    pub key: ServerKey,
    /// The database, to read from.
    pub db: Database,
    /// The only way to write to it.
    pub committer: Committer,
    /// What has changed.
    pub feed: Feed,
    /// Bridges and other application services.
    pub appservices: Appservices,
    /// The rooms.
    pub rooms: Rooms,
    /// Rooms that nobody may come into.
    pub blocked_rooms: BlockedRooms,
    /// Work for administrators that takes long.
    pub jobs: Jobs,
    /// The tokens that let people register.
    pub registration_tokens: RegistrationTokens,
    /// What lists of all rooms say of each.
    pub room_facts: RoomFacts,
    /// What `/sync` keeps between requests.
    pub sync: SyncService,
    /// Which events are sticky.
    pub sticky: Arc<StickyEvents>,
    /// Who is typing.
    pub typing: Arc<Typing>,
    /// Who is there.
    pub presence: Presence,
    /// What users have not read.
    pub notifications: Arc<Notifications>,
    /// How many keys each device has left.
    pub key_counts: Arc<KeyCounts>,
    /// What application services are told.
    pub outbox: Outbox,
    /// What push gateways are told.
    pub push: Push,
    /// The server's key for web push.
    pub vapid: Vapid,
    /// The way to addresses that others name.
    pub outbound: Outbound,
    /// Uploaded files.
    pub media: Media,
    /// Previews of links.
    pub url_previews: UrlPreviews,
    /// Who exists.
    pub accounts: Accounts,
    /// Who they are at identity providers.
    pub sso: Sso,
    /// Their e-mail addresses.
    pub threepids: Threepids,
    /// The way out for e-mail.
    pub mailer: Mailer,
    /// Who publishes whose an address is.
    pub identity: Identity,
    /// Who is logged in.
    pub sessions: Sessions,
    /// Who is signed in in a browser.
    pub browsers: Browsers,
    /// Who signs people in in our stead, if anybody does.
    pub delegation: Option<Delegation>,
    /// What clients are let in.
    pub oauth: OAuth,
    /// What the server says to them.
    pub server_notices: ServerNotices,
    /// Which guests still have to leave rooms.
    pub guests: Arc<Guests>,
    /// What is to be sent later.
    pub delayed: DelayedEvents,
    /// Whose messages are erased for those who come later.
    pub erasure: Erasure,
    /// Who still has to leave their rooms.
    pub departures: Departures,
    /// With which devices.
    pub devices: Devices,
    /// Their keys for end-to-end encryption.
    pub keys: Keys,
    /// Backups of the keys to their messages.
    pub key_backups: KeyBackups,
    /// What users say of threads.
    pub threads: Threads,
    /// Messages to devices.
    pub to_device: ToDevice,
    /// Names, avatars and what else people say about themselves.
    pub profiles: Profiles,
    /// What clients keep here for their users.
    pub account_data: AccountData,
    /// Filters that clients uploaded.
    pub filters: Filters,
    /// When users want to be notified.
    pub push_rules: PushRules,
    /// Where clients want to be notified.
    pub pushers: Pushers,
    /// Aliases, and the public directory of rooms.
    pub directory: Directory,
    /// The words of events.
    pub search_index: SearchIndex,
    /// Upgrades of rooms that are not finished.
    pub upgrades: Upgrades,
    /// Walks through spaces.
    pub walks: Walks,
    /// Authentication in several steps.
    pub uia: Uia,
    /// Where devices meet that sign each other in.
    pub rendezvous: Rendezvous,
    /// Nonces for registration by shared secret.
    pub nonces: Nonces,
    /// How many requests are served to whom.
    pub limits: Limits,
    /// What is counted.
    pub metrics: Metrics,
    /// Requests so far, for their ids.
    pub requests: RequestCounter,
    /// Background work.
    pub background: Background,
}

/// Background work that ends with the server.
#[derive(Clone, Default)]
pub struct Background {
    /// Cancelled when the server stops.
    pub stop: CancellationToken,
    tasks: TaskTracker,
}

impl Background {
    /// Runs a task until it ends or the server stops. It may be dropped at any await.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            stop.run_until_cancelled(task).await;
        });
    }

    /// Runs a task that watches `stop` itself, because it has something to finish.
    pub fn spawn_draining(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Ends all tasks and waits for them.
    pub async fn end(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}
