//! A Matrix homeserver.
