//! Reading the configuration: a file, then the environment over it. A key that doesn't exist is an error with the likeliest one that does.

use std::path::{Path, PathBuf};

use figment::{
    Figment,
    error::Kind,
    providers::{Env, Format as _, Serialized, Toml},
};

use super::Config;

/// The file that is read when none is named.
const DEFAULT_FILE: &str = "landbridge.toml";
const PREFIX: &str = "LANDBRIDGE_";

/// A configuration and where it came from.
pub(crate) struct Loaded {
    /// The settings.
    pub(crate) config: Config,
    /// The file, if there was one. Without one, and without a setting in the environment, the program is new here.
    pub(crate) file: Option<PathBuf>,
}

/// Why a configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The named file isn't there.
    #[error("there is no file {}", .0.display())]
    Missing(PathBuf),
    /// Something in it is wrong; one line for each.
    #[error("the configuration can't be used:\n{}", .0.join("\n"))]
    Wrong(Vec<String>),
}

/// Reads the named file, or `landbridge.toml` in the working folder if there is one, and the environment.
pub(crate) fn load(file: Option<&Path>) -> Result<Loaded, ConfigError> {
    let file = match file {
        Some(file) if file.is_file() => Some(file.to_owned()),
        Some(file) => return Err(ConfigError::Missing(file.to_owned())),
        None => Some(PathBuf::from(DEFAULT_FILE)).filter(|file| file.is_file()),
    };
    // The defaults lie below, and not in serde's hands alone: a bridge's depend on which bridge it is.
    let mut figment = Figment::from(Serialized::defaults(Config::default()));
    if let Some(file) = &file {
        figment = figment.merge(Toml::file_exact(file));
    }
    // Every setting lies in a section, so its name has two underscores; other variables that begin alike are somebody else's.
    let environment = Env::prefixed(PREFIX).filter(|key| key.as_str().contains("__")).split("__");
    let config = figment.merge(environment).extract().map_err(|error| wrong(&error))?;
    Ok(Loaded { config, file })
}

fn wrong(error: &figment::Error) -> ConfigError {
    ConfigError::Wrong(error.clone().into_iter().map(|error| describe(&error)).collect())
}

/// One mistake in a sentence: where it is, what it is, what may have been meant.
fn describe(error: &figment::Error) -> String {
    let mut path = error.path.clone();
    let what = match &error.kind {
        Kind::UnknownField(field, known) => {
            // A key inside a table is part of the path already, one at the top is not.
            if path.last() != Some(field) {
                path.push(field.clone());
            }
            match nearest(field, known) {
                Some(near) => format!("there is no such key; did you mean \"{near}\"?"),
                None => format!("there is no such key; known are {}", known.join(", ")),
            }
        }
        kind => kind.to_string(),
    };
    let place = match &error.metadata {
        Some(metadata) if metadata.name.contains("environment") => {
            let name: Vec<String> = path.iter().map(|part| part.to_uppercase()).collect();
            return format!("  {PREFIX}{}: {what}", name.join("__"));
        }
        Some(metadata) => {
            metadata.source.as_ref().map_or_else(|| metadata.name.to_string(), ToString::to_string)
        }
        None => "the defaults".into(),
    };
    if path.is_empty() {
        format!("  {place}: {what}")
    } else {
        format!("  {place}: {}: {what}", path.join("."))
    }
}

/// The known key that looks most like the given one, if any looks like it.
fn nearest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let scored = known.iter().map(|known| (strsim::jaro_winkler(given, known), *known));
    let best = scored.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (best.0 > 0.75).then_some(best.1)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("landbridge.toml");
        fs::write(&file, text).unwrap();
        load(Some(&file)).map(|loaded| loaded.config).map_err(|error| error.to_string())
    }

    #[test]
    fn an_unknown_key_is_an_error_with_a_suggestion() {
        let error = read("[homeserver]\nserver_nmae = 'x.org'").unwrap_err();
        assert!(
            error.contains(" homeserver.server_nmae: ")
                && error.contains("did you mean \"server_name\"?"),
            "{error}"
        );
        assert!(error.contains("landbridge.toml"), "{error}");
        let error = read("[bridges.playground.network]\nxyzzy = 1").unwrap_err();
        assert!(error.contains("known are url, token, bot"), "{error}");
    }

    #[test]
    fn a_wrong_value_is_named() {
        let error = read("[playground]\nlisten = 'nowhere'").unwrap_err();
        assert!(error.contains("playground.listen"), "{error}");
    }

    #[test]
    fn a_file_that_was_named_must_be_there() {
        assert!(matches!(
            load(Some(Path::new("/nonexistent/landbridge.toml"))),
            Err(ConfigError::Missing(_))
        ));
    }

    #[test]
    fn settings_are_read() {
        let config = read("[homeserver]\nserver_name = 'x.org'\n[playground]\nenabled = true\n[log]\nformat = 'json'").unwrap();
        assert_eq!(config.homeserver.server_name, "x.org");
        assert!(config.playground.enabled);
        assert_eq!(config.log.format, super::super::LogFormat::Json);
    }
}
