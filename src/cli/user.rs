//! `landbridge user`: accounts, administered by whoever owns the data folder. A running server is asked over HTTP; if none runs, the same
//! requests go to one that is started without an address, for as long as they take.

use std::{
    fmt::Write as _,
    fs::OpenOptions,
    io::{BufRead as _, ErrorKind},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    time::Duration,
};

use clap::Subcommand;
use landbridge_framework::matrix::{Body, Carrier, HttpCarrier, RouterCarrier};
use landbridge_homeserver::{Server, admin::local::TOKEN_FILE};
use serde_json::{Value, json};

use super::{Failure, say};
use crate::config::Config;

const ACCOUNTS: &str = "/_synapse/admin/v2/users";
pub(super) const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// What can be done with accounts.
#[derive(Subcommand)]
pub(crate) enum User {
    /// Make an account, and a one-time link by which its owner chooses a password
    Create {
        /// The name, with or without @ and the server's name
        name: String,
        /// Make it an administrator's
        #[arg(long)]
        admin: bool,
        /// Read the password from standard input instead of making a link
        #[arg(long)]
        password_stdin: bool,
    },
    /// Make a one-time link by which an account's password is set anew
    Link {
        /// The name
        name: String,
    },
    /// Set an account's password, read from standard input; its sessions end
    Password {
        /// The name
        name: String,
    },
    /// Make an account an administrator's, or take that away
    Admin {
        /// The name
        name: String,
        /// Take it away
        #[arg(long)]
        revoke: bool,
    },
    /// Show what is known of an account
    Show {
        /// The name
        name: String,
    },
    /// Keep an account's owner out for a while, with all that is in it left as it is
    Lock {
        /// The name
        name: String,
        /// Let the owner in again
        #[arg(long)]
        undo: bool,
    },
    /// Make a token that lets people register
    Token {
        /// For how many people; any number unless said
        #[arg(long)]
        uses: Option<u32>,
        /// For how many days; for ever unless said
        #[arg(long)]
        days: Option<u32>,
    },
    /// Close an account for good; its name stays taken
    Deactivate {
        /// The name
        name: String,
    },
    /// List accounts
    List {
        /// Only those whose name contains this
        #[arg(default_value = "")]
        search: String,
    },
}

pub(super) async fn run(config: &Config, command: User) -> Result<(), Failure> {
    let office = Office::open(config).await?;
    let done = office.serve(config, command).await;
    office.close().await;
    done
}

/// Who carries the requests out.
pub(super) struct Office {
    carrier: Box<dyn Carrier>,
    token: String,
    own: Option<Server>,
}

impl Office {
    pub(super) async fn open(config: &Config) -> Result<Self, Failure> {
        let home = &config.homeserver;
        if !home.data_dir.is_dir() {
            return Err(Failure::Other(format!(
                "{} doesn't exist: start the server once, or name its configuration with --config",
                home.data_dir.display()
            )));
        }
        let token = admin_token(&home.data_dir)?;
        if let Some(address) = home.listen.http.first()
            && tokio::net::TcpStream::connect(address).await.is_ok()
        {
            let client = HttpCarrier::client(Duration::from_secs(5))
                .map_err(|error| Failure::Other(error.to_string()))?;
            let base = format!("http://{address}")
                .parse()
                .map_err(|error| Failure::Other(format!("{address}: {error}")))?;
            return Ok(Self {
                carrier: Box::new(HttpCarrier::new(client, base)),
                token,
                own: None,
            });
        }
        let mut alone = home.clone();
        alone.listen.http.clear();
        alone.listen.tls.clear();
        let server = Server::start(alone).await?;
        Ok(Self {
            carrier: Box::new(RouterCarrier::new(server.router())),
            token,
            own: Some(server),
        })
    }

    pub(super) async fn close(self) {
        if let Some(server) = self.own {
            server.stop().await;
        }
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> Result<Value, Failure> {
        self.ask(method, &format!("/_landbridge/admin/v1/users{path}"), body).await
    }

    /// Makes a request; why it was refused if it was.
    pub(super) async fn ask(
        &self,
        method: &str,
        path: &str,
        body: Value,
    ) -> Result<Value, Failure> {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::AUTHORIZATION, format!("Bearer {}", self.token))
            .body(Body::Bytes(body.to_string().into()))
            .map_err(|error| Failure::Other(error.to_string()))?;
        let response =
            self.carrier.call(request).await.map_err(|error| Failure::Other(error.to_string()))?;
        let status = response.status();
        let bytes =
            axum::body::to_bytes(axum::body::Body::from_stream(response.into_body()), 16 << 20)
                .await;
        let bytes = bytes.map_err(|error| Failure::Other(error.to_string()))?;
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if status.is_success() {
            return Ok(answer);
        }
        let reason = answer["error"]
            .as_str()
            .map_or_else(|| format!("the server answered {status}"), ToOwned::to_owned);
        Err(Failure::Other(reason))
    }

    async fn serve(&self, config: &Config, command: User) -> Result<(), Failure> {
        match command {
            User::Create { name, admin, password_stdin } => {
                let user = user_id(config, &name);
                if self.must_exist(&user).await.is_ok() {
                    return Err(Failure::Other(format!("{user} exists already")));
                }
                let password = if password_stdin { Some(read_password()?) } else { None };
                self.call("PUT", &user_path(&user), json!({"admin": admin, "password": password}))
                    .await?;
                say(format_args!("Made {user}."))?;
                if password_stdin { Ok(()) } else { self.show_link(config, &user).await }
            }
            User::Link { name } => self.show_link(config, &user_id(config, &name)).await,
            User::Password { name } => {
                let user = user_id(config, &name);
                self.must_exist(&user).await?;
                self.call("PUT", &user_path(&user), json!({"password": read_password()?})).await?;
                say(format_args!("Set the password of {user}; its sessions have ended."))
            }
            User::Admin { name, revoke } => {
                let user = user_id(config, &name);
                self.must_exist(&user).await?;
                self.call("PUT", &user_path(&user), json!({"admin": !revoke})).await?;
                say(format_args!(
                    "{user} is {} an administrator.",
                    if revoke { "no longer" } else { "now" }
                ))
            }
            User::Show { name } => {
                let path = format!("{ACCOUNTS}/{}", encoded(&user_id(config, &name)));
                say_all(&self.ask("GET", &path, Value::Null).await?)
            }
            User::Lock { name, undo } => {
                let user = user_id(config, &name);
                self.must_exist(&user).await?;
                let path = format!("{ACCOUNTS}/{}", encoded(&user));
                self.ask("PUT", &path, json!({ "locked": !undo })).await?;
                say(format_args!("{user} is {}.", if undo { "let in again" } else { "locked" }))
            }
            User::Token { uses, days } => self.token(uses, days).await,
            User::Deactivate { name } => {
                let user = user_id(config, &name);
                self.call("POST", &format!("{}/deactivate", user_path(&user)), json!({})).await?;
                say(format_args!("Closed {user}."))
            }
            User::List { search } => self.list(&search).await,
        }
    }

    async fn token(&self, uses: Option<u32>, days: Option<u32>) -> Result<(), Failure> {
        let until = match days {
            Some(days) => Some(now_ms()?.saturating_add(u64::from(days) * DAY_MS)),
            None => None,
        };
        let body = json!({ "uses_allowed": uses, "expiry_time": until });
        let path = "/_synapse/admin/v1/registration_tokens/new";
        let made = self.ask("POST", path, body).await?;
        say(made["token"].as_str().unwrap_or_default())
    }

    async fn show_link(&self, config: &Config, user: &str) -> Result<(), Failure> {
        let link = self.call("POST", &format!("{}/link", user_path(user)), json!({})).await?;
        let path = link["path"].as_str().unwrap_or_default();
        say(format_args!(
            "Open this once, within a day, to choose the password:\n  {}{path}",
            base_url(config)
        ))
    }

    async fn must_exist(&self, user: &str) -> Result<(), Failure> {
        let found = self.find(user).await?;
        let exists = found.iter().any(|account| account["user_id"] == *user);
        if exists { Ok(()) } else { Err(Failure::Other(format!("there is no {user}"))) }
    }

    async fn find(&self, search: &str) -> Result<Vec<Value>, Failure> {
        let query: String = url::form_urlencoded::byte_serialize(search.as_bytes()).collect();
        let mut answer = self.call("GET", &format!("?search={query}"), json!({})).await?;
        Ok(answer["users"].as_array_mut().map(std::mem::take).unwrap_or_default())
    }

    async fn list(&self, search: &str) -> Result<(), Failure> {
        for account in self.find(search).await? {
            let mut line = account["user_id"].as_str().unwrap_or_default().to_owned();
            if let Some(name) = account["displayname"].as_str() {
                let _ = write!(line, "  {}", name.escape_debug());
            }
            for (key, word) in [("admin", "administrator"), ("deactivated", "closed")] {
                if account[key] == true {
                    let _ = write!(line, "  [{word}]");
                }
            }
            if let Some(appservice) = account["appservice"].as_str() {
                let _ = write!(line, "  [of {appservice}]");
            }
            say(line)?;
        }
        Ok(())
    }
}

/// The time, in milliseconds since 1970.
pub(super) fn now_ms() -> Result<u64, Failure> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let since = since.map_err(|error| Failure::Other(error.to_string()))?;
    u64::try_from(since.as_millis()).map_err(|error| Failure::Other(error.to_string()))
}

/// Prints what an object says, but for what is unknown.
pub(super) fn say_all(object: &Value) -> Result<(), Failure> {
    for (key, value) in object.as_object().into_iter().flatten() {
        match value {
            Value::Null => {}
            Value::String(text) => say(format_args!("{key}: {}", text.escape_debug()))?,
            other => say(format_args!("{key}: {other}"))?,
        }
    }
    Ok(())
}

/// The address to print for people.
pub(crate) fn base_url(config: &Config) -> String {
    let home = &config.homeserver;
    let configured =
        home.public_base_url.as_deref().map(|url| url.trim_end_matches('/').to_owned());
    let listening = || home.listen.http.first().map(|address| format!("http://{address}"));
    configured.or_else(listening).unwrap_or_else(|| format!("https://{}", home.server_name))
}

fn user_id(config: &Config, name: &str) -> String {
    let name = name.trim_start_matches('@');
    if name.contains(':') {
        format!("@{name}")
    } else {
        format!("@{name}:{}", config.homeserver.server_name)
    }
}

fn user_path(user: &str) -> String {
    format!("/{}", encoded(user))
}

/// A text as it may stand in a path or a query.
pub(super) fn encoded(text: &str) -> String {
    let encoded: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    // A form writes a space as a plus sign, a path doesn't.
    encoded.replace('+', "%20")
}

fn read_password() -> Result<String, Failure> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(Failure::io("standard input"))?;
    let password = line.trim_end_matches(['\r', '\n']).to_owned();
    if password.is_empty() {
        Err(Failure::Other("there is no password on standard input".into()))
    } else {
        Ok(password)
    }
}

/// The token in the data folder; made at first use, readable by the folder's owner alone.
pub(crate) fn admin_token(folder: &Path) -> Result<String, Failure> {
    let path = folder.join(TOKEN_FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => return Ok(text.trim().to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(Failure::io(path.display())(error)),
    }
    let token = landbridge_homeserver::services::sessions::random_token();
    // Whole or not at all: a server that reads half of it would take the half for the token.
    let part = folder.join(format!("{TOKEN_FILE}.part"));
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&part)
        .and_then(|mut file| {
            std::io::Write::write_all(&mut file, format!("{token}\n").as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&part, &path)
        });
    written.map_err(Failure::io(path.display()))?;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_user_ids() {
        let config = Config::default();
        assert_eq!(user_id(&config, "anna"), "@anna:localhost");
        assert_eq!(user_id(&config, "@anna:x.org"), "@anna:x.org");
        assert_eq!(user_path("@a b/c:x"), "/%40a%20b%2Fc%3Ax");
    }

    #[tokio::test]
    async fn accounts_are_made_without_a_running_server() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.homeserver.data_dir = folder.path().to_owned();
        config.homeserver.listen.http.clear();
        let create = || User::Create { name: "anna".into(), admin: true, password_stdin: false };
        run(&config, create()).await.unwrap();
        assert!(run(&config, create()).await.is_err(), "it exists");
        let office = Office::open(&config).await.unwrap();
        let found = office.find("anna").await.unwrap();
        assert_eq!(
            (&found[0]["user_id"], &found[0]["admin"]),
            (&json!("@anna:localhost"), &json!(true))
        );
        assert!(
            office
                .serve(&config, User::Admin { name: "nobody".into(), revoke: false })
                .await
                .is_err()
        );
        office.close().await;
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(folder.path().join(TOKEN_FILE)).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
    }
}
