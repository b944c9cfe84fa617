//! Two networks plumbed to one room: what is said in Slack, on IRC and on Matrix reaches the other two once and in order, and comes back to
//! nobody. Both bridges run in the process of our homeserver; where `HOMESERVER_LAUNCHER` names another one, each alone beside it.
//!
//! Sizes come from the environment: `THREE_WAYS_MESSAGES` from each side. Slack's stand-in needs what `crash_slack` needs.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that reports on its standard output, and shares the bridge's test servers"
)]

#[path = "../../../bridges/irc/tests/real_servers/servers.rs"]
#[allow(dead_code, reason = "the bridge's own tests use the rest")]
mod servers;

use std::{env, error::Error, fs, path::Path, process::ExitCode, time::Duration};

use landbridge_tests::{
    irc,
    matrix::User,
    numbered,
    process::Process,
    setting, slack,
    stack::{self, SECRET, SERVER, settled},
};
use reqwest::Method;
use serde_json::{Value, json};
use servers::Software;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const CHANNEL: &str = "#three";
const SERIES: [&str; 3] = ["matrix", "slack", "irc"];
/// For so long what is doubled, or comes back, may still be on its way.
const REST: Duration = Duration::from_secs(5);

/// Everybody, and where they are.
struct Party {
    ann: User,
    room: String,
    alice: slack::Person,
    channel: String,
    speaker: irc::Person,
    listener: irc::Person,
}

impl Party {
    /// Has both networks bridged to one room.
    async fn meet(base: &str, alice: slack::Person, irc_port: u16) -> Result<Self> {
        let (chat, channel) = alice.chat("general").await?;
        let speaker = irc::Person::connect(irc_port, "speaker", "crashbot").await?;
        let listener = irc::Person::connect(irc_port, "listener", "crashbot").await?;
        speaker.join(CHANNEL).await?;
        listener.join(CHANNEL).await?;
        let ann = User::register(base, SECRET, "ann").await?;
        let invited: Vec<String> =
            ["slackbot", "ircbot"].iter().map(|bot| format!("@{bot}:{SERVER}")).collect();
        let body = json!({ "preset": "public_chat", "name": "three ways", "invite": invited });
        let made = ann.call(Method::POST, "/_matrix/client/v3/createRoom", Some(&body)).await?;
        let room = made["room_id"].as_str().unwrap_or_default().to_owned();
        let party = Self { ann, room, alice, channel, speaker, listener };
        for (network, named) in [("slack", chat.as_str()), ("irc", CHANNEL)] {
            let bot = format!("@{network}bot:{SERVER}");
            party.until("a bot in the room", async || party.is_there(&bot).await).await?;
            let command = format!("!{network} bridge {named}");
            party.ann.send(&party.room, network, &command).await?;
            let bridged = async || {
                let said = party.said_by(&bot).await?;
                Ok(said.iter().any(|text| text.contains("is now bridged")))
            };
            party.until("a bridge", bridged).await?;
        }
        // Who has to be in the channel before anything is heard there?
        party
            .until("the bot in the channel", async || Ok(!party.listener.listening().is_empty()))
            .await?;
        Ok(party)
    }

    async fn until(&self, what: &str, holds: impl AsyncFn() -> Result<bool>) -> Result<()> {
        for _ in 0..300 {
            if holds().await? {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Err(format!("it never came: {what}").into())
    }

    async fn is_there(&self, user: &str) -> Result<bool> {
        let path = format!(
            "/_matrix/client/v3/rooms/{}/joined_members",
            landbridge_tests::matrix::escape(&self.room)
        );
        let members = self.ann.call(Method::GET, &path, None).await?;
        Ok(members["joined"].get(user).is_some())
    }

    async fn said_by(&self, user: &str) -> Result<Vec<String>> {
        let timeline = self.ann.timeline(&self.room).await?;
        let bodies = timeline.iter().filter(|event| event["sender"] == user);
        Ok(bodies
            .filter_map(|event| event["content"]["body"].as_str().map(str::to_owned))
            .collect())
    }

    /// Everybody says their numbers, all at once.
    async fn talk(&self, messages: usize) -> Result<()> {
        let matrix = async {
            for number in 0..messages {
                let text = numbered::text("matrix", number);
                self.ann.send(&self.room, &format!("m{number}"), &text).await?;
            }
            Ok::<_, Box<dyn Error + Send + Sync>>(())
        };
        let slack = async {
            for number in 0..messages {
                self.alice.say(&self.channel, &numbered::text("slack", number)).await?;
            }
            Ok(())
        };
        let irc = async {
            for number in 0..messages {
                self.speaker.say(CHANNEL, &numbered::text("irc", number)).await?;
                // ngircd has people wait who speak faster.
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            Ok(())
        };
        tokio::try_join!(matrix, slack, irc).map(drop)
    }

    /// What is to be seen on a side, the speakers' own words among it.
    async fn seen(&self, side: &str) -> Result<Vec<String>> {
        match side {
            "slack" => Ok(self.alice.heard(&self.channel).await?),
            "irc" => Ok(self.listener.heard(CHANNEL).into_iter().map(|said| said.text).collect()),
            _ => {
                let timeline = self.ann.timeline(&self.room).await?;
                let messages = timeline.iter().filter(|event| event["type"] == "m.room.message");
                let body = |event: &Value| event["content"]["body"].as_str().map(str::to_owned);
                Ok(messages.filter_map(body).collect())
            }
        }
    }

    /// Whether every side has what all three said, once and in order.
    async fn judge(&self, messages: usize) -> Result<bool> {
        let mut clean = true;
        for side in SERIES {
            let count = async || {
                let seen = self.seen(side).await?;
                Ok(SERIES.iter().map(|series| numbers(series, &seen).len()).sum())
            };
            settled(messages * SERIES.len(), REST, count).await?;
            let seen = self.seen(side).await?;
            for series in SERIES {
                let verdict = numbered::judge(messages, &numbers(series, &seen));
                println!("   said on {series}, seen on {side}: {verdict}");
                clean &= verdict.is_clean();
            }
        }
        Ok(clean)
    }
}

fn numbers(series: &str, seen: &[String]) -> Vec<usize> {
    seen.iter().filter_map(|text| numbered::number(series, text)).collect()
}

/// The homeserver and the bridges, running, and where the homeserver listens.
async fn started(
    folder: &Path,
    networks: &[(&str, Vec<(&str, &str)>)],
) -> Result<(String, Vec<Process>)> {
    let (base, mut homeserver) = stack::homeserver(folder)?;
    let mut bridges = Vec::new();
    if env::var_os("HOMESERVER_LAUNCHER").is_none() {
        let parts: std::io::Result<Vec<String>> =
            networks.iter().map(|(name, settings)| stack::within(name, settings)).collect();
        let file = folder.join("bridges.toml");
        fs::write(&file, parts?.join("\n"))?;
        homeserver = homeserver.env("BRIDGES", file.display());
    } else {
        for (name, settings) in networks {
            bridges.push(stack::bridge(folder, &base, name, settings)?);
        }
    }
    let mut processes = vec![homeserver];
    processes.extend(bridges);
    for process in &mut processes {
        process.start().await?;
    }
    Ok((base, processes))
}

async fn run() -> Result<bool> {
    let messages = setting("THREE_WAYS_MESSAGES", 100);
    println!("   {messages} messages from each side");
    let folder = tempfile::Builder::new().prefix("landbridge-three-ways").tempdir()?;
    let server = Software::Ngircd.start().ok_or("ngircd is not installed")?;
    let (slack, mut stand_in) = slack::stand_in(folder.path())?;
    stand_in.start().await?;
    let irc = format!("irc://127.0.0.1:{}", server.port);
    let networks = [
        ("slack", vec![("NETWORK_URL", slack.as_str())]),
        ("irc", vec![("NETWORK_URL", irc.as_str())]),
    ];
    let (base, _processes) = started(folder.path(), &networks).await?;
    let alice = slack::Person::new(&slack, "xoxp-alice");
    let party = Party::meet(&base, alice, server.port).await?;
    party.talk(messages).await?;
    let clean = party.judge(messages).await?;
    if !clean {
        println!("   logs: {}", folder.keep().display());
    }
    Ok(clean)
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
