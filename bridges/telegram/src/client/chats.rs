//! Chats and people, as rooms and ghosts show them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use grammers_tl_types as tl;
use landbridge_framework::event::{
    ChatInfo, ChatKind, Disappear, JoinRule, Member, Membership, PowerLevels, Sender, UserInfo,
};

use super::{
    account::Live,
    error::ApiError,
    peers::{Note, of_user, profile},
};
use crate::{
    config::Topics,
    connector::{ChatMeta, Telegram},
    convert::files::FileRef,
    ids::{ChatId, GENERAL, Peer, UserId},
};

/// The most participants that one request gives.
const PAGE: i32 = 200;
/// The power level of an owner, and of an administrator. The bridge's bot has 100.
const OWNER: i64 = 95;
const ADMIN: i64 = 50;

/// What an answer with messages holds: those, and who they speak of.
pub(crate) fn messages_of(
    answer: tl::enums::messages::Messages,
) -> (Vec<tl::enums::Message>, Vec<tl::enums::User>, Vec<tl::enums::Chat>) {
    match answer {
        tl::enums::messages::Messages::Messages(m) => (m.messages, m.users, m.chats),
        tl::enums::messages::Messages::Slice(m) => (m.messages, m.users, m.chats),
        tl::enums::messages::Messages::ChannelMessages(m) => (m.messages, m.users, m.chats),
        tl::enums::messages::Messages::NotModified(_) => (Vec::new(), Vec::new(), Vec::new()),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn stored(error: landbridge_framework::Closed) -> ApiError {
    ApiError::Unreachable(error.to_string())
}

impl Live {
    /// Remembers those who came with an answer.
    pub(crate) async fn learn(
        &self,
        users: &[tl::enums::User],
        chats: &[tl::enums::Chat],
    ) -> Result<(), ApiError> {
        self.peers.learn(users, chats).await.map_err(stored)
    }

    async fn note(&self, peer: Peer) -> Result<Option<Note>, ApiError> {
        Ok(self.peers.get(peer).await.map_err(stored)?.map(|note| Note::clone(&note)))
    }

    /// What is known of a person; Telegram is asked only if that is nothing.
    pub(crate) async fn describe_user(&self, id: UserId) -> Result<UserInfo, ApiError> {
        if let Some(note) = self.note(id.0).await?.filter(|note| !note.facts.name.is_empty()) {
            return Ok(profile(id, &note));
        }
        match id.0 {
            Peer::User(user) => {
                let input = self.peers.input_user(user, self.me).await?;
                let users =
                    self.api.invoke(&tl::functions::users::GetUsers { id: vec![input] }).await?;
                self.learn(&users, &[]).await?;
                let found = users.iter().find_map(of_user);
                let (_, note) = found.ok_or_else(|| ApiError::Unknown("that person".into()))?;
                Ok(profile(id, &note))
            }
            Peer::Channel(_) | Peer::Group(_) => Err(ApiError::Unknown("that chat".into())),
        }
    }

    /// Everything about a chat. `relay`: for the relay's bot, whose rooms are as open as the chat.
    pub(crate) async fn describe(
        &self,
        chat: ChatId,
        relay: bool,
    ) -> Result<ChatInfo<Telegram>, ApiError> {
        match chat.peer {
            Peer::User(id) => self.describe_dm(id).await,
            Peer::Group(id) => self.describe_group(id).await,
            Peer::Channel(id) => self.describe_channel(chat, id, relay).await,
        }
    }

    fn sender(&self, user: i64) -> Sender<Telegram> {
        if user == self.me { Sender::Me } else { Sender::User(UserId::user(user)) }
    }

    async fn describe_dm(&self, id: i64) -> Result<ChatInfo<Telegram>, ApiError> {
        let user = UserId::user(id);
        let me = id == self.me;
        let info = self.describe_user(user).await?;
        let mut members = vec![Member {
            user: self.sender(id),
            membership: Membership::Join,
            power: None,
            info: Some(info),
        }];
        if !me {
            members.push(Member {
                user: Sender::Me,
                membership: Membership::Join,
                power: None,
                info: None,
            });
        }
        Ok(ChatInfo {
            kind: ChatKind::Dm,
            name: me.then(|| "Saved Messages".to_owned()),
            members,
            members_complete: true,
            dm_with: Some(user).filter(|_| !me),
            meta: Some(ChatMeta::default()),
            ..ChatInfo::default()
        })
    }

    async fn describe_group(&self, id: i64) -> Result<ChatInfo<Telegram>, ApiError> {
        let tl::enums::messages::ChatFull::Full(full) =
            self.api.invoke(&tl::functions::messages::GetFullChat { chat_id: id }).await?;
        self.learn(&full.users, &full.chats).await?;
        let tl::enums::ChatFull::Full(chat) = full.full_chat else {
            return Err(ApiError::Unknown("that chat".into()));
        };
        let note = self.note(Peer::Group(id)).await?.unwrap_or_default();
        let people = people(&full.users);
        let mut members = Vec::new();
        let mut complete = false;
        if let tl::enums::ChatParticipants::Participants(participants) = &chat.participants {
            complete = true;
            for participant in &participants.participants {
                let (user, power) = match participant {
                    tl::enums::ChatParticipant::Creator(p) => (p.user_id, OWNER),
                    tl::enums::ChatParticipant::Admin(p) => (p.user_id, ADMIN),
                    tl::enums::ChatParticipant::Participant(p) => (p.user_id, 0),
                };
                members.push(self.member(user, power, &people));
            }
        }
        let rights = full.chats.iter().find_map(|chat| match chat {
            tl::enums::Chat::Chat(chat) if chat.id == id => chat.default_banned_rights.as_ref(),
            _ => None,
        });
        let avatar = note
            .photo
            .map(|(photo, dc)| FileRef::Avatar { peer: Peer::Group(id), photo, dc }.encode());
        Ok(ChatInfo {
            kind: ChatKind::Group,
            name: Some(note.facts.name),
            topic: Some(chat.about),
            avatar,
            members,
            members_complete: complete,
            power: Some(powers(rights, false)),
            disappear: Some(timer(chat.ttl_period)),
            meta: Some(ChatMeta {
                reactions: reactions(chat.available_reactions.as_ref()),
                ..ChatMeta::default()
            }),
            ..ChatInfo::default()
        })
    }

    fn member(&self, user: i64, power: i64, people: &BTreeMap<i64, UserInfo>) -> Member<Telegram> {
        Member {
            user: self.sender(user),
            membership: Membership::Join,
            power: Some(power).filter(|power| *power > 0),
            info: people.get(&user).cloned(),
        }
    }

    async fn describe_channel(
        &self,
        chat: ChatId,
        id: i64,
        relay: bool,
    ) -> Result<ChatInfo<Telegram>, ApiError> {
        let input = self.peers.input_channel(id).await?;
        let request = tl::functions::channels::GetFullChannel { channel: input.clone() };
        let tl::enums::messages::ChatFull::Full(full) = self.api.invoke(&request).await?;
        self.learn(&full.users, &full.chats).await?;
        let tl::enums::ChatFull::ChannelFull(channel) = full.full_chat else {
            return Err(ApiError::Unknown("that chat".into()));
        };
        self.begin_channel(id, channel.pts);
        let peer = Peer::Channel(id);
        let note = self.note(peer).await?.unwrap_or_default();
        let rights = full.chats.iter().find_map(|chat| match chat {
            tl::enums::Chat::Channel(chat) if chat.id == id => chat.default_banned_rights.as_ref(),
            _ => None,
        });
        let broadcast = note.facts.broadcast;
        let rooms = note.facts.forum && self.config.topics == Topics::Rooms;
        let (members, complete) = if broadcast && !channel.can_view_participants {
            (Vec::new(), false)
        } else {
            self.participants(input, channel.participants_count.unwrap_or(0)).await?
        };
        let mut power = powers(rights, broadcast);
        // Its posts are its own, and what its administrators say who hide behind it.
        power.users.push((Sender::User(UserId(peer)), ADMIN));
        let mut info = ChatInfo {
            kind: match (broadcast, rooms && chat.topic.is_none()) {
                (_, true) => ChatKind::Space,
                (true, _) => ChatKind::Channel,
                (false, _) => ChatKind::Group,
            },
            name: Some(note.facts.name.clone()),
            topic: Some(channel.about),
            avatar: note.photo.map(|(photo, dc)| FileRef::Avatar { peer, photo, dc }.encode()),
            members,
            members_complete: complete,
            // What is public there, and bridged for all, is public here.
            join_rule: if relay && note.facts.username.is_some() {
                JoinRule::Public
            } else {
                JoinRule::Invite
            },
            power: Some(power),
            disappear: Some(timer(channel.ttl_period)),
            meta: Some(ChatMeta {
                broadcast,
                username: note.facts.username.clone(),
                reactions: reactions(channel.available_reactions.as_ref()),
            }),
            ..ChatInfo::default()
        };
        if let Some(topic) = chat.topic {
            info.name = Some(self.topic_name(id, topic).await?.unwrap_or(note.facts.name));
            info.topic = None;
            info.parent = Some(ChatId::of(peer));
            // Whoever is in the forum's space may enter its topics.
            info.join_rule = JoinRule::Parent;
            info.position = Some(i64::from(topic));
        }
        Ok(info)
    }

    /// People of a channel: all if they are few, else its administrators and the latest.
    async fn participants(
        &self,
        channel: tl::enums::InputChannel,
        count: i32,
    ) -> Result<(Vec<Member<Telegram>>, bool), ApiError> {
        let wanted = self.config.members;
        let mut members = Vec::new();
        let mut known = BTreeSet::new();
        let filters = [
            tl::enums::ChannelParticipantsFilter::ChannelParticipantsAdmins,
            tl::enums::ChannelParticipantsFilter::ChannelParticipantsRecent,
        ];
        let mut complete = false;
        for filter in filters {
            let recent = filter == tl::enums::ChannelParticipantsFilter::ChannelParticipantsRecent;
            let mut offset = 0;
            loop {
                let left = wanted.saturating_sub(members.len());
                if left == 0 {
                    break;
                }
                let request = tl::functions::channels::GetParticipants {
                    channel: channel.clone(),
                    filter: filter.clone(),
                    offset,
                    limit: i32::try_from(left).unwrap_or(PAGE).min(PAGE),
                    hash: 0,
                };
                let page = match self.api.invoke(&request).await {
                    Ok(tl::enums::channels::ChannelParticipants::Participants(page)) => page,
                    Ok(tl::enums::channels::ChannelParticipants::NotModified) => break,
                    Err(error) if error.is_temporary() => return Err(error),
                    // Hidden members, or too few rights: those who speak are shown.
                    Err(error) => {
                        tracing::debug!(%error, "a channel's members can't be listed");
                        break;
                    }
                };
                self.learn(&page.users, &page.chats).await?;
                let people = people(&page.users);
                let got = i32::try_from(page.participants.len()).unwrap_or(0);
                for participant in &page.participants {
                    if let Some((user, power)) = standing(participant)
                        && known.insert(user)
                    {
                        members.push(self.member(user, power, &people));
                    }
                }
                offset += got;
                if got == 0 || offset >= page.count {
                    complete |= recent && members.len() < wanted;
                    break;
                }
            }
        }
        let all = usize::try_from(count).unwrap_or(usize::MAX);
        Ok((members, complete && all <= wanted))
    }

    /// What a forum's topic is called.
    async fn topic_name(&self, channel: i64, topic: i32) -> Result<Option<String>, ApiError> {
        let request = tl::functions::messages::GetForumTopicsById {
            peer: self.input(Peer::Channel(channel)).await?,
            topics: vec![topic],
        };
        let answer = match self.api.invoke(&request).await {
            Ok(tl::enums::messages::ForumTopics::Topics(answer)) => answer,
            Err(error) if error.is_temporary() => return Err(error),
            // Bots may not ask.
            Err(_) => return Ok((topic == GENERAL).then(|| "General".to_owned())),
        };
        self.learn(&answer.users, &answer.chats).await?;
        Ok(answer.topics.into_iter().find_map(|found| match found {
            tl::enums::ForumTopic::Topic(found) if found.id == topic => Some(found.title),
            _ => None,
        }))
    }
}

fn people(users: &[tl::enums::User]) -> BTreeMap<i64, UserInfo> {
    let one = |user| {
        let (peer, note) = of_user(user)?;
        Some((peer.number(), profile(UserId(peer), &note)))
    };
    users.iter().filter_map(one).collect()
}

/// Who somebody is in a channel, and their power; none for those who have left.
fn standing(participant: &tl::enums::ChannelParticipant) -> Option<(i64, i64)> {
    use tl::enums::ChannelParticipant as P;
    Some(match participant {
        P::Participant(p) => (p.user_id, 0),
        P::ParticipantSelf(p) => (p.user_id, 0),
        P::Creator(p) => (p.user_id, OWNER),
        P::Admin(p) => (p.user_id, ADMIN),
        P::Banned(_) | P::Left(_) => return None,
    })
}

/// What everybody may do, as power levels.
fn powers(rights: Option<&tl::enums::ChatBannedRights>, broadcast: bool) -> PowerLevels<Telegram> {
    let rights = rights.map(|tl::enums::ChatBannedRights::Rights(banned)| banned);
    let (send, info, pin, invite) = match rights {
        Some(banned) => {
            (banned.send_messages, banned.change_info, banned.pin_messages, banned.invite_users)
        }
        None => (false, broadcast, broadcast, broadcast),
    };
    let react = rights.is_some_and(|banned| banned.send_reactions);
    let sticker = send || rights.is_some_and(|banned| banned.send_stickers);
    let level = |banned: bool| if banned || broadcast { ADMIN } else { 0 };
    let events = BTreeMap::from([
        ("m.room.name".to_owned(), level(info)),
        ("m.room.topic".to_owned(), level(info)),
        ("m.room.avatar".to_owned(), level(info)),
        ("m.room.pinned_events".to_owned(), level(pin)),
        ("m.sticker".to_owned(), level(sticker)),
        // In channels, too, where only administrators write.
        ("m.reaction".to_owned(), if react { ADMIN } else { 0 }),
    ]);
    let actions = BTreeMap::from([
        ("invite".to_owned(), level(invite)),
        ("kick".to_owned(), ADMIN),
        ("ban".to_owned(), ADMIN),
        ("redact".to_owned(), ADMIN),
    ]);
    PowerLevels { events_default: Some(level(send)), events, actions, ..PowerLevels::default() }
}

/// When messages of a chat disappear.
fn timer(period: Option<i32>) -> Option<Disappear> {
    let seconds =
        period.and_then(|period| u64::try_from(period).ok()).filter(|seconds| *seconds > 0)?;
    Some(Disappear::after_sending(Duration::from_secs(seconds)))
}

/// The only reactions allowed in a chat; nothing if there is no such rule.
fn reactions(allowed: Option<&tl::enums::ChatReactions>) -> Option<Vec<String>> {
    match allowed? {
        tl::enums::ChatReactions::All(_) => None,
        tl::enums::ChatReactions::None => Some(Vec::new()),
        tl::enums::ChatReactions::Some(some) => Some(
            some.reactions
                .iter()
                .filter_map(|reaction| match reaction {
                    tl::enums::Reaction::Emoji(emoji) => Some(emoji.emoticon.clone()),
                    _ => None,
                })
                .collect(),
        ),
    }
}
