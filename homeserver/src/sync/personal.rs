//! What a user says of his rooms in his account data: which are direct chats (`m.direct`), and his tags (`m.tag`).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use landbridge_database::Database;
use quick_cache::sync::Cache;
use ruma::{OwnedUserId, UserId};
use serde_json::{Map, Value};

use super::heads::Heads;
use crate::nid::Pos;
use crate::storage::{StorageError, account_data, sliding};

/// Users of whom it is kept.
const MAX_USERS: usize = 10_000;

/// The tags of each room, by its id.
pub type Tags = HashMap<String, HashSet<String>>;

/// The direct chats and tags of users who sync.
pub struct Personal {
    heads: Arc<Heads>,
    direct: Cache<OwnedUserId, (Pos, Arc<HashSet<String>>)>,
    tags: Cache<OwnedUserId, (Pos, Arc<Tags>)>,
}

impl Personal {
    /// Nothing is kept yet.
    pub fn new(heads: Arc<Heads>) -> Self {
        Self { heads, direct: Cache::new(MAX_USERS), tags: Cache::new(MAX_USERS) }
    }

    /// The ids of the rooms that are direct chats for a user.
    pub async fn direct(
        &self,
        db: &Database,
        user: &UserId,
    ) -> Result<Arc<HashSet<String>>, StorageError> {
        // Taken before the look-up: what is read is at least as new.
        let changed = self.heads.global_account_data(user);
        if let Some((at, known)) = self.direct.get(user)
            && at == changed
        {
            return Ok(known);
        }
        let entry = account_data::get(db, user, "", "m.direct").await?;
        let rooms = Arc::new(entry.map(|entry| rooms_in(&entry.content)).unwrap_or_default());
        self.direct.insert(user.to_owned(), (changed, Arc::clone(&rooms)));
        Ok(rooms)
    }

    /// A user's tags by room.
    pub async fn tags(&self, db: &Database, user: &UserId) -> Result<Arc<Tags>, StorageError> {
        let changed = self.heads.account_data(user);
        if let Some((at, known)) = self.tags.get(user)
            && at == changed
        {
            return Ok(known);
        }
        let stored = sliding::tags(db, user.as_str()).await?;
        let tags: Tags =
            stored.into_iter().map(|(room, content)| (room, tags_in(&content))).collect();
        let tags = Arc::new(tags);
        self.tags.insert(user.to_owned(), (changed, Arc::clone(&tags)));
        Ok(tags)
    }
}

/// The rooms of an `m.direct`; what isn't a list of texts is passed over.
fn rooms_in(content: &str) -> HashSet<String> {
    let users: Map<String, Value> = serde_json::from_str(content).unwrap_or_default();
    let lists = users.into_iter().filter_map(|(_, rooms)| match rooms {
        Value::Array(rooms) => Some(rooms),
        _ => None,
    });
    lists.flatten().filter_map(|room| room.as_str().map(str::to_owned)).collect()
}

fn tags_in(content: &str) -> HashSet<String> {
    let content: Map<String, Value> = serde_json::from_str(content).unwrap_or_default();
    let tags = content.get("tags").and_then(Value::as_object);
    tags.map(|tags| tags.keys().cloned().collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_badly_is_passed_over() {
        let rooms = rooms_in(r#"{"@a:h": ["!1", 5], "@b:h": "!2", "@c:h": ["!3"]}"#);
        assert_eq!(rooms, HashSet::from(["!1".to_owned(), "!3".to_owned()]));
        assert!(rooms_in("[]").is_empty());
        assert_eq!(tags_in(r#"{"tags": {"m.favourite": {}}}"#).len(), 1);
        assert!(tags_in(r#"{"tags": 5}"#).is_empty());
    }
}
