//! After a backup was put back: the database begins another generation.

use landbridge_database::{Database, Options};

use super::{StartError, identity};
use crate::{
    commit::Committer,
    config::Config,
    feed::Feed,
    storage::{SCHEMA, rooms, server},
};

/// Marks a database as restored, before anything else uses it. Clients and application services were told things since the backup was
/// made that the database no longer knows; by the new generation their tokens and transaction ids are told apart from the old ones.
pub async fn restored(config: Config) -> Result<i64, StartError> {
    let db = Database::open(&config.database_url(), &Options::default()).await?;
    db.migrate(&SCHEMA).await?;
    let generation = identity::generation(&db).await? + 1;
    let stream = server::stream(&db).await?;
    let feed = Feed::new(generation, stream.head, rooms::heads(&db).await?);
    let committer = Committer::start(db.clone(), feed, Vec::new()).await?;
    identity::begin_generation(&committer, generation).await?;
    committer.flush().await?;
    db.close().await;
    Ok(generation)
}
