//! Tokens of `/sync` and of pagination, and how one becomes the other.
//!
//! A sync token is a place in two streams: the durable one (everything committed) and the ephemeral one (typing, presence), which
//! starts anew with each boot. It also names the generation of the database: after a restore the same positions mean other
//! events, so a token of another generation starts the client over instead of skipping what it never saw.

use std::fmt;
use std::str::FromStr;

/// The form that is written today. Another first byte is another form.
const SYNC_MARK: &str = "s1";
/// The form of pagination tokens.
const PAGE_MARK: &str = "p1";
/// How many bits of a timeline place lie below the stream position: room for what is inserted between two live events.
pub const ORD_BITS: u32 = 20;

/// What makes a token unusable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It was not made by this server, or was damaged on the way.
    #[error("the token is not one of this server's")]
    Malformed,
}

/// The place in the streams up to which, inclusively, a client has been told everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SyncToken {
    /// Generation of the database that gave the positions; a restore raises it.
    pub generation: i64,
    /// Last durable stream position that the client has.
    pub pos: i64,
    /// Which run of the server counted `ephemeral`.
    pub boot: u64,
    /// Last ephemeral stream position that the client has.
    pub ephemeral: i64,
    /// Up to which position the client has the messages to its device: less than `pos` while there are more than one answer
    /// holds.
    pub to_device: i64,
    /// Up to which position the client has sticky events, likewise.
    pub sticky: i64,
}

impl SyncToken {
    /// The boundary in a room's timeline that the token stands for: live events after the token lie at or above it.
    pub fn boundary(self) -> i64 {
        self.pos.saturating_add(1).saturating_mul(1 << ORD_BITS)
    }
}

impl fmt::Display for SyncToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { generation, pos, boot, ephemeral, to_device, sticky } = self;
        write!(f, "{SYNC_MARK}_{generation}_{pos}_{boot:x}_{ephemeral}")?;
        if to_device < pos || sticky < pos {
            write!(f, "_{to_device}")?;
        }
        if sticky < pos {
            write!(f, "_{sticky}")?;
        }
        Ok(())
    }
}

impl FromStr for SyncToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let mut parts = text.split('_');
        if parts.next() != Some(SYNC_MARK) {
            return Err(TokenError::Malformed);
        }
        let generation = number(parts.next())?;
        let pos = number(parts.next())?;
        let (boot, ephemeral) = (hex(parts.next())?, number(parts.next())?);
        let to_device = parts.next().map(|part| number(Some(part))).transpose()?;
        let sticky = parts.next().map(|part| number(Some(part))).transpose()?;
        if parts.next().is_some() || pos < 0 || ephemeral < 0 {
            return Err(TokenError::Malformed);
        }
        // What is said that need not be said would be another spelling of the same token.
        let most = if sticky.is_some() { pos } else { pos - 1 };
        if to_device.is_some_and(|behind| !(0..=most).contains(&behind))
            || sticky.is_some_and(|behind| !(0..pos).contains(&behind))
        {
            return Err(TokenError::Malformed);
        }
        let (to_device, sticky) = (to_device.unwrap_or(pos), sticky.unwrap_or(pos));
        Ok(SyncToken { generation, pos, boot, ephemeral, to_device, sticky })
    }
}

/// A boundary between two places of a room's timeline. Backwards gives what lies below it, forwards what lies at or above it, so
/// that pages which share a boundary neither skip nor repeat, whatever is inserted elsewhere meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PageToken(pub i64);

impl fmt::Display for PageToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PAGE_MARK}_{}", self.0)
    }
}

impl FromStr for PageToken {
    type Err = TokenError;

    /// Takes a pagination token, or a sync token in its place, as the specification lets clients mix them.
    fn from_str(text: &str) -> Result<Self, TokenError> {
        if let Ok(sync) = text.parse::<SyncToken>() {
            return Ok(PageToken(sync.boundary()));
        }
        let mut parts = text.split('_');
        if parts.next() != Some(PAGE_MARK) {
            return Err(TokenError::Malformed);
        }
        let place = number(parts.next())?;
        if parts.next().is_some() {
            return Err(TokenError::Malformed);
        }
        Ok(PageToken(place))
    }
}

fn number(part: Option<&str>) -> Result<i64, TokenError> {
    let text = part.ok_or(TokenError::Malformed)?;
    // `parse` takes a plus sign; two spellings of one token would be two keys in caches.
    if text.starts_with('+') {
        return Err(TokenError::Malformed);
    }
    text.parse().map_err(|_| TokenError::Malformed)
}

fn hex(part: Option<&str>) -> Result<u64, TokenError> {
    let text = part.ok_or(TokenError::Malformed)?;
    if text.starts_with('+') {
        return Err(TokenError::Malformed);
    }
    u64::from_str_radix(text, 16).map_err(|_| TokenError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sync_tokens_survive_the_trip(generation in 0..i64::MAX, pos in 0..i64::MAX, boot: u64, ephemeral in 0..i64::MAX, behind in 0..3_i64, sticky in 0..3_i64) {
            let [to_device, sticky] = [behind, sticky].map(|behind| (pos - behind).max(0));
            let token = SyncToken { generation, pos, boot, ephemeral, to_device, sticky };
            prop_assert_eq!(token.to_string().parse::<SyncToken>(), Ok(token));
        }

        #[test]
        fn page_tokens_survive_the_trip(place: i64) {
            prop_assert_eq!(PageToken(place).to_string().parse::<PageToken>(), Ok(PageToken(place)));
        }

        #[test]
        fn anything_else_is_refused_without_a_panic(text in ".{0,60}") {
            if let Ok(token) = text.parse::<SyncToken>() {
                prop_assert_eq!(token.to_string(), text.clone());
            }
            let _ = text.parse::<PageToken>();
        }
    }

    #[test]
    fn a_sync_token_pages_from_between_what_was_and_what_came() {
        let token =
            SyncToken { generation: 1, pos: 7, boot: 9, ephemeral: 0, to_device: 7, sticky: 7 };
        let PageToken(boundary) = token.to_string().parse().expect("a sync token is a page token");
        assert!(7 << ORD_BITS < boundary, "the event at the token itself is behind");
        assert!(8 << ORD_BITS >= boundary, "the next one is ahead");
    }

    #[test]
    fn damaged_tokens_are_refused() {
        for text in [
            "",
            "s1",
            "s1_1_2_3",
            "s1_1_2_3_4_2",
            "s1_1_2_3_4_-1",
            "s1_1_2_3_4_1_2",
            "s1_1_2_3_4_3_1",
            "s1_1_2_3_4_1_-1",
            "s1_1_2_3_4_1_1_1",
            "s1_1_-2_3_4",
            "s2_1_2_3_4",
            "s1_1_2_zz_4",
            "s1_+1_2_3_4",
            "p1_",
            "p1_1_2",
            "t1_4",
        ] {
            assert_eq!(text.parse::<SyncToken>(), Err(TokenError::Malformed), "{text}");
            assert_eq!(text.parse::<PageToken>(), Err(TokenError::Malformed), "{text}");
        }
    }
}
