//! A homeserver and a bridge beside it, each a process of its own as the launchers start it, and the waiting for what they carry.

use std::{
    env, fs,
    io::{Error, Result},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use landbridge_framework::testing::free_port;

use crate::process::{Process, checkout};

/// The homeserver's name.
pub const SERVER: &str = "crash.test";
/// The secret that accounts are registered with.
pub const SECRET: &str = "crash-secret";

/// Nothing new for this long means that nothing more will come.
const PATIENCE: Duration = Duration::from_secs(90);

/// What counting gives.
type Counted<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The two processes, which are not running yet.
pub struct Stack {
    /// Where the homeserver listens.
    pub base: String,
    /// The homeserver.
    pub homeserver: Process,
    /// The bridge.
    pub bridge: Process,
}

impl Stack {
    /// Prepares a homeserver (see [`homeserver`]) and a bridge to `network`, which is registered with it. `settings` are what the bridge's
    /// launcher needs to know of the network.
    pub fn prepare(folder: &Path, network: &str, settings: &[(&str, &str)]) -> Result<Self> {
        let (base, homeserver) = homeserver(folder)?;
        let bridge = bridge(folder, &base, network, settings)?;
        Ok(Self { base, homeserver, bridge })
    }
}

/// Prepares a homeserver, and says where it will listen: ours, unless `HOMESERVER_LAUNCHER` names the launcher of another one.
pub fn homeserver(folder: &Path) -> Result<(String, Process)> {
    let named = env::var_os("HOMESERVER_LAUNCHER").map(PathBuf::from);
    let launcher = named.unwrap_or_else(|| checkout().join("tests/launch-homeserver"));
    let appservices = folder.join("appservices");
    fs::create_dir_all(&appservices)?;
    fs::create_dir_all(folder.join("homeserver"))?;
    let (client, federation) = (free_port()?, free_port()?);
    let base = format!("http://127.0.0.1:{client}");
    let ready = format!("{base}/_matrix/client/versions");
    let homeserver = Process::new("homeserver", launcher, &folder.join("homeserver.log"), &ready)
        .env("SERVER_NAME", SERVER)
        .env("DATA_DIR", folder.join("homeserver").display())
        .env("CLIENT_PORT", client)
        .env("FEDERATION_PORT", federation)
        .env("REGISTRATION_SHARED_SECRET", SECRET)
        .env("APPSERVICES_DIR", appservices.display());
    Ok((base, homeserver))
}

/// Prepares a bridge to `network` beside the homeserver at `base`, which has to be started after it was registered by this.
pub fn bridge(
    folder: &Path,
    base: &str,
    network: &str,
    settings: &[(&str, &str)],
) -> Result<Process> {
    let registration = folder.join("appservices").join(format!("{network}.yaml"));
    let (registration, data) = (registration.display().to_string(), folder.join(network));
    let (data, port) = (data.display().to_string(), free_port()?.to_string());
    let mut environment = vec![
        ("HS_URL", base),
        ("SERVER_NAME", SERVER),
        ("DATA_DIR", &data),
        ("APPSERVICE_PORT", &port),
        ("REGISTRATION", &registration),
    ];
    environment.extend_from_slice(settings);
    launch_bridge(&[network, "register"], &environment)?;
    let ready = format!("http://127.0.0.1:{port}/health");
    let log = folder.join(format!("{network}.log"));
    let bridge = Process::new(network, launcher(), &log, &ready).args([network]);
    Ok(environment.iter().fold(bridge, |bridge, (name, value)| bridge.env(name, value)))
}

/// The part of a configuration that has a bridge to `network` run in the homeserver's process.
pub fn within(network: &str, settings: &[(&str, &str)]) -> Result<String> {
    let environment = [&[("SERVER_NAME", SERVER)], settings].concat();
    launch_bridge(&[network, "within"], &environment)
}

fn launcher() -> PathBuf {
    checkout().join("tests/launch-bridge")
}

/// Has the launcher do something that ends, and gives what it printed.
fn launch_bridge(args: &[&str], environment: &[(&str, &str)]) -> Result<String> {
    let mut command = Command::new(launcher());
    command.args(args).envs(environment.iter().copied()).stderr(Stdio::inherit());
    let done = command.output()?;
    if !done.status.success() {
        return Err(Error::other(format!("launch-bridge {}: {}", args.join(" "), done.status)));
    }
    String::from_utf8(done.stdout).map_err(Error::other)
}

/// Waits until `expected` things have arrived, or until nothing new comes; and then for `rest`, because what is doubled may still be on its
/// way.
pub async fn settled(
    expected: usize,
    rest: Duration,
    mut count: impl AsyncFnMut() -> Counted<usize>,
) -> Counted<()> {
    let (mut last, mut since) = (0, Instant::now());
    loop {
        let now = count().await?;
        if now >= expected || (now == last && since.elapsed() > PATIENCE) {
            tokio::time::sleep(rest).await;
            return Ok(());
        }
        if now > last {
            (last, since) = (now, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
