//! A row of either engine, read by place.

use sqlx::Row as _;

use crate::DatabaseError;

/// One row of an answer. Columns are counted from 0.
pub struct Row(pub(crate) RowKind);

pub(crate) enum RowKind {
    Sqlite(sqlx::sqlite::SqliteRow),
    Postgres(sqlx::postgres::PgRow),
}

macro_rules! column {
    ($(#[$doc:meta])* $name:ident, $optional:ident, $type:ty, $expected:literal) => {
        $(#[$doc])*
        pub fn $name(&self, column: usize) -> Result<$type, DatabaseError> {
            self.$optional(column)?.ok_or(DatabaseError::Column { column, expected: $expected })
        }

        /// The same, where the column may be null.
        pub fn $optional(&self, column: usize) -> Result<Option<$type>, DatabaseError> {
            match &self.0 {
                RowKind::Sqlite(row) => row.try_get_unchecked(column),
                RowKind::Postgres(row) => row.try_get(column),
            }
            .map_err(|_| DatabaseError::Column { column, expected: $expected })
        }
    };
}

impl Row {
    column!(
        /// A number.
        int, opt_int, i64, "a number"
    );
    column!(
        /// A text.
        text, opt_text, String, "a text"
    );
    column!(
        /// Bytes.
        blob, opt_blob, Vec<u8>, "bytes"
    );

    /// A number used as a truth value: 0 is false.
    pub fn bool(&self, column: usize) -> Result<bool, DatabaseError> {
        Ok(self.int(column)? != 0)
    }
}
