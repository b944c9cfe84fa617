//! From what the network said to what is done on Matrix. Reads the store and asks the network, but changes nothing by
//! itself: what it comes to is committed together with the task's end.

use std::{borrow::Cow, sync::Arc};

use super::{
    Portal,
    envelope::{Envelope, MatrixOp, Outgoing, Record},
    threads::placed,
};
use crate::{
    clock,
    engine::{Actor, Engine, Failure},
    event::{Body, RemoteEvent, Sender},
    network::MessageRef,
    plain::Plain,
    store::{Batch, MessageRow, PortalState},
};

/// What an event comes to.
pub(super) enum Verdict {
    /// Rows for the outbox, and changes that go with them.
    Send {
        rows: Vec<Outgoing>,
        effects: Batch,
        /// Messages that later events may refer to once they are sent.
        opens: Vec<String>,
    },
    /// Nothing is to be done.
    Drop(&'static str),
    /// It waits for a message that hasn't come.
    Park(String),
    /// It waits for something of ours that is under way.
    Hold,
}

impl Verdict {
    pub(super) fn rows(rows: Vec<Outgoing>) -> Self {
        Self::Send { rows, effects: Batch::new(), opens: Vec::new() }
    }
    pub(super) fn effects(effects: Batch) -> Self {
        Self::Send { rows: Vec::new(), effects, opens: Vec::new() }
    }
}

/// Names of what a message's reactions come to, for [`refers_to`]: one emoji's, any of them, all of them at once.
pub(super) fn reaction_keys(message: &str, emoji: &str) -> [String; 3] {
    [format!("{message}\0{emoji}"), format!("{message}\0any"), format!("{message}\0all")]
}

/// The name of somebody's vote, for [`refers_to`].
pub(super) fn vote_key(poll: &str, sender: &Sender<Plain>) -> String {
    format!("{poll}\0{sender:?}")
}

/// The name of a poll's votes, whoever's they are, for [`refers_to`].
pub(super) fn votes_key(poll: &str) -> String {
    format!("{poll}\0votes")
}

/// The name of an album, for [`refers_to`].
pub(super) fn album_key(album: &str) -> String {
    format!("\0album {album}")
}

/// What an event must find as it was left by those before it: the messages that it refers to, or is, reactions, votes.
pub(super) fn refers_to(event: &RemoteEvent<Plain>) -> Vec<Cow<'_, str>> {
    let thread = event.thread.as_ref().map(|thread| Cow::from(thread.root.as_str()));
    let mut refers: Vec<Cow<'_, str>> = match &event.body {
        Body::Message(message) => {
            let reply = message.reply_to.as_ref().map(|target| target.id.as_str());
            let album = message.album.as_deref().map(album_key).map(Cow::from);
            [Some(message.id.as_str()), reply, message.thread.as_deref()]
                .into_iter()
                .flatten()
                .map(Cow::from)
                .chain(album)
                .collect()
        }
        Body::Edit { target, .. }
        | Body::Pin { target, .. }
        | Body::PollResults { poll: target, .. } => vec![target.into()],
        // The end counts them.
        Body::PollEnd { poll } => vec![poll.into(), votes_key(poll).into()],
        Body::PollVote { poll, .. } => vec![poll.into(), vote_key(poll, &event.sender).into()],
        Body::Remove { target, .. } => vec![(&target.id).into()],
        Body::React { target, emoji, .. } => {
            let [own, _, all] = reaction_keys(&target.id, emoji.id());
            vec![(&target.id).into(), own.into(), all.into()]
        }
        Body::ReactionSync { target, .. } => {
            let [_, any, all] = reaction_keys(&target.id, "");
            vec![(&target.id).into(), any.into(), all.into()]
        }
        Body::Pins { ids } => ids.iter().map(Cow::from).collect(),
        _ => Vec::new(),
    };
    refers.extend(thread);
    refers
}

/// What every conversion is given.
pub(super) struct Case<'a> {
    pub(super) portal: &'a Arc<Portal>,
    pub(super) via: &'a str,
    pub(super) actor: Actor,
    pub(super) ts: i64,
    pub(super) order: Option<i64>,
    /// Whether to wait for what the network doesn't give now (a picture); otherwise it is done without.
    pub(super) patient: bool,
}

impl Case<'_> {
    /// One row, by whoever did it.
    pub(super) fn out(
        &self,
        part: impl Into<String>,
        op: MatrixOp,
        records: Vec<Record>,
    ) -> Outgoing {
        self.out_as(self.actor.clone(), part, op, records)
    }
    /// One row, by somebody.
    pub(super) fn out_as(
        &self,
        actor: Actor,
        part: impl Into<String>,
        op: MatrixOp,
        records: Vec<Record>,
    ) -> Outgoing {
        let envelope = Envelope { op, ts: Some(self.ts), via: self.via.to_owned(), records };
        Outgoing { actor, part: part.into(), envelope }
    }
}

impl Engine {
    /// Who acts on Matrix for a sender.
    pub(super) fn actor(&self, sender: &Sender<Plain>, via: &str) -> Actor {
        match sender {
            Sender::Me => self.login_actor(via),
            Sender::Login(id) => self.login_actor(id),
            Sender::User(id) => match self.logins.of_remote_user(id) {
                Some(login) => Actor::Login(login),
                None => Actor::Ghost(id.clone()),
            },
            Sender::System | Sender::Matrix(_) => Actor::Bot,
        }
    }

    fn login_actor(&self, id: &str) -> Actor {
        match self.logins.stored(id) {
            Some(login) if login.owner.is_none() => login.user.map_or(Actor::Bot, Actor::Ghost),
            _ => Actor::Login(id.to_owned()),
        }
    }

    /// The login whose own doing an event is, if it is one's.
    pub(super) fn own_login(&self, sender: &Sender<Plain>, via: &str) -> Option<String> {
        match sender {
            Sender::Me => Some(via.to_owned()),
            Sender::Login(id) => Some(id.clone()),
            Sender::User(id) => {
                let all = self.logins.all();
                all.into_iter()
                    .find(|(login, _)| login.user.as_ref() == Some(id))
                    .map(|(login, _)| login.id)
            }
            Sender::System | Sender::Matrix(_) => None,
        }
    }

    pub(super) async fn convert(
        self: &Arc<Self>,
        portal: &Arc<Portal>,
        via: &str,
        event: &RemoteEvent<Plain>,
        patient: bool,
    ) -> Result<Verdict, Failure> {
        let Some(event) = placed(portal, event) else {
            return Ok(Verdict::Drop("it is about a thread that is shown in another chat's room"));
        };
        let event = &*event;
        let row = portal.row();
        if let Body::UserChanged { user, info } = &event.body {
            self.user_changed(user, info.clone(), via).await?;
            return Ok(Verdict::rows(Vec::new()));
        }
        if row.state == PortalState::Left {
            return Ok(Verdict::Drop("its user has left the room"));
        }
        if self.may_be_echo(portal, event, via).await? {
            return Ok(Verdict::Hold);
        }
        if self.is_under_way(portal, event, via).await? {
            return Ok(Verdict::Drop("it is being done from Matrix"));
        }
        if row.room_id.is_none() {
            let opens = matches!(
                event.body,
                Body::Message(_) | Body::ChatInfo(_) | Body::Members(_) | Body::Resync
            );
            if !event.create_portal || !opens {
                return Ok(Verdict::Drop("the chat has no room"));
            }
            // It may be the one that is being begun for a room that is there.
            if self.groups.holds(self.now()) {
                return Ok(Verdict::Hold);
            }
            self.ensure_room(portal, Some(via)).await?;
            // What is older belongs before it.
            if self.history_first(portal, via).await? {
                return Ok(Verdict::Hold);
            }
        }
        let case = Case {
            portal,
            via,
            actor: self.actor(&event.sender, via),
            ts: clock::millis(event.at),
            order: event.order.map(|order| order.0),
            patient,
        };
        // A thread that this room shows.
        let thread = event.thread.as_ref().filter(|_| row.key != event.portal);
        let thread = thread.map(|thread| thread.root.as_str());
        match &event.body {
            Body::Message(message) => self.convert_message(&case, message).await,
            Body::Edit { target, version, new } => {
                self.convert_edit(&case, target, *version, new).await
            }
            Body::Remove { target, for_me_only } => {
                self.convert_remove(&case, target, *for_me_only).await
            }
            Body::React { target, emoji, set } => {
                self.convert_reaction(&case, &event.sender, target, emoji, *set).await
            }
            Body::ReactionSync { target, all } => {
                self.convert_reaction_sync(&case, target, all).await
            }
            Body::ChatInfo(delta) => self.convert_delta(&case, delta).await,
            Body::Members(changes) => Ok(self.convert_members(&case, changes)),
            Body::Pins { ids } => self.convert_pins(&case, thread, ids).await,
            Body::Pin { target, pinned } => self.convert_pin(&case, thread, target, *pinned).await,
            Body::PollVote { poll, choices } => {
                self.convert_vote(&case, &event.sender, poll, choices).await
            }
            Body::PollResults { poll, counts, ended } => {
                // What is being closed from Matrix has its end there.
                let ended = *ended && !self.is_closing(portal, poll).await?;
                self.convert_poll_results(&case, poll, counts, ended).await
            }
            Body::PollEnd { poll } => self.convert_poll_end(&case, poll).await,
            Body::MarkUnread(unread) => self.convert_unread(&case, *unread).await,
            Body::ChatGone { for_me_only } => Ok(self.convert_gone(&case, *for_me_only)),
            Body::PortalMoved { to } => self.convert_moved(&case, &event.portal, to).await,
            Body::Call(call) => Ok(super::chat::convert_call(&case, call)),
            Body::Resync => self.resync(&case).await,
            // Handled above, or passing and never queued.
            Body::UserChanged { .. }
            | Body::Read { .. }
            | Body::Delivered { .. }
            | Body::Typing { .. }
            | Body::Presence(_) => Ok(Verdict::rows(Vec::new())),
        }
    }

    /// A message part that an event is about; the error says what to do without it.
    pub(super) async fn target(
        &self,
        portal: &Portal,
        target: &MessageRef<Plain>,
    ) -> Result<Result<MessageRow, Verdict>, Failure> {
        let parts = self.store.message_parts(portal.id, &target.id).await?;
        if parts.is_empty() {
            return Ok(Err(Verdict::Park(target.id.clone())));
        }
        let named =
            target.part.as_ref().and_then(|part| parts.iter().position(|row| row.part == part.0));
        // A part that was taken out of it no longer stands for it.
        let place = named.or_else(|| parts.iter().position(|row| !row.tombstone));
        let mut parts = parts;
        let row = parts.swap_remove(place.unwrap_or(0));
        Ok(if row.tombstone { Err(Verdict::Drop("its message is deleted")) } else { Ok(row) })
    }
}
