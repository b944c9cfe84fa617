//! Reading rooms from the outside: through the router, as clients do.

mod delayed;
mod directories;
mod interleavings;
mod invites;
mod members;
mod messages;
mod notifications;
mod old;
mod push;
mod push_rules;
mod receipts;
mod relations;
mod rig;
mod search;
mod sliding;
mod sticky;
mod sync;
mod threads;
mod upgrades;
mod visibility;
mod webpush;
