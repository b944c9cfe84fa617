//! `kill -9` with Discord: a Discord of our own in this process, a homeserver and the Discord bridge, each a process of its own; numbered
//! messages both ways, while homeserver and bridge are killed at random points, and the gateway's connections and the answers of the API
//! break off, events come twice, sessions are forgotten, limits are reached.
//!
//! Sizes come from the environment: `DISCORD_MESSAGES` each way, `DISCORD_KILLS` of bridge and homeserver each, `DISCORD_FAULTS`,
//! `DISCORD_SEED`.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a program that reports on its standard output, and shares the bridge's stand-in"
)]

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

use std::{error::Error, process::ExitCode, sync::Arc, time::Duration};

use fake::{CHANNEL, Fake, GUILD, TOKEN};
use landbridge_tests::{
    matrix::User,
    numbered,
    process::kill_often,
    setting,
    stack::{SECRET, Stack, settled},
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::Value;
use tokio::sync::Mutex;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The channel's room is made by whoever joins its alias first.
const ALIAS: &str = "#discord_600:crash.test";
/// For so long what is doubled may still be on its way: the bridge waits for ten seconds before it sends again what is in doubt.
const REST: Duration = Duration::from_secs(15);

struct Sizes {
    messages: usize,
    kills: usize,
    faults: usize,
    seed: u64,
}

/// Lets Discord misbehave again and again.
async fn trouble(fake: Fake, faults: usize, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    for _ in 0..faults {
        tokio::time::sleep(Duration::from_millis(random.random_range(200..1_500))).await;
        match random.random_range(0..6) {
            0 => fake.cut(),
            1 => fake.forget_sessions(),
            2 => fake.faults(|faults| faults.limit += 2),
            3 => fake.faults(|faults| faults.fail += 1),
            4 => fake.faults(|faults| faults.lose_answers += 1),
            _ => fake.faults(|faults| faults.double = !faults.double),
        }
    }
    fake.faults(|faults| *faults = fake::Faults::default());
}

fn heard(fake: &Fake) -> Vec<usize> {
    fake.heard(CHANNEL).iter().filter_map(|(_, text)| numbered::number("out", text)).collect()
}

/// The numbers that came to the room. `known` is what was read of it before.
async fn on_matrix(user: &User, room: &str, known: &mut Vec<Value>) -> Result<Vec<usize>> {
    user.read_on(room, known).await?;
    Ok(user.said_by_others(known).filter_map(|text| numbered::number("in", text)).collect())
}

async fn run(sizes: &Sizes) -> Result<bool> {
    let fake = Fake::start().await;
    let folder = tempfile::Builder::new().prefix("landbridge-crash-discord").tempdir()?;
    let network = format!("http://{}", fake.address);
    let settings =
        [("NETWORK_URL", network.as_str()), ("NETWORK_TOKEN", TOKEN), ("NETWORK_GUILD", GUILD)];
    let mut stack = Stack::prepare(folder.path(), "discord", &settings)?;
    stack.homeserver.start().await?;
    stack.bridge.start().await?;
    let user = User::register(&stack.base, SECRET, "user").await?;
    let room = user.join_soon(ALIAS).await?;

    // As long as there is killing there are messages on their way.
    let pause = Duration::from_secs(3) * u32::try_from(sizes.kills.max(1))?
        / u32::try_from(sizes.messages.max(1))?;
    let outward = async {
        for number in 0..sizes.messages {
            user.send(&room, &format!("out-{number}"), &numbered::text("out", number)).await?;
            tokio::time::sleep(pause).await;
        }
        Ok::<_, Box<dyn Error + Send + Sync>>(())
    };
    let inward = async {
        for number in 0..sizes.messages {
            fake.say(CHANNEL, "ann", &numbered::text("in", number));
            tokio::time::sleep(pause).await;
        }
        Ok(())
    };
    let processes = [Arc::new(Mutex::new(stack.homeserver)), Arc::new(Mutex::new(stack.bridge))];
    let killing = async {
        kill_often(processes.clone(), sizes.kills, 1_000..4_000, sizes.seed).await?;
        Ok(())
    };
    let troubling = async {
        trouble(fake.clone(), sizes.faults, sizes.seed ^ 2).await;
        Ok(())
    };
    tokio::try_join!(outward, inward, killing, troubling)?;

    let judge = |arrived: &[usize]| numbered::judge(sizes.messages, arrived);
    let there = |arrived: &[usize]| sizes.messages - judge(arrived).lost.len();
    let mut known = Vec::new();
    settled(sizes.messages, REST, async || Ok(there(&heard(&fake)))).await?;
    settled(sizes.messages, REST, async || Ok(there(&on_matrix(&user, &room, &mut known).await?)))
        .await?;
    let out = judge(&heard(&fake));
    let inn = judge(&on_matrix(&user, &room, &mut known).await?);
    let inn = inn.with_echoes("out", user.said_by_others(&known));
    println!("   Matrix to Discord: {out}");
    println!("   Discord to Matrix: {inn}");
    let clean = out.is_clean() && inn.is_clean();
    if !clean {
        println!("   logs: {}", folder.keep().display());
    }
    Ok(clean)
}

#[tokio::main]
async fn main() -> ExitCode {
    landbridge_tests::prepare();
    let sizes = Sizes {
        messages: setting("DISCORD_MESSAGES", 200),
        kills: setting("DISCORD_KILLS", 3),
        faults: setting("DISCORD_FAULTS", 12),
        seed: setting("DISCORD_SEED", rand::random::<u32>().into()),
    };
    println!(
        "   {} messages each way, {} kills each, {} faults, DISCORD_SEED={}",
        sizes.messages, sizes.kills, sizes.faults, sizes.seed
    );
    match run(&sizes).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("   {error}");
            ExitCode::FAILURE
        }
    }
}
