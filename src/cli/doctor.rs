//! `landbridge doctor`: looks for what goes wrong in practice, and says what to do about it. It changes nothing.

use std::{
    fmt::Display, fs, net::SocketAddr, os::unix::fs::PermissionsExt as _, path::Path,
    time::Duration,
};

use landbridge_database::{Database, DatabaseError, Options};
use landbridge_registration::{Registration, conflicts};

use super::{Failure, say};
use crate::config::{Config, ConfigError, Loaded};

fn good(what: impl Display) -> Result<(), Failure> {
    say(format_args!("ok    {what}"))
}

fn note(what: impl Display) -> Result<(), Failure> {
    say(format_args!("note  {what}"))
}

/// What was found wrong so far.
#[derive(Default)]
struct Report {
    failures: usize,
}

impl Report {
    fn bad(&mut self, what: impl Display, remedy: impl Display) -> Result<(), Failure> {
        self.failures += 1;
        say(format_args!("FAIL  {what}\n      {remedy}"))
    }
}

pub(super) async fn run(loaded: Result<Loaded, ConfigError>) -> Result<(), Failure> {
    let mut report = Report::default();
    match loaded {
        Err(error) => report
            .bad(error, "correct it; `landbridge config` prints every key with its explanation")?,
        Ok(Loaded { config, file }) => {
            match file {
                Some(file) => {
                    good(format_args!("the configuration {} can be read", file.display()))?;
                }
                None => note("there is no landbridge.toml: the defaults are in force")?,
            }
            settings(&mut report, &config)?;
            folder(&mut report, &config.homeserver.data_dir)?;
            let running = database(&mut report, &config.homeserver.database_url()).await?;
            for address in &config.homeserver.listen.http {
                listener(&mut report, *address, running).await?;
            }
            registrations(&mut report, config.homeserver.appservices.directory.as_deref())?;
        }
    }
    match report.failures {
        0 => say("Everything looks well."),
        1 => Err(Failure::Other("one thing needs you".into())),
        many => Err(Failure::Other(format!("{many} things need you"))),
    }
}

fn settings(report: &mut Report, config: &Config) -> Result<(), Failure> {
    match config.homeserver.check() {
        Ok(()) => good("the settings fit together")?,
        Err(error) => report.bad(&error, "change that setting")?,
    }
    let name = config.homeserver.server_name.as_str();
    if name == "localhost" {
        note(
            "the server's name is localhost: good for trying. Set homeserver.server_name before anybody uses it for real; \
             it can't be changed later",
        )?;
    } else if config.homeserver.public_base_url.is_none() {
        note(format_args!(
            "homeserver.public_base_url is unset: clients that are told only {name:?} won't find the server unless they guess its address"
        ))?;
    }
    Ok(())
}

fn folder(report: &mut Report, folder: &Path) -> Result<(), Failure> {
    let what = folder.display();
    let Ok(facts) = fs::metadata(folder) else {
        return note(format_args!("{what} doesn't exist yet: the first start makes it"));
    };
    let mode = facts.permissions().mode() & 0o777;
    if !facts.is_dir() {
        return report.bad(
            format_args!("{what} is not a folder"),
            "move it away, or set homeserver.data_dir",
        );
    }
    if mode & 0o077 != 0 {
        let remedy = format!("chmod 700 {what}: it holds keys and messages");
        return report.bad(format_args!("others may look into {what} (mode {mode:o})"), remedy);
    }
    good(format_args!("{what} belongs to its owner alone"))
}

/// Checks the database. Says whether a running server holds it.
async fn database(report: &mut Report, url: &str) -> Result<bool, Failure> {
    let file = url.strip_prefix("sqlite:").map(Path::new);
    if file.is_some_and(|file| !file.exists()) {
        note("there is no database yet: the first start makes it")?;
        return Ok(false);
    }
    match Database::open(url, &Options { readers: 1, ..Options::default() }).await {
        Ok(database) => {
            let read = database.fetch("SELECT COUNT(*) FROM schema_version", Vec::new()).await;
            database.close().await;
            match read {
                Ok(_) => good("the database can be read; no server has it open")?,
                Err(error) => report.bad(
                    format_args!("the database can't be read: {error}"),
                    "restore a backup into an empty data folder: landbridge restore FOLDER",
                )?,
            }
            Ok(false)
        }
        Err(DatabaseError::InUse(_)) => {
            good("the database is in use by a running server")?;
            Ok(true)
        }
        Err(error) => {
            let remedy = "check homeserver.database.url, and that the database server runs and knows the user";
            report.bad(format_args!("the database can't be opened: {error}"), remedy)?;
            Ok(false)
        }
    }
}

async fn listener(report: &mut Report, address: SocketAddr, running: bool) -> Result<(), Failure> {
    if !running && tokio::net::TcpListener::bind(address).await.is_ok() {
        return good(format_args!("{address} is free for the server"));
    }
    // A server that listens everywhere is asked on this machine.
    let ip = if address.ip().is_unspecified() {
        std::net::Ipv4Addr::LOCALHOST.into()
    } else {
        address.ip()
    };
    let url = format!("http://{}/_matrix/client/versions", SocketAddr::new(ip, address.port()));
    let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build();
    let answer = async {
        let response = client?.get(&url).send().await?.error_for_status()?;
        response.json::<serde_json::Value>().await
    };
    match answer.await {
        Ok(answer) if answer.get("versions").is_some() => {
            good(format_args!("a Matrix server answers on {address}"))
        }
        Ok(_) => report.bad(
            format_args!("what answers on {address} is no Matrix server"),
            "stop it, or set homeserver.listen.http to another address",
        ),
        Err(error) if running => report.bad(
            format_args!("the server doesn't answer on {address}: {error}"),
            "look into its log; it may still be starting",
        ),
        Err(_) => report.bad(
            format_args!("{address} can't be used"),
            "another program has it, or it isn't this machine's: set homeserver.listen.http to another address",
        ),
    }
}

fn registrations(report: &mut Report, folder: Option<&Path>) -> Result<(), Failure> {
    let Some(folder) = folder else { return Ok(()) };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            let what = format!("the registrations in {} can't be read: {error}", folder.display());
            return report
                .bad(what, "make the folder, or correct homeserver.appservices.directory");
        }
    };
    let mut all = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if !path.extension().is_some_and(|end| end == "yaml" || end == "yml" || end == "json") {
            continue;
        }
        let text = fs::read_to_string(&path).map_err(Failure::io(path.display()))?;
        match Registration::parse(&text) {
            Ok(registration) => {
                for problem in registration.problems() {
                    note(format_args!("{}: {problem}", path.display()))?;
                }
                good(format_args!("{} is a registration", path.display()))?;
                all.push(registration);
            }
            Err(error) => report.bad(
                format_args!("{}: {error}", path.display()),
                "correct it, or generate it anew",
            )?,
        }
    }
    for conflict in conflicts(&all) {
        report
            .bad(conflict, "only one service may have it: change one of the two registrations")?;
    }
    Ok(())
}
