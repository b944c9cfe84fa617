//! A framework for Matrix bridges that lose nothing.

pub mod format;
