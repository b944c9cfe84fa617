//! How we use SQLite: one writer, a pool of readers, WAL, every commit synced to disk.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    ConnectOptions as _, Connection as _, SqlStr, Sqlite, SqlitePool,
    query::Query,
    sqlite::{
        SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteJournalMode,
        SqlitePoolOptions, SqliteSynchronous,
    },
};

use crate::{DatabaseError, Options, Sql, Value};

/// Statements that each connection keeps prepared: above the number the program has.
const STATEMENTS: usize = 512;

pub(crate) async fn open(
    path: &Path,
    options: &Options,
) -> Result<(SqliteConnection, SqlitePool), DatabaseError> {
    let base = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(10))
        .statement_cache_capacity(STATEMENTS)
        .disable_statement_logging();
    // The writer comes first: it creates the file.
    let writer = base.clone().create_if_missing(true).connect().await?;
    let readers = SqlitePoolOptions::new()
        .max_connections(options.readers)
        .min_connections(1)
        .connect_with(base.pragma("query_only", "on"))
        .await?;
    Ok((writer, readers))
}

/// Writes a consistent copy, while others read and write.
pub(crate) async fn copy(path: &Path, to: &Path) -> Result<(), DatabaseError> {
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await?;
    let to = to.to_string_lossy().into_owned();
    let vacuum = Sql::Both("VACUUM INTO $1");
    query(vacuum, vec![Value::Text(to)]).execute(&mut connection).await?;
    Ok(connection.close().await?)
}

/// Takes the lock beside the file that keeps a second process out. The operating system lets go of it
/// however the process ends.
pub(crate) fn lock(path: &Path) -> Result<File, DatabaseError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let named = || PathBuf::from(&name).display().to_string();
    let file = File::options().create(true).truncate(false).write(true).open(&name);
    let file = file.map_err(|source| DatabaseError::File { path: named(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DatabaseError::InUse(path.display().to_string())),
        Err(TryLockError::Error(source)) => Err(DatabaseError::File { path: named(), source }),
    }
}

/// A statement with its arguments.
pub(crate) fn query<'q>(sql: Sql, args: Vec<Value>) -> Query<'q, Sqlite, SqliteArguments> {
    bound(sql.for_sqlite(), args)
}

/// A text with its arguments.
pub(crate) fn bound<'q>(text: SqlStr, args: Vec<Value>) -> Query<'q, Sqlite, SqliteArguments> {
    let mut query = sqlx::query(text);
    for value in args {
        query = match value {
            Value::Int(v) => query.bind(v),
            Value::Text(v) => query.bind(v),
            Value::Blob(v) => query.bind(v),
            Value::NullInt => query.bind(None::<i64>),
            Value::NullText => query.bind(None::<String>),
            Value::NullBlob => query.bind(None::<Vec<u8>>),
            Value::Ints(list) => query.bind(json_numbers(&list)),
            Value::Texts(list) => query.bind(json_strings(&list)),
        };
    }
    query
}

fn json_numbers(list: &[i64]) -> String {
    let mut out = String::with_capacity(list.len() * 8 + 2);
    out.push('[');
    for (i, n) in list.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        out.push_str(&n.to_string());
    }
    out.push(']');
    out
}

fn json_strings(list: &[String]) -> String {
    let mut out = String::with_capacity(list.len() * 32 + 2);
    out.push('[');
    for (i, text) in list.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        out.push('"');
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                c if u32::from(c) < 0x20 => {
                    out.push_str("\\u00");
                    out.push(char::from_digit(u32::from(c) >> 4, 16).unwrap_or('0'));
                    out.push(char::from_digit(u32::from(c) & 15, 16).unwrap_or('0'));
                }
                c => out.push(c),
            }
        }
        out.push('"');
    }
    out.push(']');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_valid_json() {
        assert_eq!(json_numbers(&[1, -2]), "[1,-2]");
        assert_eq!(
            json_strings(&["a\"b\\c\n".into(), "é".into()]),
            "[\"a\\\"b\\\\c\\u000a\",\"é\"]"
        );
    }
}
