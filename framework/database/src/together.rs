//! Statements that go to SQLite together.
//!
//! SQLite runs in a thread of its own, and waking it and being woken by it costs more than most statements do. Those whose answer nobody
//! waits for gather here, until somebody does or the transaction ends. The texts are few, so are their combinations, and
//! each stays prepared.

use std::collections::HashMap;

use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};

use crate::{Sql, Value, sql::lists_for_sqlite};

/// Statements that go together at most.
const AT_ONCE: usize = 16;
/// Combinations that are kept; more would push each other out of the connection's cache.
const SHAPES: usize = 128;

/// What has gathered.
#[derive(Default)]
pub(crate) struct Together {
    texts: Vec<&'static str>,
    args: Vec<Vec<Value>>,
    shapes: HashMap<Vec<(usize, usize)>, SqlStr>,
}

impl Together {
    /// Adds a statement; whether it is time to run them.
    pub(crate) fn add(&mut self, sql: Sql, args: Vec<Value>) -> bool {
        self.texts.push(sql.sqlite_text());
        self.args.push(args);
        self.texts.len() >= AT_ONCE
    }

    pub(crate) fn clear(&mut self) {
        self.texts.clear();
        self.args.clear();
    }

    /// What has gathered, as texts to be run one after the other.
    pub(crate) fn take(&mut self) -> Vec<(SqlStr, Vec<Value>)> {
        let (texts, args) = (std::mem::take(&mut self.texts), std::mem::take(&mut self.args));
        let shape: Vec<_> = texts.iter().map(|text| (text.as_ptr().addr(), text.len())).collect();
        if texts.len() < 2 || (self.shapes.len() >= SHAPES && !self.shapes.contains_key(&shape)) {
            return texts.into_iter().map(|text| Sql::Both(text).for_sqlite()).zip(args).collect();
        }
        let counts = args.iter().map(Vec::len);
        let text =
            self.shapes.entry(shape).or_insert_with(|| joined(texts.into_iter().zip(counts)));
        vec![(text.clone(), args.into_iter().flatten().collect())]
    }
}

/// One text of several statements, each with the number of its parameters, which are numbered through.
fn joined(statements: impl Iterator<Item = (&'static str, usize)>) -> SqlStr {
    let (mut out, mut before) = (String::new(), 0);
    for (text, count) in statements {
        if !out.is_empty() {
            out.push_str(";\n");
        }
        renumber(&lists_for_sqlite(text), before, &mut out);
        before += count;
    }
    AssertSqlSafe(out).into_sql_str()
}

/// Appends a statement whose `$1` is to be called `$(before + 1)`.
fn renumber(text: &str, before: usize, out: &mut String) {
    let mut pieces = text.split('$');
    out.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        out.push('$');
        let end = piece.find(|c: char| !c.is_ascii_digit()).unwrap_or(piece.len());
        match piece[..end].parse::<usize>() {
            Ok(number) => out.push_str(&(number + before).to_string()),
            Err(_) => out.push_str(&piece[..end]),
        }
        out.push_str(&piece[end..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_numbered_through() {
        let statements = [
            ("UPDATE a SET b = $2 WHERE c = $1", 2),
            ("DELETE FROM a WHERE b = ANY($1)", 1),
            ("INSERT INTO a (b, c) VALUES ($1, '$[' || $10)", 10),
        ];
        assert_eq!(
            joined(statements.into_iter()).as_str(),
            "UPDATE a SET b = $2 WHERE c = $1;\n\
             DELETE FROM a WHERE b IN (SELECT value FROM json_each($3));\n\
             INSERT INTO a (b, c) VALUES ($4, '$[' || $13)"
        );
    }

    #[test]
    fn combinations_are_bounded() {
        let mut together = Together::default();
        let text: &'static str = "SELECT 1; SELECT 2; SELECT 3";
        for length in 1..=text.len() {
            for other in 1..=text.len() {
                together.add(Sql::Both(&text[..length]), vec![Value::Int(1)]);
                together.add(Sql::Both(&text[..other]), vec![Value::Int(2)]);
                let ran: Vec<Vec<Value>> =
                    together.take().into_iter().map(|(_, args)| args).collect();
                assert_eq!(ran.concat(), [Value::Int(1), Value::Int(2)]);
            }
        }
        assert_eq!(together.shapes.len(), SHAPES);
    }
}
