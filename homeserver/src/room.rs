//! Rooms: one task per room that is in use decides, builds and orders its events; everyone else reads snapshots.

mod builder;
mod bump;
mod check;
mod context;
mod create;
mod draft;
mod error;
mod events;
mod fetch;
mod groups;
mod import;
mod incoming;
mod interest;
mod load;
mod membership;
mod pending;
mod power;
mod purge;
mod receive;
mod redaction;
mod registry;
mod relation;
mod resolve;
#[expect(clippy::module_inception, reason = "the handle on a room is a room")]
mod room;
mod snapshot;
mod state;
mod task;
#[cfg(test)]
mod tests;
mod unit;
mod upkeep;
mod users;
pub mod visibility;

pub use self::{
    bump::bumps,
    context::{RoomDeps, RoomLimits},
    create::{CreateRoom, Invitee, Preset},
    draft::{Draft, Sent, TxnKey},
    error::RoomError,
    events::Events,
    fetch::{MissingEvents, NoOtherServers},
    import::{Direction, Import, ImportEvent, MOST_IMPORTED},
    incoming::Outcome,
    interest::{Interest, InterestSource, NoAppservices},
    membership::Membership,
    power::{CREATOR, PowerLevels, creators},
    registry::Rooms,
    room::Room,
    snapshot::{RECENT, RoomInfo, RoomSnapshot},
    state::{MEMBER, SetHash, SetKey, StateChanges, StateEntry, StateKey, StateMap},
    users::{UserRoom, UserRooms},
};
