//! The tables of the network, as forward migrations.

use landbridge_database::Migrations;

/// All of them, oldest first.
pub(crate) const MIGRATIONS: Migrations = Migrations::new("playground", &[FIRST, POLLS]);

const FIRST: &str = "
CREATE TABLE person (id TEXT PRIMARY KEY, name TEXT NOT NULL, bot BIGINT NOT NULL, token_hash BLOB, created_at BIGINT NOT NULL);
CREATE UNIQUE INDEX person_token ON person (token_hash);
CREATE TABLE chat (id TEXT PRIMARY KEY, kind TEXT NOT NULL, name TEXT, topic TEXT, last_number BIGINT NOT NULL,
  created_at BIGINT NOT NULL);
CREATE TABLE member (chat TEXT NOT NULL, person TEXT NOT NULL, PRIMARY KEY (chat, person));
CREATE INDEX member_person ON member (person, chat);
CREATE TABLE event (seq BIGINT PRIMARY KEY, at BIGINT NOT NULL, chat TEXT NOT NULL, actor TEXT NOT NULL, key TEXT, subject TEXT,
  body TEXT NOT NULL, UNIQUE (actor, key));
CREATE TABLE message (id TEXT PRIMARY KEY, chat TEXT NOT NULL, number BIGINT NOT NULL, seq BIGINT NOT NULL, at BIGINT NOT NULL,
  sender TEXT NOT NULL, profile TEXT, text TEXT NOT NULL, reply_to TEXT, version BIGINT NOT NULL, deleted BIGINT NOT NULL,
  bridged BIGINT NOT NULL, UNIQUE (chat, number));
CREATE TABLE reaction (message TEXT NOT NULL, person TEXT NOT NULL, emoji TEXT NOT NULL, seq BIGINT NOT NULL, at BIGINT NOT NULL,
  PRIMARY KEY (message, person, emoji));
CREATE TABLE read_mark (chat TEXT NOT NULL, person TEXT NOT NULL, number BIGINT NOT NULL, PRIMARY KEY (chat, person));
";

const POLLS: &str = "
ALTER TABLE message ADD COLUMN poll TEXT;
ALTER TABLE message ADD COLUMN closed BIGINT NOT NULL DEFAULT 0;
CREATE TABLE vote (message TEXT NOT NULL, person TEXT NOT NULL, choice BIGINT NOT NULL, seq BIGINT NOT NULL, at BIGINT NOT NULL,
  PRIMARY KEY (message, person));
";
