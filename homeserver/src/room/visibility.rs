//! Who may read which event: the rules of
//! [history visibility](https://spec.matrix.org/v1.19/client-server-api/#room-history-visibility), without any I/O.
//!
//! What the state was at an event is looked up by the callers; most events need no look-up at all, because their reader has been in
//! the room since before them.

use super::Membership;

/// `m.room.history_visibility`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum HistoryVisibility {
    /// Anyone may read, members or not.
    WorldReadable,
    /// Whoever is or becomes a member may read all, the past included. Also what unknown values and rooms without any mean.
    #[default]
    Shared,
    /// Members may read from their invitation on.
    Invited,
    /// Members may read from their joining on.
    Joined,
}

impl HistoryVisibility {
    /// From the value in the event's content.
    pub fn parse(value: Option<&str>) -> Self {
        match value {
            Some("world_readable") => Self::WorldReadable,
            Some("invited") => Self::Invited,
            Some("joined") => Self::Joined,
            _ => Self::Shared,
        }
    }

    /// From the event's whole content.
    pub fn of_content(content: &str) -> Self {
        #[derive(serde::Deserialize)]
        struct Content<'a> {
            #[serde(borrow)]
            history_visibility: Option<std::borrow::Cow<'a, str>>,
        }
        let content: Option<Content<'_>> = serde_json::from_str(content).ok();
        Self::parse(content.and_then(|content| content.history_visibility).as_deref())
    }
}

/// What matters of the room's state on one side of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Side {
    /// The room's visibility there.
    pub visibility: HistoryVisibility,
    /// The reader's membership there; [`Membership::Leave`] for whoever never came.
    pub membership: Membership,
}

/// What an event itself may change of a [`Side`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moves {
    /// Neither: a message, or any other state.
    Nothing,
    /// It is the room's `m.room.history_visibility`.
    Visibility,
    /// It is the reader's own `m.room.member`.
    Membership,
}

/// Whether the reader may see the event. `before` and `after` are the state on both sides of it, `joined_later` whether the reader
/// joined at some time after it.
pub fn may_see(moves: Moves, before: Side, after: Side, joined_later: bool) -> bool {
    let sides = match moves {
        Moves::Nothing => [before, before],
        Moves::Visibility => [before, Side { visibility: after.visibility, ..before }],
        Moves::Membership => [before, Side { membership: after.membership, ..before }],
    };
    sides.iter().any(|side| match (side.visibility, side.membership) {
        (HistoryVisibility::WorldReadable, _)
        | (_, Membership::Join)
        | (HistoryVisibility::Invited, Membership::Invite) => true,
        (HistoryVisibility::Shared, _) => joined_later,
        (HistoryVisibility::Invited | HistoryVisibility::Joined, _) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::HistoryVisibility::{Invited, Joined, Shared, WorldReadable};
    use super::*;

    fn side(visibility: HistoryVisibility, membership: Membership) -> Side {
        Side { visibility, membership }
    }

    #[test]
    fn the_five_rules() {
        let plain = |visibility, membership, later| {
            let s = side(visibility, membership);
            may_see(Moves::Nothing, s, s, later)
        };
        for membership in [
            Membership::Join,
            Membership::Invite,
            Membership::Knock,
            Membership::Leave,
            Membership::Ban,
        ] {
            assert!(plain(WorldReadable, membership, false));
            assert_eq!(plain(Joined, membership, true), membership == Membership::Join);
            assert_eq!(
                plain(Invited, membership, true),
                matches!(membership, Membership::Join | Membership::Invite)
            );
            assert!(plain(Shared, membership, true));
            assert_eq!(plain(Shared, membership, false), membership == Membership::Join);
        }
    }

    #[test]
    fn ones_own_joining_and_leaving_are_seen() {
        let (out, within) = (side(Joined, Membership::Leave), side(Joined, Membership::Join));
        assert!(may_see(Moves::Membership, out, within, false));
        assert!(may_see(Moves::Membership, within, out, false));
        assert!(!may_see(Moves::Nothing, out, out, false));
        // A rejected invitation to a room whose history is for members only.
        assert!(may_see(
            Moves::Membership,
            side(Invited, Membership::Invite),
            side(Invited, Membership::Leave),
            false
        ));
    }

    #[test]
    fn a_change_of_visibility_is_seen_from_either_side() {
        let stranger = |visibility| side(visibility, Membership::Leave);
        assert!(may_see(Moves::Visibility, stranger(WorldReadable), stranger(Joined), false));
        assert!(may_see(Moves::Visibility, stranger(Joined), stranger(WorldReadable), false));
        assert!(!may_see(Moves::Nothing, stranger(Joined), stranger(WorldReadable), false));
    }

    #[test]
    fn unknown_values_mean_shared() {
        assert_eq!(HistoryVisibility::of_content(r#"{"history_visibility":"secret"}"#), Shared);
        assert_eq!(HistoryVisibility::of_content("{}"), Shared);
        assert_eq!(HistoryVisibility::of_content(r#"{"history_visibility":5}"#), Shared);
        assert_eq!(
            HistoryVisibility::of_content(r#"{"history_visibility":"world_readable"}"#),
            WorldReadable
        );
    }
}
