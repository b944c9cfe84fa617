//! A framework for Matrix bridges that lose nothing.
//!
//! A connector implements [`Network`] and [`Client`]: it hands over what the network said, verbatim, reads it
//! ([`Network::decode`]) into [`event::RemoteEvent`]s, and registers async functions for what Matrix may want done
//! ([`Handlers`]). Everything else is the framework's: durable queues both ways, portals, ghosts, relay, double puppets,
//! media, history, retries.

mod adapter;
mod backfill;
pub mod bridge;
mod bridge_state;
pub mod clock;
pub mod commands;
pub mod config;
pub mod control;
mod directory;
mod disappearing;
mod engine;
pub mod event;
pub mod format;
mod ghost;
pub mod handlers;
mod history;
mod housekeeping;
mod inbox;
mod invites;
mod keys;
pub mod kv;
pub mod login;
mod login_pool;
pub mod matrix;
pub mod media;
mod network;
pub mod permissions;
mod plain;
mod portal;
pub mod provisioning;
mod rate;
mod readback;
mod reconcile;
mod relay;
mod sink;
mod spaces;
mod store;
mod tasks;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod user;

pub use bridge::{Bridge, BridgeBuilder, BridgeError, RunningBridge};
pub use config::BridgeConfig;
pub use directory::{Directory, MediaSource};
pub use handlers::{Handlers, Idempotency, IdempotencyKey};
pub use history::{Dir, History, Next, Page, PageQuery};
pub use inbox::{Inbox, Put, Unbridged};
pub use login::{LoginIo, Logins, NewLogin};
pub use network::{
    BadId, CancellationToken, Client, Closed, ConnectError, DecodeError, EventKey, Exit, Login,
    LoginState, MessageRef, Meta, NetError, Network, NetworkInfo, PartId, PortalKey, RemoteId,
    Runtime, Scope, Shared, StartError, StreamOrder,
};
pub use reconcile::Reconcile;

/// Everything a connector usually needs.
pub mod prelude {
    pub use std::time::{Duration, SystemTime};

    pub use crate::{
        BadId, CancellationToken, Client, Closed, ConnectError, DecodeError, Directory, EventKey,
        Exit, Handlers, History, Idempotency, IdempotencyKey, Inbox, Login, LoginIo, LoginState,
        Logins, MediaSource, MessageRef, Meta, NetError, Network, NetworkInfo, NewLogin, PartId,
        PortalKey, Put, Reconcile, RemoteId, Runtime, Scope, Shared, StartError, StreamOrder,
        event::{
            Body, ChatDelta, ChatInfo, Content, Disappear, EchoOf, Emoji, InThread, MemberChange,
            Message, MessageProfile, RemoteEvent, Sender, UserInfo,
        },
        format::Rich,
        handlers::{
            Args, As, Attempt, Checkpoint, DisappearCaps, DisappearSet, Done, EditCaps, Edited,
            Files, In, Key, LimitScope, MemberCaps, Membership, MetaCaps, Origin, OwnReactions,
            PinsChanged, PollCaps, PollEnded, PollSent, PollVoted, Quoted, ReactCaps, Reacted,
            Read, RelayStyle, RemoveCaps, Removed, ReplyTo, RoomMeta, SendError, Sent, Targets,
            Text, TextCaps, TextKind, Thread, Typing, Via, VoteCaps,
        },
        login::{Display, Form, LoginError},
    };
}
