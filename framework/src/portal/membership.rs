//! Who is in a room is changed on Matrix as it was on the network.

use serde_json::{Value, json};

use super::envelope::MemberOp;
use crate::{
    engine::{Engine, Failure},
    keys::CONTENT_KEY,
    matrix::{Intent, MatrixError},
};

/// The type of what says who is in a room.
const MEMBER: &str = "m.room.member";

/// A change of somebody's membership.
pub(super) struct Change<'a> {
    pub(super) room: &'a str,
    pub(super) action: MemberOp,
    /// Whose membership; the actor's own without one.
    pub(super) user: Option<&'a str>,
    pub(super) reason: Option<&'a str>,
    /// The key of what changes it.
    pub(super) key: &'a str,
}

impl Engine {
    /// Changes a membership; gives the event that says so, where it must be known.
    pub(super) async fn change_membership(
        &self,
        intent: &Intent,
        change: &Change<'_>,
    ) -> Result<Option<String>, Failure> {
        let Change { room, action, user, reason, .. } = *change;
        let own = user.is_none_or(|user| user == intent.user_id());
        let target = user.unwrap_or_else(|| intent.user_id());
        if action != MemberOp::Join && !self.is_ours(intent.user_id()) {
            return Ok(self.change_under_key(intent, change, target).await?);
        }
        match (action, own) {
            (MemberOp::Join, _) => intent.ensure_joined(room).await?,
            (MemberOp::Leave, true) => intent.leave(room, reason).await?,
            (MemberOp::Leave | MemberOp::Kick, _) => {
                let done = intent.kick(room, target, reason).await;
                self.unless_so(intent, change, target, done).await?;
            }
            (MemberOp::Invite, _) => {
                let done = intent.invite(room, target, reason).await;
                self.unless_so(intent, change, target, done).await?;
            }
            (MemberOp::Ban, _) => intent.ban(room, target, reason).await?,
            (MemberOp::Unban, _) => {
                let done = intent.unban(room, target, reason).await;
                self.unless_so(intent, change, target, done).await?;
            }
        }
        Ok(None)
    }

    /// What a person's own account does comes back as theirs. So that it is not done on the network again, perhaps after it was taken
    /// back there, it is sent as the event that it is, which has room for the key by which the bridge knows what it did.
    async fn change_under_key(
        &self,
        intent: &Intent,
        change: &Change<'_>,
        target: &str,
    ) -> Result<Option<String>, MatrixError> {
        let membership = match change.action {
            MemberOp::Join => "join",
            MemberOp::Leave | MemberOp::Kick | MemberOp::Unban => "leave",
            MemberOp::Invite => "invite",
            MemberOp::Ban => "ban",
        };
        if self.is_so(change, target).await? {
            return Ok(None);
        }
        let mut content = json!({ "membership": membership });
        content[CONTENT_KEY] = change.key.into();
        if let Some(reason) = change.reason {
            content["reason"] = reason.into();
        }
        if membership != "invite" {
            // Forgotten first: a crash in between only costs one more request.
            self.matrix.note_membership(change.room, target, false).await?;
        }
        let done = intent.state(change.room, MEMBER, target, &content, None).await;
        self.unless_so(intent, change, target, done).await
    }

    /// A refusal that means that the room doesn't allow it to whoever did it stands: the bot does it for them. Any other comes to nothing.
    async fn unless_so<T>(
        &self,
        intent: &Intent,
        change: &Change<'_>,
        target: &str,
        done: Result<T, MatrixError>,
    ) -> Result<Option<T>, MatrixError> {
        match done {
            Err(error)
                if error.is_forbidden()
                    && !intent.is_bot()
                    && !self.is_so(change, target).await? =>
            {
                Err(error)
            }
            done => tolerate(done),
        }
    }

    /// Whether somebody's membership is as it is to become. Whoever is shut out is out of the room, too, and stays so.
    async fn is_so(&self, change: &Change<'_>, target: &str) -> Result<bool, MatrixError> {
        let known = self.matrix.bot().get_state(change.room, MEMBER, target).await;
        let known = tolerate(known)?.flatten().unwrap_or_default();
        let known = known.get("membership").and_then(Value::as_str);
        Ok(match change.action {
            MemberOp::Join => known == Some("join"),
            MemberOp::Leave | MemberOp::Kick => matches!(known, None | Some("leave" | "ban")),
            MemberOp::Invite => matches!(known, Some("invite" | "join")),
            MemberOp::Ban => known == Some("ban"),
            MemberOp::Unban => known != Some("ban"),
        })
    }
}

/// A change of membership that is refused because it is so already, or because there is nobody to change, comes to nothing.
fn tolerate<T>(result: Result<T, MatrixError>) -> Result<Option<T>, MatrixError> {
    match result {
        Err(error)
            if error.is_forbidden()
                || error.is_not_found()
                || error.errcode() == Some("M_BAD_STATE") =>
        {
            tracing::debug!(%error, "a change of membership was refused");
            Ok(None)
        }
        result => result.map(Some),
    }
}
