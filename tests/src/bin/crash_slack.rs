//! `kill -9` with Slack: the stand-in, a homeserver and the Slack bridge, each a process of its own; numbered messages both ways while the
//! bridge is killed at random points, its connection breaks, answers are lost and Slack asks to wait. Nothing may be lost, doubled or
//! reordered.
//!
//! Sizes come from the environment: `SLACK_MESSAGES` each way, `SLACK_KILLS` of the bridge, `SLACK_SEED`. `SLACK_NODE` is a Node of at least
//! 22.15, and `SLACK_STAND_IN` the stand-in's folder with what it needs installed.

#![allow(clippy::print_stdout, reason = "a program that reports on its standard output")]

use std::{error::Error, process::ExitCode, time::Duration};

use landbridge_tests::{
    matrix::User,
    numbered,
    process::Process,
    setting,
    slack::{Person, stand_in},
    stack::{SECRET, Stack, settled},
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const ALIAS: &str = "#slack_lobby:crash.test";
/// For so long what is doubled may still be on its way.
const REST: Duration = Duration::from_secs(15);

/// Kills the bridge again and again, each time after a while, and starts it again.
async fn kill_often(bridge: &mut Process, kills: usize, seed: u64) -> Result<()> {
    let mut random = StdRng::seed_from_u64(seed);
    for _ in 0..kills {
        tokio::time::sleep(Duration::from_millis(random.random_range(1_000..4_000))).await;
        bridge.kill()?;
        tokio::time::sleep(Duration::from_millis(random.random_range(0..500))).await;
        bridge.start().await?;
    }
    Ok(())
}

async fn run() -> Result<bool> {
    let messages = setting("SLACK_MESSAGES", 200);
    let kills = setting("SLACK_KILLS", 4);
    let seed = setting("SLACK_SEED", rand::random::<u32>().into());
    println!("   {messages} messages each way, {kills} kills, SLACK_SEED={seed}");
    let folder = tempfile::Builder::new().prefix("landbridge-crash-slack").tempdir()?;
    let (slack, mut network) = stand_in(folder.path())?;
    network.start().await?;
    let person = Person::new(&slack, "xoxp-alice");
    let (chat, channel) = person.chat("general").await?;
    let settings = [("NETWORK_URL", slack.as_str()), ("NETWORK_CHAT", &chat)];
    let mut rig = Stack::prepare(folder.path(), "slack", &settings)?;
    rig.homeserver.start().await?;
    rig.bridge.start().await?;
    let user = User::register(&rig.base, SECRET, "ann").await?;
    let room = user.join_soon(ALIAS).await?;
    // Both ways are open before anything is broken.
    person.say(&channel, "hello").await?;
    settled(1, REST, || async { Ok(arrived(&user, &room, "hello").await?.len()) }).await?;
    person.faults(&json!({ "socket_drop": 17, "post_lost": 23, "limit_every": 29 })).await?;

    let pause = Duration::from_secs(4) * u32::try_from(kills)? / u32::try_from(messages.max(1))?;
    let outward = async {
        for number in 0..messages {
            user.send(&room, &format!("out-{number}"), &numbered::text("out", number)).await?;
            tokio::time::sleep(pause).await;
        }
        Ok::<_, Box<dyn Error + Send + Sync>>(())
    };
    let inward = async {
        for number in 0..messages {
            // Alice's own requests meet the same faults: what failed was perhaps said.
            loop {
                let text = numbered::text("in", number);
                if person.say(&channel, &text).await.is_ok() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
                if person.heard(&channel).await?.contains(&text) {
                    break;
                }
            }
            tokio::time::sleep(pause).await;
        }
        Ok(())
    };
    tokio::try_join!(outward, inward, kill_often(&mut rig.bridge, kills, seed))?;
    person.faults(&json!({ "socket_drop": 0, "post_lost": 0, "limit_every": 0 })).await?;

    settled(messages, REST, || async { Ok(heard(&person, &channel).await?.len()) }).await?;
    settled(messages, REST, || async { Ok(arrived(&user, &room, "in").await?.len()) }).await?;
    let out = numbered::judge(messages, &heard(&person, &channel).await?);
    let events = user.timeline(&room).await?;
    let inn = numbered::judge(messages, &of_series(&user, &events, "in"))
        .with_echoes("out", user.said_by_others(&events));
    println!("   Matrix to Slack: {out}");
    println!("   Slack to Matrix: {inn}");
    let clean = out.is_clean() && inn.is_clean();
    if !clean {
        println!("   logs: {}", folder.keep().display());
    }
    Ok(clean)
}

/// The numbers that were heard in Slack, in order.
async fn heard(person: &Person, channel: &str) -> Result<Vec<usize>> {
    let texts = person.heard(channel).await?;
    Ok(texts.iter().filter_map(|text| numbered::number("out", text)).collect())
}

/// The numbers of a series that arrived on Matrix, in order; of a single word, how often it did.
async fn arrived(user: &User, room: &str, series: &str) -> Result<Vec<usize>> {
    Ok(of_series(user, &user.timeline(room).await?, series))
}

/// The numbers of a series in what others than the user said; of a single word, how often it is there.
fn of_series(user: &User, events: &[Value], series: &str) -> Vec<usize> {
    let number = |text: &str| if text == series { Some(0) } else { numbered::number(series, text) };
    user.said_by_others(events).filter_map(number).collect()
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
