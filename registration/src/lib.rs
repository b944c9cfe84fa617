//! The contract between a Matrix homeserver and its application services.
//!
//! Both sides need the same few things: the [`Registration`] file, the meaning of its
//! [`Namespaces`], the body of a [`Transaction`] and the rules of transaction ids. They stand here
//! once, without any I/O, so that the homeserver, the bridges and the command line agree.
//!
//! ```
//! use landbridge_registration::{Mask, NamespaceIndex, Registration};
//!
//! let irc = Registration::parse(r##"
//! id: irc
//! url: "http://127.0.0.1:29330"
//! as_token: "30c05ae90a248a4188e620216fa72e349803310ec83e2a77"
//! hs_token: "312df522183efd404ec1cd22d2ffa4bbc76a8c1ccf541dd6"
//! sender_localpart: _irc_bot
//! namespaces:
//!   users: [{ exclusive: true, regex: "@_irc_.*:example\\.org" }]
//!   aliases: []
//!   rooms: []
//! "##)?;
//! let index = NamespaceIndex::build("example.org", [(0, &irc)])?;
//! assert_eq!(index.user("@_irc_alice:example.org").interested, Mask::single(0));
//! assert!(index.user("@alice:example.org").interested.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Source: the Application Service API of the Matrix specification, and the MSCs named at the items.

mod conflict;
mod generate;
mod mask;
mod namespace;
mod parse;
mod problem;
mod registration;
mod token;
mod transaction;
mod txn_id;

pub use conflict::{Conflict, conflicts};
pub use generate::Blueprint;
pub use mask::{Mask, MaskIter};
pub use namespace::{IndexError, Interest, NamespaceIndex, PatternError};
pub use parse::{MAX_FILE_BYTES, ParseError};
pub use problem::{Problem, Severity};
pub use registration::{Namespace, Namespaces, Registration};
pub use token::Token;
pub use transaction::{DeviceLists, FallbackKeyTypes, KeyCounts, Transaction, TransactionError};
pub use txn_id::{
    MAX_TXN_ID_BYTES, TransactionId, TransactionIdError, derive_txn_id, is_valid_txn_id,
};
