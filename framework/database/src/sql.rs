//! Statement texts, and the one translation from the shared dialect to SQLite's.

use std::borrow::Cow;

use sqlx::{SqlSafeStr as _, SqlStr};

/// The text of a statement.
#[derive(Clone, Copy, Debug)]
pub enum Sql {
    /// One text for both engines.
    Both(&'static str),
    /// A text for each, where they differ.
    Each {
        /// For SQLite.
        sqlite: &'static str,
        /// For Postgres.
        postgres: &'static str,
    },
}

impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Self {
        Self::Both(text)
    }
}

impl Sql {
    pub(crate) fn for_postgres(self) -> SqlStr {
        match self {
            Self::Both(text) | Self::Each { postgres: text, .. } => text.into_sql_str(),
        }
    }

    /// As written: lists are still to be translated.
    pub(crate) fn for_sqlite(self) -> &'static str {
        match self {
            Self::Both(text) | Self::Each { sqlite: text, .. } => text,
        }
    }
}

/// `= ANY($n)` becomes `IN (SELECT value FROM json_each($n))`.
pub(crate) fn lists_for_sqlite(text: &'static str) -> Cow<'static, str> {
    const ANY: &str = "= ANY(";
    if !text.contains(ANY) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 64);
    let mut rest = text;
    while let Some(at) = rest.find(ANY) {
        let (before, list) = (&rest[..at], &rest[at + ANY.len()..]);
        let end = list.find(')').unwrap_or(list.len());
        out.push_str(before);
        out.push_str("IN (SELECT value FROM json_each(");
        out.push_str(&list[..end]);
        out.push(')');
        rest = &list[end..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The part of a definition that is for one engine: what stands between a line `-- sqlite:` or `-- postgres:` and the next
/// such line, or the line `-- both:`, is for the one that it names.
fn part(text: &str, engine: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut ours = true;
    for line in text.lines() {
        match line.trim() {
            "-- both:" => ours = true,
            "-- sqlite:" | "-- postgres:" => ours = line.contains(engine),
            _ if ours => {
                out.push_str(line);
                out.push('\n');
            }
            _ => {}
        }
    }
    out
}

/// A table definition for SQLite.
pub(crate) fn definition_for_sqlite(text: &str) -> String {
    part(text, "sqlite")
}

/// A table definition in the engine's own type names.
pub(crate) fn definition_for_postgres(text: &str) -> String {
    part(text, "postgres")
        .replace("INTEGER PRIMARY KEY", "BIGINT PRIMARY KEY")
        .replace("BLOB", "BYTEA")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_translated_for_sqlite() {
        assert_eq!(
            lists_for_sqlite("SELECT a FROM t WHERE a = ANY($1) AND b = ANY($2) LIMIT 3"),
            "SELECT a FROM t WHERE a IN (SELECT value FROM json_each($1)) \
             AND b IN (SELECT value FROM json_each($2)) LIMIT 3"
        );
        assert!(matches!(lists_for_sqlite("SELECT 1"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_definition_may_have_parts_for_each_engine() {
        let text = "a;\n-- sqlite:\nb;\n-- postgres:\nc;\n-- both:\nd;";
        assert_eq!(definition_for_sqlite(text), "a;\nb;\nd;\n");
        assert_eq!(definition_for_postgres(text), "a;\nc;\nd;\n");
    }

    #[test]
    fn types_are_translated_for_postgres() {
        assert_eq!(
            definition_for_postgres("CREATE TABLE t (n INTEGER PRIMARY KEY, b BLOB NOT NULL)"),
            "CREATE TABLE t (n BIGINT PRIMARY KEY, b BYTEA NOT NULL)\n"
        );
    }
}
