//! The contract between a Matrix homeserver and its application services.
