//! What other servers ask of this one (Server-Server API).

pub mod keys;
pub mod onbind;
pub mod openid;
