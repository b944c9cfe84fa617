//! Prints every route of the homeserver, a line each: method, path, the file of its table. For the comparison with the
//! specification and with what the tests ask.

#![allow(clippy::print_stdout, reason = "a program whose output is read by another")]

fn main() {
    for route in landbridge_homeserver::client::routes() {
        println!("{} {} {}", route.method, route.path, route.file);
    }
}
