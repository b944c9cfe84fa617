//! The `landbridge` program.
fn main() {}
