//! Hot backups: a consistent copy while the program goes on writing.

use std::{ffi::OsString, os::unix::ffi::OsStringExt as _, path::Path, process::Stdio};

use percent_encoding::percent_decode_str;
use tokio::process::Command;
use url::Url;

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
                let mut command = client("pg_dump", url)?;
                command.arg("--format=custom").arg("--file").arg(to);
                if let Some(schema) = schema {
                    command.arg("--schema").arg(schema);
                }
                run("pg_dump", &mut command).await?;
                sync(to).await
            }
        }
    }

    /// Puts a copy that [`Database::backup`] made in the place of a database, which must be empty or
    /// missing. The database may not be open.
    pub async fn restore(url: &str, from: &Path) -> Result<(), DatabaseError> {
        if url.starts_with("postgres") {
            let mut command = client("pg_restore", url)?;
            command.args(["--no-owner", "--exit-on-error", "--single-transaction"]);
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

/// A program of Postgres's own for the database at `url`. Its password goes by the environment: everybody on a machine can
/// read command lines.
fn client(program: &str, url: &str) -> Result<Command, DatabaseError> {
    let mut url = Url::parse(url).map_err(|_| DatabaseError::UnknownEngine)?;
    let mut command = Command::new(program);
    if let Some(password) = url.password() {
        let password = percent_decode_str(password).collect::<Vec<u8>>();
        command.env("PGPASSWORD", OsString::from_vec(password));
        // Only URLs that can't have one refuse.
        let _ = url.set_password(None);
    }
    command.arg("--dbname").arg(url.as_str());
    Ok(command)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_stands_on_a_command_line() {
        let command = client("pg_dump", "postgres://me:p%40ss@db.example:5433/landbridge").unwrap();
        let command = command.as_std();
        let arguments: Vec<_> = command.get_args().collect();
        assert_eq!(arguments, ["--dbname", "postgres://me@db.example:5433/landbridge"]);
        let mut environment = command.get_envs();
        assert_eq!(environment.next(), Some(("PGPASSWORD".as_ref(), Some("p@ss".as_ref()))));
    }
}
