//! The whole bridge between a homeserver (in memory, or a real one: `LANDBRIDGE_TEST_HOMESERVER`) and a server that speaks Telegram's protocol,
//! over sockets.

#[path = "end_to_end/accounts.rs"]
mod accounts;
#[path = "end_to_end/albums.rs"]
mod albums;
#[path = "end_to_end/answers.rs"]
mod answers;
#[path = "end_to_end/basic_groups.rs"]
mod basic_groups;
#[path = "end_to_end/chats.rs"]
mod chats;
#[path = "end_to_end/groups.rs"]
mod groups;
#[path = "end_to_end/guarantee.rs"]
mod guarantee;
#[path = "end_to_end/history.rs"]
mod history;
#[path = "end_to_end/live.rs"]
mod live;
#[path = "end_to_end/looks.rs"]
mod looks;
#[path = "end_to_end/media.rs"]
mod media;
#[path = "end_to_end/members.rs"]
mod members;
#[path = "end_to_end/passing.rs"]
mod passing;
#[path = "end_to_end/photos.rs"]
mod photos;
#[path = "end_to_end/polls.rs"]
mod polls;
#[path = "end_to_end/relay.rs"]
mod relay;
#[path = "end_to_end/rig.rs"]
mod rig;
#[path = "end_to_end/texts.rs"]
mod texts;
#[path = "end_to_end/vanish.rs"]
mod vanish;
