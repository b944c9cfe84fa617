//! Spaces: those of logins, which room Matrix was told to be in which, and the rooms whose places are to be looked at.

use landbridge_database::args;

use super::{Batch, Store, StoreError};

/// A room whose place is to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SpaceJob {
    pub(crate) child: String,
    /// Tells it from one for the same room that came meanwhile.
    pub(crate) version: i64,
    pub(crate) attempts: i64,
}

impl Store {
    /// Rooms to be looked at, those asked for longest ago first.
    pub(crate) async fn space_jobs(
        &self,
        now: i64,
        limit: i64,
    ) -> Result<Vec<SpaceJob>, StoreError> {
        let rows = self
            .db
            .fetch(
                "SELECT child, version, attempts FROM space_job WHERE not_before <= $1 ORDER BY version, child LIMIT $2",
                args![now, limit],
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(SpaceJob { child: row.text(0)?, version: row.int(1)?, attempts: row.int(2)? })
            })
            .collect()
    }
    /// The spaces that a room is in, and what was said of its place there.
    pub(crate) async fn spaces_of(&self, child: &str) -> Result<Vec<(String, String)>, StoreError> {
        let rows = self
            .db
            .fetch("SELECT parent, shown FROM space_child WHERE child = $1", args![child])
            .await?;
        rows.iter().map(|row| Ok((row.text(0)?, row.text(1)?))).collect()
    }
    /// A login's space: its room, if it has one yet, and how often one was begun.
    pub(crate) async fn login_space(
        &self,
        login: &str,
    ) -> Result<Option<(Option<String>, i64)>, StoreError> {
        let row = self
            .db
            .fetch_optional(
                "SELECT room_id, generation FROM login_space WHERE login_id = $1",
                args![login],
            )
            .await?;
        row.map(|row| Ok((row.opt_text(0)?, row.int(1)?))).transpose()
    }
}

impl Batch {
    /// A room's place in spaces is to be looked at. `version` is a new number.
    pub(crate) fn add_space_job(&mut self, child: &str, version: i64) {
        self.push(
            "INSERT INTO space_job (child, version) VALUES ($1, $2)
             ON CONFLICT (child) DO UPDATE SET version = excluded.version, not_before = 0, attempts = 0",
            args![child, version],
        );
    }
    /// The same for all rooms in a space.
    pub(crate) fn add_space_jobs_of(&mut self, parent: &str, version: i64) {
        self.push(
            "INSERT INTO space_job (child, version) SELECT child, $2 FROM space_child WHERE parent = $1
             ON CONFLICT (child) DO UPDATE SET version = excluded.version, not_before = 0, attempts = 0",
            args![parent, version],
        );
    }
    pub(crate) fn space_job_later(&mut self, job: &SpaceJob, not_before: i64) {
        self.push(
            "UPDATE space_job SET attempts = attempts + 1, not_before = $3 WHERE child = $1 AND version = $2",
            args![&job.child, job.version, not_before],
        );
    }
    pub(crate) fn space_job_done(&mut self, job: &SpaceJob) {
        self.push(
            "DELETE FROM space_job WHERE child = $1 AND version = $2",
            args![&job.child, job.version],
        );
    }
    /// Matrix was told that a room is in a space.
    pub(crate) fn save_space_child(&mut self, child: &str, parent: &str, shown: &str) {
        self.push(
            "INSERT INTO space_child (child, parent, shown) VALUES ($1, $2, $3)
             ON CONFLICT (child, parent) DO UPDATE SET shown = excluded.shown",
            args![child, parent, shown],
        );
    }
    pub(crate) fn remove_space_child(&mut self, child: &str, parent: &str) {
        self.push("DELETE FROM space_child WHERE child = $1 AND parent = $2", args![child, parent]);
    }
    /// A space is gone.
    pub(crate) fn forget_space(&mut self, parent: &str) {
        self.push("DELETE FROM space_child WHERE parent = $1", args![parent]);
    }
    pub(crate) fn save_login_space(&mut self, login: &str, room: Option<&str>, generation: i64) {
        self.push(
            "INSERT INTO login_space (login_id, room_id, generation) VALUES ($1, $2, $3)
             ON CONFLICT (login_id) DO UPDATE SET room_id = excluded.room_id, generation = excluded.generation",
            args![login, room, generation],
        );
    }
}
