//! The first run, without a configuration: what a newcomer needs to see messages cross.

use std::net::SocketAddr;

use landbridge_framework::{config::PortalConfig, permissions::Level};
use landbridge_homeserver::{
    Server,
    services::{accounts::new_user_id, welcome},
    storage::accounts::{Account, Kind},
};

use crate::{
    cli::{Failure, say, user::base_url},
    config::Config,
};

const ADMIN: &str = "admin";
const LOBBY: &str = "lobby";
const ALIAS: &str = "playground_lobby";

/// Switches on what a newcomer is to see: the Playground, its bridge, and the lobby as a room that everybody may join.
pub(crate) fn prepare(config: &mut Config) {
    let server_name = config.homeserver.server_name.as_str();
    let admin = format!("@{ADMIN}:{server_name}");
    config.playground.enabled = true;
    let playground = &mut config.bridges.playground;
    playground.enabled = true;
    playground.bridge.permissions.insert(admin.clone(), Level::Admin);
    playground.bridge.permissions.insert(server_name.to_owned(), Level::User);
    if playground.bridge.portals.is_empty() {
        playground.bridge.portals.push(PortalConfig {
            remote_id: LOBBY.into(),
            alias: Some(ALIAS.into()),
            public: true,
            invite: vec![admin],
            ..PortalConfig::default()
        });
    }
}

/// Sees to it that there is an administrator, and gives the path of a one-time link if nobody has chosen their password yet.
pub(crate) async fn administrator(server: &Server) -> Result<Option<String>, Failure> {
    let app = server.app();
    let failed = |error: &dyn std::fmt::Display| {
        Failure::Other(format!("the administrator's account: {error}"))
    };
    let user = new_user_id(ADMIN, &app.config.server_name).map_err(|error| failed(&error.error))?;
    match app.accounts.get(&user).await.map_err(|error| failed(&error))? {
        Some(account) if account.password.is_some() || account.deactivated => return Ok(None),
        Some(_) => {}
        None => {
            let mut account = Account::new(user.clone(), Kind::User);
            account.admin = true;
            app.accounts.create(account).await.map_err(|error| failed(&error.error))?;
        }
    }
    welcome::link(app, &user).await.map(Some).map_err(|error| failed(&error.error))
}

/// Says what to open next.
pub(crate) fn greet(
    config: &Config,
    link: Option<&str>,
    playground: Option<SocketAddr>,
) -> Result<(), Failure> {
    let base = base_url(config);
    let name = &config.homeserver.server_name;
    let folder = &config.homeserver.data_dir;
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
    say("\nLandbridge is running. Open next:\n")?;
    if let Some(link) = link {
        say(format_args!(
            "  1. Choose the password of @{ADMIN}:{name} (once, within a day):\n     {base}{link}"
        ))?;
    }
    say(format_args!(
        "  2. Log in with any Matrix client:\n     homeserver {base}   user {ADMIN}"
    ))?;
    if let Some(address) = playground {
        say(format_args!(
            "  3. Type as Alice on the Playground's page, and see it arrive in the room #{ALIAS}:{name}:\n     http://{address}/"
        ))?;
    }
    say(format_args!(
        "\nEverything is kept in {}. For real use: landbridge config > landbridge.toml\nCtrl+C stops.",
        folder.display()
    ))
}
