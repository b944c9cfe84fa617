//! A [`Client`] behind [`Account`].

use std::sync::Arc;

use async_trait::async_trait;

use super::{Account, Request, connector::typed_key};
use crate::{
    event::{ChatInfo, MediaRef, UserInfo},
    handlers::{
        Done, Edited, Erased, GroupMade, Handlers, IdempotencyKey, LiveLocation, MediaStream,
        MemberTarget, Membership, NewGroup, Op, Out, PinsChanged, PollEnded, PollVoted, Reacted,
        Read, Removed, SendError, Sent,
    },
    history::{Next, PageQuery},
    inbox::{Entry, Inbox, InboxPort},
    network::{
        BadId, CancellationToken, Client, Exit, Login, MessageRef, NetError, Network, PortalKey,
        RemoteId,
    },
    plain::{Plain, PlainMeta, ToPlain},
};

/// A connected client with the handlers that use it.
pub(crate) struct TypedAccount<N: Network> {
    client: Arc<N::Client>,
    login: Login<N>,
    handlers: Arc<Handlers<N>>,
}

impl<N: Network> TypedAccount<N> {
    pub(super) fn new(client: N::Client, login: Login<N>, handlers: Arc<Handlers<N>>) -> Self {
        Self { client: Arc::new(client), login, handlers }
    }

    fn out(&self, request: Request) -> Result<Out<N>, BadId> {
        let portal = match &request.portal {
            Some((key, meta)) => Some((typed_key(key)?, Arc::new(meta.read()))),
            None => None,
        };
        Ok(Out {
            client: self.client.clone(),
            login: self.login.clone(),
            portal,
            key: request.key,
            relay: request.relay,
            origin: request.origin,
            reply_to: request.reply_to.as_ref().map(typed_ref).transpose()?,
            thread: request.thread.as_deref().map(N::MessageId::decode).transpose()?,
            quoted: request.quoted,
            attempt: request.attempt,
            checkpoint: request.checkpoint,
            files: request.files,
            own_reactions: request.own_reactions,
            targets: request.targets.iter().map(typed_ref).collect::<Result<_, _>>()?,
            op: typed_op(request.op)?,
        })
    }

    async fn call<R>(
        &self,
        handler: Option<&Erased<N, R>>,
        request: Request,
    ) -> Result<R, SendError> {
        let handler =
            handler.ok_or_else(|| SendError::refused("this network has nothing like it"))?;
        let out = self.out(request).map_err(SendError::refused)?;
        handler(&out).await
    }
}

fn typed_ref<N: Network>(target: &MessageRef<Plain>) -> Result<MessageRef<N>, BadId> {
    Ok(MessageRef { id: N::MessageId::decode(&target.id)?, part: target.part.clone() })
}

fn typed_ids<N: Network>(ids: &[String]) -> Result<Vec<N::MessageId>, BadId> {
    ids.iter().map(|id| N::MessageId::decode(id)).collect()
}

fn typed_op<N: Network>(op: Op<Plain>) -> Result<Op<N>, BadId> {
    Ok(match op {
        Op::Text(text) => Op::Text(text),
        Op::Media(media) => Op::Media(media),
        Op::Gallery(gallery) => Op::Gallery(gallery),
        Op::Location(place) => Op::Location(place),
        Op::LiveLocation(shared) => Op::LiveLocation(LiveLocation {
            place: shared.place,
            lasts: shared.lasts,
            message: shared.message.as_ref().map(typed_ref).transpose()?,
            ends: shared.ends,
        }),
        Op::Poll(poll) => Op::Poll(poll),
        Op::Edit(edit) => Op::Edit(Edited {
            target: typed_ref(&edit.target)?,
            body: edit.body,
            kind: edit.kind,
            old: edit.old,
            meta: edit.meta.read(),
        }),
        Op::Remove(removed) => Op::Remove(Removed {
            target: typed_ref(&removed.target)?,
            meta: removed.meta.read(),
            reason: removed.reason,
        }),
        Op::React(reacted) => Op::React(Reacted {
            target: typed_ref(&reacted.target)?,
            emoji: reacted.emoji,
            set: reacted.set,
        }),
        Op::Read(read) => Op::Read(Read { up_to: typed_ref(&read.up_to)? }),
        Op::Typing(typing) => Op::Typing(typing),
        Op::Unread(unread) => Op::Unread(unread),
        Op::Pins(pins) => Op::Pins(PinsChanged {
            ids: typed_ids::<N>(&pins.ids)?,
            added: typed_ids::<N>(&pins.added)?,
            removed: typed_ids::<N>(&pins.removed)?,
        }),
        Op::Disappear(timer) => Op::Disappear(timer),
        Op::Permissions(permissions) => Op::Permissions(permissions),
        Op::PollVote(vote) => Op::PollVote(PollVoted {
            poll: typed_ref(&vote.poll)?,
            choices: vote.choices,
            meta: vote.meta.read(),
        }),
        Op::PollEnd(end) => {
            Op::PollEnd(PollEnded { poll: typed_ref(&end.poll)?, meta: end.meta.read() })
        }
        Op::Presence(presence) => Op::Presence(presence),
        Op::RoomMeta(meta) => Op::RoomMeta(meta),
        Op::Membership(change) => Op::Membership(Membership {
            action: change.action,
            target: match change.target {
                MemberTarget::Remote(id) => MemberTarget::Remote(N::UserId::decode(&id)?),
                MemberTarget::Matrix(mxid, login) => MemberTarget::Matrix(
                    mxid,
                    login.as_deref().map(N::LoginId::decode).transpose()?,
                ),
            },
            display_name: change.display_name,
            reason: change.reason,
        }),
        Op::Group(group) => Op::Group(NewGroup {
            kind: group.kind,
            name: group.name,
            topic: group.topic,
            avatar: group.avatar,
            members: group
                .members
                .iter()
                .map(|id| N::UserId::decode(id))
                .collect::<Result<_, _>>()?,
        }),
        Op::Portal => Op::Portal,
        Op::Command(args) => Op::Command(args),
    })
}

fn bad(error: BadId) -> NetError {
    NetError::permanent(error)
}

fn missing<T>(what: &str) -> Result<T, NetError> {
    Err(NetError::permanent(format!("this network has no {what}")))
}

#[async_trait]
impl<N: Network> Account for TypedAccount<N> {
    async fn run(&self, port: Arc<dyn InboxPort>, stop: CancellationToken) -> Exit {
        self.client.run(Inbox::new(port), stop).await
    }
    async fn chat(&self, key: &PortalKey<Plain>) -> Result<ChatInfo<Plain>, NetError> {
        Ok(self.client.chat(&typed_key(key).map_err(bad)?).await?.plain())
    }
    async fn user(&self, id: &str) -> Result<UserInfo, NetError> {
        self.client.user(&N::UserId::decode(id).map_err(bad)?).await
    }
    async fn logout(&self) {
        self.client.logout().await;
    }
    async fn send(&self, request: Request) -> Result<Sent<Plain>, SendError> {
        let h = &self.handlers;
        let handler = match &request.op {
            Op::Text(_) => h.text.as_ref().map(|(_, _, handler)| handler),
            Op::Media(_) => h.media.as_ref().map(|(_, _, handler)| handler),
            Op::Gallery(_) => h.gallery.as_ref().map(|(_, handler)| handler),
            Op::Location(_) => h.location.as_ref().map(|(_, handler)| handler),
            Op::LiveLocation(_) => h.live_location.as_ref().map(|(_, handler)| handler),
            Op::Poll(_) => h.poll.as_ref().map(|(_, _, handler)| handler),
            _ => None,
        };
        Ok(match self.call(handler, request).await? {
            Sent::Now { id, order } => Sent::Now { id: id.encode(), order },
            Sent::Kept { id, order, meta } => {
                Sent::Kept { id: id.encode(), order, meta: PlainMeta::of(&meta) }
            }
            Sent::Poll { id, options } => Sent::Poll { id: id.encode(), options },
            Sent::Many(ids) => Sent::Many(ids.iter().map(RemoteId::encode).collect()),
            Sent::AwaitEcho => Sent::AwaitEcho,
        })
    }
    async fn act(&self, request: Request) -> Result<(), SendError> {
        if matches!(request.op, Op::LiveLocation(_)) {
            return self.send(request).await.map(drop);
        }
        let h = &self.handlers;
        let handler = match &request.op {
            Op::PollVote(_) => h.poll_vote.as_ref().map(|(_, handler)| handler),
            Op::PollEnd(_) => h.poll_end.as_ref(),
            Op::Permissions(_) => h.permissions.as_ref(),
            Op::Disappear(_) => h.disappear.as_ref().map(|(_, handler)| handler),
            Op::Edit(_) => h.edit.as_ref().map(|(_, handler)| handler),
            Op::Remove(_) => h.remove.as_ref().map(|(_, handler)| handler),
            Op::React(_) => h.react.as_ref().map(|(_, handler)| handler),
            Op::Read(_) => h.read.as_ref(),
            Op::Typing(_) => h.typing.as_ref(),
            Op::Unread(_) => h.unread.as_ref(),
            Op::Pins(_) => h.pins.as_ref(),
            Op::Presence(_) => h.presence.as_ref(),
            Op::RoomMeta(_) => h.room_meta.as_ref().map(|(_, handler)| handler),
            Op::Membership(_) => h.membership.as_ref().map(|(_, handler)| handler),
            _ => None,
        };
        let Done = self.call(handler, request).await?;
        Ok(())
    }
    async fn command(&self, name: &str, request: Request) -> Result<String, SendError> {
        let handler = self.handlers.commands.get(name).map(|command| &command.run);
        self.call(handler, request).await
    }
    async fn create_group(&self, request: Request) -> Result<GroupMade<Plain>, SendError> {
        let handler = self.handlers.group.as_ref().map(|(_, handler)| handler);
        let made = self.call(handler, request).await?;
        let failed = made.failed.into_iter().map(|(user, why)| (user.encode(), why)).collect();
        Ok(GroupMade { chat: made.chat.plain(), failed })
    }
    async fn opened(&self, request: Request, open: bool) -> Result<(), SendError> {
        let handler = if open { &self.handlers.opened } else { &self.handlers.closed };
        if handler.is_some() {
            self.call(handler.as_ref(), request).await?;
        }
        Ok(())
    }
    async fn find(
        &self,
        at: &PortalKey<Plain>,
        key: &IdempotencyKey,
    ) -> Result<Option<String>, NetError> {
        let Some(reconcile) = &self.handlers.reconcile else {
            return missing("way to look up what was sent");
        };
        let found = reconcile.find(&self.client, &typed_key(at).map_err(bad)?, key).await?;
        Ok(found.map(|id| id.encode()))
    }
    async fn page(
        &self,
        at: &PortalKey<Plain>,
        query: PageQuery<Plain>,
    ) -> Result<(Vec<Entry>, Next), NetError> {
        let Some(history) = &self.handlers.history else { return missing("history") };
        let id =
            |id: Option<String>| id.as_deref().map(N::MessageId::decode).transpose().map_err(bad);
        let query = PageQuery {
            dir: query.dir,
            anchor: id(query.anchor)?,
            cursor: query.cursor,
            thread: id(query.thread)?,
            limit: query.limit,
        };
        let page = history.page(&self.client, &typed_key(at).map_err(bad)?, query).await?;
        let entry = |(key, raw): (crate::network::EventKey, N::Raw)| {
            let raw = serde_json::to_string(&raw).map_err(NetError::permanent)?;
            Ok(Entry { key: key.0, raw })
        };
        Ok((page.raw.into_iter().map(entry).collect::<Result<_, NetError>>()?, page.next))
    }
    async fn resolve(&self, query: &str) -> Result<Option<String>, NetError> {
        let Some(directory) = &self.handlers.directory else { return missing("directory") };
        Ok(directory.resolve(&self.client, query).await?.map(|id| id.encode()))
    }
    async fn search(&self, query: &str) -> Result<Vec<(String, UserInfo)>, NetError> {
        let Some(directory) = &self.handlers.directory else { return missing("directory") };
        let found = directory.search(&self.client, query).await?;
        Ok(found.into_iter().map(|(id, info)| (id.encode(), info)).collect())
    }
    async fn open_dm(&self, user: &str) -> Result<PortalKey<Plain>, NetError> {
        let Some(directory) = &self.handlers.directory else { return missing("directory") };
        let user = N::UserId::decode(user).map_err(bad)?;
        Ok(directory.open_dm(&self.client, &user).await?.plain())
    }
    async fn find_chat(&self, query: &str) -> Result<Option<PortalKey<Plain>>, NetError> {
        let Some(directory) = &self.handlers.directory else { return missing("directory") };
        Ok(directory.find_chat(&self.client, query).await?.map(ToPlain::plain))
    }
    async fn open_media(&self, media: &MediaRef) -> Result<MediaStream, NetError> {
        let Some(source) = &self.handlers.media_source else {
            return missing("way to fetch files");
        };
        source.open(&self.client, media).await
    }
}
