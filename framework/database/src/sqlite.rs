//! How we use SQLite: one writer, a few readers, WAL, every commit synced to disk.
//!
//! Each connection has a thread of its own, and going there and back costs more than most statements do. So what can go in one
//! trip does: a whole answer comes back at once, and what a transaction puts off goes with what it waits for.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_rusqlite::{
    CachedStatement, Connection, OpenFlags,
    rusqlite::{
        self,
        types::{Null, ToSqlOutput, ValueRef},
    },
};

use crate::{DatabaseError, Value, row::Cell, sql::lists_for_sqlite};

/// Statements that each connection keeps prepared: above the number the program has.
const STATEMENTS: usize = 512;

async fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, DatabaseError> {
    let flags = flags | OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).await?;
    connection
        .call(|c| {
            c.busy_timeout(Duration::from_secs(10))?;
            c.set_prepared_statement_cache_capacity(STATEMENTS);
            c.execute_batch("PRAGMA foreign_keys = ON")
        })
        .await?;
    Ok(connection)
}

/// The connection that writes. It makes the file where there is none.
pub(crate) async fn writer(path: &Path) -> Result<Connection, DatabaseError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_CREATE).await?;
    connection
        .call(|c| c.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL"))
        .await?;
    Ok(connection)
}

/// The connections that read, opened when they are needed.
pub(crate) struct Readers {
    path: PathBuf,
    turns: Semaphore,
    count: u32,
    idle: Mutex<Vec<Connection>>,
}

/// A connection that goes back when this is dropped: also when whoever waits for its answer goes away, which the thread does
/// not notice.
struct Reader<'a> {
    readers: &'a Readers,
    connection: Connection,
    /// Whether its thread has ended: the next one to need a connection opens another.
    ended: bool,
    _turn: SemaphorePermit<'a>,
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.readers.idle().push(self.connection.clone());
        }
    }
}

impl Readers {
    pub(crate) fn new(path: &Path, count: u32) -> Self {
        let turns = Semaphore::new(count as usize);
        Self { path: path.to_owned(), turns, count, idle: Mutex::default() }
    }

    /// Nothing panics while it holds the lock; if it did, the list would still be sound.
    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn reader(&self) -> Result<Reader<'_>, DatabaseError> {
        let turn = self.turns.acquire().await.map_err(|_| DatabaseError::Closed)?;
        let idle = self.idle().pop();
        let connection = if let Some(connection) = idle {
            connection
        } else {
            let connection = connect(&self.path, OpenFlags::empty()).await?;
            connection.call(|c| c.execute_batch("PRAGMA query_only = ON")).await?;
            connection
        };
        Ok(Reader { readers: self, connection, ended: false, _turn: turn })
    }

    /// All rows of an answer, or the first `limit`.
    pub(crate) async fn fetch(
        &self,
        text: &'static str,
        args: Vec<Value>,
        limit: usize,
    ) -> Result<Vec<Vec<Cell>>, DatabaseError> {
        let mut reader = self.reader().await?;
        let answer = reader.connection.call(move |c| fetch(c, text, &args, limit)).await;
        reader.ended = matches!(answer, Err(tokio_rusqlite::Error::ConnectionClosed));
        Ok(answer?)
    }

    /// Closes the connections, after what they are doing.
    pub(crate) async fn close(&self) {
        let all = self.turns.acquire_many(self.count).await;
        self.turns.close();
        drop(all);
        let idle = std::mem::take(&mut *self.idle());
        for connection in idle {
            if let Err(error) = connection.close().await {
                tracing::warn!(%error, "a connection to the database could not be closed");
            }
        }
    }
}

/// Writes a consistent copy, while others read and write.
pub(crate) async fn copy(path: &Path, to: &Path) -> Result<(), DatabaseError> {
    let connection = connect(path, OpenFlags::empty()).await?;
    let to = vec![Value::Text(to.to_string_lossy().into_owned())];
    connection.call(move |c| execute(c, "VACUUM INTO $1", &to)).await?;
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

/// Runs a statement; the number of rows it touched.
pub(crate) fn execute(
    connection: &rusqlite::Connection,
    text: &'static str,
    args: &[Value],
) -> rusqlite::Result<u64> {
    let mut statement = prepare(connection, text, args)?;
    if statement.column_count() == 0 {
        return Ok(statement.raw_execute()? as u64);
    }
    // One that answers, whose answer nobody wants, is to run to its end nevertheless.
    let mut rows = statement.raw_query();
    while rows.next()?.is_some() {}
    drop(rows);
    Ok(connection.changes())
}

/// The rows of a statement's answer, `limit` at most.
pub(crate) fn fetch(
    connection: &rusqlite::Connection,
    text: &'static str,
    args: &[Value],
    limit: usize,
) -> rusqlite::Result<Vec<Vec<Cell>>> {
    let mut statement = prepare(connection, text, args)?;
    let columns = statement.column_count();
    let mut rows = statement.raw_query();
    let mut out = Vec::new();
    while out.len() < limit
        && let Some(row) = rows.next()?
    {
        let cells = (0..columns).map(|column| Ok(row.get_ref(column)?.into()));
        out.push(cells.collect::<rusqlite::Result<_>>()?);
    }
    Ok(out)
}

/// A statement with its arguments. SQLite counts `$2` by where it first stands, so each place is looked up by its name.
fn prepare<'c>(
    connection: &'c rusqlite::Connection,
    text: &'static str,
    args: &[Value],
) -> rusqlite::Result<CachedStatement<'c>> {
    let mut statement = connection.prepare_cached(&lists_for_sqlite(text))?;
    for place in 1..=statement.parameter_count() {
        let name = statement.parameter_name(place).unwrap_or_default();
        let number: usize = name.trim_start_matches('$').parse().unwrap_or_default();
        let value = number.checked_sub(1).and_then(|index| args.get(index));
        let value = value.ok_or_else(|| rusqlite::Error::InvalidParameterName(name.to_owned()))?;
        statement.raw_bind_parameter(place, value)?;
    }
    Ok(statement)
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Int(v) => ToSqlOutput::from(*v),
            Self::Text(v) => ToSqlOutput::Borrowed(ValueRef::Text(v.as_bytes())),
            Self::Blob(v) => ToSqlOutput::Borrowed(ValueRef::Blob(v)),
            Self::NullInt | Self::NullText | Self::NullBlob => ToSqlOutput::from(Null),
            Self::Ints(list) => ToSqlOutput::from(json_numbers(list)),
            Self::Texts(list) => ToSqlOutput::from(json_strings(list)),
        })
    }
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
