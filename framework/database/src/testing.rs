//! Databases for tests: SQLite in a folder of its own, or a schema of its own on the Postgres that
//! `LANDBRIDGE_TEST_POSTGRES` names. The same tests so run on both engines.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{Database, DatabaseError, Options};

/// A database that nobody else uses. On SQLite its folder goes with it.
pub struct TestDatabase {
    url: String,
    options: Options,
    folder: PathBuf,
}

impl TestDatabase {
    /// Names a new one on the engine the environment asks for; nothing is created before
    /// [`TestDatabase::open`].
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos());
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("landbridge_test_{}_{nanos}_{number}", std::process::id());
        let folder = std::env::temp_dir().join(&name);
        let postgres = std::env::var("LANDBRIDGE_TEST_POSTGRES").ok().filter(|url| !url.is_empty());
        let schema = postgres.is_some().then_some(name);
        let url =
            postgres.unwrap_or_else(|| format!("sqlite:{}", folder.join("test.db").display()));
        Self { url, options: Options { schema, readers: 2, ..Options::default() }, folder }
    }

    /// Opens it; after the first handle is closed and dropped, again, as a restart would.
    pub async fn open(&self) -> Result<Database, DatabaseError> {
        Database::open(self.url(), self.options()).await
    }

    /// The URL, for programs that open it themselves. Creates the folder.
    pub fn url(&self) -> &str {
        // A failure shows when the database is opened.
        let _ = std::fs::create_dir_all(&self.folder);
        &self.url
    }

    /// The URL for programs that are given nothing else: on Postgres it names the schema, which is made.
    pub async fn whole_url(&self) -> Result<String, DatabaseError> {
        let url = self.url();
        let Some(schema) = &self.options.schema else { return Ok(url.to_owned()) };
        // Opening it makes the schema; who comes later finds it by its search path.
        self.open().await?.close().await;
        let sign = if url.contains('?') { '&' } else { '?' };
        Ok(format!("{url}{sign}options[search_path]={schema}"))
    }

    /// The options that go with the URL.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// A folder for other files of the test.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Default for TestDatabase {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
