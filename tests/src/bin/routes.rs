//! Prints every route of the homeserver, a method and a path a line, for the comparison with the specification.

#![allow(clippy::print_stdout, reason = "a program whose output is read by another")]

fn main() {
    for route in landbridge_homeserver::client::routes() {
        println!("{} {}", route.method, route.path);
    }
}
