//! A network of our own to try bridging with.
