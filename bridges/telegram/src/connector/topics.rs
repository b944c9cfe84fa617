//! Topics of forums (core.telegram.org/api/forum): made, renamed, closed and opened again from Matrix.

use grammers_tl_types as tl;
use landbridge_framework::prelude::*;

use super::{
    outgoing::random_id,
    rooms::unchanged_is_done,
    send::{Here, Me},
};
use crate::{client::Live, ids::Peer};

/// So long a topic's name may be.
const MAX_NAME: usize = 128;

/// `topic new NAME`, `topic rename NAME`, `topic close`, `topic reopen`.
pub(super) async fn command(
    Via(client): Me,
    In(at, _): Here,
    Key(key): Key,
    Args(words): Args,
) -> Result<String, SendError> {
    let live = client.live()?;
    let peer = at.id.peer;
    if !matches!(peer, Peer::Channel(_)) {
        return Err(SendError::refused("only forums have topics"));
    }
    let here = at.id.topic.ok_or_else(|| SendError::refused("write it in the topic's own room"));
    match words.split_first().map(|(first, rest)| (first.as_str(), rest.join(" "))) {
        Some(("new", name)) => {
            begin(&live, peer, &name, random_id(&key, 0)).await?;
            Ok("The topic is made; its room comes when Telegram tells of it.".into())
        }
        Some(("rename", name)) => {
            let change = Change { title: Some(named(&name)?), closed: None };
            edit(&live, peer, here?, change).await?;
            Ok("The topic has its new name.".into())
        }
        Some(("close", _)) => {
            let change = Change { title: None, closed: Some(true) };
            edit(&live, peer, here?, change).await?;
            Ok("The topic is closed: only administrators write in it. `topic reopen` opens it again.".into())
        }
        Some(("reopen", _)) => {
            let change = Change { title: None, closed: Some(false) };
            edit(&live, peer, here?, change).await?;
            Ok("The topic is open again.".into())
        }
        _ => Ok("Say what: `topic new NAME`, and in a topic's room `topic rename NAME`, `topic close`, `topic reopen`.".into()),
    }
}

/// A topic's name as Telegram takes it.
fn named(name: &str) -> Result<String, SendError> {
    let name = name.trim();
    if name.is_empty() {
        return Err(SendError::refused("a topic must have a name"));
    }
    Ok(name.chars().take(MAX_NAME).collect())
}

/// Makes a topic, once for each number.
async fn begin(live: &Live, peer: Peer, name: &str, random_id: i64) -> Result<(), SendError> {
    let request = tl::functions::messages::CreateForumTopic {
        title_missing: false,
        peer: live.input(peer).await?,
        title: named(name)?,
        icon_color: None,
        icon_emoji_id: None,
        random_id,
        send_as: None,
    };
    match live.api.invoke(&request).await {
        // An earlier attempt made it.
        Err(error) if error.is("RANDOM_ID_DUPLICATE") => Ok(()),
        Err(error) if error.is("CHANNEL_FORUM_MISSING") => {
            Err(SendError::refused("this supergroup is no forum"))
        }
        answer => answer.map(drop).map_err(SendError::from),
    }
}

/// What is changed of a topic.
struct Change {
    title: Option<String>,
    closed: Option<bool>,
}

/// Gives a topic another name.
pub(super) async fn rename(
    live: &Live,
    peer: Peer,
    topic: i32,
    name: &str,
) -> Result<Done, SendError> {
    edit(live, peer, topic, Change { title: Some(named(name)?), closed: None }).await
}

async fn edit(live: &Live, peer: Peer, topic: i32, change: Change) -> Result<Done, SendError> {
    let request = tl::functions::messages::EditForumTopic {
        peer: live.input(peer).await?,
        topic_id: topic,
        title: change.title,
        icon_emoji_id: None,
        closed: change.closed,
        hidden: None,
    };
    unchanged_is_done(live.api.invoke(&request).await.map(drop))
}
