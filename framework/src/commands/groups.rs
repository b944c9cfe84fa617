//! Beginning groups on the network.

use std::fmt::Write as _;

use super::{Context, MANAGEMENT, Outcome};
use crate::control::{ControlError, GroupKind, GroupWanted};

pub(super) async fn create(c: Context<'_>) -> Outcome {
    let kinds = c.inner.control.group_kinds();
    if kinds.is_empty() {
        return Err(ControlError::Unsupported(
            "This network has no groups to begin from here.".into(),
        ));
    }
    let own = c.inner.kv.get(&format!("{MANAGEMENT}{}", c.room_id)).await;
    if own.map_err(|error| ControlError::Failed(error.to_string()))?.is_some() {
        return Err(ControlError::Denied(
            "This room is where you talk to me. Make one for the group, invite me and whom you want in it, and say it there."
                .into(),
        ));
    }
    let named = c.args.first().and_then(|word| kinds.iter().find(|kind| kind.id == *word));
    let (kind, people) = match (named, &kinds[..]) {
        (Some(kind), _) => (kind, &c.args[1..]),
        (None, [only]) => (only, &c.args[..]),
        (None, _) => return Ok(which(&kinds)),
    };
    let mut members = Vec::new();
    for word in people {
        let found = c.inner.control.resolve(c.user, None, word).await?;
        let found = found.ok_or_else(|| {
            ControlError::NotFound(format!("There is nobody called `{word}`; nothing was made."))
        })?;
        members.push(found.id);
    }
    let wanted = GroupWanted {
        kind: kind.id.to_owned(),
        members,
        room: Some(c.room_id.to_owned()),
        asked: Some((c.room_id.to_owned(), c.event_id.to_owned())),
        ..GroupWanted::default()
    };
    let made = c.inner.control.create_group(c.user, None, wanted).await?;
    let mut text = if made.room_id == c.room_id {
        format!("This room is now bridged to the new {} `{}`.", kind.title, made.id)
    } else {
        format!("It is made; its room is https://matrix.to/#/{}", made.room_id)
    };
    for (id, why) in &made.failed {
        let _ = write!(text, "\n- `{id}` is not in it: {why}");
    }
    Ok(text)
}

fn which(kinds: &[GroupKind]) -> String {
    let mut text = String::from("Which? Say `create-group` and one of these:\n");
    for kind in kinds {
        let _ = writeln!(text, "- `{}`: {}", kind.id, kind.title);
    }
    text.trim_end().to_owned()
}
