//! `landbridge backup` and `landbridge restore`: everything that the process keeps, copied while it runs, and put back.
//!
//! A backup is a folder: the data folder with a consistent copy in the place of each SQLite database, `media` if it lies elsewhere,
//! `homeserver.pgdump` where the homeserver is on Postgres, and `backup.json`. Databases come first: a file that a copied row names is
//! then surely in the copy.

use std::{
    fs::{self, DirBuilder},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use landbridge_database::{Database, Options};
use serde::{Deserialize, Serialize};

use super::{Failure, say};
use crate::config::Config;

const MANIFEST: &str = "backup.json";
const DUMP: &str = "homeserver.pgdump";
const MEDIA: &str = "media";

/// What a backup says about itself.
#[derive(Serialize, Deserialize)]
struct Manifest {
    /// The program that made it.
    version: String,
    /// Whose it is.
    server_name: String,
    /// Whether the homeserver's database is in `homeserver.pgdump`.
    postgres: bool,
    /// Whether media lie in `media` because their folder was elsewhere.
    media_elsewhere: bool,
}

/// Copies everything into a new folder. The program may be running.
pub(super) async fn backup(config: &Config, to: &Path) -> Result<(), Failure> {
    let home = &config.homeserver;
    if !home.data_dir.is_dir() {
        return Err(Failure::Other(format!(
            "there is nothing to back up: {} doesn't exist",
            home.data_dir.display()
        )));
    }
    DirBuilder::new().mode(0o700).create(to).map_err(Failure::io(to.display()))?;
    let files = files(&home.data_dir)?;
    let (databases, others): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|file| is_database(file));
    let url = home.database_url();
    let postgres = url.starts_with("postgres");
    if postgres {
        copy_database(&url, &to.join(DUMP)).await?;
    }
    for file in databases {
        let copy = place(&home.data_dir, &file, to)?;
        copy_database(&format!("sqlite:{}", file.display()), &copy).await?;
        say(format_args!("copied {}", file.display()))?;
    }
    for file in others.iter().filter(|file| !is_scratch(file)) {
        copy_file(file, &place(&home.data_dir, file, to)?)?;
    }
    let elsewhere =
        home.media.directory.as_ref().filter(|folder| !folder.starts_with(&home.data_dir));
    if let Some(folder) = elsewhere.filter(|folder| folder.is_dir()) {
        for file in self::files(folder)? {
            copy_file(&file, &place(folder, &file, &to.join(MEDIA))?)?;
        }
    }
    let manifest = Manifest {
        version: env!("CARGO_PKG_VERSION").into(),
        server_name: home.server_name.to_string(),
        postgres,
        media_elsewhere: elsewhere.is_some(),
    };
    let text = serde_json::to_string_pretty(&manifest)
        .map_err(|error| Failure::Other(error.to_string()))?;
    let path = to.join(MANIFEST);
    // Last of all, so that a folder with it is whole.
    fs::write(&path, text).map_err(Failure::io(path.display()))?;
    sync(&path)?;
    say(format_args!(
        "The backup in {} is complete. It holds the signing key and tokens: keep it safe.",
        to.display()
    ))
}

/// Puts a backup in the place of an empty data folder.
pub(super) async fn restore(config: &Config, from: &Path) -> Result<(), Failure> {
    let home = &config.homeserver;
    let path = from.join(MANIFEST);
    let text = fs::read_to_string(&path).map_err(Failure::io(path.display()))?;
    let manifest: Manifest = serde_json::from_str(&text)
        .map_err(|error| Failure::Other(format!("{}: {error}", path.display())))?;
    let url = home.database_url();
    check(config, &manifest, url.starts_with("postgres"))?;
    if manifest.postgres {
        Database::restore(&url, &from.join(DUMP))
            .await
            .map_err(|error| Failure::Other(error.to_string()))?;
    }
    let to = home.media.directory.clone().unwrap_or_else(|| home.data_dir.join(MEDIA));
    for file in files(from)? {
        let inside = file.strip_prefix(from).unwrap_or(&file);
        if inside == Path::new(MANIFEST) || inside == Path::new(DUMP) {
            continue;
        }
        let copy = match inside.strip_prefix(MEDIA) {
            Ok(medium) if manifest.media_elsewhere => to.join(medium),
            _ => home.data_dir.join(inside),
        };
        copy_file(&file, &copy)?;
    }
    landbridge_homeserver::server::restored(home.clone()).await?;
    say(format_args!(
        "Restored into {}. Clients will sync anew; bridges go on where the backup left them.",
        home.data_dir.display()
    ))
}

fn check(config: &Config, manifest: &Manifest, postgres: bool) -> Result<(), Failure> {
    let home = &config.homeserver;
    let refuse = |text: String| Err(Failure::Other(text));
    if manifest.server_name != home.server_name.as_str() {
        return refuse(format!(
            "the backup is of {}, the configuration says {}: set homeserver.server_name to the former",
            manifest.server_name, home.server_name
        ));
    }
    if manifest.postgres != postgres {
        return refuse("the backup and the configuration are on different database engines: set homeserver.database.url".into());
    }
    let occupied = fs::read_dir(&home.data_dir).is_ok_and(|mut entries| entries.next().is_some());
    if occupied {
        return refuse(format!("{} is not empty: move it away first", home.data_dir.display()));
    }
    Ok(())
}

async fn copy_database(url: &str, to: &Path) -> Result<(), Failure> {
    // The running program holds the lock; reading beside it is safe.
    let options = Options { exclusive: false, readers: 1, ..Options::default() };
    let copied = async {
        let database = Database::open(url, &options).await?;
        let copied = database.backup(to).await;
        database.close().await;
        copied
    };
    copied.await.map_err(|error| Failure::Other(format!("{}: {error}", to.display())))
}

fn is_database(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "db")
}

/// Files that belong to an open database, and files half written: nothing that a restore would want.
fn is_scratch(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    [".db-wal", ".db-shm", ".db-journal", ".lock", ".part"].iter().any(|end| name.ends_with(end))
}

/// Every file below a folder. Links are not followed: they could lead anywhere.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(Failure::io(folder.display()))? {
            let entry = entry.map_err(Failure::io(folder.display()))?;
            let kind = entry.file_type().map_err(Failure::io(entry.path().display()))?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Where a file of one folder goes in another, with the folders above it made.
fn place(base: &Path, file: &Path, to: &Path) -> Result<PathBuf, Failure> {
    let copy = to.join(file.strip_prefix(base).unwrap_or(file));
    make_parent(&copy)?;
    Ok(copy)
}

fn make_parent(file: &Path) -> Result<(), Failure> {
    let Some(parent) = file.parent() else { return Ok(()) };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(parent)
        .map_err(Failure::io(parent.display()))
}

fn copy_file(from: &Path, to: &Path) -> Result<(), Failure> {
    make_parent(to)?;
    match fs::copy(from, to) {
        Ok(_) => {}
        // Deleted since it was listed: then nothing in the copied databases counts on it for long either.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !from.exists() => {
            return Ok(());
        }
        Err(error) => return Err(Failure::io(from.display())(error)),
    }
    fs::set_permissions(to, fs::Permissions::from_mode(0o600))
        .map_err(Failure::io(to.display()))?;
    sync(to)
}

fn sync(file: &Path) -> Result<(), Failure> {
    let synced = fs::File::open(file).and_then(|file| file.sync_all());
    synced.map_err(Failure::io(file.display()))
}

#[cfg(test)]
mod tests {
    use landbridge_database::{Migrations, args};

    use super::*;

    fn config(data: PathBuf) -> Config {
        let mut config = Config::default();
        config.homeserver.data_dir = data;
        config.homeserver.listen.http.clear();
        config
    }

    #[tokio::test]
    async fn what_is_backed_up_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let (data, copy) = (folder.path().join("data"), folder.path().join("copy"));
        let config = config(data.clone());
        let server = landbridge_homeserver::Server::start(config.homeserver.clone()).await.unwrap();
        fs::create_dir_all(data.join("bridges/x")).unwrap();
        fs::create_dir_all(data.join("media/ab")).unwrap();
        fs::write(data.join("media/ab/file"), "picture").unwrap();
        let key = fs::read(data.join("signing.key")).unwrap();
        let url = format!("sqlite:{}", data.join("bridges/x/bridge.db").display());
        let bridge = Database::open(&url, &Options::default()).await.unwrap();
        bridge
            .migrate(&Migrations::new("x", &["CREATE TABLE t (id BIGINT PRIMARY KEY)"]))
            .await
            .unwrap();
        let mut tx = bridge.begin().await.unwrap();
        tx.execute("INSERT INTO t (id) VALUES (7)", args![]).await.unwrap();
        tx.commit().await.unwrap();

        backup(&config, &copy).await.unwrap();
        assert!(backup(&config, &copy).await.is_err(), "a backup is never written over");
        assert!(restore(&config, &copy).await.is_err(), "nothing is restored over data");
        bridge.close().await;
        drop(bridge);
        server.stop().await;
        drop(server);
        fs::rename(&data, folder.path().join("old")).unwrap();

        restore(&config, &copy).await.unwrap();
        assert_eq!(fs::read(data.join("signing.key")).unwrap(), key);
        assert_eq!(fs::read_to_string(data.join("media/ab/file")).unwrap(), "picture");
        assert!(
            !data.join("homeserver.db-wal").exists() || !copy.join("homeserver.db-wal").exists()
        );
        let bridge = Database::open(&url, &Options::default()).await.unwrap();
        assert_eq!(bridge.fetch("SELECT id FROM t", args![]).await.unwrap()[0].int(0).unwrap(), 7);
        let server = landbridge_homeserver::Server::start(config.homeserver.clone()).await.unwrap();
        server.stop().await;
    }

    #[test]
    fn a_backup_of_another_server_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path().join("data"));
        let manifest = Manifest {
            version: String::new(),
            server_name: "other.org".into(),
            postgres: false,
            media_elsewhere: false,
        };
        assert!(check(&config, &manifest, false).is_err());
    }
}
