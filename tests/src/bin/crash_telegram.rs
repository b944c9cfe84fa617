//! `kill -9` with Telegram: a homeserver and the bridge, each a process of its own, and a server that speaks Telegram's protocol; numbered
//! messages both ways over the relay while homeserver and bridge are killed at random points, connections break, answers and updates are
//! lost or come twice, and Telegram asks to wait. Everything must come through once and in order.
//!
//! Sizes come from the environment: `TELEGRAM_MESSAGES` each way, `TELEGRAM_KILLS` of each of the two, `TELEGRAM_SEED`, and
//! `CRASH_LAUNCHER`, the homeserver's launcher (ours by default).

#![allow(clippy::print_stdout, reason = "a program that reports on its standard output")]

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    sync::Arc,
    time::{Duration, Instant},
};

use landbridge_telegram_peer::{Faults, Peer, Place};
use landbridge_tests::{
    matrix::User,
    numbered::{self, Verdict},
    process::{Process, checkout, free_port},
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::sync::Mutex;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const SERVER: &str = "crash.test";
const SECRET: &str = "crash-secret";
const PORTAL: &str = "#telegram_lobby:crash.test";
const SEED: &str = "crash";
/// The relay's bot, somebody who speaks, and the supergroup, as `tests/launch-bridge` has them.
const BOT: i64 = 1000;
const SPEAKER: i64 = 1001;
const LOBBY: i64 = 5000;
/// Nothing new for this long means that nothing more will come.
const PATIENCE: Duration = Duration::from_secs(120);

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// The two processes that are killed.
struct Rig {
    base: String,
    homeserver: Arc<Mutex<Process>>,
    bridge: Arc<Mutex<Process>>,
}

impl Rig {
    fn prepare(folder: &Path, network: &Peer) -> Result<Self> {
        let checkout = checkout();
        let appservices = folder.join("appservices");
        fs::create_dir_all(&appservices)?;
        fs::create_dir_all(folder.join("homeserver"))?;
        let (client, federation, bridge) = (free_port()?, free_port()?, free_port()?);
        let base = format!("http://127.0.0.1:{client}");
        let launcher = env::var("CRASH_LAUNCHER")
            .map_or_else(|_| checkout.join("tests/launch-homeserver"), PathBuf::from);
        let homeserver = Process::new(
            "homeserver",
            launcher,
            &folder.join("homeserver.log"),
            &format!("{base}/_matrix/client/versions"),
        )
        .env("SERVER_NAME", SERVER)
        .env("DATA_DIR", folder.join("homeserver").display())
        .env("CLIENT_PORT", client)
        .env("FEDERATION_PORT", federation)
        .env("REGISTRATION_SHARED_SECRET", SECRET)
        .env("APPSERVICES_DIR", appservices.display());
        let bridge_env = [
            ("HS_URL", base.clone()),
            ("SERVER_NAME", SERVER.to_owned()),
            ("DATA_DIR", folder.join("bridge").display().to_string()),
            ("APPSERVICE_PORT", bridge.to_string()),
            ("REGISTRATION", appservices.join("telegram.yaml").display().to_string()),
            ("NETWORK_URL", format!("mtproto://{}", network.address())),
            ("NETWORK_TOKEN", SEED.to_owned()),
        ];
        let launcher = checkout.join("tests/launch-bridge");
        let registered = Command::new(&launcher)
            .args(["telegram", "register"])
            .envs(bridge_env.iter().map(|(name, value)| (name, value)))
            .status()?;
        if !registered.success() {
            return Err(format!("launch-bridge telegram register: {registered}").into());
        }
        let ready = format!("http://127.0.0.1:{bridge}/health");
        let mut process =
            Process::new("bridge", launcher, &folder.join("bridge.log"), &ready).args(["telegram"]);
        for (name, value) in bridge_env {
            process = process.env(name, value);
        }
        Ok(Self {
            base,
            homeserver: Arc::new(Mutex::new(homeserver)),
            bridge: Arc::new(Mutex::new(process)),
        })
    }
}

/// Kills a process again and again, each time after a while, and starts it again.
async fn kill_often(process: Arc<Mutex<Process>>, kills: usize, seed: u64) -> Result<()> {
    let mut random = StdRng::seed_from_u64(seed);
    for kill in 1..=kills {
        tokio::time::sleep(Duration::from_millis(random.random_range(1_000..4_000))).await;
        let mut process = process.lock().await;
        process.kill()?;
        tokio::time::sleep(Duration::from_millis(random.random_range(0..300))).await;
        process.start().await?;
        if kill % 10 == 0 {
            println!("   {} killed {kill} times", process.name());
        }
    }
    Ok(())
}

/// Waits until `expected` numbers have arrived, or until nothing new comes.
async fn arrived<F>(expected: usize, mut read: impl FnMut() -> F) -> Result<Vec<usize>>
where
    F: Future<Output = Result<Vec<usize>>>,
{
    let (mut last, mut since) = (0, Instant::now());
    loop {
        let started = Instant::now();
        let numbers = read().await?;
        let took = started.elapsed();
        if numbers.len() >= expected {
            // A doubled message may still be on its way.
            tokio::time::sleep(Duration::from_secs(3)).await;
            return read().await;
        }
        if numbers.len() > last {
            (last, since) = (numbers.len(), Instant::now());
        } else if since.elapsed() > PATIENCE {
            return Ok(numbers);
        }
        // Looking must not keep the homeserver from what is looked for.
        tokio::time::sleep((took * 4).max(Duration::from_millis(500))).await;
    }
}

async fn run() -> Result<bool> {
    let messages: usize = setting("TELEGRAM_MESSAGES", 300);
    let kills: usize = setting("TELEGRAM_KILLS", 5);
    let seed: u64 = setting("TELEGRAM_SEED", rand::random::<u32>().into());
    println!("   {messages} messages each way, {kills} kills each, TELEGRAM_SEED={seed}");
    let folder = tempfile::Builder::new().prefix("landbridge-crash-telegram").tempdir()?;
    let network = Peer::start(SEED).await?;
    {
        let mut world = network.world();
        world.bot(BOT, "Relay", "1000:relay");
        world.person(SPEAKER, "Bob", "+15550001");
        world.channel(LOBBY, "Lobby", &[BOT, SPEAKER]);
    }
    let rig = Rig::prepare(folder.path(), &network)?;
    rig.homeserver.lock().await.start().await?;
    rig.bridge.lock().await.start().await?;

    let alice = User::register(&rig.base, SECRET, "alice").await?;
    let mut room = Err("not tried".into());
    // The bridge makes its configured portal once it is up.
    for _ in 0..100 {
        room = alice.join(PORTAL).await.map_err(Box::<dyn Error + Send + Sync>::from);
        if room.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let room = room?;
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
    let killing = async {
        let mut killers = tokio::task::JoinSet::new();
        killers.spawn(kill_often(Arc::clone(&rig.homeserver), kills, seed));
        killers.spawn(kill_often(Arc::clone(&rig.bridge), kills, seed ^ 1));
        while let Some(killer) = killers.join_next().await {
            killer??;
        }
        Ok(())
    };
    tokio::try_join!(outward, inward, killing)?;
    network.world().faults = Faults::default();
    // The last update may have been dropped: what comes next shows the gap.
    network.world().say(SPEAKER, Place::Channel(LOBBY), &numbered::text("in", messages));

    let on_matrix = arrived(messages + 1, || async {
        let events = alice.timeline(&room).await?;
        let from_ghosts = events.iter().filter(|event| event["sender"] != alice.id.as_str());
        let texts = from_ghosts.filter_map(|event| event["content"]["body"].as_str());
        Ok(texts.filter_map(|text| numbered::number("in", text)).collect())
    });
    let on_network = arrived(messages, || async {
        let said = network.world().said(Place::Channel(LOBBY));
        // Over the relay the speaker's name stands before the text.
        let texts = said.iter().filter(|said| said.from == BOT);
        let bare = texts
            .map(|said| said.text.split_once(": ").map_or(said.text.as_str(), |(_, rest)| rest));
        Ok(bare.filter_map(|text| numbered::number("out", text)).collect())
    });
    let (on_matrix, on_network) = tokio::try_join!(on_matrix, on_network)?;
    let inward: Verdict = numbered::judge(messages + 1, &on_matrix);
    let outward: Verdict = numbered::judge(messages, &on_network);
    println!("   Telegram to Matrix: {inward}");
    println!("   Matrix to Telegram: {outward}");
    let clean = inward.is_clean() && outward.is_clean();
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
