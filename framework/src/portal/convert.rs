//! From what the network said to what is done on Matrix. Reads the store and asks the network, but changes nothing by
//! itself: what it comes to is committed together with the task's end.

use std::sync::Arc;

use super::{
    Portal,
    envelope::{Envelope, MatrixOp, Outgoing, Record},
};
use crate::{
    clock,
    engine::{Actor, Engine, Failure},
    event::{Body, Emoji, RemoteEvent, Sender},
    network::MessageRef,
    plain::Plain,
    store::{Batch, MessageRow, PortalState, SendState},
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

/// The messages that an event refers to, or is.
pub(super) fn refers_to(body: &Body<Plain>) -> Vec<&str> {
    match body {
        Body::Message(message) => {
            let reply = message.reply_to.as_ref().map(|target| target.id.as_str());
            [Some(message.id.as_str()), reply, message.thread.as_deref()]
                .into_iter()
                .flatten()
                .collect()
        }
        Body::Edit { target, .. }
        | Body::PollVote { poll: target, .. }
        | Body::PollEnd { poll: target } => vec![target],
        Body::Remove { target, .. }
        | Body::React { target, .. }
        | Body::ReactionSync { target, .. } => vec![&target.id],
        Body::Pins { ids } => ids.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    }
}

/// What every conversion is given.
pub(super) struct Case<'a> {
    pub(super) portal: &'a Arc<Portal>,
    pub(super) via: &'a str,
    pub(super) actor: Actor,
    pub(super) ts: i64,
    pub(super) order: Option<i64>,
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
    fn own_login(&self, sender: &Sender<Plain>, via: &str) -> Option<String> {
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
    ) -> Result<Verdict, Failure> {
        let row = portal.row();
        if let Body::UserChanged { user, info } = &event.body {
            self.user_changed(user, info.clone(), via).await?;
            return Ok(Verdict::rows(Vec::new()));
        }
        if row.state == PortalState::Left {
            return Ok(Verdict::Drop("its user has left the room"));
        }
        // The echo of what was sent from here may still be on its way to be known as such.
        if let (Body::Message(message), Some(login)) =
            (&event.body, self.own_login(&event.sender, via))
            && message.echo_of.is_none()
        {
            let open = self.store.open_remote_outbox(portal.id, 64).await?;
            let unsettled = |state| matches!(state, SendState::Sending | SendState::Unknown);
            if open
                .iter()
                .any(|row| row.login == login && unsettled(row.state) && row.op.starts_with("send"))
            {
                return Ok(Verdict::Hold);
            }
        }
        if row.room_id.is_none() {
            let opens = matches!(
                event.body,
                Body::Message(_) | Body::ChatInfo(_) | Body::Members(_) | Body::Resync
            );
            if !event.create_portal || !opens {
                return Ok(Verdict::Drop("the chat has no room"));
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
        };
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
            Body::ChatInfo(delta) => Ok(self.convert_delta(&case, delta)),
            Body::Members(changes) => Ok(self.convert_members(&case, changes)),
            Body::Pins { ids } => self.convert_pins(&case, ids).await,
            Body::PollVote { poll, choices } => self.convert_vote(&case, poll, choices).await,
            Body::PollEnd { poll } => self.convert_poll_end(&case, poll).await,
            Body::MarkUnread(unread) => self.convert_unread(&case, *unread).await,
            Body::ChatGone { for_me_only } => Ok(self.convert_gone(&case, *for_me_only)),
            Body::PortalMoved { to } => self.convert_moved(&case, to).await,
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
        let mut parts = parts;
        let row = parts.swap_remove(named.unwrap_or(0));
        Ok(if row.tombstone { Err(Verdict::Drop("its message is deleted")) } else { Ok(row) })
    }
}

/// How a reaction looks on Matrix (Client-Server API, "Event annotations and reactions").
pub(super) fn reaction_key(emoji: &Emoji) -> String {
    match emoji {
        Emoji::Unicode(text) => text.clone(),
        Emoji::Custom { shortcode, .. } => format!(":{shortcode}:"),
    }
}
