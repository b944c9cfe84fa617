//! Reading rooms from the outside: through the router, as clients do.

mod directories;
mod delayed;
mod interleavings;
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
mod sync;
mod upgrades;
mod threads;
mod visibility;
mod webpush;
