//! What makes this server itself: its data folder, its signing key, its name, its database's generation.

use std::{
    fs::{DirBuilder, OpenOptions, Permissions},
    io::{ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use landbridge_database::Database;

use super::StartError;
use crate::{
    commit::Committer,
    config::Config,
    event::ServerKey,
    storage::{StorageError, server},
};

const SERVER_NAME: &str = "server_name";
const GENERATION: &str = "generation";

/// Creates the data folder where it is missing; nobody else may look into it.
pub(super) fn prepare_folder(folder: &Path) -> Result<(), StartError> {
    let create = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    create.map_err(StartError::io(folder.display()))?;
    let owner_only = std::fs::set_permissions(folder, Permissions::from_mode(0o700));
    owner_only.map_err(StartError::io(folder.display()))
}

/// The signing key in the data folder; made at the first start.
pub(super) fn signing_key(config: &Config) -> Result<ServerKey, StartError> {
    let path = config.data_dir.join("signing.key");
    match std::fs::read_to_string(&path) {
        Ok(text) => return Ok(ServerKey::from_text(&config.server_name, &text)?),
        Err(e) if e.kind() == ErrorKind::NotFound => {}
        Err(e) => return Err(StartError::io(path.display())(e)),
    }
    // The version tells this key from ones the server had before, should the file be lost.
    let version = format!("a_{:08x}", rand::random::<u32>());
    let key = ServerKey::new(&config.server_name, &version, &rand::random())?;
    write_new(&path, key.to_text().as_bytes()).map_err(StartError::io(path.display()))?;
    Ok(key)
}

/// Writes a file that only its owner may read, whole or not at all.
fn write_new(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let part = path.with_extension("part");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&part, path)
}

/// The database's generation. A restored backup begins another one, because it may have forgotten what
/// clients and appservices were told since it was made.
pub(super) async fn generation(db: &Database) -> Result<i64, StartError> {
    let Some(text) = server::get(db, GENERATION).await? else { return Ok(1) };
    let number = text.parse().map_err(|_| StorageError::Damaged(format!("generation {text:?}")))?;
    Ok(number)
}

/// Writes the server's name into a new database, and refuses a database of another name.
pub(super) async fn claim(
    db: &Database,
    committer: &Committer,
    name: &str,
) -> Result<(), StartError> {
    match server::get(db, SERVER_NAME).await? {
        Some(stored) if stored == name => Ok(()),
        Some(stored) => Err(StartError::OtherServerName { stored, configured: name.to_owned() }),
        None => {
            let name = name.to_owned();
            let claim = committer.run(move |tx| {
                let name = name.clone();
                Box::pin(async move {
                    server::set(tx, SERVER_NAME, &name).await?;
                    server::set(tx, GENERATION, "1").await
                })
            });
            Ok(claim.await?)
        }
    }
}

/// Writes the number of a new generation.
pub(super) async fn begin_generation(committer: &Committer, number: i64) -> Result<(), StartError> {
    let begin = committer.run(move |tx| {
        Box::pin(async move { server::set(tx, GENERATION, &number.to_string()).await })
    });
    Ok(begin.await?)
}
