//! The folder of registration files.

use std::path::{Path, PathBuf};

use landbridge_registration::{MAX_FILE_BYTES, ParseError, Registration, Severity};

/// Why a folder of registrations cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It, or a file in it, cannot be read.
    #[error("{path}: {error}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// A file is no registration.
    #[error("{path}: {error}")]
    Parse {
        /// Which one.
        path: PathBuf,
        /// Everything that is wrong with it.
        error: ParseError,
    },
}

/// Reads every `*.yaml`, `*.yml` and `*.json` of a folder, in the order of their names.
pub(super) fn read(folder: &Path) -> Result<Vec<(PathBuf, Registration)>, FolderError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |error| FolderError::Io { path, error }
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io(folder))? {
        let path = entry.map_err(io(folder))?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if matches!(extension, Some("yaml" | "yml" | "json")) {
            paths.push(path);
        }
    }
    paths.sort();
    let mut registrations = Vec::with_capacity(paths.len());
    for path in paths {
        let length = std::fs::metadata(&path).map_err(io(&path))?.len();
        if length > MAX_FILE_BYTES as u64 {
            return Err(FolderError::Parse { path, error: ParseError::TooLarge(length as usize) });
        }
        let text = std::fs::read_to_string(&path).map_err(io(&path))?;
        let registration = match Registration::parse(&text) {
            Ok(registration) => registration,
            Err(error) => return Err(FolderError::Parse { path, error }),
        };
        for problem in registration.problems() {
            if problem.severity == Severity::Warning {
                tracing::warn!(file = %path.display(), %problem, "a registration may not do what it should");
            }
        }
        registrations.push((path, registration));
    }
    Ok(registrations)
}
