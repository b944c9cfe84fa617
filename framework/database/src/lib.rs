//! SQLite and Postgres behind one small dialect.
