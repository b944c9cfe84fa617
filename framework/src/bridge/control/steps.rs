//! What the engine does for those who ask, in steps that several of their questions share.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    adapter::{Account, StoredLogin},
    control::{Contact, ControlError, PortalInfo},
    engine::Engine,
    format::{Rich, to_content},
    inbox::Unbridged,
    keys,
    login::{LoginError, Outcome},
    network::{PortalKey, Scope},
    plain::Plain,
    portal::Portal,
    store::{Batch, StoreError},
};

impl Engine {
    /// A login that somebody may use: one of theirs, or one that is nobody's if they may be relayed.
    pub(super) fn login_of(
        &self,
        user: &str,
        login: Option<&str>,
    ) -> Result<(StoredLogin, Arc<dyn Account>), ControlError> {
        let own = self.logins.of_owner(user);
        let system = self.logins.system().and_then(|id| self.logins.stored(&id));
        let mut usable = own.into_iter().chain(system);
        let stored = match login {
            Some(id) => usable.find(|known| known.id == id),
            None => usable.find(|known| self.logins.account(&known.id).is_some()),
        };
        let stored = stored
            .ok_or_else(|| ControlError::NoLogin("You are not logged in to the network.".into()))?;
        let account = self.logins.account(&stored.id);
        let account = account
            .ok_or_else(|| ControlError::NoLogin(format!("{} is not connected.", stored.name)))?;
        Ok((stored, account))
    }

    /// A chat by what people call it, and the login of theirs that found it.
    pub(super) async fn chat_of(
        &self,
        user: &str,
        login: Option<&str>,
        chat: &str,
    ) -> Result<(StoredLogin, PortalKey<Plain>), ControlError> {
        let (login, account) = self.login_of(user, login)?;
        let key = account.find_chat(chat).await?;
        let key = key.ok_or_else(|| {
            ControlError::NotFound("There is no such chat on the network.".into())
        })?;
        Ok((login, key))
    }

    /// The portal of a room.
    pub(super) async fn portal_or_none(&self, room_id: &str) -> Result<Arc<Portal>, ControlError> {
        let portal = self.portal_of_room(room_id).await?;
        portal.ok_or_else(|| ControlError::NotFound("This room is not bridged.".into()))
    }

    /// What is known about a user of the network.
    pub(super) async fn contact(
        &self,
        id: String,
        info: Option<crate::event::UserInfo>,
    ) -> Result<Contact, ControlError> {
        let ghost = self.store.ghost(&id).await?;
        let info = info.unwrap_or_default();
        let known = self.store.portal_with(&id).await?;
        Ok(Contact {
            mxid: Some(self.ghost_mxid(&id)),
            name: info.name.or_else(|| ghost.as_ref().and_then(|ghost| ghost.name.clone())),
            avatar_url: ghost.and_then(|ghost| ghost.avatar_mxc),
            identifiers: info.identifiers,
            dm_room: known.and_then(|row| row.room_id),
            id,
        })
    }

    /// What may be told about a portal.
    pub(super) async fn portal_info(&self, portal: &Portal) -> Result<PortalInfo, ControlError> {
        let row = portal.row();
        let relay = row.relay_login.clone();
        Ok(PortalInfo {
            remote_id: row.key.id.clone(),
            login: match &row.key.scope {
                Scope::Shared => None,
                Scope::Private(login) => Some(login.clone()),
            },
            room_id: row.room_id,
            name: row.name,
            relay: relay.or_else(|| self.logins.system().filter(|_| self.config.relay.default)),
            waiting: u64::try_from(self.store.waiting_in(portal.id).await?).unwrap_or(0),
        })
    }

    /// Opens a chat's room for somebody: makes it if need be, and invites them.
    pub(super) async fn open_for(
        self: &Arc<Self>,
        user: &str,
        login: &StoredLogin,
        key: &PortalKey<Plain>,
    ) -> Result<String, ControlError> {
        let portal = self.portal_for_key(key).await?;
        if portal.note_login(&login.id) {
            let mut batch = Batch::new();
            batch.add_portal_login(portal.id, &login.id);
            let row = portal.row();
            if let Some(known) = row.room_id.as_ref().filter(|_| self.has_place(&row)) {
                self.place(&mut batch, known);
            }
            self.store.commit(batch).await?;
            self.wake_spaces();
        }
        let fresh = portal.room_id().is_none();
        let room = self.ensure_room(&portal, Some(&login.id)).await?;
        if fresh && self.history_first(&portal, &login.id).await? {
            self.wake_portal_inward(portal.clone());
        }
        match self.matrix.bot().invite(&room, user, None).await {
            // Forbidden: they are in it already.
            Err(error) if !error.is_forbidden() => Err(error.into()),
            _ => Ok(room),
        }
    }

    /// Ends a portal's bridging: ghosts leave, the connector is told, all of it is forgotten.
    pub(super) async fn close_portal(
        self: &Arc<Self>,
        portal: &Arc<Portal>,
        room_id: &str,
    ) -> Result<(), ControlError> {
        self.tell_opened(portal, false).await;
        let bot = self.matrix.bot();
        for mxid in bot.joined_members(room_id).await?.into_keys() {
            if self.is_ghost(&mxid) {
                self.matrix
                    .ghost(&mxid)
                    .leave(room_id, Some("the room is no longer bridged"))
                    .await?;
            }
        }
        self.forget_portal(portal).await?;
        Ok(())
    }

    /// The same, as somebody on the network wants it: the room is told why.
    pub(crate) async fn unbridge_for_network(
        self: &Arc<Self>,
        key: &PortalKey<Plain>,
        why: &str,
    ) -> Result<Unbridged, ControlError> {
        let portal = self.known_portal(key).await?;
        let Some((portal, room)) = portal.and_then(|p| p.room_id().map(|room| (p, room))) else {
            return Ok(Unbridged::NotBridged);
        };
        if self.config.portals.iter().any(|configured| configured.remote_id == key.id) {
            return Ok(Unbridged::Configured);
        }
        let bot = self.matrix.bot();
        let generation = portal.row().generation;
        let id = self.connector.id();
        let txn = keys::txn_id(id, portal.id, bot.user_id(), "unbridge", "", "notice", generation);
        let content = Value::Object(to_content(&Rich::plain(why), "m.notice"));
        match bot.send(&room, "m.room.message", &txn, &content, None).await {
            // A bot that may say nothing there can still leave.
            Err(error) if !error.is_forbidden() => return Err(error.into()),
            _ => {}
        }
        self.close_portal(&portal, &room).await?;
        Ok(Unbridged::Done)
    }

    /// Makes a new login durable and connects it.
    pub(in crate::bridge) async fn finish_login(
        self: &Arc<Self>,
        login: StoredLogin,
    ) -> Result<Outcome, LoginError> {
        if let Some(old) = self.logins.stored(&login.id)
            && old.owner != login.owner
        {
            return Err(LoginError::refused(
                "this account is logged in to the bridge for somebody else",
            ));
        }
        let mut batch = Batch::new();
        batch.save_login(&login);
        let failed = |error: StoreError| {
            LoginError::refused(format!("the login could not be stored: {error}"))
        };
        self.store.commit(batch).await.map_err(failed)?;
        let outcome = Outcome { login_id: login.id.clone(), name: login.name.clone() };
        self.connect_login(login);
        Ok(outcome)
    }
}
