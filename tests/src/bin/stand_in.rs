//! A network's stand-in to try a bridge with by hand: `stand_in discord` or `stand_in telegram`. It says what a bridge's configuration needs,
//! shows what happens in it, and does what is typed.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a program that reports on its standard output, and shares the bridge's stand-in"
)]

#[path = "stand_in/discord.rs"]
mod discord;
#[path = "../../../bridges/discord/tests/end_to_end/fake.rs"]
#[allow(dead_code, reason = "the bridge's own tests use the rest")]
mod fake;
#[path = "../../../bridges/discord/tests/end_to_end/fake_gateway.rs"]
mod fake_gateway;
#[path = "../../../bridges/discord/tests/end_to_end/fake_oauth.rs"]
mod fake_oauth;
#[path = "../../../bridges/discord/tests/end_to_end/fake_rest.rs"]
mod fake_rest;
#[path = "../../../bridges/discord/tests/end_to_end/fake_server.rs"]
#[allow(dead_code, reason = "the bridge's own tests use the rest")]
mod fake_server;
#[path = "stand_in/telegram.rs"]
mod telegram;

use std::{process::ExitCode, time::Duration};

use tokio::io::{AsyncBufReadExt as _, BufReader};

/// A network that people play with.
trait Playground {
    /// What there is to type.
    const HELP: &str;
    /// Does what was typed; `false` when that is nothing it knows.
    fn typed(&self, words: &[&str], rest: &str) -> bool;
    /// Shows what is new.
    fn show(&mut self);
}

async fn play<P: Playground>(mut network: P) {
    println!("{}", P::HELP);
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        tokio::select! {
            line = lines.next_line() => {
                let Ok(Some(line)) = line else { return };
                let words: Vec<&str> = line.split_whitespace().collect();
                // What is said is everything from the third word on.
                let rest = line.trim_start().splitn(3, ' ').nth(2).unwrap_or_default();
                if !words.is_empty() && !network.typed(&words, rest) {
                    println!("{}", P::HELP);
                }
            }
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
        }
        network.show();
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    landbridge_tests::prepare();
    match std::env::args().nth(1).as_deref() {
        Some("discord") => play(discord::Playing::start().await).await,
        Some("telegram") => play(telegram::Playing::start().await).await,
        _ => {
            println!("say `stand_in discord` or `stand_in telegram`");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
