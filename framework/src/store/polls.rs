//! Polls that are on both sides: their options' names here and there, who voted what, how they stand.

use landbridge_database::args;
use serde::{Deserialize, Serialize};

use super::{Batch, Store, StoreError};

/// An answer of a poll.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PollOptionRow {
    /// Its id on Matrix.
    pub(crate) matrix: String,
    /// Its id on the network.
    pub(crate) remote: String,
    pub(crate) text: String,
}

/// A poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PollRow {
    pub(crate) portal: i64,
    /// The message it is.
    pub(crate) remote_id: String,
    pub(crate) options: Vec<PollOptionRow>,
    pub(crate) max_choices: usize,
    /// Votes by option's id on the network, as the network counts them; empty where it doesn't say.
    pub(crate) counts: Vec<(String, u64)>,
    pub(crate) ended: bool,
}

fn read_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt(error.to_string()))
}

fn json<T: Serialize>(value: &T) -> String {
    // Lists of texts and numbers are always JSON.
    serde_json::to_string(value).unwrap_or_else(|_| "[]".into())
}

impl Store {
    pub(crate) async fn poll(
        &self,
        portal: i64,
        remote_id: &str,
    ) -> Result<Option<PollRow>, StoreError> {
        let row = self
            .db
            .fetch_optional(
                "SELECT options, max_choices, counts, ended FROM poll WHERE portal_id = $1 AND remote_id = $2",
                args![portal, remote_id],
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(PollRow {
            portal,
            remote_id: remote_id.to_owned(),
            options: read_json(&row.text(0)?)?,
            max_choices: usize::try_from(row.int(1)?).unwrap_or(1),
            counts: read_json(&row.text(2)?)?,
            ended: row.bool(3)?,
        }))
    }
    /// What somebody voted last, by the options' ids on the network.
    pub(crate) async fn vote_of(
        &self,
        portal: i64,
        remote_id: &str,
        voter: &str,
    ) -> Result<Option<Vec<String>>, StoreError> {
        let row = self
            .db
            .fetch_optional(
                "SELECT choices FROM poll_vote WHERE portal_id = $1 AND remote_id = $2 AND voter = $3",
                args![portal, remote_id, voter],
            )
            .await?;
        row.map(|row| read_json(&row.text(0)?)).transpose()
    }
    /// What everybody voted last.
    pub(crate) async fn votes(
        &self,
        portal: i64,
        remote_id: &str,
    ) -> Result<Vec<Vec<String>>, StoreError> {
        let rows = self
            .db
            .fetch(
                "SELECT choices FROM poll_vote WHERE portal_id = $1 AND remote_id = $2",
                args![portal, remote_id],
            )
            .await?;
        rows.iter().map(|row| read_json(&row.text(0)?)).collect()
    }
}

impl Batch {
    /// A poll is on both sides. What is known of its votes and its end stays.
    pub(crate) fn save_poll(&mut self, p: &PollRow) {
        self.push(
            "INSERT INTO poll (portal_id, remote_id, options, max_choices, counts, ended)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (portal_id, remote_id) DO UPDATE SET options = excluded.options,
               max_choices = excluded.max_choices",
            args![
                p.portal,
                &p.remote_id,
                json(&p.options),
                p.max_choices as i64,
                json(&p.counts),
                p.ended
            ],
        );
    }
    pub(crate) fn poll_counts(&mut self, portal: i64, remote_id: &str, counts: &[(String, u64)]) {
        self.push(
            "UPDATE poll SET counts = $3 WHERE portal_id = $1 AND remote_id = $2",
            args![portal, remote_id, json(&counts)],
        );
    }
    pub(crate) fn poll_ended(&mut self, portal: i64, remote_id: &str) {
        self.push(
            "UPDATE poll SET ended = 1 WHERE portal_id = $1 AND remote_id = $2",
            args![portal, remote_id],
        );
    }
    /// Somebody voted; it replaces what they voted before.
    pub(crate) fn save_vote(
        &mut self,
        portal: i64,
        remote_id: &str,
        voter: &str,
        choices: &[String],
    ) {
        self.push(
            "INSERT INTO poll_vote (portal_id, remote_id, voter, choices) VALUES ($1, $2, $3, $4)
             ON CONFLICT (portal_id, remote_id, voter) DO UPDATE SET choices = excluded.choices",
            args![portal, remote_id, voter, json(&choices)],
        );
    }
}
