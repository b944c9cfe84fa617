//! The builder a connector fills in [`Network::handlers`].

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Command, DisappearCaps, Done, EditCaps, Erased, GroupKind, GroupMade, Handler, Handlers,
    Idempotency, MediaCaps, MemberCaps, MetaCaps, PollCaps, ReactCaps, RelayStyle, RemoveCaps,
    RoomCaps, Sent, TextCaps, VoteCaps,
};
use crate::{
    directory::{Directory, MediaSource},
    event::ChatInfo,
    history::History,
    network::Network,
    reconcile::Reconcile,
};

fn erase<N: Network, A: 'static, R: 'static>(handler: impl Handler<N, A, R>) -> Erased<N, R> {
    Arc::new(move |out| handler.call(out))
}

impl<N: Network> Handlers<N> {
    pub(crate) fn new() -> Self {
        Self {
            text: None,
            media: None,
            gallery: None,
            location: None,
            live_location: None,
            poll: None,
            poll_vote: None,
            poll_end: None,
            edit: None,
            remove: None,
            react: None,
            read: None,
            typing: None,
            unread: None,
            pins: None,
            permissions: None,
            disappear: None,
            presence: None,
            room_meta: None,
            membership: None,
            group: None,
            opened: None,
            closed: None,
            relay: None,
            calls_by_power: false,
            history: None,
            directory: None,
            media_source: None,
            reconcile: None,
            commands: BTreeMap::new(),
            narrow: None,
        }
    }

    /// Sends text: [`super::Text`].
    #[must_use]
    pub fn text<A: 'static>(
        mut self,
        caps: TextCaps,
        idempotency: Idempotency,
        h: impl Handler<N, A, Sent<N>>,
    ) -> Self {
        self.text = Some((caps, idempotency, erase(h)));
        self
    }
    /// Sends files: [`super::Media`]. Where there is no such handler but one for text, a link is sent.
    #[must_use]
    pub fn media<A: 'static>(
        mut self,
        caps: MediaCaps,
        idempotency: Idempotency,
        h: impl Handler<N, A, Sent<N>>,
    ) -> Self {
        self.media = Some((caps, idempotency, erase(h)));
        self
    }
    /// Sends several files as one: [`super::Gallery`]. One that becomes several messages answers with [`Sent::Many`], the
    /// items' messages first, in their order. Without it, a gallery's files are sent one by one.
    #[must_use]
    pub fn gallery<A: 'static>(
        mut self,
        idempotency: Idempotency,
        h: impl Handler<N, A, Sent<N>>,
    ) -> Self {
        self.gallery = Some((idempotency, erase(h)));
        self
    }
    /// Sends places: [`super::Location`]. Without it, a link is sent as text.
    #[must_use]
    pub fn location<A: 'static>(
        mut self,
        idempotency: Idempotency,
        h: impl Handler<N, A, Sent<N>>,
    ) -> Self {
        self.location = Some((idempotency, erase(h)));
        self
    }
    /// Shares where somebody is while they move: [`super::LiveLocation`]. Without it, nothing of it is passed on.
    #[must_use]
    pub fn live_location<A: 'static>(
        mut self,
        idempotency: Idempotency,
        h: impl Handler<N, A, Sent<N>>,
    ) -> Self {
        self.live_location = Some((idempotency, erase(h)));
        self
    }
    /// Starts polls: [`super::PollSent`]. Without it, the question is sent as text.
    #[must_use]
    pub fn poll<A: 'static>(
        mut self,
        caps: PollCaps,
        idempotency: Idempotency,
        h: impl Handler<N, A, Sent<N>>,
    ) -> Self {
        self.poll = Some((caps, idempotency, erase(h)));
        self
    }
    /// Votes in polls, whichever side they were started on: [`super::PollVoted`].
    #[must_use]
    pub fn poll_vote<A: 'static>(mut self, caps: VoteCaps, h: impl Handler<N, A, Done>) -> Self {
        self.poll_vote = Some((caps, erase(h)));
        self
    }
    /// Closes polls: [`super::PollEnded`].
    #[must_use]
    pub fn poll_end<A: 'static>(mut self, h: impl Handler<N, A, Done>) -> Self {
        self.poll_end = Some(erase(h));
        self
    }
    /// Changes messages: [`super::Edited`].
    #[must_use]
    pub fn edit<A: 'static>(mut self, caps: EditCaps, h: impl Handler<N, A, Done>) -> Self {
        self.edit = Some((caps, erase(h)));
        self
    }
    /// Deletes messages: [`super::Removed`].
    #[must_use]
    pub fn remove<A: 'static>(mut self, caps: RemoveCaps, h: impl Handler<N, A, Done>) -> Self {
        self.remove = Some((caps, erase(h)));
        self
    }
    /// Sets and takes back reactions: [`super::Reacted`].
    #[must_use]
    pub fn react<A: 'static>(mut self, caps: ReactCaps, h: impl Handler<N, A, Done>) -> Self {
        self.react = Some((caps, erase(h)));
        self
    }
    /// Passes on what was read: [`super::Read`]. Latest wins; failures are forgotten.
    #[must_use]
    pub fn read<A: 'static>(mut self, h: impl Handler<N, A, Done>) -> Self {
        self.read = Some(erase(h));
        self
    }
    /// Passes on that somebody types: [`super::Typing`]. Latest wins; failures are forgotten.
    #[must_use]
    pub fn typing<A: 'static>(mut self, h: impl Handler<N, A, Done>) -> Self {
        self.typing = Some(erase(h));
        self
    }
    /// Marks the chat unread: [`super::Unread`].
    #[must_use]
    pub fn unread<A: 'static>(mut self, h: impl Handler<N, A, Done>) -> Self {
        self.unread = Some(erase(h));
        self
    }
    /// Sets the pinned messages: [`super::PinsSet`], or one by one, [`super::PinsChanged`].
    #[must_use]
    pub fn pins<A: 'static>(mut self, h: impl Handler<N, A, Done>) -> Self {
        self.pins = Some(erase(h));
        self
    }
    /// Sets what people may do in a chat: [`super::PermissionsSet`]. Single people's power is [`super::RoomMeta`]'s.
    #[must_use]
    pub fn permissions<A: 'static>(mut self, h: impl Handler<N, A, Done>) -> Self {
        self.permissions = Some(erase(h));
        self
    }
    /// Sets when what is said in a chat disappears: [`super::DisappearSet`].
    #[must_use]
    pub fn disappearing<A: 'static>(
        mut self,
        caps: DisappearCaps,
        h: impl Handler<N, A, Done>,
    ) -> Self {
        self.disappear = Some((caps, erase(h)));
        self
    }
    /// Passes on a user's presence: [`super::PresenceSet`]. Latest wins; failures are forgotten.
    #[must_use]
    pub fn presence<A: 'static>(mut self, h: impl Handler<N, A, Done>) -> Self {
        self.presence = Some(erase(h));
        self
    }
    /// Changes the chat's name, topic or picture: [`super::RoomMeta`].
    #[must_use]
    pub fn room_meta<A: 'static>(mut self, caps: MetaCaps, h: impl Handler<N, A, Done>) -> Self {
        self.room_meta = Some((caps, erase(h)));
        self
    }
    /// Passes on joins, leaves, invites, kicks and bans: [`super::Membership`].
    #[must_use]
    pub fn membership<A: 'static>(mut self, caps: MemberCaps, h: impl Handler<N, A, Done>) -> Self {
        self.membership = Some((caps, erase(h)));
        self
    }
    /// Begins groups: [`super::NewGroup`]. Only for people with a login of their own.
    #[must_use]
    pub fn group<A: 'static>(
        mut self,
        kinds: impl IntoIterator<Item = GroupKind>,
        h: impl Handler<N, A, GroupMade<N>>,
    ) -> Self {
        self.group = Some((kinds.into_iter().collect(), erase(h)));
        self
    }
    /// A portal that is no space was opened (its room was created or plumbed): join the channel. At each connect, what is open is told by
    /// [`crate::Inbox::portals`].
    #[must_use]
    pub fn opened<A: 'static>(mut self, h: impl Handler<N, A, Done>) -> Self {
        self.opened = Some(erase(h));
        self
    }
    /// A portal was closed (unbridged or deleted): leave the channel.
    #[must_use]
    pub fn closed<A: 'static>(mut self, h: impl Handler<N, A, Done>) -> Self {
        self.closed = Some(erase(h));
        self
    }
    /// Matrix users without a login may be relayed, and this is how they appear.
    #[must_use]
    pub fn relay(mut self, style: RelayStyle) -> Self {
        self.relay = Some(style);
        self
    }
    /// `@room` calls everybody only where its sender has the power for it in the room; from others it is text.
    #[must_use]
    pub fn calls_by_power(mut self) -> Self {
        self.calls_by_power = true;
        self
    }
    /// History can be read.
    #[must_use]
    pub fn history(mut self, h: impl History<N>) -> Self {
        self.history = Some(Arc::new(h));
        self
    }
    /// People and chats can be searched for, and direct chats opened.
    #[must_use]
    pub fn directory(mut self, h: impl Directory<N>) -> Self {
        self.directory = Some(Arc::new(h));
        self
    }
    /// Files can be fetched by [`crate::event::MediaRef`].
    #[must_use]
    pub fn media_source(mut self, h: impl MediaSource<N>) -> Self {
        self.media_source = Some(Arc::new(h));
        self
    }
    /// It can be found out whether something was sent.
    #[must_use]
    pub fn reconcile(mut self, h: impl Reconcile<N>) -> Self {
        self.reconcile = Some(Arc::new(h));
        self
    }
    /// A command of the bot: [`super::Args`] are its words; the answer is Markdown.
    #[must_use]
    pub fn command<A: 'static>(
        mut self,
        name: &'static str,
        help: &'static str,
        h: impl Handler<N, A, String>,
    ) -> Self {
        self.commands.insert(name, Command { help, admin: false, run: erase(h) });
        self
    }
    /// The same, for administrators of the bridge only.
    #[must_use]
    pub fn admin_command<A: 'static>(
        mut self,
        name: &'static str,
        help: &'static str,
        h: impl Handler<N, A, String>,
    ) -> Self {
        self.commands.insert(name, Command { help, admin: true, run: erase(h) });
        self
    }
    /// Takes away, for single rooms, from what was declared above: clients are told so, and what is done nevertheless is the
    /// handlers' to refuse. It can't add.
    #[must_use]
    pub fn narrow(mut self, f: fn(&ChatInfo<N>, &mut RoomCaps)) -> Self {
        self.narrow = Some(f);
        self
    }
}
