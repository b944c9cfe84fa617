//! A row of either engine, read by place.

use sqlx::Row as _;
use tokio_rusqlite::rusqlite::types::ValueRef;

use crate::DatabaseError;

/// One row of an answer. Columns are counted from 0.
pub struct Row(pub(crate) RowKind);

pub(crate) enum RowKind {
    Sqlite(Vec<Cell>),
    Postgres(sqlx::postgres::PgRow),
}

/// A value as SQLite keeps it: the type is the value's, not the column's.
pub(crate) enum Cell {
    Null,
    Int(i64),
    Real(f64),
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

impl From<ValueRef<'_>> for Cell {
    fn from(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(v) => Self::Int(v),
            ValueRef::Real(v) => Self::Real(v),
            ValueRef::Text(v) => Self::Text(v.to_vec()),
            ValueRef::Blob(v) => Self::Blob(v.to_vec()),
        }
    }
}

/// What a cell holds, converted as SQLite itself would; `None` if it can't be.
impl Cell {
    fn int(&self) -> Option<i64> {
        match self {
            Self::Int(v) => Some(*v),
            Self::Real(v) => Some(*v as i64),
            Self::Text(v) => std::str::from_utf8(v).ok()?.trim().parse().ok(),
            Self::Null | Self::Blob(_) => None,
        }
    }

    fn text(&self) -> Option<String> {
        match self {
            Self::Int(v) => Some(v.to_string()),
            Self::Real(v) => Some(v.to_string()),
            Self::Text(v) | Self::Blob(v) => String::from_utf8(v.clone()).ok(),
            Self::Null => None,
        }
    }

    fn blob(&self) -> Option<Vec<u8>> {
        match self {
            Self::Text(v) | Self::Blob(v) => Some(v.clone()),
            Self::Null | Self::Int(_) | Self::Real(_) => None,
        }
    }
}

macro_rules! column {
    ($(#[$doc:meta])* $name:ident, $optional:ident, $type:ty, $expected:literal) => {
        $(#[$doc])*
        pub fn $name(&self, column: usize) -> Result<$type, DatabaseError> {
            self.$optional(column)?.ok_or(DatabaseError::Column { column, expected: $expected })
        }

        /// The same, where the column may be null.
        pub fn $optional(&self, column: usize) -> Result<Option<$type>, DatabaseError> {
            let wrong = DatabaseError::Column { column, expected: $expected };
            match &self.0 {
                RowKind::Sqlite(row) => match row.get(column) {
                    Some(Cell::Null) => Ok(None),
                    cell => cell.and_then(Cell::$name).map(Some).ok_or(wrong),
                },
                RowKind::Postgres(row) => row.try_get(column).map_err(|_| wrong),
            }
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
