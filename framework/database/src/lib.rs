//! SQLite and Postgres behind one small dialect.
//!
//! The homeserver and the bridge framework each keep a database of their own, on either engine. Their
//! SQL is written once, in the part of the language both engines share:
//!
//! * placeholders are `$1`, `$2`, ...;
//! * types are `TEXT`, `BIGINT` and `BLOB` (a `BYTEA` on Postgres), a key that counts by itself is
//!   `INTEGER PRIMARY KEY`;
//! * `= ANY($1)` takes a list (on SQLite it becomes `IN (SELECT value FROM json_each($1))`);
//! * upserts are `ON CONFLICT ... DO ...`, and `RETURNING` works.
//!
//! Where the engines really differ, [`Sql::Each`] holds both texts; a migration has parts for each, after a line
//! `-- sqlite:` or `-- postgres:`, up to the line `-- both:`. There is deliberately no mapping of
//! rows to structs: the storage modules that hold the SQL read the columns by place.
//!
//! ```
//! # async fn example() -> Result<(), landbridge_database::DatabaseError> {
//! use landbridge_database::{Database, Migrations, Options, args};
//!
//! let folder = std::env::temp_dir().join(format!("landbridge-doc-{}", std::process::id()));
//! std::fs::create_dir_all(&folder).expect("a folder for the example");
//! let url = format!("sqlite:{}", folder.join("example.db").display());
//! let database = Database::open(&url, &Options::default()).await?;
//! database.migrate(&Migrations::new("example", &["CREATE TABLE pet (id BIGINT PRIMARY KEY, name TEXT NOT NULL)"])).await?;
//!
//! let mut tx = database.begin().await?;
//! tx.execute("INSERT INTO pet (id, name) VALUES ($1, $2)", args![1, "Rex"]).await?;
//! tx.commit().await?;
//!
//! let rows = database.fetch("SELECT name FROM pet WHERE id = ANY($1)", args![vec![1_i64, 2]]).await?;
//! assert_eq!(rows[0].text(0)?, "Rex");
//! # Ok(())
//! # }
//! # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
//! ```

mod backup;
mod database;
mod error;
mod migrations;
mod postgres;
mod row;
mod sql;
mod sqlite;
pub mod testing;
#[cfg(test)]
mod tests;
mod transaction;
mod value;

pub use database::{Database, Engine, Options};
pub use error::DatabaseError;
pub use migrations::Migrations;
pub use row::Row;
pub use sql::Sql;
pub use transaction::Transaction;
pub use value::Value;
