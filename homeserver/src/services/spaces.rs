//! Walks through spaces that go on with the next page (Client-Server API, "Discovering rooms within spaces").
//!
//! A walk is kept between pages as it stands, so that rooms which come and go meanwhile make no page skip or repeat. After a
//! restart, or when it was not gone on with for a while, the client begins anew.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use rand::RngExt as _;
use ruma::{OwnedRoomId, OwnedUserId, RoomId};

/// For how long a walk can be gone on with.
const KEPT: Duration = Duration::from_mins(10);
/// Rooms that all kept walks may hold together.
const MAX_HELD: u64 = 2_000_000;
/// Rooms that one walk may still have before it.
const MAX_OPEN: usize = 20_000;
const TOKEN_CHARS: usize = 20;

/// A walk through the rooms below one space, in the order of the tree.
#[derive(Debug, Clone)]
pub struct Walk {
    /// Whose it is: what is shown depends on the user.
    pub user: OwnedUserId,
    /// Where it began.
    pub root: OwnedRoomId,
    /// Whether it takes only suggested rooms.
    pub suggested_only: bool,
    /// How far down it goes; 0 is the root alone.
    pub max_depth: u32,
    /// What is before it, the next room last.
    open: Vec<(OwnedRoomId, u32)>,
    /// What it has met: a loop ends here, and no room is told twice.
    seen: HashSet<OwnedRoomId>,
}

impl Walk {
    /// A walk that stands before its root.
    pub fn new(user: OwnedUserId, root: OwnedRoomId, suggested_only: bool, max_depth: u32) -> Self {
        let open = vec![(root.clone(), 0)];
        Self { user, root, suggested_only, max_depth, open, seen: HashSet::new() }
    }

    /// The next room, and how deep it lies.
    pub fn step(&mut self) -> Option<(OwnedRoomId, u32)> {
        loop {
            let (room, depth) = self.open.pop()?;
            if self.seen.insert(room.clone()) {
                return Some((room, depth));
            }
        }
    }

    /// Goes on with the children of a room at `depth`, in their order, before anything else.
    pub fn enter<'a>(&mut self, children: impl Iterator<Item = &'a RoomId>, depth: u32) {
        if depth >= self.max_depth {
            return;
        }
        let free = MAX_OPEN.saturating_sub(self.open.len());
        let new: Vec<_> = children.filter(|child| !self.seen.contains(*child)).take(free).collect();
        self.open.extend(new.into_iter().rev().map(|child| (child.to_owned(), depth + 1)));
    }

    /// Whether nothing is left.
    pub fn is_over(&self) -> bool {
        self.open.iter().all(|(room, _)| self.seen.contains(room))
    }
}

/// The walks that may be gone on with.
#[derive(Debug)]
pub struct Walks(Cache<String, Arc<Walk>>);

impl Default for Walks {
    fn default() -> Self {
        let weigh = |_: &String, walk: &Arc<Walk>| {
            u32::try_from(walk.open.len() + walk.seen.len() + 10).unwrap_or(u32::MAX)
        };
        let cache = Cache::builder().max_capacity(MAX_HELD).weigher(weigh).time_to_live(KEPT);
        Self(cache.build())
    }
}

impl Walks {
    /// Keeps a walk; the token to go on with.
    pub async fn keep(&self, walk: Walk) -> String {
        let token: String = {
            let mut rng = rand::rng();
            (0..TOKEN_CHARS).map(|_| char::from(rng.sample(rand::distr::Alphanumeric))).collect()
        };
        self.0.insert(token.clone(), Arc::new(walk)).await;
        token
    }

    /// The walk of a token. It can be asked for again: clients repeat requests.
    pub async fn find(&self, token: &str) -> Option<Walk> {
        self.0.get(token).await.map(|walk| (*walk).clone())
    }
}

#[cfg(test)]
mod tests {
    use ruma::{room_id, user_id};

    use super::*;

    #[test]
    fn a_walk_goes_down_first_and_meets_no_room_twice() {
        let (root, a, b, c) =
            (room_id!("!r:h"), room_id!("!a:h"), room_id!("!b:h"), room_id!("!c:h"));
        let mut walk = Walk::new(user_id!("@u:h").to_owned(), root.to_owned(), false, 2);
        let mut met = Vec::new();
        while let Some((room, depth)) = walk.step() {
            // Every room names all of them, itself included.
            walk.enter([root, a, b, c].into_iter(), depth);
            met.push((room, depth));
        }
        let met: Vec<_> = met.iter().map(|(room, depth)| (room.as_str(), *depth)).collect();
        assert_eq!(met, [("!r:h", 0), ("!a:h", 1), ("!b:h", 2), ("!c:h", 2)]);
        assert!(walk.is_over());
    }
}
