//! Requests: to the account's data centre or another, with a limit on how long they may take.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use grammers_mtsender::{ConnectionParams, NoRetries, SenderPool, SenderPoolHandle};
use grammers_session::updates::UpdatesLike;
use grammers_tl_types as tl;
use tokio::{sync::mpsc, task::JoinHandle};

use super::{error::ApiError, session::Kept};
use crate::config::Config;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_mins(1);
/// How many updates may wait to be stored. What comes when it is full is lost to the connection, and fetched again by `follow`.
pub(super) const WAITING: usize = 4096;

/// Requests of one session. Cheap to clone; the connections end with the last clone.
#[derive(Clone)]
#[allow(clippy::struct_field_names, reason = "Telegram calls them so")]
pub struct Api {
    handle: SenderPoolHandle,
    session: Arc<Kept>,
    api_id: i32,
    api_hash: Arc<str>,
    // Data centres that know the account besides its own.
    authorised: Arc<tokio::sync::Mutex<Vec<i32>>>,
    _running: Arc<Running>,
}

/// The task that holds the connections.
struct Running(JoinHandle<()>);
impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Api {
    /// Connections of a session, made as they are needed; with the updates that come by them.
    pub fn open(config: &Config, session: Arc<Kept>) -> (Self, mpsc::Receiver<UpdatesLike>) {
        let params = ConnectionParams {
            device_model: config.device.clone(),
            system_version: std::env::consts::OS.into(),
            app_version: env!("CARGO_PKG_VERSION").into(),
            system_lang_code: "en".into(),
            lang_code: "en".into(),
            use_ipv6: false,
            // The framework's queues wait and try again; here each request is made once.
            retry_policy: Box::new(NoRetries),
            updates_channel_capacity: NonZeroUsize::new(WAITING).unwrap_or(NonZeroUsize::MIN),
            __non_exhaustive: (),
        };
        let pool = SenderPool::with_configuration(Arc::clone(&session), config.api_id, params);
        let running = tokio::spawn(pool.runner.run());
        let api = Self {
            handle: pool.handle.thin.clone(),
            session,
            api_id: config.api_id,
            api_hash: config.api_hash.0.as_str().into(),
            authorised: Arc::default(),
            _running: Arc::new(Running(running)),
        };
        (api, pool.updates)
    }

    /// The application's number and hash.
    pub(super) fn application(&self) -> (i32, String) {
        (self.api_id, self.api_hash.to_string())
    }

    /// The session.
    pub fn session(&self) -> &Arc<Kept> {
        &self.session
    }

    /// Asks the account's data centre.
    pub async fn invoke<R: tl::RemoteCall>(&self, request: &R) -> Result<R::Return, ApiError> {
        self.ask(self.session.home(), request).await
    }

    /// Asks a data centre, of which the account may not be.
    pub async fn invoke_in<R: tl::RemoteCall>(
        &self,
        dc: i32,
        request: &R,
    ) -> Result<R::Return, ApiError> {
        if dc != self.session.home() {
            self.authorise(dc).await?;
        }
        match self.ask(dc, request).await {
            // The other end may have forgotten; it is asked once more after being told again.
            Err(error) if error.is("AUTH_KEY_UNREGISTERED") && dc != self.session.home() => {
                self.authorised.lock().await.retain(|known| *known != dc);
                self.authorise(dc).await?;
                self.ask(dc, request).await
            }
            answer => answer,
        }
    }

    async fn ask<R: tl::RemoteCall>(&self, dc: i32, request: &R) -> Result<R::Return, ApiError> {
        let answer = tokio::time::timeout(TIMEOUT, self.handle.invoke_in_dc(dc, request)).await;
        match answer {
            Ok(answer) => answer.map_err(ApiError::from),
            Err(_) => {
                // A connection that is silent for so long is dead, whatever TCP thinks of it.
                self.handle.disconnect_from_dc(dc);
                Err(ApiError::NoAnswer("it took too long".into()))
            }
        }
    }

    /// Makes the account known to another data centre (core.telegram.org/api/datacenter#authorization-transfer).
    async fn authorise(&self, dc: i32) -> Result<(), ApiError> {
        let mut authorised = self.authorised.lock().await;
        if authorised.contains(&dc) {
            return Ok(());
        }
        let export = tl::functions::auth::ExportAuthorization { dc_id: dc };
        let tl::enums::auth::ExportedAuthorization::Authorization(exported) =
            self.invoke(&export).await?;
        let import =
            tl::functions::auth::ImportAuthorization { id: exported.id, bytes: exported.bytes };
        self.ask(dc, &import).await?;
        authorised.push(dc);
        Ok(())
    }

    /// Goes on with another data centre as the account's own.
    pub(super) async fn move_to(&self, dc: i32) -> Result<(), ApiError> {
        use grammers_session::Session as _;
        let old = self.session.home();
        let unknown = || ApiError::Unreachable(format!("data centre {dc} is not known"));
        self.session.dc_option(dc).map_err(|_| unknown())?.ok_or_else(unknown)?;
        self.handle.disconnect_from_dc(old);
        self.session
            .set_home_dc_id(dc)
            .await
            .map_err(|error| ApiError::Unreachable(error.to_string()))
    }

    /// A request of logging in, which may have to be made to another data centre.
    pub(super) async fn invoke_moving<R: tl::RemoteCall>(
        &self,
        request: &R,
    ) -> Result<R::Return, ApiError> {
        match self.invoke(request).await {
            Err(error) => match error.migrate() {
                Some(dc) => {
                    self.move_to(dc).await?;
                    self.invoke(request).await
                }
                None => Err(error),
            },
            answer => answer,
        }
    }

    /// Ends all connections.
    pub fn quit(&self) {
        self.handle.quit();
    }
}
