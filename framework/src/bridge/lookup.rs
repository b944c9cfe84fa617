//! What the homeserver asks for, handed to the engine that runs now: transactions, users, aliases, third-party lookups.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::Slot;
use crate::{
    engine::{Engine, Failure},
    ghost::decode_localpart,
    matrix::appservice::{Fields, SinkError, Transaction, TransactionSink},
    network::PortalKey,
};

/// See the module.
pub(super) struct Sink(pub(super) Arc<Slot>);

impl Sink {
    fn engine(&self) -> Result<Arc<Engine>, SinkError> {
        let engine = self.0.get().filter(|engine| !engine.stop.is_cancelled());
        engine.ok_or_else(|| SinkError("the bridge is starting".into()))
    }
}

impl From<Failure> for SinkError {
    fn from(failure: Failure) -> Self {
        Self(failure.to_string())
    }
}

/// The answer to a transaction. Without one, whether it went wrong or nobody waits for it any more, to the homeserver the transaction
/// has failed.
struct Answer<'a> {
    engine: &'a Engine,
    given: bool,
}

impl Drop for Answer<'_> {
    fn drop(&mut self) {
        if !self.given {
            self.engine.doubt_transactions();
        }
    }
}

#[async_trait]
impl TransactionSink for Sink {
    async fn transaction(&self, txn_id: &str, transaction: Transaction) -> Result<(), SinkError> {
        let engine = self.engine()?;
        let mut answer = Answer { engine: &engine, given: false };
        engine.take_transaction(txn_id, transaction).await?;
        answer.given = true;
        Ok(())
    }
    async fn user_exists(&self, user_id: &str) -> Result<bool, SinkError> {
        let engine = self.engine()?;
        let Some(user) = engine.user_of_ghost(user_id).await? else {
            return Ok(user_id == engine.matrix.bot_id());
        };
        if engine.store.ghost(&user).await.map_err(Failure::from)?.is_some() {
            return Ok(true);
        }
        let Some(account) = engine.logins.any_account(None) else { return Ok(false) };
        if account.user(&user).await.is_err() {
            return Ok(false);
        }
        engine.ghost(&user, None).await?;
        Ok(true)
    }
    async fn alias_exists(&self, alias: &str) -> Result<bool, SinkError> {
        let engine = self.engine()?;
        Ok(engine.alias_on_demand(alias).await?.is_some())
    }
    async fn protocol(&self, protocol: &str) -> Result<Option<Value>, SinkError> {
        let engine = self.engine()?;
        if protocol != engine.connector.id() {
            return Ok(None);
        }
        let info = engine.connector.info();
        Ok(Some(json!({
            "user_fields": ["user"],
            "location_fields": ["chat"],
            "icon": info.icon.clone().unwrap_or_default(),
            "field_types": {
                "user": { "regexp": ".+", "placeholder": "user" },
                "chat": { "regexp": ".+", "placeholder": "chat" },
            },
            "instances": [{ "desc": info.name, "network_id": engine.connector.id(), "fields": {} }],
        })))
    }
    async fn users(&self, protocol: &str, fields: Fields) -> Result<Option<Vec<Value>>, SinkError> {
        let engine = self.engine()?;
        if protocol != engine.connector.id() {
            return Ok(None);
        }
        let (Some(query), Some(account)) = (fields.get("user"), engine.logins.any_account(None))
        else {
            return Ok(Some(Vec::new()));
        };
        // A lookup of somebody who isn't there is no failure.
        let found = account.resolve(query).await.ok().flatten();
        Ok(Some(found.map(|user| engine.third_party_user(&user)).into_iter().collect()))
    }
    async fn locations(
        &self,
        protocol: &str,
        fields: Fields,
    ) -> Result<Option<Vec<Value>>, SinkError> {
        let engine = self.engine()?;
        if protocol != engine.connector.id() {
            return Ok(None);
        }
        let (Some(query), Some(account)) = (fields.get("chat"), engine.logins.any_account(None))
        else {
            return Ok(Some(Vec::new()));
        };
        let Some(key) = account.find_chat(query).await.ok().flatten() else {
            return Ok(Some(Vec::new()));
        };
        Ok(Some(engine.third_party_location(&key).await?.into_iter().collect()))
    }
    async fn users_of(&self, user_id: &str) -> Result<Vec<Value>, SinkError> {
        let engine = self.engine()?;
        let user = engine.user_of_ghost(user_id).await?;
        Ok(user.map(|user| engine.third_party_user(&user)).into_iter().collect())
    }
    async fn locations_of(&self, alias: &str) -> Result<Vec<Value>, SinkError> {
        let engine = self.engine()?;
        let Some(room) = engine.matrix.bot().resolve_alias(alias).await.map_err(Failure::from)?
        else {
            return Ok(Vec::new());
        };
        let Some(portal) = engine.portal_of_room(&room).await.map_err(Failure::from)? else {
            return Ok(Vec::new());
        };
        Ok(engine.third_party_location(&portal.row().key).await?.into_iter().collect())
    }
    async fn ping(&self, _: Option<&str>) {
        if let Some(engine) = self.0.get() {
            engine.portals.retry_now.notify_waiters();
        }
    }
}

impl Engine {
    fn third_party_user(&self, user: &str) -> Value {
        json!({ "userid": self.ghost_mxid(user), "protocol": self.connector.id(), "fields": { "user": user } })
    }

    async fn third_party_location(
        &self,
        key: &PortalKey<crate::plain::Plain>,
    ) -> Result<Option<Value>, Failure> {
        let Some(portal) = self.known_portal(key).await? else { return Ok(None) };
        let Some(alias) = portal.row().alias else { return Ok(None) };
        Ok(Some(
            json!({ "alias": self.full_alias(&alias), "protocol": self.connector.id(), "fields": { "chat": key.id } }),
        ))
    }

    /// The chat behind an alias of our namespace: its portal is opened, under that alias.
    pub(super) async fn alias_on_demand(
        self: &Arc<Self>,
        alias: &str,
    ) -> Result<Option<String>, Failure> {
        let Some((localpart, server)) =
            alias.strip_prefix('#').and_then(|alias| alias.split_once(':'))
        else {
            return Ok(None);
        };
        let Some((before, after)) = self.config.alias_template.split_once("{}") else {
            return Ok(None);
        };
        let part = localpart.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        let Some(part) =
            part.filter(|part| !part.is_empty() && server == self.matrix.server_name())
        else {
            return Ok(None);
        };
        // As it is written, else as ghosts' names are.
        let key = self.connector.chat_of_alias(part);
        let key = key.or_else(|| {
            decode_localpart(part).and_then(|part| self.connector.chat_of_alias(&part))
        });
        let Some(key) = key else { return Ok(None) };
        let portal = self.portal_for_key(&key).await?;
        let known = portal.row().alias.is_some();
        if !known {
            self.change_portal(&portal, |row| row.alias = Some(localpart.to_owned())).await?;
        }
        let system = self.logins.system();
        let room = self.ensure_room(&portal, system.as_deref()).await?;
        self.matrix.bot().create_alias(alias, &room).await?;
        Ok(Some(room))
    }
}
