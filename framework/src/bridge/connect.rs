//! Keeps logins connected.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    adapter::{Request, StoredLogin},
    engine::{Engine, Failure, guarded_async},
    event::ChatKind,
    handlers::{
        Attempt, Checkpoint, CheckpointPort, Files, IdempotencyKey, Op, Origin, OwnReactions,
        SendError,
    },
    inbox::gate::LoginPort,
    login_pool::Ends,
    network::{CancellationToken, ConnectError, Exit, LoginState, NetError},
    plain::Plain,
    portal::Portal,
    rate::backoff_ms,
    store::Batch,
};

/// A connection that held so long was a good one: the next attempt comes at once.
const GOOD: Duration = Duration::from_mins(1);
/// How long a handler of something passing may take.
const PASSING: Duration = Duration::from_secs(20);

impl Engine {
    /// Connects a login and keeps it connected until it is removed or the bridge stops.
    pub(crate) fn connect_login(self: &Arc<Self>, login: StoredLogin) {
        let ends = self.logins.insert(login.clone(), &self.stop);
        let engine = self.clone();
        self.spawn(async move { engine.keep_connected(login, ends).await });
    }

    async fn keep_connected(self: Arc<Self>, login: StoredLogin, ends: Ends) {
        let Ends { stop, gone } = ends;
        let mut failures = 0;
        loop {
            self.login_state(&login.id, &LoginState::Connecting);
            let started = Instant::now();
            let why = tokio::select! {
                () = stop.cancelled() => return,
                ended = self.connection(&login, &stop) => ended,
            };
            if gone.is_cancelled() {
                return;
            }
            match why {
                Ended::Stopped => return,
                Ended::Bad(why) => {
                    tracing::warn!(
                        login = login.id,
                        why,
                        "the network no longer takes a login's credentials"
                    );
                    let mut batch = Batch::new();
                    batch.login_bad_credentials(&login.id, &why);
                    if let Err(error) = self.store.commit(batch).await {
                        tracing::error!(%error, "a login's state could not be stored");
                    }
                    self.login_state(&login.id, &LoginState::BadCredentials(why.clone()));
                    self.tell_owner(
                        &login,
                        &format!("You are logged out of the network ({}): {why}", login.name),
                    )
                    .await;
                    return;
                }
                Ended::Lost(why) => {
                    if started.elapsed() >= GOOD {
                        failures = 0;
                    }
                    let wait = backoff_ms(failures, self.store.next_id());
                    failures += 1;
                    tracing::warn!(login = login.id, why, wait, "a connection was lost");
                    self.login_state(&login.id, &LoginState::Transient(why));
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(Duration::from_millis(wait.unsigned_abs())) => {}
                    }
                }
            }
        }
    }

    /// One connection, from its beginning to its end.
    async fn connection(self: &Arc<Self>, login: &StoredLogin, stop: &CancellationToken) -> Ended {
        let account = match guarded_async(Box::pin(self.connector.connect(login))).await {
            Ok(Ok(account)) => account,
            Ok(Err(ConnectError::BadCredentials(why))) => return Ended::Bad(why),
            Ok(Err(ConnectError::Temporary(why))) | Err(why) => return Ended::Lost(why),
        };
        self.logins.set_account(&login.id, Some(account.clone()));
        self.portals.retry_now.notify_waiters();
        let port = Arc::new(LoginPort { engine: self.clone(), login: login.id.clone() });
        let run = guarded_async(Box::pin(account.run(port, stop.clone()))).await;
        self.logins.set_account(&login.id, None);
        match run {
            Ok(Exit::Stopped) => Ended::Stopped,
            Ok(Exit::Lost(error)) => Ended::Lost(error.to_string()),
            Ok(Exit::BadCredentials(why)) => Ended::Bad(why),
            Err(panic) => Ended::Lost(panic),
        }
    }

    /// Notes how a connection stands.
    pub(crate) fn login_state(&self, id: &str, state: &LoginState) {
        if let Some(login) = self.logins.set_state(id, state) {
            tracing::info!(login = login.id, ?state, "login");
            let connected = matches!(state, LoginState::Connected | LoginState::Backfilling);
            metrics::gauge!("landbridge_bridge_login_connected", "bridge" => self.connector.id(), "login" => login.id)
                .set(f64::from(u8::from(connected)));
        }
    }

    /// Says something to a login's owner, where they talk to the bot.
    async fn tell_owner(&self, login: &StoredLogin, text: &str) {
        let Some(owner) = &login.owner else { return };
        let room = match self.management_room(owner).await {
            Ok(Some(room)) => room,
            Ok(None) => return,
            Err(failure) => {
                tracing::warn!(error = %failure, "it is not known where to tell a user something");
                return;
            }
        };
        let content = serde_json::json!({ "msgtype": "m.notice", "body": text, "m.mentions": {} });
        let txn_id = format!("tell{}", self.store.next_id());
        if let Err(error) =
            self.matrix.bot().send(&room, "m.room.message", &txn_id, &content, None).await
        {
            tracing::warn!(%error, "a user could not be told something");
        }
    }

    /// The room in which somebody talks to the bot.
    async fn management_room(&self, mxid: &str) -> Result<Option<String>, Failure> {
        use crate::kv::KeyValue;
        if let Some(room) = self.store.user(mxid).await?.and_then(|user| user.management_room) {
            return Ok(Some(room));
        }
        let rooms =
            self.store.list("room/management/").await.map_err(crate::matrix::MatrixError::from)?;
        let known = rooms.into_iter().find(|(_, user)| user == mxid);
        Ok(known.and_then(|(key, _)| key.strip_prefix("room/management/").map(ToOwned::to_owned)))
    }

    /// Does something that passes: once, now, or not at all.
    pub(crate) async fn act_now(
        &self,
        login: &str,
        portal: Option<&Portal>,
        mxid: &str,
        op: Op<Plain>,
    ) {
        self.act_in_thread(login, portal, mxid, op, None).await;
    }

    /// The same in a thread, by the message that it begins with.
    pub(crate) async fn act_in_thread(
        &self,
        login: &str,
        portal: Option<&Portal>,
        mxid: &str,
        op: Op<Plain>,
        thread: Option<String>,
    ) {
        let Some(account) = self.logins.account(login) else { return };
        let request = match self.passing_request(login, portal, mxid, op).await {
            Ok(request) => Request { thread, ..request },
            Err(failure) => {
                tracing::debug!(error = %failure, "something passing was not handed on");
                return;
            }
        };
        match tokio::time::timeout(PASSING, guarded_async(Box::pin(account.act(request)))).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::debug!(%error, "something passing was refused"),
            Ok(Err(panic)) => tracing::warn!(panic, "a handler panicked"),
            Err(_) => tracing::debug!("something passing took too long"),
        }
    }

    /// What a handler is given that isn't called for an event.
    pub(crate) async fn passing_request(
        &self,
        login: &str,
        portal: Option<&Portal>,
        mxid: &str,
        op: Op<Plain>,
    ) -> Result<Request, Failure> {
        let row = portal.map(Portal::row);
        let room_id = row.as_ref().and_then(|row| row.room_id.clone()).unwrap_or_default();
        let own = self.logins.stored(login).and_then(|login| login.owner).as_deref() == Some(mxid);
        let relay = if own || mxid.is_empty() || room_id.is_empty() {
            None
        } else {
            Some(self.relay_profile(&room_id, mxid).await?)
        };
        let name = relay.as_ref().map(|relay| relay.name.clone()).unwrap_or_default();
        Ok(Request {
            portal: row.map(|row| (row.key, row.meta)),
            key: IdempotencyKey::derive(
                self.connector.id(),
                &self.store.next_id().to_string(),
                "passing",
            ),
            relay,
            origin: Origin {
                sender: mxid.to_owned(),
                name,
                event_id: String::new(),
                room_id,
                ts_ms: self.now(),
            },
            reply_to: None,
            thread: None,
            quoted: None,
            attempt: Attempt::default(),
            checkpoint: Checkpoint { note: None, port: Arc::new(Nowhere) },
            files: Files(self.media.clone()),
            own_reactions: OwnReactions::default(),
            targets: Vec::new(),
            op,
        })
    }

    /// Tells the connector that a portal was opened or closed, by the logins that see it.
    pub(crate) async fn tell_opened(self: &Arc<Self>, portal: &Arc<Portal>, open: bool) {
        let mut logins = portal.logins();
        let row = portal.row();
        // A space is nothing that one could enter on the network.
        if row.kind == ChatKind::Space {
            return;
        }
        if matches!(row.key.scope, crate::network::Scope::Shared) {
            logins.extend(row.relay_login);
            logins.extend(self.logins.system());
        }
        logins.sort();
        logins.dedup();
        for login in logins {
            let Some(account) = self.logins.account(&login) else { continue };
            let request = match self.passing_request(&login, Some(portal), "", Op::Portal).await {
                Ok(request) => request,
                Err(failure) => {
                    tracing::warn!(error = %failure, "a connector could not be told about a portal");
                    continue;
                }
            };
            self.spawn(async move {
                match guarded_async(Box::pin(account.opened(request, open))).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::warn!(login, %error, "the connector did not take a portal's opening"),
                    Err(panic) => tracing::warn!(login, panic, "a handler panicked"),
                }
            });
        }
    }
}

/// How a connection ended.
enum Ended {
    Stopped,
    Lost(String),
    Bad(String),
}

impl From<NetError> for Ended {
    fn from(error: NetError) -> Self {
        Self::Lost(error.to_string())
    }
}

/// What passes has nothing to save.
struct Nowhere;

#[async_trait::async_trait]
impl CheckpointPort for Nowhere {
    async fn save(&self, _: &str) -> Result<(), SendError> {
        Ok(())
    }
}
