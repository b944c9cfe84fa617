//! From a login to a connection that is followed, and why that ends.

use std::{sync::Arc, time::Duration};

use grammers_tl_types as tl;
use landbridge_framework::{Closed, Exit, Inbox, LoginState, NetError};
use tokio::sync::{mpsc, watch};

use super::{
    account::{Connection, Live, ended},
    api::Api,
    error::ApiError,
    follow::Follower,
    prepare::Failure,
    session::Kept,
    sign_in::SignInError,
};
use crate::{config::Secret, connector::Telegram};

/// Why following ended.
pub(super) enum End {
    Exit(Exit),
    Failure(Failure),
}
impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}
impl From<Closed> for End {
    fn from(closed: Closed) -> Self {
        Self::Failure(closed.into())
    }
}
impl From<ApiError> for End {
    fn from(error: ApiError) -> Self {
        Self::Failure(error.into())
    }
}

impl End {
    /// `signs_in`: what Telegram has ended is begun anew by the next connection.
    fn exit(self, signs_in: bool) -> Exit {
        match self {
            Self::Exit(exit) => exit,
            Self::Failure(Failure::Closed(closed)) => ended(closed),
            Self::Failure(Failure::Api(error)) if error.is_logged_out() && !signs_in => {
                Exit::BadCredentials(format!(
                    "Telegram ended the session ({})",
                    error.name().unwrap_or_default()
                ))
            }
            Self::Failure(failure) => Exit::Lost(failure.into()),
        }
    }
}

impl Connection {
    /// Connects, and follows the account's updates until the connection is lost.
    pub(super) async fn follow(
        &self,
        inbox: Inbox<Telegram>,
        slot: &watch::Sender<Option<Arc<Live>>>,
    ) -> Exit {
        match self.follow_to_end(inbox, slot).await {
            Ok(never) => match never {},
            Err(end) => end.exit(self.token().is_some()),
        }
    }

    async fn follow_to_end(
        &self,
        inbox: Inbox<Telegram>,
        slot: &watch::Sender<Option<Arc<Live>>>,
    ) -> Result<std::convert::Infallible, End> {
        let session = Kept::load(&self.config, &self.login.meta.session, inbox.clone()).await?;
        let (api, mut updates) = Api::open(&self.config, Arc::new(session));
        let me = self.who_am_i(&api).await?;
        let (baselines, begun) = mpsc::unbounded_channel();
        let live = Arc::new(Live::new(self, api, inbox, &me, baselines));
        live.peers.learn(&[tl::enums::User::User(me)], &[]).await?;
        let mut follower = Follower::begin(live.clone(), begun).await?;
        slot.send_replace(Some(live.clone()));
        live.inbox.state(LoginState::Connected);
        follower.run(&mut updates).await
    }

    /// What the relay's bot signs in with.
    fn token(&self) -> Option<&Secret> {
        self.config.bot_token.as_ref().filter(|_| self.relays())
    }

    async fn who_am_i(&self, api: &Api) -> Result<tl::types::User, End> {
        let request = tl::functions::users::GetUsers { id: vec![tl::enums::InputUser::UserSelf] };
        let answer = api.invoke(&request).await;
        match (answer, self.token()) {
            (Ok(users), _) => {
                let me = users.into_iter().find_map(|user| match user {
                    tl::enums::User::User(user) => Some(user),
                    tl::enums::User::Empty(_) => None,
                });
                let me = me.ok_or_else(|| {
                    ApiError::NoAnswer("Telegram doesn't say who this account is".into())
                })?;
                if me.id == self.login.id {
                    return Ok(me);
                }
                Err(End::Exit(Exit::BadCredentials("the session is another account's".into())))
            }
            (Err(error), Some(token)) if error.is_logged_out() => {
                api.sign_in_bot(&token.0).await.map_err(|error| match error {
                    SignInError::Api(error) if error.is_temporary() => error.into(),
                    SignInError::Wait(seconds) => End::Exit(Exit::Lost(NetError::Temporary {
                        reason: "Telegram asks to wait".into(),
                        after: Some(Duration::from_secs(seconds)),
                    })),
                    error => End::Exit(Exit::BadCredentials(error.to_string())),
                })
            }
            (Err(error), _) => Err(error.into()),
        }
    }
}
