//! Chats and the people in them, on their way to Matrix: names, topics, pictures, power, membership, pins, ends.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{
    convert::{Case, Verdict},
    envelope::{File, MatrixOp, MemberOp, Outgoing},
};
use crate::{
    disappearing,
    engine::{Actor, Engine, Failure},
    event::{
        CallNotice, ChatDelta, ChatInfo, JoinRule, MediaRef, MemberChange, Membership, PowerLevels,
        Sender,
    },
    format::{self, Rich},
    plain::Plain,
    store::{BackfillRow, Batch, PortalRow, PortalState},
};

pub(super) fn state(kind: &str, content: Value) -> MatrixOp {
    MatrixOp::State { kind: kind.into(), key: String::new(), content, file: None }
}

fn avatar_op(avatar: Option<&MediaRef>) -> MatrixOp {
    let file =
        avatar.map(|avatar| File { source: avatar.0.clone(), name: "avatar".into(), mime: None });
    MatrixOp::State { kind: "m.room.avatar".into(), key: String::new(), content: json!({}), file }
}

impl Engine {
    /// The Matrix ID that stands for somebody in a room.
    pub(super) fn mxid_of(&self, sender: &Sender<Plain>, via: &str) -> String {
        if let Sender::Matrix(mxid) = sender {
            return mxid.clone();
        }
        match self.actor(sender, via) {
            Actor::Bot => self.matrix.bot_id(),
            Actor::Ghost(id) => self.ghost_mxid(&id),
            Actor::Login(login) => {
                let stored = self.logins.stored(&login);
                let owner = stored.as_ref().and_then(|login| login.owner.clone());
                owner.unwrap_or_else(|| {
                    self.ghost_mxid(&stored.and_then(|login| login.user).unwrap_or(login))
                })
            }
        }
    }

    pub(super) async fn convert_delta(
        self: &Arc<Self>,
        case: &Case<'_>,
        delta: &ChatDelta<Plain>,
    ) -> Result<Verdict, Failure> {
        let mut effects = Batch::new();
        let mut delta = delta.clone();
        if delta.standing {
            leave_known(&mut delta, &case.portal.row());
        }
        let rows = self.delta_rows(case, &delta, &mut effects).await?;
        Ok(Verdict::Send { rows, effects, opens: Vec::new() })
    }

    /// The state that a change of a chat's data comes to. A plumbed room's own name and picture are left alone.
    async fn delta_rows(
        self: &Arc<Self>,
        case: &Case<'_>,
        delta: &ChatDelta<Plain>,
        effects: &mut Batch,
    ) -> Result<Vec<Outgoing>, Failure> {
        let plumbed = case.portal.row().plumbed;
        let mut rows = Vec::new();
        if let Some(name) = delta.name.as_ref().filter(|_| !plumbed) {
            rows.push(case.out("name", state("m.room.name", json!({ "name": name })), Vec::new()));
        }
        if let Some(topic) = delta.topic.as_ref().filter(|_| !plumbed) {
            rows.push(case.out("topic", state("m.room.topic", topic_content(topic)), Vec::new()));
        }
        if let Some(avatar) = delta.avatar.as_ref().filter(|_| !plumbed) {
            rows.push(case.out("avatar", avatar_op(avatar.as_ref()), Vec::new()));
        }
        if let Some(rule) = delta.join_rule.filter(|_| !plumbed) {
            let above = match rule {
                JoinRule::Parent => self.rooms_above(case.portal, None).await?,
                JoinRule::Invite | JoinRule::Public => Vec::new(),
            };
            let rule = join_rule_content(rule, &above);
            rows.push(case.out_as(
                Actor::Bot,
                "join_rule",
                state("m.room.join_rules", rule),
                Vec::new(),
            ));
        }
        if let Some(power) = &delta.power {
            let levels = self.power_content(power, case.via);
            rows.push(case.out_as(Actor::Bot, "power", MatrixOp::Power { levels }, Vec::new()));
        }
        if let Some(timer) = delta.disappear.filter(|_| !plumbed) {
            let op = state(disappearing::STATE, disappearing::content(timer));
            rows.push(case.out_as(Actor::Bot, "timer", op, Vec::new()));
        }
        let row = self.change_portal_in(effects, case.portal, |row| apply_delta(row, delta));
        if (delta.parent.is_some() || delta.position.is_some())
            && let Some(room) = &row.room_id
        {
            self.place(effects, room);
        }
        Ok(rows)
    }

    /// What is merged into `m.room.power_levels`. The bot's own level is never taken down: it must be able to go on.
    pub(super) fn power_content(&self, power: &PowerLevels<Plain>, via: &str) -> Value {
        let mut content = Map::new();
        let bot = self.matrix.bot_id();
        let users: Map<String, Value> = power
            .users
            .iter()
            .map(|(user, level)| (self.mxid_of(user, via), *level))
            .filter(|(mxid, _)| *mxid != bot)
            .map(|(mxid, level)| (mxid, level.min(99).into()))
            .collect();
        if !users.is_empty() {
            content.insert("users".into(), users.into());
        }
        let levels = [
            ("users_default", power.users_default),
            ("events_default", power.events_default),
            ("state_default", power.state_default),
        ];
        for (key, level) in levels {
            if let Some(level) = level {
                content.insert(key.into(), level.min(99).into());
            }
        }
        for action in ["ban", "kick", "invite", "redact"] {
            if let Some(level) = power.actions.get(action) {
                content.insert(action.into(), (*level).min(99).into());
            }
        }
        if !power.events.is_empty() {
            let events: Map<String, Value> =
                power.events.iter().map(|(k, v)| (k.clone(), (*v).into())).collect();
            content.insert("events".into(), events.into());
        }
        content.into()
    }

    pub(super) fn convert_members(
        &self,
        case: &Case<'_>,
        changes: &[MemberChange<Plain>],
    ) -> Verdict {
        Verdict::rows(changes.iter().map(|change| self.member_row(case, change)).collect())
    }

    fn member_row(&self, case: &Case<'_>, change: &MemberChange<Plain>) -> Outgoing {
        let mxid = self.mxid_of(&change.user, case.via);
        let theirs = self.actor(&change.user, case.via);
        let own = theirs == case.actor
            || case.actor == Actor::Bot && !matches!(change.user, Sender::Matrix(_));
        let matrix_user = matches!(change.user, Sender::Matrix(_));
        let (actor, action, user) = match change.membership {
            Membership::Join => (theirs, MemberOp::Join, None),
            Membership::Leave if own && !matrix_user => (theirs, MemberOp::Leave, None),
            Membership::Leave => (case.actor.clone(), MemberOp::Kick, Some(mxid.clone())),
            Membership::Invite | Membership::Knock => {
                (case.actor.clone(), MemberOp::Invite, Some(mxid.clone()))
            }
            // Whoever may do so on the network need not be able to here.
            Membership::Unban => (Actor::Bot, MemberOp::Unban, Some(mxid.clone())),
            Membership::Ban => (case.actor.clone(), MemberOp::Ban, Some(mxid.clone())),
        };
        let op = MatrixOp::Member { action, user, reason: change.reason.clone() };
        case.out_as(actor, format!("member:{mxid}:{action:?}"), op, Vec::new())
    }

    /// MSC2867: only for the account's owner, and only where there is a double puppet.
    pub(super) async fn convert_unread(
        &self,
        case: &Case<'_>,
        unread: bool,
    ) -> Result<Verdict, Failure> {
        if let (Some(room), Some(owner)) =
            (case.portal.room_id(), self.logins.stored(case.via).and_then(|l| l.owner))
            && let Some(puppet) = self.puppet(&owner).await?
        {
            let content = json!({ "unread": unread });
            puppet.set_account_data(Some(&room), "m.marked_unread", &content).await?;
        }
        Ok(Verdict::rows(Vec::new()))
    }

    pub(super) fn convert_gone(&self, case: &Case<'_>, for_me_only: bool) -> Verdict {
        let portal = case.portal;
        let mut effects = Batch::new();
        effects.remove_portal_login(portal.id, case.via);
        portal.forget_login(case.via);
        if for_me_only && !portal.logins().is_empty() {
            let owner = self.logins.stored(case.via).and_then(|login| login.owner);
            if let Some(room) = portal.room_id() {
                self.place(&mut effects, &room);
            }
            let rows = owner.map(|owner| {
                let op = MatrixOp::Member {
                    action: MemberOp::Kick,
                    user: Some(owner),
                    reason: Some("left the chat".into()),
                };
                case.out_as(Actor::Bot, "gone", op, Vec::new())
            });
            return Verdict::Send { rows: rows.into_iter().collect(), effects, opens: Vec::new() };
        }
        let notice = Value::Object(format::to_content(
            &Rich::plain("This chat no longer exists on the network."),
            "m.notice",
        ));
        let op = MatrixOp::Event { kind: "m.room.message".into(), content: notice, file: None };
        let row = self.change_portal_in(&mut effects, portal, |row| row.state = PortalState::Gone);
        self.unplace(&mut effects, &row);
        Verdict::Send {
            rows: vec![case.out_as(Actor::Bot, "gone", op, Vec::new())],
            effects,
            opens: Vec::new(),
        }
    }

    /// Something was missed: the chat is asked about again, and missed history is fetched.
    pub(super) async fn resync(self: &Arc<Self>, case: &Case<'_>) -> Result<Verdict, Failure> {
        let Some(account) = self.logins.account(case.via) else {
            return Ok(Verdict::Drop("its login is not connected"));
        };
        let info = account.chat(&case.portal.row().key).await?;
        let mut effects = Batch::new();
        let rows = self.chat_rows(case, &info, &mut effects).await?;
        if self.connector.abilities().history {
            let newest = self.store.edge_message(case.portal.id, true).await?;
            effects.save_backfill(&BackfillRow {
                portal: case.portal.id,
                dir: "newer".into(),
                login: case.via.to_owned(),
                cursor: None,
                anchor: newest.map(|message| message.remote_id),
                remaining: i64::from(self.config.backfill.catch_up),
                not_before: 0,
                attempts: 0,
            });
        }
        Ok(Verdict::Send { rows, effects, opens: Vec::new() })
    }

    /// The same, asked for by somebody; it goes the way of an event that the network sent.
    pub(crate) async fn resync_now(
        self: &Arc<Self>,
        portal: &Arc<super::Portal>,
        via: &str,
    ) -> Result<(), Failure> {
        let case =
            Case { portal, via, actor: Actor::Bot, ts: self.now(), order: None, patient: false };
        if let Verdict::Send { rows, mut effects, .. } = self.resync(&case).await? {
            let key = format!("resync:{}", self.store.next_id());
            self.queue_rows(&mut effects, portal, 0, &key, rows)?;
            self.store.commit(effects).await?;
            self.wake_spaces();
            self.wake_portal_inward(portal.clone());
        }
        Ok(())
    }

    /// What it takes to make a room show a chat as it is.
    pub(super) async fn chat_rows(
        self: &Arc<Self>,
        case: &Case<'_>,
        info: &ChatInfo<Plain>,
        effects: &mut Batch,
    ) -> Result<Vec<Outgoing>, Failure> {
        let before = case.portal.row();
        let mut delta = ChatDelta {
            name: info.name.clone(),
            topic: info.topic.clone(),
            avatar: info.avatar.clone().map(Some),
            parent: info.parent.clone().map(Some),
            position: info.position,
            power: info.power.clone(),
            disappear: info.disappear.filter(|timer| *timer != before.timer),
            meta: info.meta.clone(),
            ..ChatDelta::default()
        };
        leave_known(&mut delta, &before);
        let as_bot = Case {
            portal: case.portal,
            via: case.via,
            actor: Actor::Bot,
            ts: case.ts,
            order: None,
            patient: case.patient,
        };
        let mut rows = self.delta_rows(&as_bot, &delta, effects).await?;
        rows.extend(self.bridge_rows(&as_bot, info, effects).await?);
        rows.extend(self.member_rows(&as_bot, info).await?);
        Ok(rows)
    }

    /// What a room says about its bridge, where that has changed.
    async fn bridge_rows(
        &self,
        case: &Case<'_>,
        info: &ChatInfo<Plain>,
        effects: &mut Batch,
    ) -> Result<Vec<Outgoing>, Failure> {
        let row = case.portal.row();
        let parent = self.parent_of(case.portal).await?.map(|parent| parent.row());
        let events = self.bridge_state(&row, info, parent.as_ref());
        let hash = Self::bridge_state_hash(&events);
        // Somebody else's room may not let the bot say so, which is no reason for dead letters.
        if row.plumbed || row.caps.as_ref() == Some(&hash) {
            return Ok(Vec::new());
        }
        self.change_portal_in(effects, case.portal, |row| row.caps = Some(hash));
        let text = |event: &Value, key: &str| {
            event.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let row = |event: &Value| {
            let (kind, key) = (text(event, "type"), text(event, "state_key"));
            let part = format!("bridge:{kind}");
            let content = event["content"].clone();
            case.out(part, MatrixOp::State { kind, key, content, file: None }, Vec::new())
        };
        Ok(events.iter().map(row).collect())
    }

    /// Members as a chat has them: those who are missing come, and ghosts who are too many go if the list is complete.
    pub(super) async fn member_rows(
        &self,
        case: &Case<'_>,
        info: &ChatInfo<Plain>,
    ) -> Result<Vec<Outgoing>, Failure> {
        let mut rows = Vec::new();
        let mut levels = Map::new();
        let mut wanted = std::collections::HashSet::new();
        for member in &info.members {
            let change = MemberChange {
                user: member.user.clone(),
                membership: member.membership,
                reason: None,
            };
            let mxid = self.mxid_of(&member.user, case.via);
            if let (Sender::User(id), Some(info)) = (&member.user, &member.info) {
                self.apply_profile(id, info, true, Some(case.via)).await?;
            }
            if let Some(level) = member.power {
                levels.insert(mxid.clone(), level.min(99).into());
            }
            wanted.insert(mxid);
            rows.push(self.member_row(case, &change));
        }
        if !levels.is_empty() {
            let op = MatrixOp::Power { levels: json!({ "users": levels }) };
            rows.push(case.out_as(Actor::Bot, "levels", op, Vec::new()));
        }
        if info.members_complete
            && let Some(room) = case.portal.room_id()
        {
            for mxid in self.matrix.bot().joined_members(&room).await?.into_keys() {
                if self.is_ghost(&mxid)
                    && !wanted.contains(&mxid)
                    && let Some(user) = self.store.ghost_of_mxid(&mxid).await?
                {
                    rows.push(self.member_row(case, &MemberChange::new(user, Membership::Leave)));
                }
            }
        }
        Ok(rows)
    }
}

/// Somebody called: said by a notice.
pub(super) fn convert_call(case: &Case<'_>, call: &CallNotice) -> Verdict {
    let link = call.link.as_ref().map(|link| format!(": {link}")).unwrap_or_default();
    let content =
        Value::Object(format::to_content(&Rich::plain(format!("{}{link}", call.text)), "m.notice"));
    let op = MatrixOp::Event { kind: "m.room.message".into(), content, file: None };
    Verdict::rows(vec![case.out("call", op, Vec::new())])
}

/// Takes out of what is told again what was told before.
fn leave_known(delta: &mut ChatDelta<Plain>, row: &PortalRow) {
    let is =
        |new: Option<&str>, old: Option<&str>| new.unwrap_or_default() == old.unwrap_or_default();
    delta.name.take_if(|name| is(Some(name), row.name.as_deref()));
    delta.topic.take_if(|topic| is(Some(topic), row.topic.as_deref()));
    let picture = |avatar: &Option<MediaRef>| avatar.as_ref().map(|avatar| avatar.0.clone());
    delta.avatar.take_if(|avatar| is(picture(avatar).as_deref(), row.avatar.as_deref()));
    delta.parent.take_if(|parent| *parent == row.parent);
    delta.position.take_if(|position| Some(*position) == row.position);
}

/// What is stored of a change.
fn apply_delta(row: &mut PortalRow, delta: &ChatDelta<Plain>) {
    if let Some(name) = &delta.name {
        row.name = Some(name.clone());
    }
    if let Some(topic) = &delta.topic {
        row.topic = Some(topic.clone());
    }
    if let Some(avatar) = &delta.avatar {
        row.avatar = avatar.as_ref().map(|avatar| avatar.0.clone());
    }
    if let Some(parent) = &delta.parent {
        row.parent.clone_from(parent);
    }
    if let Some(position) = delta.position {
        row.position = Some(position);
    }
    if let Some(timer) = delta.disappear {
        row.timer = timer;
    }
    if let Some(meta) = &delta.meta {
        row.meta = meta.clone();
    }
}

/// `m.room.topic` with its extensible form (Client-Server API v1.15, "m.room.topic").
pub(super) fn topic_content(topic: &str) -> Value {
    json!({ "topic": topic, "m.topic": { "m.text": [{ "body": topic }] } })
}

/// `m.room.join_rules` (Client-Server API, "Restricted rooms"). `above` are the rooms of what the chat is part of.
pub(super) fn join_rule_content(rule: JoinRule, above: &[String]) -> Value {
    match rule {
        JoinRule::Public => json!({ "join_rule": "public" }),
        JoinRule::Parent if !above.is_empty() => {
            let from = |room: &String| json!({ "type": "m.room_membership", "room_id": room });
            let allow: Vec<Value> = above.iter().map(from).collect();
            json!({ "join_rule": "restricted", "allow": allow })
        }
        JoinRule::Invite | JoinRule::Parent => json!({ "join_rule": "invite" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::PortalKey;

    #[test]
    fn what_is_told_again_is_no_news() {
        let mut row = PortalRow::new(1, PortalKey::shared("c".to_owned()));
        row.name = Some("name".into());
        row.avatar = Some("picture".into());
        row.parent = Some("server".into());
        let mut same = ChatDelta::<Plain> {
            name: Some("name".into()),
            topic: Some(String::new()),
            avatar: Some(Some(MediaRef("picture".into()))),
            parent: Some(Some("server".into())),
            ..ChatDelta::default()
        };
        leave_known(&mut same, &row);
        assert!(same.name.is_none() && same.topic.is_none());
        assert!(same.avatar.is_none() && same.parent.is_none());
        let mut other = ChatDelta::<Plain> {
            name: Some("another".into()),
            topic: Some("topic".into()),
            avatar: Some(None),
            parent: Some(None),
            position: Some(0),
            ..ChatDelta::default()
        };
        leave_known(&mut other, &row);
        assert_eq!(
            (other.name.as_deref(), other.topic.as_deref()),
            (Some("another"), Some("topic"))
        );
        assert_eq!((other.avatar, other.parent, other.position), (Some(None), Some(None), Some(0)));
    }
}
