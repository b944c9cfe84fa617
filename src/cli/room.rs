//! `landbridge room` and `landbridge media`: rooms and files, administered by whoever owns the data folder, over the same endpoints that
//! administrators' tools use.

use std::fmt::Write as _;
use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};

use super::user::{DAY_MS, Office, encoded, now_ms, say_all};
use super::{Failure, say};
use crate::config::Config;

const ADMIN: &str = "/_synapse/admin";
/// How often the server is asked how far a deletion is.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// What can be done with rooms.
#[derive(Subcommand)]
pub(crate) enum Room {
    /// List rooms
    List {
        /// Only those whose name, alias or ID contains this
        #[arg(default_value = "")]
        search: String,
    },
    /// Show what is known of a room
    Show {
        /// Its ID
        id: String,
    },
    /// Let nobody come into a room any more; who is in it stays
    Block {
        /// Its ID, also of a room that this server doesn't know yet
        id: String,
        /// Let people come in again
        #[arg(long)]
        undo: bool,
    },
    /// Take everybody out of a room, and the room out of the database
    Delete {
        /// Its ID
        id: String,
        /// Let nobody come into it again
        #[arg(long)]
        block: bool,
        /// Leave what was said in the database
        #[arg(long)]
        keep: bool,
    },
}

/// What can be done with files.
#[derive(Subcommand)]
pub(crate) enum Media {
    /// List a user's files, the newest first
    List {
        /// The user's ID
        user: String,
    },
    /// Take a file out of sight, with all that have the same bytes
    Quarantine {
        /// Its mxc:// address
        uri: String,
        /// Show it again
        #[arg(long)]
        undo: bool,
    },
    /// Delete a file
    Delete {
        /// Its mxc:// address
        uri: String,
    },
    /// Delete files that nobody was served lately; avatars stay
    Purge {
        /// For how many days
        #[arg(long)]
        unused_for_days: u32,
        /// Only files with more bytes than this
        #[arg(long, default_value_t = 0)]
        larger_than: u64,
    },
}

pub(super) async fn run(config: &Config, command: Room) -> Result<(), Failure> {
    let office = Office::open(config).await?;
    let done = room(&office, command).await;
    office.close().await;
    done
}

pub(super) async fn run_media(config: &Config, command: Media) -> Result<(), Failure> {
    let office = Office::open(config).await?;
    let done = media(&office, command).await;
    office.close().await;
    done
}

async fn room(office: &Office, command: Room) -> Result<(), Failure> {
    match command {
        Room::List { search } => list(office, &search).await,
        Room::Show { id } => {
            let path = format!("{ADMIN}/v1/rooms/{}", encoded(&id));
            say_all(&office.ask("GET", &path, Value::Null).await?)
        }
        Room::Block { id, undo } => {
            let path = format!("{ADMIN}/v1/rooms/{}/block", encoded(&id));
            office.ask("PUT", &path, json!({ "block": !undo })).await?;
            let done = if undo { "may be joined again" } else { "may be joined no more" };
            say(format_args!("{id} {done}."))
        }
        Room::Delete { id, block, keep } => delete(office, &id, block, !keep).await,
    }
}

async fn list(office: &Office, search: &str) -> Result<(), Failure> {
    let mut from = 0;
    loop {
        let path =
            format!("{ADMIN}/v1/rooms?limit=500&from={from}&search_term={}", encoded(search));
        let answer = office.ask("GET", &path, Value::Null).await?;
        for room in answer["rooms"].as_array().into_iter().flatten() {
            let mut line = room["room_id"].as_str().unwrap_or_default().to_owned();
            for key in ["canonical_alias", "name"] {
                if let Some(text) = room[key].as_str() {
                    let _ = write!(line, "  {}", text.escape_debug());
                }
            }
            let _ = write!(line, "  [{} joined]", room["joined_members"]);
            say(line)?;
        }
        match answer["next_batch"].as_i64() {
            Some(next) => from = next,
            None => return Ok(()),
        }
    }
}

async fn delete(office: &Office, id: &str, block: bool, purge: bool) -> Result<(), Failure> {
    let path = format!("{ADMIN}/v2/rooms/{}", encoded(id));
    let body = json!({ "block": block, "purge": purge });
    let started = office.ask("DELETE", &path, body).await?;
    let job = started["delete_id"].as_str().unwrap_or_default();
    let path = format!("{ADMIN}/v2/rooms/delete_status/{}", encoded(job));
    loop {
        let status = office.ask("GET", &path, Value::Null).await?;
        match status["status"].as_str() {
            Some("complete") => {
                let left = status["shutdown_room"]["kicked_users"].as_array().map_or(0, Vec::len);
                return say(format_args!("Deleted {id}; {left} users were taken out of it."));
            }
            Some("failed") => {
                let reason = status["error"].as_str().unwrap_or("the server doesn't say why");
                return Err(Failure::Other(format!("{id} was not deleted: {reason}")));
            }
            _ => tokio::time::sleep(LOOK_AGAIN).await,
        }
    }
}

async fn media(office: &Office, command: Media) -> Result<(), Failure> {
    match command {
        Media::List { user } => files(office, &user).await,
        Media::Quarantine { uri, undo } => {
            let what = if undo { "unquarantine" } else { "quarantine" };
            let path = format!("{ADMIN}/v1/media/{what}/{}", file(&uri)?);
            office.ask("POST", &path, json!({})).await?;
            let done = if undo { "is shown again" } else { "is out of sight" };
            say(format_args!("{uri} {done}."))
        }
        Media::Delete { uri } => {
            let path = format!("{ADMIN}/v1/media/{}", file(&uri)?);
            office.ask("DELETE", &path, json!({})).await?;
            say(format_args!("Deleted {uri}."))
        }
        Media::Purge { unused_for_days, larger_than } => {
            let before = now_ms()?.saturating_sub(u64::from(unused_for_days) * DAY_MS);
            let path = format!("{ADMIN}/v1/media/delete?before_ts={before}&size_gt={larger_than}");
            let answer = office.ask("POST", &path, json!({})).await?;
            say(format_args!("Deleted {} files.", answer["total"]))
        }
    }
}

/// A file's address as it stands in paths: server and id.
fn file(uri: &str) -> Result<String, Failure> {
    let parts = uri.strip_prefix("mxc://").and_then(|rest| rest.split_once('/'));
    let (server, id) =
        parts.ok_or_else(|| Failure::Other(format!("{uri} is not of the form mxc://server/id")))?;
    Ok(format!("{}/{}", encoded(server), encoded(id)))
}

async fn files(office: &Office, user: &str) -> Result<(), Failure> {
    let server = user.split_once(':').map_or("", |(_, server)| server);
    let mut from = 0;
    loop {
        let path = format!("{ADMIN}/v1/users/{}/media?limit=500&from={from}", encoded(user));
        let answer = office.ask("GET", &path, Value::Null).await?;
        for file in answer["media"].as_array().into_iter().flatten() {
            let text = |key: &str| file[key].as_str().unwrap_or_default().escape_debug();
            let mut line =
                format!("mxc://{server}/{}  {} bytes", text("media_id"), file["media_length"]);
            let _ = write!(line, "  {}  {}", text("media_type"), text("upload_name"));
            if file["quarantined_by"].is_string() {
                line.push_str("  [out of sight]");
            }
            say(line.trim_end())?;
        }
        match answer["next_token"].as_i64() {
            Some(next) => from = next,
            None => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rooms_are_listed_and_deleted_without_a_running_server() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.homeserver.data_dir = folder.path().to_owned();
        config.homeserver.listen.http.clear();
        let list = || Room::List { search: String::new() };
        run(&config, list()).await.unwrap();
        let delete = Room::Delete { id: "!nowhere:localhost".into(), block: false, keep: false };
        assert!(run(&config, delete).await.is_err(), "there is no such room");
        let block = |undo| Room::Block { id: "!nowhere:localhost".into(), undo };
        run(&config, block(false)).await.unwrap();
        run(&config, block(true)).await.unwrap();
        let purge = Media::Purge { unused_for_days: 0, larger_than: 0 };
        run_media(&config, purge).await.unwrap();
        let delete = |uri: &str| Media::Delete { uri: uri.into() };
        assert!(run_media(&config, delete("mxc://localhost/x")).await.is_err(), "no such file");
        assert!(run_media(&config, delete("https://localhost/x")).await.is_err());
        let list = Media::List { user: "@nobody:localhost".into() };
        assert!(run_media(&config, list).await.is_err(), "no such user");
    }
}
