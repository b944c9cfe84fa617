//! Rooms: creating, joining, leaving, state, members, aliases, the directory.

use std::collections::BTreeMap;

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::account::Profile;
use super::{Intent, UNSTABLE, V3, text, texts};
use crate::matrix::MatrixError;

/// A room's full state, as events.
pub type RoomState = Vec<Value>;

/// Who is in a room, with their profiles there.
pub type Members = BTreeMap<String, Profile>;

#[derive(Deserialize)]
struct JoinedMembers {
    joined: BTreeMap<String, RoomProfile>,
}

/// `/joined_members` has names of its own.
#[derive(Deserialize)]
struct RoomProfile {
    display_name: Option<String>,
    avatar_url: Option<String>,
}

impl Intent {
    /// Creates a room with this body of `POST /createRoom`. We are in it afterwards.
    pub async fn create_room(&self, body: &Value) -> Result<String, MatrixError> {
        self.ensure_registered().await?;
        let answer = self.json(self.call(Method::POST, V3, &["createRoom"]).json(body)).await?;
        let room_id = text(&answer, "room_id")?;
        let memory = &self.matrix.inner.memory;
        memory.set_joined(&room_id, &self.user_id, true).await?;
        let autojoin =
            body.get("com.beeper.auto_join_invites").and_then(Value::as_bool) == Some(true);
        if autojoin {
            for user in body
                .get("invite")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
            {
                memory.set_joined(&room_id, user, true).await?;
                memory.set_registered(user).await?;
            }
        }
        Ok(room_id)
    }

    /// Makes sure that we are in the room: registered, and joined, by the bot's invitation if need be. Remembered,
    /// so that it costs nothing the second time.
    pub async fn ensure_joined(&self, room_id: &str) -> Result<(), MatrixError> {
        if self.matrix.inner.memory.is_joined(room_id, &self.user_id).await? {
            return Ok(());
        }
        self.ensure_registered().await?;
        if self.puppet {
            self.matrix.inner.memory.begin_join(room_id, &self.user_id);
        }
        let joined = self.join_invited(room_id).await;
        if self.puppet && joined.is_err() {
            self.matrix.inner.memory.end_join(room_id, &self.user_id);
        }
        joined
    }

    /// Joins, by the bot's invitation if need be.
    async fn join_invited(&self, room_id: &str) -> Result<(), MatrixError> {
        match self.join(room_id).await {
            Err(error) if error.is_forbidden() && !self.is_bot() => {}
            result => return result.map(drop),
        }
        let bot = self.matrix.bot();
        match bot.invite(room_id, &self.user_id, None).await {
            Err(error) if !error.is_forbidden() => return Err(error),
            // Forbidden: already invited or in it, or the bot may not; the join will tell.
            _ => {}
        }
        self.join(room_id).await.map(drop)
    }

    /// Joins a room by ID or alias, and gives its ID.
    pub async fn join(&self, room: &str) -> Result<String, MatrixError> {
        let call = self.call(Method::POST, V3, &["join", room]).json(&json!({}));
        let room_id = text(&self.json(call).await?, "room_id")?;
        self.matrix.inner.memory.set_joined(&room_id, &self.user_id, true).await?;
        Ok(room_id)
    }

    /// Invites somebody.
    pub async fn invite(
        &self,
        room_id: &str,
        user_id: &str,
        reason: Option<&str>,
    ) -> Result<(), MatrixError> {
        self.membership(room_id, "invite", Some(user_id), reason).await
    }

    /// Removes somebody, or takes an invitation back.
    pub async fn kick(
        &self,
        room_id: &str,
        user_id: &str,
        reason: Option<&str>,
    ) -> Result<(), MatrixError> {
        self.membership(room_id, "kick", Some(user_id), reason).await?;
        self.matrix.note_membership(room_id, user_id, false).await
    }

    /// Removes somebody for good.
    pub async fn ban(
        &self,
        room_id: &str,
        user_id: &str,
        reason: Option<&str>,
    ) -> Result<(), MatrixError> {
        self.membership(room_id, "ban", Some(user_id), reason).await?;
        self.matrix.note_membership(room_id, user_id, false).await
    }

    /// Lifts a ban.
    pub async fn unban(
        &self,
        room_id: &str,
        user_id: &str,
        reason: Option<&str>,
    ) -> Result<(), MatrixError> {
        self.membership(room_id, "unban", Some(user_id), reason).await
    }

    /// Leaves, or refuses an invitation. Fine if we aren't in it.
    pub async fn leave(&self, room_id: &str, reason: Option<&str>) -> Result<(), MatrixError> {
        // Forgotten first: a crash in between only costs one more request.
        self.matrix.note_membership(room_id, &self.user_id, false).await?;
        match self.membership(room_id, "leave", None, reason).await {
            Err(error) if error.is_not_found() || error.is_forbidden() => Ok(()),
            result => result,
        }
    }

    async fn membership(
        &self,
        room_id: &str,
        verb: &str,
        user_id: Option<&str>,
        reason: Option<&str>,
    ) -> Result<(), MatrixError> {
        let mut body = json!({});
        if let Some(user_id) = user_id {
            body["user_id"] = user_id.into();
        }
        if let Some(reason) = reason {
            body["reason"] = reason.into();
        }
        let call = self.call(Method::POST, V3, &["rooms", room_id, verb]).json(&body);
        self.room_json(room_id, call).await.map(drop)
    }

    /// Who is in the room.
    pub async fn joined_members(&self, room_id: &str) -> Result<Members, MatrixError> {
        let answer = self
            .room_json(room_id, self.call(Method::GET, V3, &["rooms", room_id, "joined_members"]))
            .await?;
        let members: JoinedMembers = serde_json::from_value(answer)
            .map_err(|error| MatrixError::BadAnswer(error.to_string()))?;
        Ok(members
            .joined
            .into_iter()
            .map(|(user, p)| {
                (user, Profile { displayname: p.display_name, avatar_url: p.avatar_url })
            })
            .collect())
    }

    /// Sets state; `ts` (milliseconds) is when it is said to have happened.
    pub async fn state(
        &self,
        room_id: &str,
        kind: &str,
        state_key: &str,
        content: &Value,
        ts: Option<i64>,
    ) -> Result<String, MatrixError> {
        let ts = ts.map(|ts| ts.to_string());
        let call = self.call(Method::PUT, V3, &["rooms", room_id, "state", kind, state_key]);
        let answer =
            self.room_json(room_id, call.query_opt("ts", ts.as_deref()).json(content)).await?;
        text(&answer, "event_id")
    }

    /// The content of a state event; `None` if there is none.
    pub async fn get_state(
        &self,
        room_id: &str,
        kind: &str,
        state_key: &str,
    ) -> Result<Option<Value>, MatrixError> {
        let call = self.call(Method::GET, V3, &["rooms", room_id, "state", kind, state_key]);
        match self.room_json(room_id, call).await {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The whole current state.
    pub async fn full_state(&self, room_id: &str) -> Result<RoomState, MatrixError> {
        match self
            .room_json(room_id, self.call(Method::GET, V3, &["rooms", room_id, "state"]))
            .await?
        {
            Value::Array(events) => Ok(events),
            _ => Err(MatrixError::BadAnswer("the state is not a list".into())),
        }
    }

    /// The room an alias stands for; `None` if there is none.
    pub async fn resolve_alias(&self, alias: &str) -> Result<Option<String>, MatrixError> {
        match self.json(self.call(Method::GET, V3, &["directory", "room", alias])).await {
            Ok(answer) => text(&answer, "room_id").map(Some),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lets an alias stand for a room. Fine if it does already.
    pub async fn create_alias(&self, alias: &str, room_id: &str) -> Result<(), MatrixError> {
        let call = self
            .call(Method::PUT, V3, &["directory", "room", alias])
            .json(&json!({ "room_id": room_id }));
        match self.json(call).await {
            Err(error) if error.status() == Some(http::StatusCode::CONFLICT) => {
                match self.resolve_alias(alias).await? {
                    Some(room) if room == room_id => Ok(()),
                    _ => Err(error),
                }
            }
            result => result.map(drop),
        }
    }

    /// Removes an alias. Fine if there is none.
    pub async fn delete_alias(&self, alias: &str) -> Result<(), MatrixError> {
        match self.json(self.call(Method::DELETE, V3, &["directory", "room", alias])).await {
            Err(error) if error.is_not_found() => Ok(()),
            result => result.map(drop),
        }
    }

    /// Lists a room in the directory of one of the bridge's networks, or takes it out (Application Service API,
    /// "Room directory").
    pub async fn list_in_directory(
        &self,
        network: &str,
        room_id: &str,
        listed: bool,
    ) -> Result<(), MatrixError> {
        let visibility = if listed { "public" } else { "private" };
        let call =
            self.call(Method::PUT, V3, &["directory", "list", "appservice", network, room_id]);
        self.json(call.json(&json!({ "visibility": visibility }))).await.map(drop)
    }

    /// Aliases of a room on our homeserver.
    pub async fn local_aliases(&self, room_id: &str) -> Result<Vec<String>, MatrixError> {
        texts(
            &self
                .room_json(room_id, self.call(Method::GET, V3, &["rooms", room_id, "aliases"]))
                .await?,
            "aliases",
        )
    }

    /// Forgets a room we left.
    pub async fn forget(&self, room_id: &str) -> Result<(), MatrixError> {
        let call = self.call(Method::POST, V3, &["rooms", room_id, "forget"]).json(&json!({}));
        self.json(call).await.map(drop)
    }

    /// Removes everybody and the room itself, where the homeserver can (`com.beeper.room_yeeting`).
    pub async fn delete_room(&self, room_id: &str) -> Result<(), MatrixError> {
        let call =
            self.call(Method::POST, UNSTABLE, &["com.beeper.yeet", "rooms", room_id, "delete"]);
        self.json(call.json(&json!({}))).await?;
        self.matrix.forget_room(room_id).await
    }
}
