//! One account's connection: follows the network's log, and looks chats and people up.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use landbridge_framework::{
    event::{ChatKind as RemoteChatKind, JoinRule, Member, Membership, Sender},
    prelude::*,
};

use super::{Playground, Raw, net_error};
use crate::{
    client::{Api, ApiError},
    convert::event_key,
    wire::{Chat, ChatKind, EventBody, Typing as WireTyping},
};

/// One account's connection.
pub struct Connection {
    pub(super) api: Api,
    pub(super) bot: Arc<str>,
    begin: i64,
    poll: Duration,
}

impl Connection {
    pub(super) fn new(api: Api, bot: Arc<str>, begin: i64, poll: Duration) -> Self {
        Self { api, bot, begin, poll }
    }

    /// The key to send along: it tells the network what it has done already, and this bridge what it has done itself.
    pub(super) fn key(&self, key: &IdempotencyKey) -> String {
        format!("{}.{}", self.bot, key.as_nonce(40))
    }

    fn relays(&self) -> bool {
        self.api.actor() == &*self.bot
    }

    async fn follow(&self, inbox: &Inbox<Playground>) -> Result<Exit, Closed> {
        let stored = inbox.cursor().await?.and_then(|cursor| cursor.parse().ok());
        let mut since = stored.unwrap_or(self.begin);
        let mut shown = BTreeSet::new();
        let mut typing = 0;
        loop {
            let page = match self.api.events(since, self.poll, typing).await {
                Ok(page) => page,
                Err(ApiError::RateLimited(after)) => {
                    tokio::time::sleep(after).await;
                    continue;
                }
                Err(ApiError::Refused(refusal)) => {
                    return Ok(Exit::BadCredentials(refusal.message));
                }
                Err(error) => return Ok(Exit::Lost(NetError::temporary(error))),
            };
            inbox.state(LoginState::Connected);
            let (passing, lasting): (Vec<_>, Vec<_>) = page
                .events
                .into_iter()
                .partition(|event| matches!(event.body, EventBody::Read { .. }));
            if page.next != since {
                let lasting = lasting
                    .into_iter()
                    .map(|event| (EventKey(event_key(event.seq)), Raw::Event(event)))
                    .collect();
                inbox.put_all(lasting, Some(("", &page.next.to_string()))).await?;
                since = page.next;
            }
            for event in passing {
                inbox.passing(Raw::Event(event)).await?;
            }
            if page.typing.version != typing {
                typing = page.typing.version;
                tell_typing(inbox, &mut shown, page.typing).await?;
            }
        }
    }
}

/// Hands over who began to type and who ended.
async fn tell_typing(
    inbox: &Inbox<Playground>,
    shown: &mut BTreeSet<(String, String)>,
    now: WireTyping,
) -> Result<(), Closed> {
    let now: BTreeSet<_> = now.people.into_iter().collect();
    for ((chat, person), typing) in shown
        .difference(&now)
        .map(|gone| (gone, false))
        .chain(now.difference(shown).map(|new| (new, true)))
    {
        inbox.passing(Raw::Typing { chat: chat.clone(), person: person.clone(), typing }).await?;
    }
    *shown = now;
    Ok(())
}

impl Client for Connection {
    type Net = Playground;

    async fn run(&self, inbox: Inbox<Playground>, stop: CancellationToken) -> Exit {
        tokio::select! {
            () = stop.cancelled() => Exit::Stopped,
            end = self.follow(&inbox) => end.unwrap_or_else(|closed| match closed {
                Closed::Stopping => Exit::Stopped,
                error @ Closed::Store(_) => Exit::Lost(NetError::temporary(error)),
            }),
        }
    }

    async fn chat(&self, key: &PortalKey<Playground>) -> Result<ChatInfo<Playground>, NetError> {
        let chat = self.api.chat(&key.id).await.map_err(|error| net_error(&error))?;
        Ok(self.describe(chat))
    }

    async fn user(&self, id: &String) -> Result<UserInfo, NetError> {
        let person = self.api.person(id).await.map_err(|error| net_error(&error))?;
        Ok(UserInfo { name: Some(person.name), bot: person.bot, ..UserInfo::default() })
    }
}

impl Connection {
    fn describe(&self, chat: Chat) -> ChatInfo<Playground> {
        let me = self.api.actor();
        let direct = chat.kind == ChatKind::Direct;
        let dm_with =
            if direct { chat.members.iter().find(|person| *person != me).cloned() } else { None };
        let members =
            chat.members.into_iter().filter(|person| *person != *self.bot).map(|person| Member {
                user: if person == me { Sender::Me } else { Sender::User(person) },
                membership: Membership::Join,
                power: None,
                info: None,
            });
        ChatInfo {
            kind: if direct { RemoteChatKind::Dm } else { RemoteChatKind::Group },
            name: chat.name,
            topic: chat.topic,
            members: members.collect(),
            members_complete: true,
            dm_with,
            // A group that the relay bridges is as open in Matrix as it is here.
            join_rule: if self.relays() && !direct { JoinRule::Public } else { JoinRule::Invite },
            ..ChatInfo::default()
        }
    }
}
