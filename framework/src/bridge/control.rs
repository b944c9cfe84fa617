//! [`Control`] by the engine: what commands and APIs may ask.

mod groups;
mod steps;

pub(crate) use groups::Groups;

use std::sync::{Arc, Weak};

use async_trait::async_trait;

use super::Slot;
use crate::{
    control::{
        About, ConnectorCommand, Contact, Control, ControlError, DeadLetter, FlowInfo, GroupInfo,
        GroupKind, GroupWanted, Hop, LoginInfo, PortalInfo, Trace,
    },
    engine::{Engine, Failure, guarded_async},
    event::ThreadMode,
    handlers::{Args, Op},
    login::LoginProcess,
    network::{LoginState, NetError},
    permissions::Level,
    store::{Batch, Queue, StoreError},
};

/// Where the engine is found.
pub(crate) trait Find: Send + Sync + 'static {
    fn engine(&self) -> Option<Arc<Engine>>;
}
impl Find for Weak<Engine> {
    fn engine(&self) -> Option<Arc<Engine>> {
        self.upgrade()
    }
}
impl Find for Arc<Slot> {
    fn engine(&self) -> Option<Arc<Engine>> {
        self.get()
    }
}

/// Asks the engine that is found.
pub(crate) struct Handle<F>(pub(crate) F);

impl From<Failure> for ControlError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(why) => Self::Denied(why),
            failure => Self::Failed(failure.to_string()),
        }
    }
}
impl From<StoreError> for ControlError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.to_string())
    }
}
impl From<NetError> for ControlError {
    fn from(error: NetError) -> Self {
        Self::Failed(error.to_string())
    }
}
impl From<crate::matrix::MatrixError> for ControlError {
    fn from(error: crate::matrix::MatrixError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl<F: Find> Handle<F> {
    fn engine(&self) -> Result<Arc<Engine>, ControlError> {
        self.0.engine().ok_or_else(|| {
            ControlError::Failed("the bridge is starting; try again in a moment".into())
        })
    }
}

#[async_trait]
impl<F: Find> Control for Handle<F> {
    fn about(&self) -> About {
        let Ok(engine) = self.engine() else {
            return About {
                network_id: String::new(),
                network_name: String::new(),
                network_url: String::new(),
                network_icon: None,
                command_prefix: String::new(),
                bot: String::new(),
            };
        };
        let info = engine.connector.info();
        About {
            network_id: engine.connector.id().into(),
            network_name: info.name.into(),
            network_url: info.url.into(),
            network_icon: info.icon.clone(),
            command_prefix: engine.config.command_prefix.clone(),
            bot: engine.matrix.bot_id(),
        }
    }
    fn level(&self, user: &str) -> Level {
        self.engine().map_or(Level::Block, |engine| engine.level(user))
    }
    fn login_flows(&self) -> Vec<FlowInfo> {
        let flows = self.engine().map(|engine| engine.connector.flows()).unwrap_or_default();
        flows
            .into_iter()
            .map(|(id, title)| FlowInfo { id: id.into(), title: title.into() })
            .collect()
    }
    async fn start_login(
        &self,
        user: &str,
        flow: &str,
        relogin: Option<&str>,
    ) -> Result<LoginProcess, ControlError> {
        let engine = self.engine()?;
        if let Some(id) = relogin
            && !engine.logins.of_owner(user).iter().any(|login| login.id == id)
        {
            return Err(ControlError::NotFound("You have no such login.".into()));
        }
        let later = engine.clone();
        let finish = Box::new(move |login| -> futures::future::BoxFuture<'static, _> {
            Box::pin(async move { later.finish_login(login).await })
        });
        engine
            .connector
            .login(flow, user, relogin, finish)
            .map_err(|error| ControlError::NotFound(error.to_string()))
    }
    async fn logins(&self, user: &str) -> Result<Vec<LoginInfo>, ControlError> {
        let engine = self.engine()?;
        let all = engine.logins.all();
        let theirs = all
            .into_iter()
            .filter(|(login, _)| login.owner.as_deref().is_none_or(|owner| owner == user));
        Ok(theirs
            .map(|(login, state)| {
                let (state, reason) = match state {
                    LoginState::Connecting => ("connecting", None),
                    LoginState::Connected | LoginState::Backfilling => ("connected", None),
                    LoginState::Transient(why) => ("transient", Some(why)),
                    LoginState::BadCredentials(why) => ("bad_credentials", Some(why)),
                };
                LoginInfo {
                    id: login.id,
                    name: login.name,
                    state: state.into(),
                    reason,
                    system: login.owner.is_none(),
                }
            })
            .collect())
    }
    async fn logout(&self, user: &str, login: &str) -> Result<(), ControlError> {
        let engine = self.engine()?;
        if !engine.logins.of_owner(user).iter().any(|known| known.id == login) {
            return Err(ControlError::NotFound("You have no such login.".into()));
        }
        let mut batch = Batch::new();
        batch.login_logged_out(login);
        engine.store.commit(batch).await?;
        if let Some((Some(account), _connection)) = engine.logins.remove(login) {
            // The session ends on our side whatever the network says to it.
            let _ =
                tokio::time::timeout(std::time::Duration::from_secs(20), account.logout()).await;
        }
        Ok(())
    }
    async fn set_puppet(&self, user: &str, access_token: Option<&str>) -> Result<(), ControlError> {
        let engine = self.engine()?;
        if engine.set_puppet_token(user, access_token.map(ToOwned::to_owned)).await? {
            Ok(())
        } else {
            Err(ControlError::Denied("That is somebody else's access token.".into()))
        }
    }
    async fn resolve(
        &self,
        user: &str,
        login: Option<&str>,
        query: &str,
    ) -> Result<Option<Contact>, ControlError> {
        let engine = self.engine()?;
        let (_, account) = engine.login_of(user, login)?;
        match account.resolve(query).await? {
            Some(id) => {
                let info = account.user(&id).await.ok();
                Ok(Some(engine.contact(id, info).await?))
            }
            None => Ok(None),
        }
    }
    async fn search(
        &self,
        user: &str,
        login: Option<&str>,
        query: &str,
    ) -> Result<Vec<Contact>, ControlError> {
        let engine = self.engine()?;
        let (_, account) = engine.login_of(user, login)?;
        let mut found = Vec::new();
        for (id, info) in account.search(query).await?.into_iter().take(100) {
            found.push(engine.contact(id, Some(info)).await?);
        }
        Ok(found)
    }
    async fn start_chat(
        &self,
        user: &str,
        login: Option<&str>,
        remote_user: &str,
    ) -> Result<String, ControlError> {
        let engine = self.engine()?;
        let (login, account) = engine.login_of(user, login)?;
        let key = account.open_dm(remote_user).await?;
        engine.open_for(user, &login, &key).await
    }
    async fn open_portal(
        &self,
        user: &str,
        login: Option<&str>,
        chat: &str,
    ) -> Result<String, ControlError> {
        let engine = self.engine()?;
        let (login, key) = engine.chat_of(user, login, chat).await?;
        engine.open_for(user, &login, &key).await
    }
    fn group_kinds(&self) -> Vec<GroupKind> {
        self.engine().map(|e| e.connector.abilities().groups.clone()).unwrap_or_default()
    }
    async fn create_group(
        &self,
        user: &str,
        login: Option<&str>,
        wanted: GroupWanted,
    ) -> Result<GroupInfo, ControlError> {
        self.engine()?.create_group(user, login, wanted).await
    }
    async fn portal(&self, room_id: &str) -> Result<Option<PortalInfo>, ControlError> {
        let engine = self.engine()?;
        match engine.portal_of_room(room_id).await? {
            Some(portal) => Ok(Some(engine.portal_info(&portal).await?)),
            None => Ok(None),
        }
    }
    async fn bridge(
        &self,
        user: &str,
        room_id: &str,
        login: Option<&str>,
        chat: &str,
    ) -> Result<PortalInfo, ControlError> {
        let engine = self.engine()?;
        let (login, key) = engine.chat_of(user, login, chat).await?;
        let portal = engine.portal_for_key(&key).await?;
        engine.plumb(&portal, room_id, Some(&login.id)).await?;
        engine.portal_info(&portal).await
    }
    async fn unbridge(&self, _user: &str, room_id: &str) -> Result<(), ControlError> {
        let engine = self.engine()?;
        let portal = engine.portal_or_none(room_id).await?;
        engine.close_portal(&portal, room_id).await
    }
    async fn delete_portal(&self, _user: &str, room_id: &str) -> Result<(), ControlError> {
        let engine = self.engine()?;
        let portal = engine.portal_or_none(room_id).await?;
        let alias = portal.row().alias;
        engine.close_portal(&portal, room_id).await?;
        let bot = engine.matrix.bot();
        if let Some(alias) = alias {
            bot.delete_alias(&engine.full_alias(&alias)).await?;
        }
        if engine.versions().await?.feature("com.beeper.room_yeeting") {
            bot.delete_room(room_id).await?;
            return Ok(());
        }
        for mxid in bot.joined_members(room_id).await?.into_keys() {
            if mxid != engine.matrix.bot_id() {
                // Who has as much power as the bot stays.
                if let Err(error) = bot.kick(room_id, &mxid, Some("the room was deleted")).await {
                    tracing::info!(user = mxid, %error, "could not be put out of a deleted room");
                }
            }
        }
        bot.leave(room_id, None).await?;
        Ok(())
    }
    async fn set_relay(
        &self,
        user: &str,
        room_id: &str,
        login: Option<&str>,
    ) -> Result<(), ControlError> {
        let engine = self.engine()?;
        let portal = engine.portal_or_none(room_id).await?;
        if engine.connector.abilities().relay.is_none() && login.is_some() {
            return Err(ControlError::Unsupported("This network has no relay.".into()));
        }
        let login = match login {
            Some(id) => Some(engine.login_of(user, Some(id))?.0.id),
            None => None,
        };
        engine.change_portal(&portal, |row| row.relay_login = login).await?;
        Ok(())
    }
    async fn set_threads(
        &self,
        _user: &str,
        room_id: &str,
        mode: ThreadMode,
    ) -> Result<(), ControlError> {
        let engine = self.engine()?;
        let portal = engine.portal_or_none(room_id).await?;
        engine.change_portal(&portal, |row| row.threads = Some(mode)).await?;
        Ok(())
    }
    async fn sync(&self, user: &str, room_id: &str) -> Result<(), ControlError> {
        let engine = self.engine()?;
        let portal = engine.portal_or_none(room_id).await?;
        let via = portal.logins().into_iter().find(|id| engine.logins.account(id).is_some());
        let via = match via {
            Some(via) => via,
            None => engine.login_of(user, None)?.0.id,
        };
        Ok(engine.resync_now(&portal, &via).await?)
    }
    async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, ControlError> {
        let letters = self.engine()?.store.letters(i64::from(limit)).await?;
        Ok(letters
            .into_iter()
            .map(|letter| DeadLetter {
                id: letter.seq,
                queue: match letter.queue {
                    Queue::Inbox | Queue::Task => "remote",
                    Queue::MatrixOutbox => "to_matrix",
                    Queue::MatrixInbox => "matrix",
                    Queue::RemoteOutbox => "to_remote",
                }
                .into(),
                portal: None,
                what: letter.what,
                error: letter.error,
                at_ms: letter.at_ms,
            })
            .collect())
    }
    async fn replay_dead_letter(&self, id: i64) -> Result<bool, ControlError> {
        let engine = self.engine()?;
        for queue in Queue::ALL {
            if engine.store.replay_letter(queue, id).await? {
                engine.wake_decoder();
                for portal in engine.store.busy_portals().await? {
                    engine.wake_inward(portal).await?;
                    engine.wake_outward(portal).await?;
                }
                return Ok(true);
            }
        }
        Ok(false)
    }
    async fn drop_dead_letter(&self, id: i64) -> Result<bool, ControlError> {
        let engine = self.engine()?;
        for queue in Queue::ALL {
            if engine.store.drop_letter(queue, id).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
    async fn trace(&self, query: &str) -> Result<Option<Trace>, ControlError> {
        let Some(trace) = self.engine()?.store.trace(query).await? else { return Ok(None) };
        let hops = trace.hops.iter().map(|hop| Hop {
            name: hop.stage.into(),
            at_ms: hop.at_ms.unwrap_or_default(),
            note: hop.error.clone().or_else(|| Some(hop.state.clone())),
        });
        Ok(Some(Trace {
            id: query.to_owned(),
            state: trace.hops.last().map(|hop| hop.state.clone()).unwrap_or_default(),
            event_id: trace.event_id.clone(),
            remote_id: trace.remote.clone(),
            hops: hops.collect(),
        }))
    }
    fn connector_commands(&self) -> Vec<ConnectorCommand> {
        self.engine().map(|engine| engine.connector.commands()).unwrap_or_default()
    }
    async fn run_command(
        &self,
        user: &str,
        room_id: &str,
        event_id: &str,
        name: &str,
        args: &[String],
    ) -> Result<String, ControlError> {
        let engine = self.engine()?;
        let portal = engine.portal_of_room(room_id).await?;
        let (login, account) = if let Some((id, _)) =
            portal.as_ref().and_then(|portal| engine.route(portal, user).ok())
        {
            let account = engine.logins.account(&id);
            let account = account
                .ok_or_else(|| ControlError::NoLogin("The login is not connected.".into()))?;
            (id, account)
        } else {
            let (login, account) = engine.login_of(user, None)?;
            (login.id, account)
        };
        let op = Op::Command(Args(args.to_vec()));
        let mut request = engine.passing_request(&login, portal.as_deref(), user, op).await?;
        request.key =
            crate::handlers::IdempotencyKey::derive(engine.connector.id(), event_id, name);
        request.origin.event_id = event_id.to_owned();
        match guarded_async(Box::pin(account.command(name, request))).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(crate::handlers::SendError::Refused { user })) => {
                Err(ControlError::Denied(user))
            }
            Ok(Err(error)) => Err(ControlError::Failed(error.to_string())),
            Err(panic) => Err(ControlError::Failed(panic)),
        }
    }
}
