//! Who a bridge is to its homeserver: the registration, made from the configuration, kept with its tokens.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use landbridge_framework::BridgeConfig;
use landbridge_registration::Registration;

use crate::cli::Failure;

/// A new registration with new tokens, as a bridge's configuration wants it: its bot, its ghosts and its aliases are its own.
pub(crate) fn generate(
    name: &str,
    config: &BridgeConfig,
    server_name: &str,
    url: Option<&str>,
) -> Result<Registration, Failure> {
    let registration = config.registration(name, server_name, url, &mut rand::rng());
    registration.map_err(|error| Failure::Other(format!("the registration of {name}: {error}")))
}

/// Reads a registration file.
pub(crate) fn read(path: &Path) -> Result<Registration, Failure> {
    let text = fs::read_to_string(path).map_err(Failure::io(path.display()))?;
    Registration::parse(&text)
        .map_err(|error| Failure::Other(format!("{}: {error}", path.display())))
}

/// Writes a registration file, whole or not at all, for its owner alone.
pub(crate) fn write(path: &Path, registration: &Registration) -> Result<(), Failure> {
    let part = path.with_extension("part");
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&part)
        .and_then(|mut file| {
            file.write_all(registration.to_yaml().as_bytes())?;
            file.sync_all()?;
            fs::rename(&part, path)
        });
    written.map_err(Failure::io(path.display()))
}

/// The registration of a bridge in this process: the one kept in its folder, brought up to the configuration; the tokens stay, and nobody
/// has to see them.
pub(crate) fn kept(
    folder: &Path,
    name: &str,
    config: &BridgeConfig,
    server_name: &str,
) -> Result<Registration, Failure> {
    let path = folder.join("registration.yaml");
    let fresh = generate(name, config, server_name, None)?;
    let registration = match fs::exists(&path) {
        Ok(true) => {
            let old = read(&path)?;
            Registration { as_token: old.as_token, hs_token: old.hs_token, ..fresh }
        }
        Ok(false) => fresh,
        Err(error) if error.kind() == ErrorKind::NotFound => fresh,
        Err(error) => return Err(Failure::io(path.display())(error)),
    };
    write(&path, &registration)?;
    Ok(registration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_follow_the_templates() {
        let config = BridgeConfig::for_network("irc");
        let registration =
            generate("irc", &config, "example.org", Some("http://127.0.0.1:1")).unwrap();
        assert_eq!(registration.sender_localpart, "ircbot");
        assert_eq!(registration.namespaces.users.len(), 2);
        assert_eq!(registration.namespaces.aliases.len(), 1);
        assert!(registration.problems().is_empty(), "{:?}", registration.problems());
    }

    #[test]
    fn tokens_stay_and_settings_change() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = BridgeConfig::for_network("irc");
        let first = kept(folder.path(), "irc", &config, "x.org").unwrap();
        config.bot_username = "relay".into();
        let second = kept(folder.path(), "irc", &config, "x.org").unwrap();
        assert_eq!(first.as_token.expose(), second.as_token.expose());
        assert_eq!(second.sender_localpart, "relay");
        let file = folder.path().join("registration.yaml");
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(file).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
}
