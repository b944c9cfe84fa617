//! Rooms: one task per room that is in use decides, builds and orders its events; everyone else reads snapshots.

mod draft;
mod error;
mod interest;
mod membership;
mod power;
mod state;
pub mod visibility;

pub use self::{
    draft::{Draft, Sent, TxnKey},
    error::RoomError,
    interest::{Interest, InterestSource, NoAppservices},
    membership::Membership,
    power::{CREATOR, PowerLevels, creators},
    state::{MEMBER, SetHash, SetKey, StateChanges, StateEntry, StateKey, StateMap},
};
