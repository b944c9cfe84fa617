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
#[path = "../../../bridges/discord/tests/end_to_end/fake_rest.rs"]
mod fake_rest;

use std::{
    env,
    error::Error,
    fs,
    path::Path,
    process::{Command, ExitCode},
    sync::Arc,
    time::{Duration, Instant},
};

use fake::{CHANNEL, Fake, GUILD, TOKEN};
use landbridge_tests::{
    matrix::User,
    numbered,
    process::{Process, checkout, free_port},
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::Value;
use tokio::sync::Mutex;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const SERVER: &str = "crash.test";
const SECRET: &str = "crash-secret";
/// The channel's room is made by whoever joins its alias first.
const ALIAS: &str = "#discord_600:crash.test";
/// Nothing new for this long means that nothing more will come.
const PATIENCE: Duration = Duration::from_secs(120);

struct Sizes {
    messages: usize,
    kills: usize,
    faults: usize,
    seed: u64,
}

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
    fn prepare(folder: &Path, fake: &Fake) -> Result<Self> {
        let appservices = folder.join("appservices");
        fs::create_dir_all(&appservices)?;
        fs::create_dir_all(folder.join("homeserver"))?;
        let (client, bridge) = (free_port()?, free_port()?);
        let base = format!("http://127.0.0.1:{client}");
        let homeserver = Process::new(
            "homeserver",
            checkout().join("tests/launch-homeserver"),
            &folder.join("homeserver.log"),
            &format!("{base}/_matrix/client/versions"),
        )
        .env("SERVER_NAME", SERVER)
        .env("DATA_DIR", folder.join("homeserver").display())
        .env("CLIENT_PORT", client)
        .env("REGISTRATION_SHARED_SECRET", SECRET)
        .env("APPSERVICES_DIR", appservices.display());
        let bridge_env = [
            ("HS_URL", base.clone()),
            ("SERVER_NAME", SERVER.to_owned()),
            ("DATA_DIR", folder.join("bridge").display().to_string()),
            ("APPSERVICE_PORT", bridge.to_string()),
            ("REGISTRATION", appservices.join("discord.yaml").display().to_string()),
            ("NETWORK_URL", format!("http://{}", fake.address)),
            ("NETWORK_TOKEN", TOKEN.to_owned()),
            ("NETWORK_GUILD", GUILD.to_owned()),
        ];
        let launcher = checkout().join("tests/launch-bridge");
        let registered = Command::new(&launcher)
            .args(["discord", "register"])
            .envs(bridge_env.clone())
            .status()?;
        if !registered.success() {
            return Err(format!("launch-bridge discord register: {registered}").into());
        }
        let ready = format!("http://127.0.0.1:{bridge}/health");
        let mut process =
            Process::new("bridge", launcher, &folder.join("bridge.log"), &ready).args(["discord"]);
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
    for _ in 0..kills {
        tokio::time::sleep(Duration::from_millis(random.random_range(1_000..4_000))).await;
        let mut process = process.lock().await;
        process.kill()?;
        tokio::time::sleep(Duration::from_millis(random.random_range(0..300))).await;
        process.start().await?;
    }
    Ok(())
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

/// Waits until `expected` things have arrived, or until nothing new comes.
async fn settled(expected: usize, mut count: impl AsyncFnMut() -> Result<usize>) -> Result<()> {
    let (mut last, mut since) = (0, Instant::now());
    loop {
        let now = count().await?;
        if now >= expected || (now == last && since.elapsed() > PATIENCE) {
            // What is doubled may still be on its way.
            tokio::time::sleep(Duration::from_secs(5)).await;
            return Ok(());
        }
        if now > last {
            (last, since) = (now, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Joins the room by its alias; the bridge, asked for it, makes the room once it knows the channel.
async fn join(user: &User) -> Result<String> {
    let mut room = Err("not tried".into());
    for _ in 0..200 {
        room = user.join(ALIAS).await.map_err(Box::<dyn Error + Send + Sync>::from);
        if room.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    room
}

fn heard(fake: &Fake) -> Vec<usize> {
    fake.heard(CHANNEL).iter().filter_map(|(_, text)| numbered::number("out", text)).collect()
}

/// The numbers that came to the room. `known` is what was read of it before.
async fn on_matrix(user: &User, room: &str, known: &mut Vec<Value>) -> Result<Vec<usize>> {
    user.read_on(room, known).await?;
    let from_discord = |event: &&Value| {
        event["type"] == "m.room.message"
            && event["sender"].as_str().unwrap_or_default().starts_with("@discord_")
    };
    let texts = known.iter().filter(from_discord);
    Ok(texts
        .filter_map(|event| numbered::number("in", event["content"]["body"].as_str()?))
        .collect())
}

async fn run(sizes: &Sizes) -> Result<bool> {
    let fake = Fake::start().await;
    let folder = tempfile::Builder::new().prefix("landbridge-crash-discord").tempdir()?;
    let rig = Rig::prepare(folder.path(), &fake)?;
    rig.homeserver.lock().await.start().await?;
    rig.bridge.lock().await.start().await?;
    let user = User::register(&rig.base, SECRET, "user").await?;
    let room = join(&user).await?;

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
    let killing = async {
        let mut killers = tokio::task::JoinSet::new();
        killers.spawn(kill_often(Arc::clone(&rig.homeserver), sizes.kills, sizes.seed));
        killers.spawn(kill_often(Arc::clone(&rig.bridge), sizes.kills, sizes.seed ^ 1));
        while let Some(killer) = killers.join_next().await {
            killer??;
        }
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
    settled(sizes.messages, async || Ok(there(&heard(&fake)))).await?;
    settled(sizes.messages, async || Ok(there(&on_matrix(&user, &room, &mut known).await?)))
        .await?;
    let out = judge(&heard(&fake));
    let inn = judge(&on_matrix(&user, &room, &mut known).await?);
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
