//! The homeserver's process, as its launcher starts it.

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use landbridge_registration::Registration;
use tempfile::TempDir;

use crate::testing::free_port;

/// How long it may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// What is said of it.
pub(super) struct Setting<'a> {
    pub(super) launcher: &'a Path,
    pub(super) server_name: &'a str,
    /// The secret that accounts are registered with.
    pub(super) secret: &'a str,
}

/// A homeserver that runs. It is killed when this goes; its folder stays where a test has failed.
pub(super) struct Process {
    child: Child,
    base: String,
    folder: Option<TempDir>,
}

impl Process {
    pub(super) fn start(setting: &Setting<'_>, registration: &Registration) -> Self {
        let folder = tempfile::Builder::new().prefix("landbridge-rows").tempdir();
        let folder = folder.expect("a folder can be made");
        let within = |name: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(&path).expect("a folder can be made");
            path
        };
        let appservices = within("appservices");
        let file = appservices.join(format!("{}.yaml", registration.id));
        fs::write(file, registration.to_yaml()).expect("the registration can be written");
        let log = File::create(folder.path().join("homeserver.log")).expect("a log can be written");
        let second = log.try_clone().expect("a file has as many handles as one wants");
        let [client, federation] = [(); 2].map(|()| free_port().expect("a port is free"));
        let child = Command::new(setting.launcher)
            .env("SERVER_NAME", setting.server_name)
            .env("DATA_DIR", within("homeserver"))
            .env("CLIENT_PORT", client.to_string())
            .env("FEDERATION_PORT", federation.to_string())
            .env("REGISTRATION_SHARED_SECRET", setting.secret)
            .env("APPSERVICES_DIR", appservices)
            .env("PRESENCE", "true")
            .stdin(Stdio::null())
            .stdout(second)
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", setting.launcher.display()));
        Self { child, base: format!("http://127.0.0.1:{client}"), folder: Some(folder) }
    }

    /// Where it listens.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Waits until it answers.
    pub(super) fn wait_ready(&mut self, answers: impl Fn() -> bool) {
        let until = Instant::now() + PATIENCE;
        while !answers() {
            let ended = self.child.try_wait().expect("a child can be asked for");
            assert!(
                ended.is_none() && Instant::now() < until,
                "the homeserver did not start ({ended:?}):\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// What it printed.
    fn log(&self) -> String {
        let path = self.folder.as_ref().map(|folder| folder.path().join("homeserver.log"));
        path.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default()
    }
}

impl Drop for Process {
    #[expect(clippy::print_stderr, reason = "whoever looks for what went wrong needs it")]
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking()
            && let Some(folder) = self.folder.take()
        {
            eprintln!("what the homeserver left is in {}", folder.keep().display());
        }
    }
}
