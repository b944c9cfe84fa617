//! `kill -9` with Telegram: a homeserver and the bridge, each a process of its own, and a server that speaks Telegram's protocol; numbered
//! messages both ways over the relay while homeserver and bridge are killed at random points, connections break, answers and updates are
//! lost or come twice, and Telegram asks to wait. Everything must come through once and in order.
//!
//! Sizes come from the environment: `TELEGRAM_MESSAGES` each way, `TELEGRAM_KILLS` of each of the two, `TELEGRAM_SEED`, and
//! `HOMESERVER_LAUNCHER`, the homeserver's launcher (ours by default).

#![allow(clippy::print_stdout, reason = "a program that reports on its standard output")]

use std::{error::Error, process::ExitCode, sync::Arc, time::Duration};

use landbridge_telegram_peer::{Faults, Peer, Place};
use landbridge_tests::{
    matrix::User,
    numbered,
    process::kill_often,
    setting,
    stack::{SECRET, Stack, settled},
};
use serde_json::Value;
use tokio::sync::Mutex;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const PORTAL: &str = "#telegram_lobby:crash.test";
const SEED: &str = "crash";
/// The relay's bot, somebody who speaks, and the supergroup, as `tests/launch-bridge` has them.
const BOT: i64 = 1000;
const SPEAKER: i64 = 1001;
const LOBBY: i64 = 5000;
/// For so long what is doubled may still be on its way.
const REST: Duration = Duration::from_secs(5);

async fn run() -> Result<bool> {
    let messages = setting("TELEGRAM_MESSAGES", 300);
    let kills = setting("TELEGRAM_KILLS", 4);
    let seed = setting("TELEGRAM_SEED", rand::random::<u32>().into());
    println!("   {messages} messages each way, {kills} kills each, TELEGRAM_SEED={seed}");
    let folder = tempfile::Builder::new().prefix("landbridge-crash-telegram").tempdir()?;
    let network = Peer::start(SEED).await?;
    {
        let mut world = network.world();
        world.bot(BOT, "Relay", "1000:relay");
        world.person(SPEAKER, "Bob", "+15550001");
        world.channel(LOBBY, "Lobby", &[BOT, SPEAKER]);
    }
    let address = format!("mtproto://{}", network.address());
    let settings = [("NETWORK_URL", address.as_str()), ("NETWORK_TOKEN", SEED)];
    let mut rig = Stack::prepare(folder.path(), "telegram", &settings)?;
    rig.homeserver.start().await?;
    rig.bridge.start().await?;
    let alice = User::register(&rig.base, SECRET, "alice").await?;
    let room = alice.join_soon(PORTAL).await?;
    network.world().faults = Faults {
        flood: Some(101),
        lose_answer: Some(211),
        drop_update: Some(17),
        repeat_update: Some(13),
        difference: None,
    };

    // As long as there is killing there are messages on their way.
    let pause = Duration::from_secs(3) * u32::try_from(kills)? / u32::try_from(messages.max(1))?;
    let outward = async {
        for number in 0..messages {
            let text = numbered::text("out", number);
            alice.send(&room, &format!("out-{number}"), &text).await?;
            tokio::time::sleep(pause).await;
        }
        Ok::<_, Box<dyn Error + Send + Sync>>(())
    };
    let inward = async {
        for number in 0..messages {
            network.world().say(SPEAKER, Place::Channel(LOBBY), &numbered::text("in", number));
            if number % 97 == 96 {
                network.world().cut_connections();
            }
            tokio::time::sleep(pause).await;
        }
        Ok::<_, Box<dyn Error + Send + Sync>>(())
    };
    let processes = [rig.homeserver, rig.bridge].map(|process| Arc::new(Mutex::new(process)));
    let killing = async {
        kill_often(processes.clone(), kills, 1_000..4_000, seed).await?;
        Ok(())
    };
    tokio::try_join!(outward, inward, killing)?;
    network.world().faults = Faults::default();
    // The last update may have been dropped: what comes next shows the gap.
    network.world().say(SPEAKER, Place::Channel(LOBBY), &numbered::text("in", messages));

    let mut known = Vec::new();
    settled(messages + 1, REST, async || Ok(arrived(&alice, &room, &mut known).await?.len()))
        .await?;
    settled(messages, REST, async || Ok(heard(&network).len())).await?;
    let inward = numbered::judge(messages + 1, &arrived(&alice, &room, &mut known).await?)
        .with_echoes("out", alice.said_by_others(&known));
    let outward = numbered::judge(messages, &heard(&network));
    println!("   Telegram to Matrix: {inward}");
    println!("   Matrix to Telegram: {outward}");
    let clean = inward.is_clean() && outward.is_clean();
    if !clean {
        println!("   logs: {}", folder.keep().display());
    }
    Ok(clean)
}

/// The numbers that the bot has said on Telegram, in order.
fn heard(network: &Peer) -> Vec<usize> {
    let said = network.world().said(Place::Channel(LOBBY));
    // Over the relay the speaker's name stands before the text.
    let texts = said.iter().filter(|said| said.from == BOT);
    let bare =
        texts.map(|said| said.text.split_once(": ").map_or(said.text.as_str(), |(_, rest)| rest));
    bare.filter_map(|text| numbered::number("out", text)).collect()
}

/// The numbers that arrived on Matrix, in order. `known` is what was read of the room before.
async fn arrived(alice: &User, room: &str, known: &mut Vec<Value>) -> Result<Vec<usize>> {
    alice.read_on(room, known).await?;
    Ok(alice.said_by_others(known).filter_map(|text| numbered::number("in", text)).collect())
}

#[tokio::main]
async fn main() -> ExitCode {
    landbridge_tests::prepare();
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            println!("   {e}");
            ExitCode::FAILURE
        }
    }
}
