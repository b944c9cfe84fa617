//! Spaces: the room of a server, a category or a forum holds those of the chats that are part of it, and a login may have a space
//! of its own for what is part of nothing. Whatever changes a chat's place queues its room here, in the same transaction; a
//! room is looked at until Matrix shows it where it belongs, so that nothing is left out after a crash.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::{
    adapter::StoredLogin,
    engine::{Engine, Failure, guarded_async},
    event::ChatKind,
    keys,
    matrix::MatrixError,
    network::{PortalKey, Scope},
    plain::Plain,
    portal::{CREATE_KEY, Portal},
    rate::backoff_ms,
    store::{Batch, PortalRow, PortalState, SpaceJob, StoreError},
};

/// How often it is looked for rooms to place, when nobody asked.
const LOOK: Duration = Duration::from_secs(10);
/// How many chats may lie above one another.
const DEPTH: usize = 8;

/// Wakes the work.
#[derive(Default)]
pub(crate) struct Spaces {
    wake: Notify,
    asked: AtomicBool,
}

/// How a room stands in a space.
struct Place {
    /// Whether this is its main space.
    canonical: bool,
    order: Option<String>,
}

impl Place {
    fn to_text(&self) -> String {
        json!([self.canonical, self.order]).to_string()
    }
}

/// A place as `order` has it: texts that sort as the numbers do (Client-Server API, "Ordering of children within a space").
fn order_text(position: i64) -> String {
    format!("{:010}", position.clamp(0, 9_999_999_999))
}

impl Engine {
    /// A room's place is to be looked at, once the batch is committed.
    pub(crate) fn place(&self, batch: &mut Batch, room: &str) {
        batch.add_space_job(room, self.store.next_id());
        self.spaces.asked.store(true, Ordering::Release);
    }

    /// The same for a portal that goes, and for all rooms in it if it is a space.
    pub(crate) fn unplace(&self, batch: &mut Batch, row: &PortalRow) {
        if let Some(room) = &row.room_id {
            self.place(batch, room);
            batch.add_space_jobs_of(room, self.store.next_id());
        }
    }

    /// Something was committed: looks at what was queued with it.
    pub(crate) fn wake_spaces(&self) {
        if self.spaces.asked.swap(false, Ordering::AcqRel) {
            self.spaces.wake.notify_one();
        }
    }

    /// Whether a portal's room belongs into some space.
    pub(crate) fn has_place(&self, row: &PortalRow) -> bool {
        row.parent.is_some() || self.config.spaces.personal
    }

    /// Places rooms until the bridge stops.
    pub(crate) async fn space_loop(self: Arc<Self>) {
        loop {
            match self.place_rooms().await {
                // Elapsed or woken: either way it is looked again.
                Ok(()) => {
                    let _ = tokio::time::timeout(LOOK, self.spaces.wake.notified()).await;
                }
                Err(StoreError::Closed) => return,
                Err(error) => {
                    tracing::error!(%error, "rooms can't be put into spaces, trying again");
                    tokio::time::sleep(LOOK).await;
                }
            }
        }
    }

    /// Looks at all rooms that are queued.
    async fn place_rooms(self: &Arc<Self>) -> Result<(), StoreError> {
        loop {
            let jobs = self.store.space_jobs(self.now(), 16).await?;
            if jobs.is_empty() {
                return Ok(());
            }
            for job in jobs {
                self.do_space_job(&job).await?;
            }
        }
    }

    async fn do_space_job(self: &Arc<Self>, job: &SpaceJob) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        match guarded_async(Box::pin(self.arrange(&job.child))).await {
            Ok(Ok(())) => batch.space_job_done(job),
            Ok(Err(failure)) if failure.is_temporary() => {
                let wait = failure.retry_after_ms().unwrap_or_else(|| backoff_ms(job.attempts, 0));
                tracing::info!(room = job.child, error = %failure, wait, "a room waits for its place in a space");
                batch.space_job_later(job, self.now() + wait);
            }
            Ok(Err(failure)) => {
                tracing::warn!(room = job.child, error = %failure, "a room can't be put into its space");
                batch.space_job_done(job);
            }
            Err(panic) => {
                tracing::error!(room = job.child, panic, "a room can't be put into its space");
                batch.space_job_done(job);
            }
        }
        self.store.commit(batch).await.map(drop)
    }

    /// Puts a room into the spaces that it belongs to, and takes it out of the others.
    async fn arrange(self: &Arc<Self>, child: &str) -> Result<(), Failure> {
        let portal = self.portal_of_room(child).await?;
        let portal = portal.filter(|portal| portal.row().state == PortalState::Open);
        let plumbed = portal.as_ref().is_some_and(|portal| portal.row().plumbed);
        let wanted = match &portal {
            Some(portal) => self.spaces_for(portal).await?,
            None => BTreeMap::new(),
        };
        let shown = self.store.spaces_of(child).await?;
        let via = [self.matrix.server_name()];
        for (space, place) in &wanted {
            let how = place.to_text();
            // What somebody changed by hand since then stays.
            if !shown.iter().any(|(parent, before)| parent == space && *before == how) {
                let mut content = json!({ "via": via });
                if let Some(order) = &place.order {
                    content["order"] = order.clone().into();
                }
                self.tell_space(space, "m.space.child", child, &content).await?;
                if !plumbed {
                    let content = json!({ "via": via, "canonical": place.canonical });
                    self.tell_space(child, "m.space.parent", space, &content).await?;
                }
                let mut batch = Batch::new();
                batch.save_space_child(child, space, &how);
                self.store.commit(batch).await?;
            }
            if let Some(portal) = &portal {
                for owner in self.owners(portal) {
                    self.call_into(space, &owner).await?;
                }
            }
        }
        for (space, _) in shown.iter().filter(|(space, _)| !wanted.contains_key(space)) {
            self.tell_space(space, "m.space.child", child, &json!({})).await?;
            if !plumbed {
                self.tell_space(child, "m.space.parent", space, &json!({})).await?;
            }
            let mut batch = Batch::new();
            batch.remove_space_child(child, space);
            self.store.commit(batch).await?;
        }
        Ok(())
    }

    /// Sets state of a space or its child, unless it is so already. A room that is gone, or not ours to change, is left alone.
    async fn tell_space(
        &self,
        room: &str,
        kind: &str,
        key: &str,
        content: &Value,
    ) -> Result<(), MatrixError> {
        let bot = self.matrix.bot();
        let told = async {
            let now = bot.get_state(room, kind, key).await?.unwrap_or_else(|| json!({}));
            if now != *content {
                bot.state(room, kind, key, content, None).await?;
            }
            Ok::<(), MatrixError>(())
        };
        match told.await {
            Err(error) if error.is_forbidden() || error.is_not_found() => {
                tracing::info!(room, kind, %error, "a room's place in a space can't be shown there");
                Ok(())
            }
            result => result,
        }
    }

    /// The people whose logins see a portal.
    fn owners(&self, portal: &Portal) -> BTreeSet<String> {
        let mut logins = portal.logins();
        if let Scope::Private(login) = portal.row().key.scope {
            logins = vec![login];
        }
        logins.iter().filter_map(|login| self.logins.stored(login)?.owner).collect()
    }

    /// Gets somebody into a space, unless they are there, or were and left; who has no double puppet stays invited.
    async fn call_into(&self, space: &str, mxid: &str) -> Result<(), Failure> {
        let bot = self.matrix.bot();
        let member = bot.get_state(space, "m.room.member", mxid).await?;
        match member.as_ref().map(|member| &member["membership"]) {
            None => match bot.invite(space, mxid, None).await {
                Err(error) if !error.is_forbidden() => return Err(error.into()),
                // Forbidden: they are in it, or shut out of it.
                _ => {}
            },
            // By what made the space, or before a crash.
            Some(membership) if membership == "invite" => {}
            Some(_) => return Ok(()),
        }
        if let Some(puppet) = self.puppet(mxid).await?
            && let Err(error) = puppet.ensure_joined(space).await
        {
            tracing::info!(user = mxid, %error, "could not be joined to a space, stays invited");
        }
        Ok(())
    }

    /// The spaces that a portal's room belongs to.
    async fn spaces_for(
        self: &Arc<Self>,
        portal: &Arc<Portal>,
    ) -> Result<BTreeMap<String, Place>, Failure> {
        let row = portal.row();
        let order = row.position.map(order_text);
        match self.space_above(portal).await {
            Ok(Some(room)) => {
                return Ok(BTreeMap::from([(room, Place { canonical: true, order })]));
            }
            Ok(None) => {}
            Err(failure) if failure.is_temporary() => return Err(failure),
            Err(failure) => {
                tracing::warn!(chat = row.key.id, error = %failure, "what a chat is part of can't be had");
            }
        }
        let mut spaces = BTreeMap::new();
        if self.config.spaces.personal && !row.plumbed {
            let mut logins = portal.logins();
            if let Scope::Private(login) = row.key.scope {
                logins = vec![login];
            }
            for login in logins {
                if let Some(login) = self.logins.stored(&login)
                    && let Some(owner) = login.owner.clone()
                {
                    let room = self.login_space(&login, &owner).await?;
                    spaces.insert(room, Place { canonical: false, order: order.clone() });
                }
            }
        }
        Ok(spaces)
    }

    /// The portal of the chat that another is part of; made known if it isn't yet.
    pub(crate) async fn parent_of(
        &self,
        portal: &Portal,
    ) -> Result<Option<Arc<Portal>>, StoreError> {
        let row = portal.row();
        let Some(parent) = row.parent else { return Ok(None) };
        if let Scope::Private(login) = row.key.scope {
            let private = PortalKey::<Plain>::private(parent.clone(), login);
            if let Some(known) = self.known_portal(&private).await? {
                return Ok(Some(known));
            }
        }
        self.portal_for_key(&PortalKey::shared(parent)).await.map(Some)
    }

    /// The rooms of the spaces that a chat is part of, nearest first, up to that of a chat which is no space: who is in a server need
    /// not see what belongs to one of its channels. With `via` they are made, if need be, as that login sees them.
    pub(crate) async fn rooms_above(
        self: &Arc<Self>,
        portal: &Portal,
        via: Option<&str>,
    ) -> Result<Vec<String>, Failure> {
        let mut seen = BTreeSet::from([portal.id]);
        let mut rooms = Vec::new();
        let mut next = self.parent_of(portal).await?;
        while let Some(parent) = next {
            if !seen.insert(parent.id) || seen.len() > DEPTH {
                break;
            }
            // Whoever makes it now waits for us, perhaps: chats that are part of each other must not wait for ever.
            let idle = parent.making.try_lock().is_ok();
            if parent.room_id().is_none() && idle && via.is_some() {
                match self.make_room(&parent, via).await {
                    Ok(_) => {}
                    Err(failure) if failure.is_temporary() => return Err(failure),
                    Err(failure) => {
                        tracing::warn!(error = %failure, "the room of what a chat is part of can't be made");
                    }
                }
            }
            rooms.extend(parent.room_id());
            if parent.row().kind != ChatKind::Space {
                break;
            }
            next = self.parent_of(&parent).await?;
        }
        Ok(rooms)
    }

    /// [`Engine::ensure_room`] of another portal in the middle of itself.
    fn make_room<'a>(
        self: &'a Arc<Self>,
        portal: &'a Arc<Portal>,
        via: Option<&'a str>,
    ) -> BoxFuture<'a, Result<String, Failure>> {
        Box::pin(self.ensure_room(portal, via))
    }

    /// The room of the nearest space above a portal. It is made, if need be, but not for a room that was there before us.
    async fn space_above(
        self: &Arc<Self>,
        portal: &Arc<Portal>,
    ) -> Result<Option<String>, Failure> {
        let own = portal.row();
        let via = portal.logins().into_iter().find(|login| self.logins.account(login).is_some());
        let via = via.or_else(|| self.logins.system());
        let mut seen = BTreeSet::from([portal.id]);
        let mut below = portal.clone();
        while let Some(parent) = self.parent_of(&below).await? {
            if !seen.insert(parent.id) || seen.len() > DEPTH {
                return Ok(None);
            }
            let row = parent.row();
            if matches!(row.state, PortalState::Gone | PortalState::Left)
                || own.plumbed && row.room_id.is_none()
            {
                return Ok(None);
            }
            let room = self.ensure_room(&parent, via.as_deref()).await?;
            if parent.row().kind == ChatKind::Space {
                return Ok(Some(room));
            }
            below = parent;
        }
        Ok(None)
    }

    /// A login's own space.
    async fn login_space(&self, login: &StoredLogin, owner: &str) -> Result<String, Failure> {
        let known = self.store.login_space(&login.id).await?;
        if let Some((Some(room), _)) = known {
            return Ok(room);
        }
        let bot = self.matrix.bot();
        let key = keys::txn_id(self.connector.id(), 0, bot.user_id(), &login.id, "", "space", 1);
        // As with portals: if it was tried before, look whether it came about.
        let found = if known.is_some() {
            self.room_created_as(&key).await?
        } else {
            let mut batch = Batch::new();
            batch.save_login_space(&login.id, None, 1);
            self.store.commit(batch).await?;
            None
        };
        let room = match found {
            Some(room) => room,
            None => bot.create_room(&self.login_space_body(login, owner, &key)).await?,
        };
        let mut batch = Batch::new();
        batch.save_login_space(&login.id, Some(&room), 1);
        self.store.commit(batch).await?;
        Ok(room)
    }

    fn login_space_body(&self, login: &StoredLogin, owner: &str, key: &str) -> Value {
        let info = self.connector.info();
        let mut creation = json!({ "type": "m.space", CREATE_KEY: key });
        if !self.config.federate_rooms {
            creation["m.federate"] = false.into();
        }
        let mut state = Vec::new();
        if let Some(icon) = &info.icon {
            state.push(
                json!({ "type": "m.room.avatar", "state_key": "", "content": { "url": icon } }),
            );
        }
        json!({
            "preset": "private_chat",
            "visibility": "private",
            "name": format!("{} ({})", info.name, login.name),
            "topic": format!("Your chats on {}", info.name),
            "creation_content": creation,
            "initial_state": state,
            "invite": [owner],
            "power_level_content_override": { "events_default": 100 },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_sort_as_their_numbers() {
        let mut orders = [12, 3, -1, 100].map(order_text);
        orders.sort();
        assert_eq!(orders, ["0000000000", "0000000003", "0000000012", "0000000100"]);
        let far = order_text(i64::MAX);
        assert!(far.len() <= 50, "the longest that the specification allows");
    }
}
