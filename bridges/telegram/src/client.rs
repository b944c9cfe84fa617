//! One account's connection to Telegram: requests out, updates in, in order and without gaps.

mod account;
mod api;
mod chats;
mod connect;
mod error;
mod files;
mod fill;
mod follow;
mod import;
mod index;
mod peers;
mod prepare;
mod session;
mod sign_in;
mod stickers;
mod upload;

pub use account::{Connection, Live, Own};
pub use api::Api;
pub(crate) use chats::messages_of;
pub use error::ApiError;
pub use import::{BadSession, import};
pub use session::{Kept, NotKept, StoredDc, StoredSession, test_key};
pub use sign_in::{Code, Password, Qr, SignIn, SignInError, scanned};
