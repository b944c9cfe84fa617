//! Who is in a room is changed on Matrix as it was on the network.

use serde_json::json;

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
                tolerate(intent.kick(room, target, reason).await)?;
            }
            (MemberOp::Invite, _) => {
                tolerate(intent.invite(room, target, reason).await)?;
            }
            (MemberOp::Ban, _) => intent.ban(room, target, reason).await?,
            (MemberOp::Unban, _) => {
                tolerate(intent.unban(room, target, reason).await)?;
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
        let known = tolerate(intent.get_state(change.room, MEMBER, target).await)?.flatten();
        let known = known.as_ref().and_then(|known| known.get("membership")?.as_str());
        // Who is shut out is out: put out once more they could come back.
        let is_out = known == Some("ban") && change.action != MemberOp::Unban;
        if known == Some(membership) || membership == "leave" && is_out {
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
        tolerate(intent.state(change.room, MEMBER, target, &content, None).await)
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
