//! Follows the feed and notes who is notified of what, for `/notifications` and for pushers
//! ([Receiving notifications](https://spec.matrix.org/v1.19/client-server-api/#receiving-notifications)).
//!
//! What it notes is written after the event's own commit, in commits of its own, together with how far it has come: after a crash it goes
//! on there, and an event that is looked at twice is noted once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use ruma::{OwnedUserId, UserId};

use super::audience::Audience;
use super::{Notifications, context, is_news};
use crate::app::App;
use crate::commit::CommitError;
use crate::event::Event;
use crate::feed::{Change, Next, Published};
use crate::http::error::{ApiError, ApiResult};
use crate::nid::{ORD_SHIFT, Pos, RoomNid};
use crate::room::{Membership, RoomError, RoomSnapshot};
use crate::services::invitations::Wanted;
use crate::services::notifications::{Subject, judge};
use crate::services::push_rules::PUSH_RULES;
use crate::storage::notifications::{self, NewNotification, Notification};
use crate::storage::{rooms, server, timeline_read};
use crate::sync::lens::Lens;

/// How many notifications are kept for one user, and for how long.
const KEEP: usize = 1_000;
const KEEP_MS: i64 = 90 * 24 * 60 * 60 * 1000;
/// A user's notifications may be so many more before they are cut back.
const PRUNE_EVERY: u32 = 100;
/// Groups of changes that are looked at together.
const GROUPS: usize = 64;
/// Events of a room that are read together after a break.
const PAGE: usize = 500;
/// How far the noted position may lag behind when there is nothing else to write. So much is looked at again after a crash.
const SLACK: Pos = 1_000;
/// People who are judged before others get the processor.
const AT_ONCE: usize = 64;
const RETRY: Duration = Duration::from_secs(2);
/// Users whose rows are counted; beyond it counting starts over.
const MAX_COUNTED: usize = 50_000;
/// The fact that says how far the follower has come.
const NOTED: &str = "notifications_pos";

struct Follower {
    app: Arc<App>,
    audience: Audience,
    /// Everything up to here was looked at.
    done: Pos,
    /// What of it is durable; the rest brought nothing.
    stored: Pos,
    /// Rows written for each user since they were last cut back.
    written: HashMap<OwnedUserId, u32>,
    /// Whose unread events changed with what is being looked at: in a room, or everywhere.
    stirred: Vec<(OwnedUserId, Option<RoomNid>)>,
}

/// Follows until the server stops.
pub async fn run(app: Arc<App>) {
    // Before the tables are read: what is published meanwhile comes twice rather than never.
    let mut reader = app.feed.reader();
    let mut follower = Follower::open(app).await;
    follower.catch_up().await;
    loop {
        let mut groups = Vec::new();
        let mut next = Some(reader.next().await);
        let mut lagged = false;
        while let Some(news) = next {
            match news {
                Next::Group(group) => groups.push(group),
                Next::Lagged => lagged = true,
                Next::Closed => return,
            }
            next =
                if lagged || groups.len() >= GROUPS { None } else { reader.next().now_or_never() };
        }
        follower.take(groups.iter().flat_map(|group| group.iter())).await;
        if lagged {
            follower.catch_up().await;
        }
    }
}

/// Notes where noting begins, at the first start on a database: what happened before notifies nobody. To be called before anything is
/// served, so that nothing is passed over if the server stops before the follower has come to its first event.
pub async fn begin(app: &App) -> Result<(), CommitError> {
    if server::get(&app.db, NOTED).await.map_err(Arc::new)?.is_some() {
        return Ok(());
    }
    let head = app.feed.head().to_string();
    app.committer
        .run(move |tx| {
            let head = head.clone();
            async move { server::set(tx, NOTED, &head).await }.boxed()
        })
        .await
}

impl Follower {
    async fn open(app: Arc<App>) -> Self {
        let stored = loop {
            match server::get(&app.db, NOTED).await {
                // It is there from the first start on.
                Ok(stored) => {
                    break stored
                        .and_then(|pos| pos.parse().ok())
                        .unwrap_or_else(|| app.feed.head());
                }
                Err(error) => pause(&error).await,
            }
        };
        let audience = Audience::new(app.appservices.clone(), app.rooms.server().clone());
        // A position of the future comes from a database that was set back: its rows went with it.
        let stored = stored.min(app.feed.head());
        Self { app, audience, done: stored, stored, written: HashMap::new(), stirred: Vec::new() }
    }

    /// Looks at what the tables hold that was not looked at yet.
    async fn catch_up(&mut self) {
        let upto = self.app.feed.head();
        while let Err(error) = self.read_tables(upto).await {
            pause(&error).await;
        }
        self.reached(upto);
        self.stirred.clear();
        while let Err(error) = self.app.push.resume(&self.app).await {
            pause(&error).await;
        }
    }

    async fn read_tables(&mut self, upto: Pos) -> ApiResult<()> {
        for room in rooms::moved_since(&self.app.db, self.done).await? {
            self.read_room(room, upto).await?;
        }
        self.write(Vec::new(), Some(upto)).await
    }

    async fn read_room(&mut self, room: RoomNid, upto: Pos) -> ApiResult<()> {
        let (mut from, ceiling) = ((self.done + 1) << ORD_SHIFT, (upto + 1) << ORD_SHIFT);
        loop {
            let page = timeline_read::forwards(&self.app.db, room, from, ceiling, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            from = last.ord + 1;
            let nids: Vec<_> = page.iter().map(|placed| placed.nid).collect();
            let mut found = Vec::new();
            for event in self.app.rooms.events(&nids).await? {
                found.extend(self.judge(&event).await?);
            }
            self.write(found, None).await?;
        }
    }

    /// Looks at what the feed brought.
    async fn take(&mut self, changes: impl Iterator<Item = &Published>) {
        let mut upto = self.done;
        let mut events = Vec::new();
        for published in changes.filter(|published| published.pos > self.done) {
            upto = upto.max(published.pos);
            match &published.change {
                Change::Event(event, _) => {
                    // Whoever writes has read, and whoever leaves has nothing to read any more.
                    let moved = event.pdu.membership().and(event.pdu.state_key());
                    let moved = moved.and_then(|user| UserId::parse(user).ok());
                    let users = moved.into_iter().chain([event.pdu.sender.clone()]);
                    self.stirred.extend(users.map(|user| (user, Some(event.room))));
                    events.push(event);
                }
                Change::Receipt { room, user, .. } => {
                    self.stirred.push((user.clone(), Some(*room)));
                }
                Change::AccountData { user, room: None, kind } if decides(kind) => {
                    self.stirred.push((user.clone(), None));
                }
                _ => {}
            }
        }
        while let Err(error) = self.note(&events, upto).await {
            pause(&error).await;
        }
        // Chosen before anybody hears that it is noted: a pusher that is set afterwards has nothing to do with it.
        let stirred = self.concerned();
        self.reached(upto);
        self.wake_pushers(stirred).await;
    }

    /// Whose unread events have changed, of those who may have a pusher.
    fn concerned(&mut self) -> Vec<(OwnedUserId, Option<RoomNid>)> {
        let push = &self.app.push;
        self.stirred.drain(..).filter(|(user, _)| push.concerns(user)).collect()
    }

    /// Lets pushers look at what has changed. Not before it is noted: they would count what they are not told of yet.
    async fn wake_pushers(&self, stirred: Vec<(OwnedUserId, Option<RoomNid>)>) {
        let mut users = BTreeSet::new();
        for (user, room) in stirred {
            self.app.push.stir(&user, room);
            users.insert(user);
        }
        for user in users {
            while let Err(error) = self.app.push.wake(&self.app, &user).await {
                pause(&error).await;
            }
        }
    }

    async fn note(&mut self, events: &[&Arc<Event>], upto: Pos) -> ApiResult<()> {
        let mut found = Vec::new();
        for event in events {
            found.extend(self.judge(event).await?);
        }
        self.write(found, Some(upto)).await
    }

    fn reached(&mut self, upto: Pos) {
        self.done = upto.max(self.done);
        self.app.notifications.noted.send_replace(self.done);
    }

    /// Writes what was found, and how far the follower has come if `upto` says so.
    async fn write(&mut self, found: Vec<NewNotification>, upto: Option<Pos>) -> ApiResult<()> {
        let upto = upto.filter(|upto| !found.is_empty() || upto - self.stored >= SLACK);
        if found.is_empty() && upto.is_none() {
            return Ok(());
        }
        let due = self.due(&found);
        let notified = found.iter().flat_map(|new| {
            let room = new.notification.room;
            new.users.iter().filter_map(move |user| Some((UserId::parse(user).ok()?, Some(room))))
        });
        let notified: Vec<_> = notified.collect();
        let since = self.app.clock.now_ms() - KEEP_MS;
        let (rows, pruned) = (Arc::new(found), Arc::new(due));
        let users = Arc::clone(&pruned);
        self.app
            .committer
            .run(move |tx| {
                let (rows, users) = (Arc::clone(&rows), Arc::clone(&users));
                async move {
                    for row in rows.iter() {
                        notifications::insert(tx, row).await?;
                    }
                    for user in users.iter() {
                        notifications::prune(tx, user, KEEP, since).await?;
                    }
                    if let Some(upto) = upto {
                        server::set(tx, NOTED, &upto.to_string()).await?;
                    }
                    Ok(())
                }
                .boxed()
            })
            .await?;
        for user in pruned.iter() {
            self.written.insert(user.clone(), 0);
        }
        self.stirred.extend(notified);
        self.stored = upto.unwrap_or(self.stored);
        Ok(())
    }

    /// Counts the new rows; gives the users who have enough of them to be cut back.
    fn due(&mut self, found: &[NewNotification]) -> Vec<OwnedUserId> {
        if self.written.len() > MAX_COUNTED {
            self.written.clear();
        }
        let mut due = Vec::new();
        for user in found.iter().flat_map(|new| &new.users) {
            let Ok(user) = UserId::parse(user) else { continue };
            // How many there are from before the start is not known: the first row cuts back, too.
            let written = self.written.entry(user.clone()).or_insert(PRUNE_EVERY - 1);
            *written += 1;
            if *written == PRUNE_EVERY {
                due.push(user);
            }
        }
        due
    }

    /// Who is notified of an event, by the actions that are to be taken.
    async fn judge(&mut self, event: &Arc<Event>) -> ApiResult<Vec<NewNotification>> {
        let Some(place) = event.place() else { return Ok(Vec::new()) };
        if place.pos <= self.done
            || !is_news(event)
            || !event.flags.is_shown()
            || event.redacted_because.is_some()
        {
            return Ok(Vec::new());
        }
        let room = match self.app.rooms.handle(event.room).await {
            Err(RoomError::NotFound) => return Ok(Vec::new()),
            room => room?,
        };
        let snapshot = room.snapshot();
        let mut people = self.audience.of(&snapshot);
        let invited = invited(event).filter(|user| self.audience.is_person(user));
        if event.pdu.redacts.is_some() {
            // What it redacts notifies nobody any more.
            self.stirred.extend(people.iter().map(|user| (user.clone(), Some(event.room))));
        }
        people.extend(invited.clone());
        people.remove(&event.pdu.sender);
        if people.is_empty() {
            return Ok(Vec::new());
        }
        // Whether somebody may have come since, to whom the event was not sent.
        let moved_on = event.state_after.is_some() && event.state_after != snapshot.state_group();
        let subject = Subject::of(&self.app.rooms, event, &snapshot).await?;
        let mut found: BTreeMap<String, (bool, Vec<String>)> = BTreeMap::new();
        for (n, user) in people.iter().enumerate() {
            if n % AT_ONCE == AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
            if moved_on
                && invited.as_ref() != Some(user)
                && Lens::new(&self.app.rooms, user, &snapshot.state)
                    .membership_below(place.ord)
                    .await?
                    != Membership::Join
            {
                continue;
            }
            if let Some((actions, highlight)) =
                verdict(&self.app, user, event, &subject, &snapshot).await?
            {
                found.entry(actions).or_insert((highlight, Vec::new())).1.push(user.to_string());
            }
        }
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let thread = self.app.notifications.thread(event).await?.map(|root| root.to_string());
        let notification = |actions: String, highlight: bool| Notification {
            pos: place.pos,
            room: event.room,
            event: event.nid,
            ord: place.ord,
            thread: thread.clone(),
            highlight,
            actions,
            ts: self.app.clock.now_ms(),
        };
        let new = found.into_iter().map(|(actions, (highlight, users))| NewNotification {
            users,
            notification: notification(actions, highlight),
        });
        Ok(new.collect())
    }
}

/// The actions by which a user is notified of an event, as JSON, and whether it is highlighted.
async fn verdict(
    app: &App,
    user: &UserId,
    event: &Event,
    subject: &Subject,
    snapshot: &RoomSnapshot,
) -> ApiResult<Option<(String, bool)>> {
    if app.sync.ignored(&app.db, user).await?.contains(event.pdu.sender.as_str()) {
        return Ok(None);
    }
    if invited(event).as_deref() == Some(user)
        && app.sync.invite_rules(&app.db, user).await?.by(&event.pdu.sender) != Wanted::Yes
    {
        return Ok(None);
    }
    let rules = app.push_rules.of(user).await?;
    let context = context::of(&app.rooms, snapshot, user, &rules).await?;
    let verdict = judge(&rules, subject, &context);
    if !verdict.notify {
        return Ok(None);
    }
    let actions = serde_json::to_string(verdict.actions).map_err(ApiError::internal)?;
    Ok(Some((actions, verdict.highlight)))
}

/// Whether a type of account data has a say in what notifies.
fn decides(kind: &str) -> bool {
    matches!(kind, PUSH_RULES | "m.ignored_user_list")
}

/// Whom an event invites.
fn invited(event: &Event) -> Option<OwnedUserId> {
    let invite = event.pdu.membership() == Some(Membership::Invite);
    event.pdu.state_key().filter(|_| invite).and_then(|user| UserId::parse(user).ok())
}

async fn pause(error: &(impl std::fmt::Display + Sync)) {
    tracing::warn!(%error, "notifications could not be noted, trying again");
    tokio::time::sleep(RETRY).await;
}

impl Notifications {
    /// The position up to which everything that notifies is noted.
    pub fn noted(&self) -> Pos {
        *self.noted.borrow()
    }

    /// Waits until everything up to a position is noted, but no longer than `patience`.
    pub async fn noted_up_to(&self, pos: Pos, patience: Duration) {
        let mut noted = self.noted.subscribe();
        // Out of patience: what is noted by now has to do.
        let _ = tokio::time::timeout(patience, noted.wait_for(|noted| *noted >= pos)).await;
    }
}
