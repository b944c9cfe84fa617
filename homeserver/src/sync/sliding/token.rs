//! The `pos` of sliding sync: a sync token, and which state of the connection belongs to it.

use std::fmt;
use std::str::FromStr;

use crate::sync::token::{SyncToken, TokenError};

/// The form that is written today.
const MARK: &str = "l1_";

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The number of the connection's state.
    pub number: i64,
    /// The place in the streams.
    pub at: SyncToken,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MARK}{:x}_{}", self.number, self.at)
    }
}

impl FromStr for Position {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let rest = text.strip_prefix(MARK).ok_or(TokenError::Malformed)?;
        let (number, at) = rest.split_once('_').ok_or(TokenError::Malformed)?;
        // `from_str_radix` takes signs.
        if !number.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(TokenError::Malformed);
        }
        let number = i64::from_str_radix(number, 16).map_err(|_| TokenError::Malformed)?;
        Ok(Self { number, at: at.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn positions_survive_the_trip(number in 0..i64::MAX, pos in 0..i64::MAX, boot: u64, ephemeral in 0..i64::MAX) {
            let at = SyncToken { generation: 3, pos, boot, ephemeral, to_device: pos, sticky: pos };
            let position = Position { number, at };
            prop_assert_eq!(position.to_string().parse::<Position>(), Ok(position));
        }

        #[test]
        fn anything_else_is_refused_without_a_panic(text in "(l1_)?.{0,60}") {
            let _ = text.parse::<Position>();
        }
    }

    #[test]
    fn damaged_positions_are_refused() {
        for text in [
            "",
            "l1_",
            "l1_5",
            "l1__s1_1_2_3_4",
            "l1_-5_s1_1_2_3_4",
            "l1_+5_s1_1_2_3_4",
            "s1_1_2_3_4",
        ] {
            assert_eq!(text.parse::<Position>(), Err(TokenError::Malformed), "{text}");
        }
    }
}
