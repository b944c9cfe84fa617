//! What a client needs to name a room that has no name.

use ruma::UserId;

use crate::nid::EventNid;
use crate::room::{Membership, StateMap};
use crate::sync::json::Writer;

/// Users that a room is named after at most.
const HEROES: usize = 5;

/// A room's members in short.
#[derive(Debug)]
pub(super) struct Summary {
    /// Whom the room is named after; none when it has a name or an alias of its own.
    pub(super) heroes: Option<Vec<String>>,
    joined: u32,
    invited: u32,
}

impl Summary {
    pub(super) fn of(state: &StateMap, user: &UserId) -> Self {
        let named = ["m.room.name", "m.room.canonical_alias"]
            .iter()
            .any(|kind| state.nid(kind, "").is_some());
        Self {
            heroes: (!named).then(|| heroes(state, user)),
            joined: state.count(Membership::Join),
            invited: state.count(Membership::Invite),
        }
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.open_at("summary");
        if let Some(heroes) = &self.heroes {
            out.open_list_at("m.heroes");
            for user in heroes {
                out.text(user);
            }
            out.close_list();
        }
        out.key("m.joined_member_count");
        out.int(self.joined.into());
        out.key("m.invited_member_count");
        out.int(self.invited.into());
        out.close();
    }
}

/// The first members but the user himself; where there are none, those who left.
pub(in crate::sync) fn heroes(state: &StateMap, user: &UserId) -> Vec<String> {
    let of = |present: bool| -> Vec<String> {
        // The lowest numbers, kept sorted: a large room is walked once, without a list of all its members.
        let mut first: Vec<(EventNid, &str)> = Vec::with_capacity(HEROES + 1);
        for (member, entry) in state.members() {
            let is_present =
                matches!(entry.membership, Some(Membership::Join | Membership::Invite));
            if is_present != present
                || member == user.as_str()
                || entry.membership == Some(Membership::Knock)
            {
                continue;
            }
            if first.len() == HEROES && first.last().is_some_and(|(last, _)| *last < entry.nid) {
                continue;
            }
            let at = first.partition_point(|(nid, _)| *nid < entry.nid);
            first.insert(at, (entry.nid, member));
            first.truncate(HEROES);
        }
        first.into_iter().map(|(_, member)| member.to_owned()).collect()
    };
    let there = of(true);
    if there.is_empty() { of(false) } else { there }
}
