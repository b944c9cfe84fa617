//! A framework for Matrix bridges that lose nothing.
