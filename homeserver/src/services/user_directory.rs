//! Finding people by the words of their ids and names (Client-Server API, "User Directory").

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use landbridge_database::Database;
use ruma::UserId;

use crate::app::App;
use crate::http::error::ApiResult;
use crate::nid::RoomNid;
use crate::services::search::Words;
use crate::storage::user_directory::{self as table, Candidate};
use crate::storage::{StorageError, room_open};

/// Users that are ranked for one search.
const RANKED: usize = 1_000;
/// Words of one user.
const MAX_WORDS: usize = 40;
/// Users, or rooms, that are looked after at once.
const BATCH: usize = 200;
const RETRY: Duration = Duration::from_secs(5);

/// The words that a user is found by. `displayname` is JSON, as profiles hold it.
pub fn words_of(user: &UserId, displayname: Option<&str>) -> Vec<String> {
    let name = displayname.and_then(|json| serde_json::from_str::<String>(json).ok());
    let mut words = Words::of(&format!("{} {}", user.as_str(), name.unwrap_or_default()));
    words.truncate(MAX_WORDS);
    words.iter().map(ToOwned::to_owned).collect()
}

/// Users whose ids and names have all the words of a term, the best first.
pub async fn search(
    db: &Database,
    term: &str,
    viewer: &UserId,
    visible_only: bool,
) -> Result<Vec<Candidate>, StorageError> {
    let words = Words::of(term);
    // The longest word leaves the fewest to look at.
    let Some(longest) = words.iter().max_by_key(|word| word.len()) else { return Ok(Vec::new()) };
    let mut found = table::search(db, longest, viewer.as_str(), visible_only, RANKED).await?;
    found.retain(|user| {
        let theirs = words_of(&user.user_id, user.displayname.as_deref());
        words.iter().all(|word| theirs.iter().any(|other| other.starts_with(word)))
    });
    let term = term.trim().to_lowercase();
    found.sort_by_cached_key(|user| (Reverse(rank(user, &term)), user.user_id.clone()));
    Ok(found)
}

/// How well someone fits: by name or id first, then acquaintances, then those who say something of themselves.
fn rank(user: &Candidate, term: &str) -> (u8, bool, bool, bool) {
    let name = user.displayname.as_deref();
    let name = name.and_then(|json| serde_json::from_str::<String>(json).ok());
    let name = name.map(|name| name.to_lowercase());
    let local = user.user_id.localpart().to_lowercase();
    let names = [Some(user.user_id.as_str()), Some(&*local), name.as_deref()];
    let fits = if names.iter().flatten().any(|name| *name == term) {
        2
    } else {
        u8::from(names.iter().flatten().any(|name| name.starts_with(term)))
    };
    (fits, user.shares_room, user.displayname.is_some(), user.avatar_url.is_some())
}

/// Writes down the words of users, and which rooms are open, of the time before there was a directory.
pub async fn fill(app: Arc<App>) {
    while let Err(error) = fill_users(&app).await {
        tracing::warn!(%error, "the user directory could not be filled, trying again");
        tokio::time::sleep(RETRY).await;
    }
    while let Err(error) = fill_rooms(&app).await {
        tracing::warn!(%error, "it could not be noted which rooms are open, trying again");
        tokio::time::sleep(RETRY).await;
    }
}

async fn fill_users(app: &App) -> ApiResult<()> {
    let mut after = String::new();
    loop {
        let users = table::missing(&app.db, &after, BATCH).await?;
        let Some((last, _)) = users.last() else { return Ok(()) };
        after = last.to_string();
        let users = Arc::new(users);
        app.committer
            .run(move |tx| {
                let users = Arc::clone(&users);
                async move {
                    for (user, name) in users.iter() {
                        table::fill(tx, user, &words_of(user, name.as_deref())).await?;
                    }
                    Ok(())
                }
                .boxed()
            })
            .await?;
    }
}

async fn fill_rooms(app: &App) -> ApiResult<()> {
    let mut after = RoomNid(0);
    loop {
        let rooms = room_open::missing(&app.db, after, BATCH).await?;
        let Some(last) = rooms.last() else { return Ok(()) };
        after = *last;
        for room in app.rooms.load_many(&rooms).await? {
            let (nid, open) = (room.nid(), room.snapshot().is_open());
            app.committer
                .run(move |tx| async move { room_open::fill(tx, nid, open).await }.boxed())
                .await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use ruma::user_id;

    use super::*;

    #[test]
    fn who_is_named_so_comes_before_who_begins_so() {
        let user = |id: &str, name: Option<&str>, shares_room| Candidate {
            user_id: UserId::parse(id).unwrap(),
            displayname: name.map(|name| format!("\"{name}\"")),
            avatar_url: None,
            shares_room,
        };
        let named = rank(&user("@x:h", Some("Ann"), false), "ann");
        let begins = rank(&user("@annabel:h", None, true), "ann");
        let within = rank(&user("@y:h", Some("Mary Ann"), true), "ann");
        assert!(named > begins && begins > within);
        assert_eq!(
            words_of(user_id!("@a_b:h.org"), Some("\"C D\"")),
            ["a", "b", "h", "org", "c", "d"]
        );
    }
}
