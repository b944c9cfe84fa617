//! What can be done from Matrix: a connector registers plain async functions, with what they can do, and their arguments
//! are extracted by type, as in axum.
//!
//! ```text
//! async fn send(Via(c): Via<Slack>, In(at, _): In<Slack>, Key(k): Key, t: Text) -> Result<Sent<Slack>, SendError> { .. }
//! handlers.text(TextCaps { max_len: 4000 }, Idempotency::Native, send)
//! ```
//! What isn't registered isn't offered: users get a clear answer, and the room's `com.beeper.room_features` says so.

use std::{collections::BTreeMap, sync::Arc};

use futures::future::BoxFuture;

mod answer;
mod builder;
mod caps;
mod extract;
mod group;
mod key;
mod live;
mod media;
mod poll;
mod room;

pub use answer::{Done, Idempotency, LimitScope, SendError, Sent};
pub use caps::{
    DisappearCaps, EditCaps, MediaCaps, MemberCaps, MetaCaps, PollCaps, ReactCaps, RelayStyle,
    RemoveCaps, RoomCaps, TextCaps, VoteCaps,
};
pub(crate) use extract::CheckpointPort;
pub use extract::{
    Args, As, Attempt, Checkpoint, Edited, Files, FromOut, In, Key, Location, Op, Origin, Out,
    OwnReactions, PresenceSet, Quote, Quoted, Reacted, Read, RelayProfile, Removed, ReplyTo,
    Targets, Text, TextKind, Thread, Typing, Unread, Via,
};
pub use group::{GroupField, GroupKind, GroupMade, NewGroup};
pub use key::IdempotencyKey;
pub use live::LiveLocation;
pub use media::{Gallery, Media, MediaAccess, MediaStream};
pub use poll::{PollEnded, PollSent, PollVoted};
pub use room::{
    ChatEdit, DisappearSet, MemberAction, MemberTarget, Membership, Permission, PermissionsSet,
    Permitted, PinsChanged, PinsSet, PowerHolder, RoomMeta,
};

use crate::{
    directory::ErasedDirectory, history::ErasedHistory, network::Network,
    reconcile::ErasedReconcile,
};

/// An async function whose arguments are all [`FromOut`].
pub trait Handler<N: Network, Args, R>: Send + Sync + 'static {
    /// Extracts the arguments and calls the function.
    fn call(&self, out: &Out<N>) -> BoxFuture<'static, Result<R, SendError>>;
}

macro_rules! handler {
    ($($arg:ident),*) => {
        impl<N, F, Fut, R, $($arg),*> Handler<N, ($($arg,)*), R> for F
        where
            N: Network,
            R: Send + 'static,
            F: Fn($($arg),*) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = Result<R, SendError>> + Send + 'static,
            $($arg: FromOut<N>,)*
        {
            fn call(&self, out: &Out<N>) -> BoxFuture<'static, Result<R, SendError>> {
                let future = (|| Ok(self($($arg::take(out)?),*)))();
                match future {
                    Ok(future) => Box::pin(future),
                    Err(error) => Box::pin(std::future::ready(Err(error))),
                }
            }
        }
    };
}
handler!(A1);
handler!(A1, A2);
handler!(A1, A2, A3);
handler!(A1, A2, A3, A4);
handler!(A1, A2, A3, A4, A5);
handler!(A1, A2, A3, A4, A5, A6);
handler!(A1, A2, A3, A4, A5, A6, A7);
handler!(A1, A2, A3, A4, A5, A6, A7, A8);

/// A handler whose arguments have been forgotten.
pub(crate) type Erased<N, R> =
    Arc<dyn Fn(&Out<N>) -> BoxFuture<'static, Result<R, SendError>> + Send + Sync>;

/// What begins groups, and which.
pub(crate) type GroupHandler<N> = (Vec<GroupKind>, Erased<N, GroupMade<N>>);

/// A connector's command of the bot.
pub(crate) struct Command<N: Network> {
    pub(crate) help: &'static str,
    /// Whether it is for administrators of the bridge only.
    pub(crate) admin: bool,
    pub(crate) run: Erased<N, String>,
}

/// Everything a connector can do, by kind: built by [`Network::handlers`].
pub struct Handlers<N: Network> {
    pub(crate) text: Option<(TextCaps, Idempotency, Erased<N, Sent<N>>)>,
    pub(crate) media: Option<(MediaCaps, Idempotency, Erased<N, Sent<N>>)>,
    pub(crate) gallery: Option<(Idempotency, Erased<N, Sent<N>>)>,
    pub(crate) location: Option<(Idempotency, Erased<N, Sent<N>>)>,
    pub(crate) live_location: Option<(Idempotency, Erased<N, Sent<N>>)>,
    pub(crate) poll: Option<(PollCaps, Idempotency, Erased<N, Sent<N>>)>,
    pub(crate) poll_vote: Option<(VoteCaps, Erased<N, Done>)>,
    pub(crate) poll_end: Option<Erased<N, Done>>,
    pub(crate) edit: Option<(EditCaps, Erased<N, Done>)>,
    pub(crate) remove: Option<(RemoveCaps, Erased<N, Done>)>,
    pub(crate) react: Option<(ReactCaps, Erased<N, Done>)>,
    pub(crate) read: Option<Erased<N, Done>>,
    pub(crate) typing: Option<Erased<N, Done>>,
    pub(crate) unread: Option<Erased<N, Done>>,
    pub(crate) pins: Option<Erased<N, Done>>,
    pub(crate) permissions: Option<Erased<N, Done>>,
    pub(crate) disappear: Option<(DisappearCaps, Erased<N, Done>)>,
    pub(crate) presence: Option<Erased<N, Done>>,
    pub(crate) room_meta: Option<(MetaCaps, Erased<N, Done>)>,
    pub(crate) membership: Option<(MemberCaps, Erased<N, Done>)>,
    pub(crate) group: Option<GroupHandler<N>>,
    pub(crate) opened: Option<Erased<N, Done>>,
    pub(crate) closed: Option<Erased<N, Done>>,
    pub(crate) relay: Option<RelayStyle>,
    pub(crate) calls_by_power: bool,
    pub(crate) history: Option<Arc<dyn ErasedHistory<N>>>,
    pub(crate) directory: Option<Arc<dyn ErasedDirectory<N>>>,
    pub(crate) media_source: Option<Arc<dyn crate::directory::ErasedMediaSource<N>>>,
    pub(crate) reconcile: Option<Arc<dyn ErasedReconcile<N>>>,
    pub(crate) commands: BTreeMap<&'static str, Command<N>>,
    pub(crate) narrow: Option<fn(&crate::event::ChatInfo<N>, &mut RoomCaps)>,
}
