//! Rooms that are no portals: people talking to the bot, and invitations of the bot and of ghosts.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use crate::{
    engine::{Engine, Failure},
    permissions::Level,
    store::{Batch, MatrixInboxRow, StoreError},
};

/// How long, and how often, a message waits for the room it is in to become a portal's.
const CREATING_PAUSE: Duration = Duration::from_millis(500);
const CREATING_PATIENCE: i64 = 600;

fn field<'a>(event: &'a Value, key: &str) -> &'a str {
    event.get(key).and_then(Value::as_str).unwrap_or_default()
}

impl Engine {
    /// Handles what is said outside portals until the bridge stops.
    pub(crate) async fn control_loop(self: Arc<Self>) {
        loop {
            match self.store.ready_matrix_inbox(None, 32).await {
                Ok(rows) if rows.is_empty() => self.control_wake.notified().await,
                Ok(rows) => {
                    for row in rows {
                        match self.control_row(&row).await {
                            Ok(()) => {}
                            Err(Failure::Store(StoreError::Closed)) => return,
                            Err(failure) => {
                                tracing::warn!(room = row.room_id, error = %failure, "something outside portals was not handled");
                            }
                        }
                    }
                }
                Err(StoreError::Closed) => return,
                Err(error) => {
                    tracing::error!(%error, "the inbox can't be read");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    async fn control_row(self: &Arc<Self>, row: &MatrixInboxRow) -> Result<(), Failure> {
        let mut done = Batch::new();
        done.matrix_inbox_done(row.seq);
        let Ok(event) = serde_json::from_str::<Value>(&row.body) else {
            self.store.commit(done).await?;
            return Ok(());
        };
        let said = field(&event, "type") == "m.room.message";
        // Asked first: a room that becomes a portal's after that was not being created.
        let creating = said && self.store.is_creating().await?;
        if let Some(portal) = self.portal_of_room(&row.room_id).await? {
            // It became a portal's meanwhile.
            let mut adopted = Batch::new();
            adopted.adopt_matrix_inbox(portal.id, &row.room_id);
            // What comes from now on is behind it.
            let _turn = self.readback.turn.lock().await;
            self.store.commit(adopted).await?;
            self.wake_portal_outward(portal);
            return Ok(());
        }
        let sender = field(&event, "sender").to_owned();
        let outcome = match field(&event, "type") {
            "m.room.member"
                if event.pointer("/content/membership").and_then(Value::as_str)
                    == Some("invite") =>
            {
                self.invited_to(&row.room_id, &sender, field(&event, "state_key"), &event).await
            }
            "m.room.message" if row.attempts < CREATING_PATIENCE && creating => {
                // It may be said in a portal's room that isn't known as such yet.
                let mut later = Batch::new();
                later.matrix_inbox_later(row.seq, 0, "a portal's room is being created");
                self.store.commit(later).await?;
                tokio::time::sleep(CREATING_PAUSE).await;
                return Ok(());
            }
            "m.room.message" => {
                // Before it is run: a command that breaks the bridge must not break it again at each start.
                let mut taken = Batch::new();
                let at = taken.matrix_inbox_taken(row.seq);
                if self.store.commit(taken).await?.get(at) == Some(&0) {
                    return Ok(());
                }
                if let Some(commands) = self.commands.get() {
                    let (commands, room) = (commands.clone(), row.room_id.clone());
                    self.spawn(async move { commands.handle(&room, &sender, &event).await });
                }
                return Ok(());
            }
            _ => Ok(()),
        };
        if let Err(failure) = outcome {
            if failure.is_temporary() && row.attempts < 5 {
                let mut later = Batch::new();
                later.matrix_inbox_later(row.seq, self.now() + 5000, &failure.to_string());
                self.store.commit(later).await?;
                let engine = self.clone();
                self.spawn(async move {
                    tokio::time::sleep(Duration::from_secs(5)).await;
                    engine.control_wake.notify_one();
                });
                // The next round would find it at once otherwise.
                tokio::time::sleep(Duration::from_secs(1)).await;
                return Err(failure);
            }
            let mut dead = Batch::new();
            dead.matrix_inbox_dead(row.seq, &failure.to_string());
            self.store.commit(dead).await?;
            return Err(failure);
        }
        self.store.commit(done).await?;
        Ok(())
    }

    /// Somebody invited the bot (to talk to it, or to have a room bridged) or a ghost (to talk to whom it stands for).
    async fn invited_to(
        self: &Arc<Self>,
        room: &str,
        sender: &str,
        target: &str,
        event: &Value,
    ) -> Result<(), Failure> {
        if self.level(sender) < Level::Relay {
            return Ok(());
        }
        if target == self.matrix.bot_id() {
            self.matrix.bot().join(room).await?;
            return Ok(());
        }
        let Some(user) = self.user_of_ghost(target).await? else { return Ok(()) };
        let direct = event.pointer("/content/is_direct").and_then(Value::as_bool).unwrap_or(false);
        let ghost = self.matrix.ghost(target);
        let own = self.logins.of_owner(sender);
        let account = own
            .iter()
            .find_map(|login| self.logins.account(&login.id).map(|account| (login, account)));
        if !direct && account.is_some() && self.may_begin_groups(sender) {
            // They may be called together for a group that is begun here.
            let login = account.as_ref().map(|(login, _)| login.id.clone());
            let ghost = self.ghost(&user, login.as_deref()).await?;
            ghost.join(room).await?;
            let bot = self.matrix.bot();
            let there = ghost.get_state(room, "m.room.member", bot.user_id()).await?;
            if there.is_none_or(|member| member["membership"] != "join") {
                let called = ghost.invite(room, bot.user_id(), None).await;
                if let Err(error) = called.and(bot.join(room).await.map(drop)) {
                    tracing::debug!(room, %error, "the bot can't be called into a room");
                }
            }
            return Ok(());
        }
        let Some((login, account)) =
            account.filter(|_| direct && self.connector.abilities().directory)
        else {
            ghost.ensure_registered().await?;
            return Ok(ghost
                .leave(
                    room,
                    Some("this is a user of another network; log in to it to talk to them"),
                )
                .await?);
        };
        let key = account.open_dm(&user).await?;
        let portal = self.portal_for_key(&key).await?;
        if let Some(existing) = portal.room_id() {
            // There is a room for it: they are called there.
            self.matrix
                .bot()
                .invite(&existing, sender, None)
                .await
                .or_else(|error| if error.is_forbidden() { Ok(()) } else { Err(error) })?;
            ghost.ensure_registered().await?;
            return Ok(ghost.leave(room, Some("there is a room for this chat already")).await?);
        }
        let ghost = self.ghost(&user, Some(&login.id)).await?;
        ghost.join(room).await?;
        ghost.invite(room, &self.matrix.bot_id(), None).await?;
        self.plumb(&portal, room, Some(&login.id)).await
    }
}
