//! What happens when a bridge starts and stops.

use std::{sync::Arc, time::Duration};

use landbridge_registration::{Blueprint, ParseError, Registration};

use crate::{
    config::{BridgeConfig, PortalConfig},
    engine::{Engine, Failure},
    network::PortalKey,
    store::{Batch, StoreError},
};

/// How often something of the start is tried again.
const AGAIN: Duration = Duration::from_secs(3);

impl Engine {
    /// Starts all work of the bridge.
    pub(super) async fn start(self: &Arc<Self>) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.release_inbox();
        for login in self.connector.system_logins() {
            batch.save_login(&login);
        }
        self.store.commit(batch).await?;
        let system: Vec<String> =
            self.connector.system_logins().into_iter().map(|login| login.id).collect();
        for (login, active) in self.store.logins().await? {
            // A system login that is no longer configured stays known, for what it received.
            if active && (login.owner.is_some() || system.contains(&login.id)) {
                self.connect_login(login);
            }
        }
        let groups = self.recall_groups().await?;
        self.disappearing.begin(self.store.waits_for_reading().await?);
        // Not before all logins are known: what is read back from Matrix would be refused for want of one.
        self.spawn(self.clone().decode_loop());
        self.spawn(self.clone().control_loop());
        self.spawn(self.clone().backfill_loop());
        self.spawn(self.clone().space_loop());
        self.spawn(self.clone().disappear_loop());
        self.spawn(self.clone().keep_house());
        self.spawn(self.clone().watch_homeserver());
        self.spawn(self.clone().read_back_loop());
        for portal in self.store.busy_portals().await? {
            self.wake_inward(portal).await?;
            self.wake_outward(portal).await?;
        }
        for job in groups {
            let engine = self.clone();
            self.spawn(async move { engine.go_on_with_group(job).await });
        }
        let engine = self.clone();
        self.spawn(async move { engine.introduce().await });
        Ok(())
    }

    /// Makes the bot known and the configured portals exist; tried until it works.
    async fn introduce(self: Arc<Self>) {
        while let Err(error) = self.introduce_bot().await {
            tracing::info!(%error, "the bot can't be introduced yet");
            tokio::time::sleep(AGAIN).await;
        }
        if let Some(commands) = self.commands.get() {
            commands.resume().await;
        }
        for portal in self.config.portals.clone() {
            loop {
                match self.configured_portal(&portal).await {
                    Ok(()) => break,
                    Err(failure) if failure.is_temporary() => {
                        tracing::info!(portal = portal.remote_id, error = %failure, "a configured portal waits");
                        tokio::time::sleep(AGAIN).await;
                    }
                    Err(failure) => {
                        tracing::error!(portal = portal.remote_id, error = %failure, "a configured portal can't be made");
                        break;
                    }
                }
            }
        }
    }

    async fn introduce_bot(&self) -> Result<(), Failure> {
        let bot = self.matrix.bot();
        bot.ensure_registered().await?;
        bot.set_displayname(&self.config.bot_displayname).await?;
        if let Some(avatar) = &self.config.bot_avatar {
            bot.set_avatar(avatar).await?;
        }
        Ok(())
    }

    async fn configured_portal(self: &Arc<Self>, wanted: &PortalConfig) -> Result<(), Failure> {
        let portal = self.portal_for_key(&PortalKey::shared(wanted.remote_id.clone())).await?;
        if wanted.threads.is_some() && portal.row().threads != wanted.threads {
            self.change_portal(&portal, |row| row.threads = wanted.threads).await?;
        }
        let bot = self.matrix.bot();
        let room = if let Some(room) = portal.room_id() {
            room
        } else if let Some(room) = &wanted.room {
            let id = if room.starts_with('#') {
                bot.resolve_alias(room).await?
            } else {
                Some(room.clone())
            };
            let id = id.ok_or_else(|| Failure::Refused(format!("there is no room {room}")))?;
            self.plumb(&portal, &id, None).await?;
            id
        } else {
            let room = self.ensure_room(&portal, None).await?;
            if let Some(system) = self.logins.system() {
                self.history_first(&portal, &system).await?;
                self.wake_portal_inward(portal.clone());
            }
            room
        };
        if let Some(alias) = &wanted.alias {
            bot.create_alias(&self.full_alias(alias), &room).await?;
        }
        for mxid in &wanted.invite {
            match bot.invite(&room, mxid, None).await {
                Err(error) if !error.is_forbidden() => return Err(error.into()),
                // Forbidden: they are in it, or shut out of it.
                _ => {}
            }
        }
        Ok(())
    }

    /// Stops what begins new work, and waits a while for what is under way.
    pub(super) async fn drain(&self, grace: Duration) {
        self.stop.cancel();
        let all = self.config.concurrency.max(1);
        if tokio::time::timeout(grace, self.work.acquire_many(all)).await.is_err() {
            tracing::warn!(
                bridge = self.connector.id(),
                "stopped with work under way; it goes on at the next start"
            );
        }
    }
}

impl BridgeConfig {
    /// The registration that a bridge of this configuration needs, with fresh tokens.
    pub fn registration(
        &self,
        network: &str,
        server_name: &str,
        url: Option<&str>,
        rng: &mut impl rand::CryptoRng,
    ) -> Result<Registration, ParseError> {
        let server = escaped(server_name);
        let pattern = |sigil: char, template: &str| {
            let (before, after) = template.split_once("{}").unwrap_or((template, ""));
            format!("{sigil}{}.+{}:{server}", escaped(before), escaped(after))
        };
        let mut registration = Blueprint::new(network, url, &self.bot_username)
            .user(&pattern('@', &self.username_template), true)
            .user(&format!("@{}:{server}", escaped(&self.bot_username)), true)
            .protocol(network)
            .ephemeral();
        if !self.alias_template.is_empty() {
            registration = registration.alias(&pattern('#', &self.alias_template), true);
        }
        let mut registration = registration.generate(rng)?;
        if self.double_puppet.automatic {
            // Asks our homeserver to let the bridge act for its users, without sending it what happens in their rooms.
            registration.other.insert("org.landbridge.double_puppet".into(), true.into());
        }
        Ok(registration)
    }
}

/// A text as a pattern that matches just it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if !c.is_alphanumeric() && !matches!(c, '_' | '-' | '/' | '=' | ':' | '@' | '#' | ' ') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
