//! Subscriptions to threads ([MSC4306](https://github.com/matrix-org/matrix-spec-proposals/pull/4306)).

use landbridge_database::Database;
use ruma::{OwnedEventId, OwnedUserId, UserId};

use crate::commit::{CommitError, Committer};
use crate::feed::Change;
use crate::nid::{Pos, RoomNid};
use crate::storage::StorageError;
use crate::storage::threads::{self as table, Listed, Subscription};
use crate::sync::json::Writer;

/// Threads of which one user may have said something.
const MAX_THREADS: i64 = 100_000;

/// The form of the tokens for going back.
const MARK: &str = "ts1_";

/// A thread, as one user sees it.
#[derive(Debug, Clone)]
pub struct Thread {
    /// The user.
    pub user: OwnedUserId,
    /// The room.
    pub room: RoomNid,
    /// The event that the thread began with.
    pub root: OwnedEventId,
}

/// What a subscription came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It holds, now or already.
    Done,
    /// The user has left the thread since the event that made his client subscribe.
    Conflict,
    /// He has said something of too many threads.
    TooMany,
}

/// The subscriptions of this server's users.
#[derive(Clone)]
pub struct Threads {
    db: Database,
    committer: Committer,
}

impl Threads {
    /// The subscriptions in a database.
    pub const fn new(db: Database, committer: Committer) -> Self {
        Self { db, committer }
    }

    /// A user's subscription to a thread, if he has one.
    pub async fn get(&self, thread: &Thread) -> Result<Option<Subscription>, StorageError> {
        let root = thread.root.as_str();
        let said = table::get(&self.db, thread.user.as_str(), thread.room, root).await?;
        Ok(said.filter(|said| said.subscribed))
    }

    /// Subscribes a user. `cause` is the position of the event because of which his client does so by itself.
    pub async fn subscribe(
        &self,
        thread: &Thread,
        cause: Option<Pos>,
    ) -> Result<Outcome, CommitError> {
        let automatic = cause.is_some();
        self.note(thread, true, automatic, move |said| {
            // A choice of the user's own is not made his client's.
            if said.subscribed && (automatic || !said.automatic) {
                return Some(Outcome::Done);
            }
            let left = !said.subscribed && cause.is_some_and(|cause| cause <= said.pos);
            left.then_some(Outcome::Conflict)
        })
        .await
    }

    /// Ends a user's subscription. One that never was is noted too: no client shall make it by itself for what was before.
    pub async fn unsubscribe(&self, thread: &Thread) -> Result<Outcome, CommitError> {
        self.note(thread, false, false, |said| (!said.subscribed).then_some(Outcome::Done)).await
    }

    /// Notes what a user says of a thread, unless what he said before settles it.
    async fn note(
        &self,
        thread: &Thread,
        subscribed: bool,
        automatic: bool,
        settled: impl Fn(Subscription) -> Option<Outcome> + Copy + Send + Sync + 'static,
    ) -> Result<Outcome, CommitError> {
        let thread = thread.clone();
        self.committer
            .run(move |tx| {
                let thread = thread.clone();
                Box::pin(async move {
                    let (user, root) = (thread.user.as_str(), thread.root.as_str());
                    let before = table::get_in(tx, user, thread.room, root).await?;
                    if let Some(outcome) = before.and_then(settled) {
                        return Ok(outcome);
                    }
                    if before.is_none() && table::count(tx, user).await? >= MAX_THREADS {
                        return Ok(Outcome::TooMany);
                    }
                    let pos = tx.next_pos();
                    let said = Subscription { subscribed, automatic, pos };
                    table::set(tx, user, thread.room, root, said).await?;
                    tx.publish(pos, Change::ThreadSubscription { user: thread.user.clone() });
                    Ok(Outcome::Done)
                })
            })
            .await
    }

    /// What a user said last within a span of positions, the newest first.
    pub async fn newest(
        &self,
        user: &UserId,
        after: Pos,
        upto: Pos,
        limit: i64,
    ) -> Result<Vec<Listed>, StorageError> {
        table::newest(&self.db, user.as_str(), after, upto, limit).await
    }
}

/// A token that goes on below a position.
pub fn token(pos: Pos) -> String {
    format!("{MARK}{pos}")
}

/// The position of a token; `None` if it is none.
pub fn position(token: &str) -> Option<Pos> {
    token.strip_prefix(MARK)?.parse().ok().filter(|pos| *pos >= 0)
}

/// Appends subscriptions by room and root, and the ended ones apart
/// ([MSC4308](https://github.com/matrix-org/matrix-spec-proposals/pull/4308)).
pub fn write(out: &mut Writer, listed: &[Listed]) {
    for (key, subscribed) in [("subscribed", true), ("unsubscribed", false)] {
        let mut chosen: Vec<&Listed> =
            listed.iter().filter(|listed| listed.subscription.subscribed == subscribed).collect();
        if chosen.is_empty() {
            continue;
        }
        chosen.sort_by_key(|listed| &listed.room);
        out.open_at(key);
        for room in chosen.chunk_by(|a, b| a.room == b.room) {
            out.open_at(&room[0].room);
            for Listed { root, subscription, .. } in room {
                out.open_at(root);
                if subscribed {
                    out.key("automatic");
                    out.bool(subscription.automatic);
                }
                out.key("bump_stamp");
                out.int(subscription.pos);
                out.close();
            }
            out.close();
        }
        out.close();
    }
}

impl std::fmt::Debug for Threads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Threads").finish_non_exhaustive()
    }
}
