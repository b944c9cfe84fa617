//! What is known about a chat: asked when its room is made, plumbed or brought up to date.

use std::sync::Arc;
use std::time::Duration;

use landbridge_framework::event::{ChatInfo, ChatKind, JoinRule, Member, Membership, UserInfo};
use landbridge_framework::prelude::Sender;
use landbridge_framework::{NetError, PortalKey};

use super::Irc;
use crate::client::SendFailure;
use crate::config::ShowMembers;
use crate::decode::power;
use crate::hub::Hub;
use crate::ids::{Chat, Nick};
use crate::modes;
use crate::raw::Flags;

/// How long the room's making waits for the bot's connection.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long it waits for the list of names behind a join.
const NAMES_PATIENCE: Duration = Duration::from_secs(10);

/// Everything known about a chat.
pub(super) async fn info(hub: &Arc<Hub>, key: &PortalKey<Irc>) -> Result<ChatInfo<Irc>, NetError> {
    match &key.id {
        Chat::Query { network, nick, owner } => {
            let spelled = hub.tracker().spelling(nick).map(str::to_owned);
            let name = spelled.unwrap_or_else(|| nick.clone());
            let with = Nick::new(network, nick.clone());
            Ok(ChatInfo {
                name: Some(name),
                invite: owner.iter().cloned().collect(),
                ..ChatInfo::dm(with)
            })
        }
        Chat::Channel { name, .. } => channel(hub, name).await,
    }
}

async fn channel(hub: &Arc<Hub>, name: &str) -> Result<ChatInfo<Irc>, NetError> {
    if hub.config.is_closed(name) {
        return Err(NetError::permanent("this channel may not be bridged"));
    }
    let folded = hub.fold(name);
    let synced = |hub: &Hub| hub.tracker().channel(&folded).is_some_and(|channel| channel.synced);
    if !synced(hub) {
        let listener = hub.online_listener(PATIENCE).await.map_err(NetError::temporary)?;
        hub.want(name);
        match listener.join(name, None).await {
            Ok(()) => {}
            Err(refused @ SendFailure::Refused { .. }) => return Err(NetError::permanent(refused)),
            Err(failure) => return Err(NetError::temporary(failure)),
        }
        let names = async {
            while !synced(hub) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        // Without the names the room is made with what is known, and completed by the resync that follows them.
        let _ = tokio::time::timeout(NAMES_PATIENCE, names).await;
    }
    let tracker = hub.tracker();
    let Some(channel) = tracker.channel(&folded) else {
        return Err(NetError::temporary("the bot is not in the channel"));
    };
    let all = tracker.shows_all(channel) && channel.synced;
    let member = |(folded, person): (&String, &crate::membership::Person)| Member {
        user: Sender::User(Nick::new(&hub.network, folded.clone())),
        membership: Membership::Join,
        power: Some(modes::level(&person.ranks)),
        info: Some(UserInfo::named(&person.nick)),
    };
    let ranked = channel.people.iter().filter(|(_, person)| modes::level(&person.ranks) > 0);
    let ranked = ranked.map(|(folded, person)| {
        (Sender::User(Nick::new(&hub.network, folded.clone())), modes::level(&person.ranks))
    });
    let flags = Flags {
        moderated: Some(channel.moderated),
        topic_locked: Some(channel.topic_locked),
        invite_only: None,
    };
    let open = hub.config.is_open(&channel.name) && !channel.invite_only;
    Ok(ChatInfo {
        kind: ChatKind::Channel,
        name: Some(channel.name.clone()),
        topic: channel
            .topic
            .as_deref()
            .map(|topic| crate::convert::to_matrix::rich(topic).into_text()),
        members: if all { channel.people.iter().map(member).collect() } else { Vec::new() },
        members_complete: all && hub.config.members.show == ShowMembers::All,
        join_rule: if open { JoinRule::Public } else { JoinRule::Invite },
        power: Some(power(flags, ranked.collect())),
        ..ChatInfo::default()
    })
}
