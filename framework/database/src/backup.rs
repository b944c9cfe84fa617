//! Hot backups: a consistent copy while the program goes on writing.

use std::{path::Path, process::Stdio};

use tokio::process::Command;

use crate::{Database, DatabaseError, database::Kind, sqlite};

impl Database {
    /// Writes a consistent copy to `to`, which must not exist yet. On SQLite that is a database file
    /// (`VACUUM INTO`); on Postgres an archive by `pg_dump`, which must be installed.
    pub async fn backup(&self, to: &Path) -> Result<(), DatabaseError> {
        match self.kind() {
            Kind::Sqlite { path, .. } => {
                sqlite::copy(path, to).await?;
                sync(to).await
            }
            Kind::Postgres { url, schema, .. } => {
                let mut command = Command::new("pg_dump");
                command.arg("--format=custom").arg("--file").arg(to);
                if let Some(schema) = schema {
                    command.arg("--schema").arg(schema);
                }
                run("pg_dump", command.arg("--dbname").arg(url)).await?;
                sync(to).await
            }
        }
    }

    /// Puts a copy that [`Database::backup`] made in the place of a database, which must be empty or
    /// missing. The database may not be open.
    pub async fn restore(url: &str, from: &Path) -> Result<(), DatabaseError> {
        if url.starts_with("postgres") {
            let mut command = Command::new("pg_restore");
            command.args([
                "--no-owner",
                "--exit-on-error",
                "--single-transaction",
                "--dbname",
                url,
            ]);
            return run("pg_restore", command.arg(from)).await;
        }
        let path = url.strip_prefix("sqlite:").ok_or(DatabaseError::UnknownEngine)?;
        let path = Path::new(path.strip_prefix("//").unwrap_or(path));
        if tokio::fs::try_exists(path).await.unwrap_or(true) {
            let source = std::io::ErrorKind::AlreadyExists.into();
            return Err(DatabaseError::File { path: path.display().to_string(), source });
        }
        tokio::fs::copy(from, path).await.map_err(|source| file(path, source))?;
        sync(path).await
    }
}

fn file(path: &Path, source: std::io::Error) -> DatabaseError {
    DatabaseError::File { path: path.display().to_string(), source }
}

async fn sync(path: &Path) -> Result<(), DatabaseError> {
    let open = tokio::fs::OpenOptions::new().read(true).write(true).open(path).await;
    let synced = match open {
        Ok(copy) => copy.sync_all().await,
        Err(e) => Err(e),
    };
    synced.map_err(|source| file(path, source))
}

async fn run(program: &'static str, command: &mut Command) -> Result<(), DatabaseError> {
    let output = command.stdin(Stdio::null()).output().await;
    let message = match output {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(e) => e.to_string(),
    };
    Err(DatabaseError::Program { program, message })
}
