//! `kill -9`: a homeserver, the Playground's network and its bridge, each a process of its own; numbered
//! messages both ways while homeserver and bridge are killed at random points. Everything must come through
//! once and in order.
//!
//! Sizes come from the environment: `CRASH_MESSAGES` each way, `CRASH_KILLS` of each of the two, `CRASH_SEED`. The homeserver is ours, or
//! that of `HOMESERVER_LAUNCHER`.

#![allow(clippy::print_stdout, reason = "a program that reports on its standard output")]

use std::{
    env,
    error::Error,
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use landbridge_framework::testing::free_port;
use landbridge_tests::{
    matrix::User,
    numbered::{self, Verdict},
    playground::Network,
    process::{Process, kill_often},
    setting,
    stack::{SECRET, Stack},
};
use tokio::sync::Mutex;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const CHAT: &str = "lobby";
const PORTAL: &str = "#playground_lobby:crash.test";
const SPEAKER: &str = "bob";
/// Nothing new for this long means that nothing more will come.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long after a look the next one comes, at least.
const LOOK: Duration = Duration::from_millis(500);

/// The three processes.
struct Rig {
    base: String,
    network: Process,
    homeserver: Arc<Mutex<Process>>,
    bridge: Arc<Mutex<Process>>,
    network_url: String,
}

impl Rig {
    fn prepare(folder: &Path) -> Result<Self> {
        let network = free_port()?;
        let network_url = format!("http://127.0.0.1:{network}");
        let binary = env::var("LANDBRIDGE_BINARY")?;

        let network = Process::new(
            "network",
            &binary,
            &folder.join("network.log"),
            &format!("{network_url}/health"),
        )
        .args(["playground", "--listen"])
        .args([format!("127.0.0.1:{network}")])
        .args(["--data".to_owned(), folder.join("network").display().to_string()]);

        let settings = [("NETWORK_URL", network_url.as_str()), ("NETWORK_TOKEN", "")];
        let stack = Stack::prepare(folder, "playground", &settings)?;
        Ok(Self {
            base: stack.base,
            network,
            homeserver: Arc::new(Mutex::new(stack.homeserver)),
            bridge: Arc::new(Mutex::new(stack.bridge)),
            network_url,
        })
    }

    async fn start(&mut self) -> Result<()> {
        self.network.start().await?;
        self.homeserver.lock().await.start().await?;
        self.bridge.lock().await.start().await?;
        Ok(())
    }
}

/// Waits until `expected` numbers have arrived, or until nothing new comes. `read` says what there is: anew, or what it
/// knew with what came since.
async fn arrived(
    expected: usize,
    mut read: impl AsyncFnMut(bool) -> Result<Vec<usize>>,
) -> Result<Vec<usize>> {
    let (mut last, mut since) = (0, Instant::now());
    loop {
        let started = Instant::now();
        let numbers = read(false).await?;
        let took = started.elapsed();
        if numbers.len() >= expected {
            // A doubled message may still be on its way.
            tokio::time::sleep(Duration::from_secs(3)).await;
            return read(true).await;
        }
        if numbers.len() > last {
            (last, since) = (numbers.len(), Instant::now());
        } else if since.elapsed() > PATIENCE {
            return read(true).await;
        }
        // Looking must not keep the homeserver from what is looked for.
        tokio::time::sleep((took * 4).clamp(LOOK, LOOK * 20)).await;
    }
}

async fn run() -> Result<bool> {
    let messages: usize = setting("CRASH_MESSAGES", 300);
    let kills: usize = setting("CRASH_KILLS", 5);
    let seed: u64 = setting("CRASH_SEED", rand::random::<u32>().into());
    println!("   {messages} messages each way, {kills} kills each, CRASH_SEED={seed}");
    let folder = tempfile::Builder::new().prefix("landbridge-crash").tempdir()?;
    let mut rig = Rig::prepare(folder.path())?;
    rig.start().await?;

    let alice = User::register(&rig.base, SECRET, "alice").await?;
    let mut room = Err("not tried".into());
    // The bridge makes its configured portal once it is up.
    for _ in 0..100 {
        room = alice.join(PORTAL).await.map_err(Box::<dyn Error + Send + Sync>::from);
        if room.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let room = room?;
    let network = Network::new(&rig.network_url);

    // As long as there is killing there are messages on their way.
    let pause = Duration::from_millis(1200) * u32::try_from(kills)? / u32::try_from(messages)?;
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
            let text = numbered::text("in", number);
            network.say(CHAT, SPEAKER, &format!("in-{number}"), &text).await?;
            tokio::time::sleep(pause).await;
        }
        Ok::<_, Box<dyn Error + Send + Sync>>(())
    };
    let killing = async {
        let processes = [Arc::clone(&rig.homeserver), Arc::clone(&rig.bridge)];
        kill_often(processes, kills, 300..1500, seed).await?;
        Ok(())
    };
    tokio::try_join!(outward, inward, killing)?;

    let mut events = Vec::new();
    let on_matrix = arrived(messages, async |anew| {
        if anew {
            events.clear();
        }
        alice.read_on(&room, &mut events).await?;
        Ok(alice.said_by_others(&events).filter_map(|text| numbered::number("in", text)).collect())
    });
    let on_network = arrived(messages, async |_| {
        let sent = network.messages(CHAT).await?;
        let texts = sent.iter().filter_map(|message| message["text"].as_str());
        Ok(texts.filter_map(|text| numbered::number("out", text)).collect())
    });
    let (on_matrix, on_network) = tokio::try_join!(on_matrix, on_network)?;
    let inward: Verdict =
        numbered::judge(messages, &on_matrix).with_echoes("out", alice.said_by_others(&events));
    let outward: Verdict = numbered::judge(messages, &on_network);
    println!("   network to Matrix: {inward}");
    println!("   Matrix to network: {outward}");
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
