//! Has identity servers forget the addresses that are their users' no more. What is to be forgotten is written down with what makes it
//! so, the end of the account for instance; an identity server that is slow, away or unwilling holds up nothing and is asked again.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use ruma::UserId;
use tokio::sync::{Notify, oneshot};

use super::Threepids;
use crate::app::App;
use crate::commit::CommitError;
use crate::http::error::ApiResult;
use crate::storage::StorageError;
use crate::storage::threepid_binds::{self, Bind, Due};

/// How long somebody waits for identity servers to forget an address.
const PATIENCE: Duration = Duration::from_secs(20);
/// When they are asked for the first time by the work in the background: whoever wrote it down asks at once, and takes no longer.
pub(crate) const FIRST_MS: i64 = 60 * 1000;
/// The longest time between two times.
const LONGEST_MS: i64 = 24 * 60 * 60 * 1000;
/// How often they are asked: for two weeks.
const MOST_TRIES: i64 = 25;
/// How many are asked at once.
const AT_ONCE: i64 = 50;
const LOOK_EVERY: Duration = Duration::from_mins(1);

/// Works until the server stops.
pub async fn run(app: Arc<App>) {
    loop {
        match round(&app).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, "what identity servers are to forget is not known");
            }
        }
        // Woken, or it is time: both mean to look again.
        let _ = tokio::time::timeout(LOOK_EVERY, app.threepids.unbinding().notified()).await;
    }
}

/// Asks for what is due; whether there may be more.
async fn round(app: &App) -> ApiResult<bool> {
    let due = threepid_binds::due(&app.db, app.clock.now_ms(), AT_ONCE).await?;
    attempt(app, &due).await?;
    Ok(due.len() as i64 == AT_ONCE)
}

/// Asks for all together; whether all was forgotten.
async fn attempt(app: &App, due: &[Due]) -> ApiResult<bool> {
    let asked = join_all(due.iter().map(|due| ask(app, due))).await;
    let mut all = true;
    for done in asked {
        all &= done?;
    }
    Ok(all)
}

async fn ask(app: &App, Due { user, bind, tries }: &Due) -> ApiResult<bool> {
    if app.identity.unbind(user, bind).await {
        app.threepids.set_bind(user, bind.clone(), false).await?;
        return Ok(true);
    }
    if *tries + 1 >= MOST_TRIES {
        let server = &bind.id_server;
        tracing::warn!(%user, server, "an identity server does not forget an address; given up");
        app.threepids.set_bind(user, bind.clone(), false).await?;
    } else {
        app.threepids.postpone(user, bind, wait_ms(*tries)).await?;
    }
    Ok(false)
}

/// How long to wait after so many times: twice as long each time.
fn wait_ms(tries: i64) -> i64 {
    (FIRST_MS << tries.clamp(0, 16)).min(LONGEST_MS)
}

/// Has addresses of a user forgotten at once; whether they were, as far as it is known after a while. It goes on behind the caller, also
/// one that is dropped.
pub async fn now(app: &Arc<App>, user: &UserId, binds: Vec<Bind>) -> bool {
    let due = binds.into_iter().map(|bind| Due { user: user.to_owned(), bind, tries: 0 });
    let due: Vec<Due> = due.collect();
    let (tell, told) = oneshot::channel();
    let worker = Arc::clone(app);
    app.background.spawn(async move {
        let done = attempt(&worker, &due).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "what identity servers have forgotten could not be noted");
            false
        });
        // Perhaps nobody waits any more.
        let _ = tell.send(done);
    });
    matches!(tokio::time::timeout(PATIENCE, told).await, Ok(Ok(true)))
}

/// Has all addresses of somebody forgotten whose account was closed: where they are published, and by the server that is named. Whether all
/// were.
pub async fn of_closed(app: &Arc<App>, user: &UserId, id_server: Option<&str>) -> ApiResult<bool> {
    let known = id_server.is_none_or(|server| app.identity.knows(server));
    if let Some(server) = id_server.filter(|_| known) {
        app.threepids.unbind_from(user, server).await?;
    }
    // Others may have waited long enough.
    app.threepids.unbinding().notify_one();
    let binds = app.threepids.binds(user).await?;
    Ok(binds.is_empty() || (now(app, user, binds).await && known))
}

impl Threepids {
    /// Wakes the work in the background.
    pub(crate) fn unbinding(&self) -> &Notify {
        &self.unbinding
    }

    /// What identity servers publish of a user, also what they are to forget.
    pub async fn binds(&self, user: &UserId) -> Result<Vec<Bind>, StorageError> {
        threepid_binds::binds(&self.db, user).await
    }

    /// Notes what an identity server publishes from now on (`published`), or no longer.
    pub async fn set_bind(
        &self,
        user: &UserId,
        bind: Bind,
        published: bool,
    ) -> Result<(), CommitError> {
        let user = user.to_owned();
        self.committer
            .run(move |tx| {
                let (user, bind) = (user.clone(), bind.clone());
                async move {
                    if published {
                        threepid_binds::bind(tx, &user, &bind).await
                    } else {
                        threepid_binds::unbind(tx, &user, &bind).await
                    }
                }
                .boxed()
            })
            .await
    }

    /// Notes that an identity server did not forget an address; if it is to, it is asked again after a while.
    async fn postpone(&self, user: &UserId, bind: &Bind, wait_ms: i64) -> Result<(), CommitError> {
        let (user, bind) = (user.to_owned(), bind.clone());
        let at_ms = self.clock.now_ms() + wait_ms;
        self.committer
            .run(move |tx| {
                let (user, bind) = (user.clone(), bind.clone());
                async move { threepid_binds::postpone(tx, &user, &bind, at_ms).await }.boxed()
            })
            .await
    }

    /// Has one more identity server forget what others publish of a user.
    async fn unbind_from(&self, user: &UserId, id_server: &str) -> Result<(), CommitError> {
        let (user, id_server) = (user.to_owned(), id_server.to_owned());
        let at_ms = self.clock.now_ms() + FIRST_MS;
        self.committer
            .run(move |tx| {
                let (user, id_server) = (user.clone(), id_server.clone());
                async move { threepid_binds::unbind_all_from(tx, &user, &id_server, at_ms).await }
                    .boxed()
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_servers_are_asked_ever_more_seldom_for_two_weeks() {
        assert_eq!((wait_ms(0), wait_ms(1), wait_ms(2)), (60_000, 120_000, 240_000));
        assert_eq!(wait_ms(i64::MAX), LONGEST_MS);
        let days = (0..MOST_TRIES - 1).map(wait_ms).sum::<i64>() / LONGEST_MS;
        assert!((14..=15).contains(&days), "{days}");
    }
}
