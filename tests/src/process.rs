//! Real processes that are started, killed and started again.

use std::{
    fs::File,
    io::{Error, Result},
    ops::Range,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::{sync::Mutex, task::JoinSet};

/// The checkout this crate stands in.
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A program that can be killed and started again.
pub struct Process {
    name: String,
    program: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
    log: PathBuf,
    ready: String,
    child: Option<Child>,
}

impl Process {
    /// A program that is not running yet. It is ready when `ready`, a URL, answers with a success; what it
    /// prints goes to `log`.
    pub fn new(name: &str, program: impl Into<PathBuf>, log: &Path, ready: &str) -> Self {
        Self {
            name: name.to_owned(),
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            log: log.to_owned(),
            ready: ready.to_owned(),
            child: None,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<T: ToString>(mut self, args: impl IntoIterator<Item = T>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.to_string()));
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.env.push((name.to_owned(), format!("{value}")));
        self
    }

    /// Starts it and waits until it is ready.
    pub async fn start(&mut self) -> Result<()> {
        self.spawn()?;
        self.wait_ready().await
    }

    /// Starts it.
    pub fn spawn(&mut self) -> Result<()> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&self.program);
        command.args(&self.args).envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.child = Some(command.spawn()?);
        Ok(())
    }

    /// Waits until it is ready; an error when it ended or takes more than a minute.
    pub async fn wait_ready(&mut self) -> Result<()> {
        let started = Instant::now();
        loop {
            let ready = reqwest::get(&self.ready).await;
            if ready.is_ok_and(|response| response.status().is_success()) {
                return Ok(());
            }
            if let Some(child) = &mut self.child
                && let Some(status) = child.try_wait()?
            {
                return Err(self.broken(&format!("ended with {status}")));
            }
            if started.elapsed() > Duration::from_mins(1) {
                return Err(self.broken("was not ready after a minute"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn broken(&self, what: &str) -> Error {
        Error::other(format!("{} {what}; see {}", self.name, self.log.display()))
    }

    /// The process id while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// `kill -9`.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Kills two processes again and again, each of them after pauses of so many milliseconds, and starts them again.
pub async fn kill_often(
    processes: [Arc<Mutex<Process>>; 2],
    kills: usize,
    pauses: Range<u64>,
    seed: u64,
) -> Result<()> {
    let mut killers = JoinSet::new();
    for (process, seed) in processes.into_iter().zip([seed, seed ^ 1]) {
        killers.spawn(kill_one(process, kills, pauses.clone(), seed));
    }
    while let Some(killer) = killers.join_next().await {
        killer??;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "it takes long, and says how far it is")]
async fn kill_one(
    process: Arc<Mutex<Process>>,
    kills: usize,
    pauses: Range<u64>,
    seed: u64,
) -> Result<()> {
    let mut random = StdRng::seed_from_u64(seed);
    for kill in 1..=kills {
        tokio::time::sleep(Duration::from_millis(random.random_range(pauses.clone()))).await;
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

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
