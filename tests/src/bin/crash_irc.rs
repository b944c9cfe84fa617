//! `kill -9` with IRC: a real IRC server, a homeserver and the IRC bridge, each a process of its own; numbered messages of many
//! people both ways, some over puppets and some over the relay, while homeserver and bridge are killed at random points.
//!
//! Matrix to IRC: nothing lost, nothing reordered; doubled only where a kill fell between a line and its confirmation, and then
//! said so in the room. IRC to Matrix: nothing doubled, nothing reordered; lost only what was said while the bot wasn't there.
//!
//! Sizes come from the environment: `IRC_MESSAGES` each way over `IRC_PUPPETS` people, `IRC_RELAYED` over the relay,
//! `IRC_KILLS` of bridge and homeserver each, `IRC_SEED`.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that reports on its standard output, and shares the bridge's test servers"
)]

#[path = "../../../bridges/irc/tests/real_servers/servers.rs"]
#[allow(dead_code, reason = "the bridge's own tests use the rest")]
mod servers;

use std::{error::Error, path::Path, process::ExitCode, sync::Arc, time::Duration};

use landbridge_tests::{
    irc::{self, Person, Span},
    matrix::User,
    numbered::{self, Verdict},
    process::{Process, kill_often},
    setting,
    stack::{SECRET, Stack, settled},
};
use serde_json::Value;
use servers::{Server, Software};
use tokio::sync::Mutex;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The channel of the puppets and that of the relay, and their aliases: their rooms are made by whoever joins first.
const CHANNEL: &str = "#crash";
const ALIAS: &str = "#irc_#crash:crash.test";
const RELAY_CHANNEL: &str = "#relayed";
const RELAY_ALIAS: &str = "#irc_relay/#relayed:crash.test";
/// The bot that listens in the puppets' channel.
const BOT: &str = "crashbot";
/// For so long what is doubled may still be on its way.
const REST: Duration = Duration::from_secs(5);

struct Sizes {
    messages: usize,
    puppets: usize,
    relayed: usize,
    kills: usize,
    seed: u64,
}

/// The two processes that are killed.
struct Rig {
    base: String,
    homeserver: Arc<Mutex<Process>>,
    bridge: Arc<Mutex<Process>>,
}

impl Rig {
    fn prepare(folder: &Path, irc_port: u16) -> Result<Self> {
        let network = format!("irc://127.0.0.1:{irc_port}");
        let stack = Stack::prepare(folder, "irc", &[("NETWORK_URL", &network)])?;
        Ok(Self {
            base: stack.base,
            homeserver: Arc::new(Mutex::new(stack.homeserver)),
            bridge: Arc::new(Mutex::new(stack.bridge)),
        })
    }
}

/// Sends `count` numbered messages, in turn from each of the users, each after the one before was taken.
async fn send_all(
    users: &[User],
    room: &str,
    series: &str,
    count: usize,
    pause: Duration,
) -> Result<()> {
    for number in 0..count {
        let user = &users[number % users.len()];
        user.send(room, &format!("{series}-{number}"), &numbered::text(series, number)).await?;
        tokio::time::sleep(pause).await;
    }
    Ok(())
}

/// The numbers of a series in what was heard on IRC; over the relay the speaker's name stands before the text.
fn heard(person: &Person, channel: &str, series: &str) -> Vec<usize> {
    let texts = person.heard(channel).into_iter().map(|said| said.text);
    let bare =
        texts.map(|text| text.split_once("> ").map_or(text.clone(), |(_, rest)| rest.to_owned()));
    bare.filter_map(|text| numbered::number(series, &text)).collect()
}

/// How often the room was told that something may have been sent twice.
fn warned(timeline: &[Value]) -> usize {
    let bodies = timeline.iter().filter_map(|event| event["content"]["body"].as_str());
    bodies.filter(|body| body.contains("may have been sent")).count()
}

async fn against(software: Software, sizes: &Sizes) -> Result<bool> {
    let Some(server) = software.start() else { return Ok(true) };
    let folder = tempfile::Builder::new().prefix("landbridge-crash-irc").tempdir()?;
    let rig = Rig::prepare(folder.path(), server.port)?;
    rig.homeserver.lock().await.start().await?;
    // The watcher is there before the bot, whose first join it must see.
    let person = Person::connect(server.port, "watcher", BOT).await?;
    person.join(CHANNEL).await?;
    person.join(RELAY_CHANNEL).await?;
    rig.bridge.lock().await.start().await?;
    let clean = bridged(software, sizes, &rig, &person, &server).await?;
    if !clean {
        println!("   logs: {}", folder.keep().display());
    }
    Ok(clean)
}

async fn bridged(
    software: Software,
    sizes: &Sizes,
    rig: &Rig,
    person: &Person,
    _server: &Server,
) -> Result<bool> {
    let mut users = Vec::new();
    for number in 0..sizes.puppets {
        users.push(User::register(&rig.base, SECRET, &format!("user{number}")).await?);
    }
    let relayed = [User::register(&rig.base, SECRET, "relayed").await?];
    let room = users[0].join_soon(ALIAS).await?;
    for user in &users[1..] {
        user.join(&room).await?;
    }
    let relay_room = relayed[0].join_soon(RELAY_ALIAS).await?;

    // As long as there is killing there are messages on their way.
    let pause = Duration::from_secs(3) * u32::try_from(sizes.kills)?
        / u32::try_from(sizes.messages.max(1))?;
    let mut said_at: Vec<Span> = Vec::new();
    let inward = async {
        for number in 0..sizes.messages {
            said_at.push(person.say(CHANNEL, &numbered::text("in", number)).await?);
            tokio::time::sleep(pause).await;
        }
        Ok::<_, Box<dyn Error + Send + Sync>>(())
    };
    let relay_pause = pause * u32::try_from(sizes.messages)? / u32::try_from(sizes.relayed.max(1))?;
    let killing = async {
        let processes = [Arc::clone(&rig.homeserver), Arc::clone(&rig.bridge)];
        kill_often(processes, sizes.kills, 1_000..4_000, sizes.seed).await?;
        Ok(())
    };
    tokio::try_join!(
        send_all(&users, &room, "out", sizes.messages, pause),
        send_all(&relayed, &relay_room, "rel", sizes.relayed, relay_pause),
        inward,
        killing
    )?;

    settled(sizes.messages, REST, || async { Ok(heard(person, CHANNEL, "out").len()) }).await?;
    settled(sizes.relayed, REST, || async { Ok(heard(person, RELAY_CHANNEL, "rel").len()) })
        .await?;
    let on_matrix = || async {
        let events = users[0].timeline(&room).await?;
        let texts = events.iter().filter(|event| {
            event["type"] == "m.room.message"
                && !event["sender"].as_str().unwrap_or_default().starts_with("@user")
        });
        Ok::<_, Box<dyn Error + Send + Sync>>(
            texts
                .filter_map(|event| numbered::number("in", event["content"]["body"].as_str()?))
                .collect::<Vec<_>>(),
        )
    };
    // The bot has been there since its last start: what was said from then on comes.
    let listening = person.listening();
    let in_the_end = irc::due(&said_at, &listening[listening.len().saturating_sub(1)..], &[]);
    settled(in_the_end.len(), REST, || async {
        let arrived = on_matrix().await?;
        Ok(in_the_end.iter().filter(|number| arrived.contains(number)).count())
    })
    .await?;
    let arrived = on_matrix().await?;
    let due = irc::due(&said_at, &listening, &arrived);

    let outward = numbered::judge(sizes.messages, &heard(person, CHANNEL, "out"));
    let relay = numbered::judge(sizes.relayed, &heard(person, RELAY_CHANNEL, "rel"));
    let all: Verdict = numbered::judge(sizes.messages, &arrived);
    let lost: Vec<usize> = due.iter().filter(|number| all.lost.contains(number)).copied().collect();
    let warnings =
        warned(&users[0].timeline(&room).await?) + warned(&relayed[0].timeline(&relay_room).await?);
    println!("   {software:?}, Matrix to IRC over {} puppets: {outward}", sizes.puppets);
    println!(
        "   {software:?}, Matrix to IRC over the relay: {relay}; {warnings} times \"may have been sent\""
    );
    println!(
        "   {software:?}, IRC to Matrix: {} doubled, {} reordered; {} of {} said while the bot listened are lost ({} were said while it was away)",
        all.doubled.len(),
        all.reordered.len(),
        lost.len(),
        due.len(),
        sizes.messages - due.len(),
    );
    let doubled = outward.doubled.len() + relay.doubled.len();
    let out = |verdict: &Verdict| verdict.lost.is_empty() && verdict.reordered.is_empty();
    Ok(out(&outward)
        && out(&relay)
        && doubled <= warnings
        && all.doubled.is_empty()
        && all.reordered.is_empty()
        && lost.is_empty())
}

#[tokio::main]
async fn main() -> ExitCode {
    landbridge_tests::prepare();
    let sizes = Sizes {
        messages: setting("IRC_MESSAGES", 200),
        puppets: setting("IRC_PUPPETS", 8),
        relayed: setting("IRC_RELAYED", 40),
        kills: setting("IRC_KILLS", 3),
        seed: setting("IRC_SEED", rand::random::<u32>().into()),
    };
    println!(
        "   {} messages each way over {} puppets, {} over the relay, {} kills each, IRC_SEED={}",
        sizes.messages, sizes.puppets, sizes.relayed, sizes.kills, sizes.seed
    );
    let mut code = ExitCode::SUCCESS;
    for software in Software::ALL {
        match against(software, &sizes).await {
            Ok(true) => {}
            Ok(false) => code = ExitCode::FAILURE,
            Err(e) => {
                println!("   {software:?}: {e}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}
