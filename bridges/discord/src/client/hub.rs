//! What the bot and the people who are linked share: the connection, what is known of Discord, who is bridged.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use landbridge_framework::{clock::Clock, event::UserInfo};
use quick_cache::sync::Cache as Lru;
use serde::Deserialize;
use tokio::sync::{Semaphore, broadcast, watch};

use super::{ApiError, Call, Rest, Wait, cache::Cache, votes::Votes, webhooks::Webhooks};
use crate::{
    config::Checked,
    decode::profile,
    ids::{Id, Person},
    raw::{Scene, Thread},
    wire::{ChannelKind, GuildMember, User},
};

/// How many rooms may be made while a connection looks elsewhere; after more it looks at all of them.
const OPENED: usize = 256;
/// How many people are remembered by their looks.
const PEOPLE: usize = 20_000;
/// How many addresses of files are remembered.
const ADDRESSES: usize = 20_000;
/// How long a code of `/matrix link` is good.
const CODE: Duration = Duration::from_mins(10);
/// How many such codes there may be.
const CODES: usize = 1_000;

/// Who the bot is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Me {
    /// Its user.
    pub user: Id,
    /// Its application.
    pub application: Id,
}

/// A code that proves who somebody is on Discord.
struct Code {
    user: Id,
    name: String,
    until_ms: i64,
}

/// Everything that is shared.
pub struct Hub {
    /// The configuration.
    pub checked: Checked,
    /// The REST API.
    pub rest: Rest,
    /// What fetches files: without the bot's token.
    pub files: reqwest::Client,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// The webhooks by which Matrix users speak.
    pub webhooks: Webhooks,
    /// Files that are sent at the same time.
    pub uploads: Semaphore,
    /// Stickers that are drawn at the same time.
    pub drawing: Semaphore,
    /// What people chose in polls.
    pub votes: Votes,
    cache: RwLock<Cache>,
    bridged: RwLock<BTreeSet<Id>>,
    people: Lru<Person, UserInfo>,
    powers: Lru<(Id, Id), i64>,
    addresses: Lru<Id, String>,
    codes: Mutex<BTreeMap<String, Code>>,
    linked: RwLock<BTreeMap<Id, String>>,
    invited: Mutex<BTreeMap<Id, String>>,
    /// Channels whose rooms are made.
    opened: broadcast::Sender<Id>,
    me: watch::Sender<Option<Me>>,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("rest", &self.rest).finish_non_exhaustive()
    }
}

impl Hub {
    /// For a configuration. Must be called within the runtime.
    pub fn new(checked: Checked, clock: Arc<dyn Clock>) -> Result<Self, String> {
        let rest = Rest::new(&checked)?;
        let files = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(Duration::from_mins(1))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self {
            uploads: Semaphore::new(checked.config.files.concurrent_uploads.max(1)),
            checked,
            rest,
            files,
            clock,
            webhooks: Webhooks::default(),
            drawing: Semaphore::new(1),
            votes: Votes::default(),
            cache: RwLock::default(),
            bridged: RwLock::default(),
            people: Lru::new(PEOPLE),
            powers: Lru::new(PEOPLE),
            addresses: Lru::new(ADDRESSES),
            codes: Mutex::default(),
            linked: RwLock::default(),
            invited: Mutex::default(),
            opened: broadcast::Sender::new(OPENED),
            me: watch::Sender::new(None),
        })
    }

    /// What is known of servers and channels.
    pub fn cache(&self) -> RwLockReadGuard<'_, Cache> {
        self.cache.read().unwrap_or_else(PoisonError::into_inner)
    }
    /// The same, to be changed.
    pub fn cache_mut(&self) -> RwLockWriteGuard<'_, Cache> {
        self.cache.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who the bot is; waits until the bot is connected, but not for ever.
    pub async fn me(&self) -> Result<Me, ApiError> {
        let mut me = self.me.subscribe();
        let known = me.wait_for(Option::is_some);
        match tokio::time::timeout(Duration::from_secs(20), known).await {
            Ok(Ok(me)) => Ok(me.unwrap_or_default()),
            _ => Err(ApiError::Unreachable("the bot is not connected yet".into())),
        }
    }
    /// Who the bot is, if that is known.
    pub fn me_now(&self) -> Option<Me> {
        *self.me.borrow()
    }
    /// Asks Discord who the bot is. It also says whether the token is good.
    pub async fn introduce(&self) -> Result<Me, ApiError> {
        #[derive(Deserialize)]
        struct Application {
            id: Id,
        }
        let user: User = self.rest.ask(Call::get("users/@me"), Wait::Yes).await?;
        let application: Application =
            self.rest.ask(Call::get("applications/@me"), Wait::Yes).await?;
        let me = Me { user: user.id, application: application.id };
        self.me.send_replace(Some(me));
        Ok(me)
    }

    /// The rooms that are bridged, when the bot connects.
    pub fn set_bridged(&self, channels: BTreeSet<Id>) {
        *self.bridged.write().unwrap_or_else(PoisonError::into_inner) = channels;
    }
    /// A room is bridged from now on, or no longer.
    pub fn bridge(&self, channel: Id, bridged: bool) {
        let mut all = self.bridged.write().unwrap_or_else(PoisonError::into_inner);
        if bridged {
            all.insert(channel);
        } else {
            all.remove(&channel);
        }
    }
    /// A room was made for a channel: what was pinned there before is to be asked for.
    pub fn room_opened(&self, channel: Id) {
        self.bridge(channel, true);
        // Nobody listens: whoever connects looks at all rooms.
        let _ = self.opened.send(channel);
    }
    /// The channels whose rooms are made from now on.
    pub(super) fn rooms_opened(&self) -> broadcast::Receiver<Id> {
        self.opened.subscribe()
    }
    /// Whether a channel has a room.
    pub fn is_bridged(&self, channel: Id) -> bool {
        self.bridged.read().unwrap_or_else(PoisonError::into_inner).contains(&channel)
    }
    /// The channels with rooms.
    pub fn bridged(&self) -> Vec<Id> {
        self.bridged.read().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    /// Where something happens, and whether anybody wants it. `None`: it is not bridged.
    pub fn scene(&self, guild: Option<Id>, channel: Id) -> Option<Scene> {
        let cache = self.cache();
        let known = cache.channel(channel);
        let guild = guild.or(known.map(|(guild, _)| guild));
        let whole = guild.is_some_and(|guild| self.checked.is_whole(guild));
        let mut scene = Scene {
            guild,
            channel,
            forum: known.is_some_and(|(_, channel)| channel.kind.is_forum()),
            open: whole,
            bot: self.me_now().unwrap_or_default().user,
            ..Scene::default()
        };
        if let Some((_, thread)) = known.filter(|(_, c)| c.kind.is_thread())
            && let Some(parent) = thread.parent_id
        {
            scene.channel = parent;
            let private = thread.kind == ChannelKind::PrivateThread;
            scene.thread = Some(Thread {
                id: channel,
                name: thread.title().into(),
                post: cache.channel(parent).is_some_and(|(_, c)| c.kind.is_forum()),
                tags: Vec::new(),
                private,
            });
            // What is said among a few is bridged only where somebody has asked for that very thread.
            scene.open = (whole || self.is_bridged(parent)) && !private;
        }
        let closed = [scene.channel, channel].iter().any(|id| self.checked.is_closed(*id));
        // A category is the space of its channels: nobody bridges it by itself.
        let category = known.is_some_and(|(_, c)| c.kind == ChannelKind::Category);
        let wanted = scene.open || category || self.is_bridged(channel);
        (wanted && !closed).then_some(scene)
    }

    /// Whether what is about a chat rather than its messages is wanted: of threads only where they have a room of their own.
    pub fn has_room(&self, scene: &Scene) -> bool {
        scene.thread.as_ref().is_none_or(|thread| self.is_bridged(thread.id))
    }

    /// Whether the pins of a place are shown somewhere: those of a thread in its channel's room, too.
    pub fn shows_pins(&self, scene: &Scene) -> bool {
        scene.thread.as_ref().is_none_or(|thread| {
            self.is_bridged(thread.id) || !thread.private && self.is_bridged(scene.channel)
        })
    }

    /// Whether a channel's room is for everybody: its server is bridged whole, and everybody there sees it.
    pub fn is_open(&self, guild: Id, channel: Id) -> bool {
        self.checked.is_whole(guild) && self.cache().is_open(guild, channel)
    }

    /// Somebody was seen, as they look in a server.
    pub fn note_person(&self, guild: Option<Id>, user: &User, member: Option<&GuildMember>) {
        if user.id == Id(0) || user.username.is_empty() {
            return;
        }
        let info = profile(user, guild.zip(member));
        self.people.insert(Person::User(user.id), info);
    }
    /// A webhook's name was seen.
    pub fn note_webhook(&self, person: Person, info: UserInfo) {
        self.people.insert(person, info);
    }
    /// What somebody looks like, if they were seen lately.
    pub fn person(&self, person: &Person) -> Option<UserInfo> {
        self.people.get(person)
    }

    /// Whether somebody's power in a room is news; nobody has any until something else was told.
    pub fn is_new_power(&self, room: Id, user: Id, level: i64) -> bool {
        let told = self.powers.get(&(room, user)).unwrap_or_default();
        self.powers.insert((room, user), level);
        told != level
    }

    /// Where an attachment can be fetched, as was told last.
    pub fn note_address(&self, attachment: Id, url: String) {
        self.addresses.insert(attachment, url);
    }
    /// The address told last.
    pub fn address(&self, attachment: Id) -> Option<String> {
        self.addresses.get(&attachment)
    }

    /// A code for somebody on Discord, with which they prove on Matrix who they are.
    pub fn new_code(&self, user: Id, name: &str) -> Option<String> {
        let now = self.clock.now_ms();
        let mut codes = lock(&self.codes);
        codes.retain(|_, code| code.until_ms > now && code.user != user);
        if codes.len() >= CODES {
            return None;
        }
        let code = format!("{:08x}-{:08x}", rand::random::<u32>(), rand::random::<u32>());
        let until_ms = now + CODE.as_millis() as i64;
        codes.insert(code.clone(), Code { user, name: name.to_owned(), until_ms });
        Some(code)
    }
    /// Whose code it is; it is good once.
    pub fn take_code(&self, code: &str) -> Option<(Id, String)> {
        let found = lock(&self.codes).remove(code.trim())?;
        (found.until_ms > self.clock.now_ms()).then_some((found.user, found.name))
    }

    /// A person's login is there, or gone.
    pub fn link(&self, user: Id, owner: Option<String>) {
        let mut linked = self.linked.write().unwrap_or_else(PoisonError::into_inner);
        match owner {
            Some(owner) => drop(linked.insert(user, owner)),
            None => drop(linked.remove(&user)),
        }
    }
    /// Who asked for a channel's room, and is to be invited to it.
    pub fn invite(&self, channel: Id, owner: String) {
        lock(&self.invited).insert(channel, owner);
    }
    /// The same, when the room is made.
    pub fn invited(&self, channel: Id) -> Option<String> {
        lock(&self.invited).get(&channel).cloned()
    }
    /// Whom somebody on Discord is linked to.
    pub fn linked_to(&self, user: Id) -> Option<String> {
        self.linked.read().unwrap_or_else(PoisonError::into_inner).get(&user).cloned()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
