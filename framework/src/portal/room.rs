//! A portal's room: created when it is first needed, found again after a crash in the middle, or an existing one taken.

use std::{collections::BTreeSet, sync::Arc, sync::atomic::Ordering};

use serde_json::{Value, json};

use super::{
    Portal,
    chat::{join_rule_content, topic_content},
    convert::Case,
    request::beacon,
};
use crate::{
    disappearing,
    engine::{Actor, Engine, Failure},
    event::{ChatInfo, ChatKind, JoinRule},
    keys,
    network::Scope,
    plain::Plain,
    store::{Batch, PortalRow, PortalState},
};

/// The key of `m.room.create` by which a room is found whose creation was not confirmed.
pub(crate) const CREATE_KEY: &str = "com.landbridge.portal";

impl Engine {
    /// Names a room to be, the same each time it is tried.
    fn room_key(&self, row: &PortalRow) -> String {
        keys::txn_id(
            self.connector.id(),
            row.id,
            &self.matrix.bot_id(),
            &row.key.id,
            "",
            "room",
            row.generation,
        )
    }

    /// What the network says of a portal's chat; by the given login first.
    async fn ask_chat(
        &self,
        portal: &Portal,
        via: Option<&str>,
    ) -> Result<ChatInfo<Plain>, Failure> {
        let row = portal.row();
        let first = match &row.key.scope {
            Scope::Private(login) => Some(login.clone()),
            Scope::Shared => via.map(ToOwned::to_owned),
        };
        match self.logins.any_account(first.as_deref()) {
            Some(account) => Ok(account.chat(&row.key).await?),
            None => {
                Err(crate::NetError::temporary("no login is connected to ask about the chat")
                    .into())
            }
        }
    }

    /// Whether the configuration opens a portal's room to everybody.
    fn is_configured_public(&self, row: &PortalRow) -> bool {
        let mut portals = self.config.portals.iter();
        row.key.scope == Scope::Shared
            && portals.any(|portal| portal.public && portal.remote_id == row.key.id)
    }

    /// Makes sure that a portal has a room.
    pub(crate) async fn ensure_room(
        self: &Arc<Self>,
        portal: &Arc<Portal>,
        via: Option<&str>,
    ) -> Result<String, Failure> {
        if let Some(room) = portal.room_id() {
            return Ok(room);
        }
        let _making = portal.making.lock().await;
        if let Some(room) = portal.room_id() {
            return Ok(room);
        }
        let mut info = self.ask_chat(portal, via).await?;
        let row = portal.row();
        if self.is_configured_public(&row) {
            info.join_rule = JoinRule::Public;
        }
        // Creating a room can't be repeated harmlessly: if it was tried before, look whether it came about.
        let found = if row.state == PortalState::Creating {
            self.find_created(&row).await?
        } else {
            self.change_portal(portal, |row| {
                row.state = PortalState::Creating;
                row.generation += 1;
            })
            .await?;
            None
        };
        let room = if let Some(room) = found {
            room
        } else {
            let body = self.create_body(portal, &info, via).await?;
            self.matrix.bot().create_room(&body).await?
        };
        self.open_portal(portal, &room, &info, via, false).await?;
        portal.look_first.store(false, Ordering::Release);
        Ok(room)
    }

    /// Looks for a room that was created without our knowing: among the bot's rooms that are no portals.
    async fn find_created(&self, row: &PortalRow) -> Result<Option<String>, Failure> {
        self.room_created_as(&self.room_key(row)).await
    }

    /// The room that was created under a key, if there is one.
    pub(crate) async fn room_created_as(&self, key: &str) -> Result<Option<String>, Failure> {
        let bot = self.matrix.bot();
        bot.ensure_registered().await?;
        for room in bot.joined_rooms().await? {
            if self.store.portal_by_room(&room).await?.is_some() {
                continue;
            }
            let create = bot.get_state(&room, "m.room.create", "").await?;
            if create.as_ref().and_then(|create| create.get(CREATE_KEY)).and_then(Value::as_str)
                == Some(key)
            {
                tracing::info!(room, "found the room whose creation was not confirmed");
                return Ok(Some(room));
            }
        }
        Ok(None)
    }

    /// The people of Matrix who belong in a portal's room.
    fn invited(
        &self,
        portal: &Portal,
        info: &ChatInfo<Plain>,
        via: Option<&str>,
    ) -> BTreeSet<String> {
        let owner = |login: &str| self.logins.stored(login).and_then(|login| login.owner);
        let mut invite: BTreeSet<String> = info.invite.iter().cloned().collect();
        match &portal.row().key.scope {
            Scope::Private(login) => invite.extend(owner(login)),
            Scope::Shared => invite.extend(via.and_then(owner)),
        }
        invite.remove(&self.matrix.bot_id());
        invite
    }

    async fn create_body(
        self: &Arc<Self>,
        portal: &Portal,
        info: &ChatInfo<Plain>,
        via: Option<&str>,
    ) -> Result<Value, Failure> {
        let mut row = portal.row();
        row.kind = info.kind;
        row.name.clone_from(&info.name);
        let public = info.join_rule == JoinRule::Public;
        portal.set_parent(info.parent.clone());
        let parent = self.parent_of(portal).await?;
        let mut state = self.bridge_state(&row, info, parent.as_ref().map(|p| p.row()).as_ref());
        if let Some(topic) = &info.topic {
            state.push(
                json!({ "type": "m.room.topic", "state_key": "", "content": topic_content(topic) }),
            );
        }
        let above = match info.join_rule {
            JoinRule::Parent => self.rooms_above(portal, via).await?,
            JoinRule::Invite | JoinRule::Public => Vec::new(),
        };
        let rule = join_rule_content(info.join_rule, &above);
        state.push(json!({ "type": "m.room.join_rules", "state_key": "", "content": rule }));
        if let Some(Some(timer)) = info.disappear {
            let content = disappearing::content(Some(timer));
            state.push(json!({ "type": disappearing::STATE, "state_key": "", "content": content }));
        }
        if let Some(avatar) = &info.avatar {
            match self.upload(avatar, via, None, None).await {
                Ok(file) => {
                    state.push(json!({ "type": "m.room.avatar", "state_key": "", "content": { "url": file.mxc } }));
                }
                Err(failure) => {
                    tracing::warn!(error = %failure, "a chat's picture could not be fetched");
                }
            }
        }
        let mut creation = json!({ CREATE_KEY: self.room_key(&row) });
        if !self.config.federate_rooms {
            creation["m.federate"] = false.into();
        }
        if info.kind == ChatKind::Space {
            creation["type"] = "m.space".into();
        }
        let dm_name = match (&info.name, &info.dm_with) {
            (None, Some(user)) => {
                self.ghost(user, via).await?;
                self.store.ghost(user).await?.and_then(|ghost| ghost.name)
            }
            _ => None,
        };
        let mut body = json!({
            "preset": if public { "public_chat" } else { "private_chat" },
            "visibility": "private",
            "is_direct": info.kind == ChatKind::Dm,
            "creation_content": creation,
            "initial_state": state,
            "invite": self.invited(portal, info, via),
            // Who is in the room may react; what of the bot's own state there is, only the bot changes. `users` is left
            // out: the creator has the power anyway, and must not be listed from room version 12 on.
            "power_level_content_override": {
                "events": { "m.reaction": 0, "m.room.redaction": 0, "m.bridge": 100, "uk.half-shot.bridge": 100, "com.beeper.room_features": 100 },
            },
        });
        let levels = &mut body["power_level_content_override"];
        if info.kind == ChatKind::Space {
            // Nobody talks in a space.
            levels["events_default"] = 100.into();
        }
        if self.connector.abilities().room.live_location {
            // State of one's own, which only its owner can set.
            for kind in [beacon::INFO, beacon::UNSTABLE_INFO] {
                levels["events"][kind] = 0.into();
            }
        }
        if info.kind == ChatKind::Dm && self.connector.abilities().room.disappear.is_some() {
            levels["events"][disappearing::STATE] = 0.into();
        }
        if let Some(name) = info.name.clone().or(dm_name) {
            body["name"] = name.into();
        }
        if self.versions().await?.feature("com.beeper.room_create_autojoin_invites")
            && info.kind == ChatKind::Dm
        {
            body["com.beeper.auto_join_invites"] = true.into();
        }
        Ok(body)
    }

    /// Makes a room a portal's, durably, with everything that follows from it in the same transaction.
    pub(super) async fn open_portal(
        self: &Arc<Self>,
        portal: &Arc<Portal>,
        room: &str,
        info: &ChatInfo<Plain>,
        via: Option<&str>,
        plumbed: bool,
    ) -> Result<(), Failure> {
        let via = via.map(ToOwned::to_owned).or_else(|| self.logins.system()).unwrap_or_default();
        let now = self.now();
        let mut batch = Batch::new();
        let row = self.change_portal_in(&mut batch, portal, |row| {
            row.room_id = Some(room.to_owned());
            row.state = PortalState::Open;
            row.kind = info.kind;
            row.plumbed = plumbed;
            row.name.clone_from(&info.name);
            row.topic.clone_from(&info.topic);
            row.avatar = info.avatar.as_ref().map(|avatar| avatar.0.clone());
            row.parent.clone_from(&info.parent);
            row.position = info.position.or(row.position);
            row.timer = info.disappear.unwrap_or(row.timer);
            row.dm_with.clone_from(&info.dm_with);
            row.alias = info.alias.clone().or_else(|| row.alias.clone());
            if let Some(meta) = &info.meta {
                row.meta = meta.clone();
            }
        });
        let case =
            Case { portal, via: &via, actor: Actor::Bot, ts: now, order: None, patient: false };
        let mut rows = self.member_rows(&case, info).await?;
        if let Some(power) = info.power.as_ref().filter(|_| !plumbed) {
            let op = super::envelope::MatrixOp::Power { levels: self.power_content(power, &via) };
            rows.push(case.out("power", op, Vec::new()));
        }
        self.queue_rows(&mut batch, portal, 0, &format!("open:{}", row.generation), rows)?;
        batch.adopt_matrix_inbox(portal.id, room);
        if self.has_place(&row) {
            self.place(&mut batch, room);
        }
        {
            // What is said there already is queued before what comes from now on.
            let _turn = self.readback.turn.lock().await;
            self.store.commit(batch).await?;
            portal.leave_unplanned();
        }
        self.wake_spaces();
        self.wake_portal_outward(portal.clone());
        self.wake_portal_inward(portal.clone());
        if let Some(alias) = &row.alias
            && let Err(error) = self.matrix.bot().create_alias(&self.full_alias(alias), room).await
        {
            tracing::warn!(alias, %error, "an alias could not be set");
        }
        self.follow_up(portal, &row, info, &via).await;
        Ok(())
    }

    /// An alias of this homeserver by its localpart.
    pub(crate) fn full_alias(&self, localpart: &str) -> String {
        format!("#{localpart}:{}", self.matrix.server_name())
    }

    /// What should follow when a portal has opened; it can be made up for later.
    async fn follow_up(
        self: &Arc<Self>,
        portal: &Arc<Portal>,
        row: &PortalRow,
        info: &ChatInfo<Plain>,
        via: &str,
    ) {
        let room = row.room_id.clone().unwrap_or_default();
        let mut invited = self.invited(portal, info, Some(via));
        // They join in their turn: by now they may have left the chat again.
        for member in &info.members {
            invited.remove(&self.mxid_of(&member.user, via));
        }
        for mxid in invited {
            match self.puppet(&mxid).await {
                Ok(Some(puppet)) => {
                    if let Err(error) = puppet.ensure_joined(&room).await {
                        tracing::info!(user = mxid, %error, "could not be joined, stays invited");
                    }
                }
                Ok(None) => {}
                Err(error) => tracing::info!(user = mxid, %error, "no double puppet"),
            }
        }
        if row.plumbed {
            let parent = self.parent_of(portal).await.ok().flatten().map(|parent| parent.row());
            let state = self.bridge_state(row, info, parent.as_ref());
            let hash = Self::bridge_state_hash(&state);
            for event in state {
                let (Some(kind), Some(key)) = (event["type"].as_str(), event["state_key"].as_str())
                else {
                    continue;
                };
                if let Err(error) =
                    self.matrix.bot().state(&room, kind, key, &event["content"], None).await
                {
                    tracing::info!(room, kind, %error, "the room doesn't let the bot say that it is bridged");
                }
            }
            if let Err(error) = self.change_portal(portal, |row| row.caps = Some(hash)).await {
                tracing::warn!(%error, "a portal could not be stored");
            }
        }
        self.tell_opened(portal, true).await;
    }

    /// Takes an existing room for a chat: plumbing.
    pub(crate) async fn plumb(
        self: &Arc<Self>,
        portal: &Arc<Portal>,
        room: &str,
        via: Option<&str>,
    ) -> Result<(), Failure> {
        let _making = portal.making.lock().await;
        if portal.room_id().is_some() {
            return Err(Failure::Refused("this chat is bridged to another room already".into()));
        }
        if self.portal_of_room(room).await?.is_some() {
            return Err(Failure::Refused("this room is bridged already".into()));
        }
        self.matrix.bot().ensure_joined(room).await?;
        let info = self.ask_chat(portal, via).await?;
        self.change_portal(portal, |row| row.generation += 1).await?;
        self.open_portal(portal, room, &info, via, true).await
    }
}
