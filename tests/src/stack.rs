//! A homeserver and a bridge beside it, each a process of its own as the launchers start it, and the waiting for what they carry.

use std::{
    fs,
    io::{Error, Result},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use crate::process::{Process, checkout, free_port};

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
    /// Prepares a homeserver that `launcher` starts and a bridge to `network`, which is registered with it. `settings` are what the
    /// bridge's launcher needs to know of the network.
    pub fn prepare(
        folder: &Path,
        launcher: &Path,
        network: &str,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        let appservices = folder.join("appservices");
        fs::create_dir_all(&appservices)?;
        fs::create_dir_all(folder.join("homeserver"))?;
        let (client, federation, port) = (free_port()?, free_port()?, free_port()?);
        let base = format!("http://127.0.0.1:{client}");
        let ready = format!("{base}/_matrix/client/versions");
        let homeserver =
            Process::new("homeserver", launcher, &folder.join("homeserver.log"), &ready)
                .env("SERVER_NAME", SERVER)
                .env("DATA_DIR", folder.join("homeserver").display())
                .env("CLIENT_PORT", client)
                .env("FEDERATION_PORT", federation)
                .env("REGISTRATION_SHARED_SECRET", SECRET)
                .env("APPSERVICES_DIR", appservices.display());

        let registration = appservices.join(format!("{network}.yaml")).display().to_string();
        let data = folder.join("bridge").display().to_string();
        let port = port.to_string();
        let mut environment = vec![
            ("HS_URL", base.as_str()),
            ("SERVER_NAME", SERVER),
            ("DATA_DIR", &data),
            ("APPSERVICE_PORT", &port),
            ("REGISTRATION", &registration),
        ];
        environment.extend_from_slice(settings);
        let launcher = checkout().join("tests/launch-bridge");
        // The registration file has to be there when the homeserver starts.
        let registered = Command::new(&launcher)
            .args([network, "register"])
            .envs(environment.iter().copied())
            .status()?;
        if !registered.success() {
            let problem = format!("launch-bridge {network} register: {registered}");
            return Err(Error::other(problem));
        }
        let ready = format!("http://127.0.0.1:{port}/health");
        let bridge =
            Process::new("bridge", launcher, &folder.join("bridge.log"), &ready).args([network]);
        let bridge =
            environment.iter().fold(bridge, |bridge, (name, value)| bridge.env(name, value));
        Ok(Self { base, homeserver, bridge })
    }
}

/// Waits until `expected` things have arrived, or until nothing new comes; and then for `rest`, because what is doubled may still be on its
/// way.
pub async fn settled<F>(
    expected: usize,
    rest: Duration,
    mut count: impl FnMut() -> F,
) -> Counted<()>
where
    F: Future<Output = Counted<usize>>,
{
    let (mut last, mut since) = (0, Instant::now());
    loop {
        let began = Instant::now();
        let now = count().await?;
        let took = began.elapsed();
        if now >= expected || (now == last && since.elapsed() > PATIENCE) {
            tokio::time::sleep(rest).await;
            return Ok(());
        }
        if now > last {
            (last, since) = (now, Instant::now());
        }
        // Looking must not keep the homeserver from what is looked for.
        tokio::time::sleep((took * 4).max(Duration::from_millis(500))).await;
    }
}
