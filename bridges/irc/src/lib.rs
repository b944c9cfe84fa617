//! The IRC bridge.
