//! Sessions that other programs have made, in the text forms of Telethon and Pyrogram: whoever has one need not log in again.

use std::net::{Ipv4Addr, SocketAddrV4};

use base64::{
    Engine as _,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};

use super::session::{Kept, StoredSession};
use crate::config::Config;

/// The text is no session.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSession {
    /// It can't be read.
    #[error("that is no session string of Telethon's or Pyrogram's")]
    Unreadable,
    /// It is of Telegram's test servers, or of a data centre that doesn't exist.
    #[error("that session is not of Telegram's own servers")]
    Elsewhere,
}

/// What such a text holds.
struct Read {
    dc: i32,
    address: Option<SocketAddrV4>,
    key: Vec<u8>,
}

/// With padding or without: both programs have done both.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn read(text: &str) -> Result<Read, BadSession> {
    let text = text.trim();
    // Telethon's begin with the version of their form, which is not part of the data.
    if let Some(rest) = text.strip_prefix('1')
        && let Ok(bytes) = LENIENT.decode(rest)
        && matches!(bytes.len(), 263 | 275)
        && let [dc, address @ ..] = bytes.as_slice()
    {
        let (address, key) = address.split_at(address.len() - 256);
        // An IPv6 address is left to what Telegram tells of its data centres.
        let address = match address {
            [a, b, c, d, high, low] => {
                let port = u16::from_be_bytes([*high, *low]);
                Some(SocketAddrV4::new(Ipv4Addr::new(*a, *b, *c, *d), port))
            }
            _ => None,
        };
        return Ok(Read { dc: i32::from(*dc), address, key: key.to_vec() });
    }
    let bytes = LENIENT.decode(text).map_err(|_| BadSession::Unreadable)?;
    // Pyrogram: data centre, application, whether of the test servers, key, account, whether a bot.
    match bytes.as_slice() {
        [dc, _, _, _, _, test, rest @ ..] if bytes.len() == 271 => {
            if *test != 0 {
                return Err(BadSession::Elsewhere);
            }
            Ok(Read { dc: i32::from(*dc), address: None, key: rest[..256].to_vec() })
        }
        _ => Err(BadSession::Unreadable),
    }
}

/// Reads a session. Whether Telegram still takes it is seen when it is used.
pub fn import(config: &Config, nonce: String, text: &str) -> Result<StoredSession, BadSession> {
    let read = read(text)?;
    let mut stored = Kept::new(config, nonce).stored();
    let dc = stored.dcs.iter_mut().find(|dc| dc.id == read.dc).ok_or(BadSession::Elsewhere)?;
    dc.key = Some(STANDARD.encode(read.key));
    // Only an address that can be Telegram's: the text comes from a person, and says where to connect to.
    if let Some(address) = read.address
        && is_telegrams(*address.ip())
    {
        dc.v4 = address;
    }
    stored.home = read.dc;
    Ok(stored)
}

/// The networks of Telegram's data centres (core.telegram.org/resources/cidr.txt).
fn is_telegrams(ip: Ipv4Addr) -> bool {
    let number = ip.to_bits();
    let networks = [
        (Ipv4Addr::new(91, 108, 4, 0), 22),
        (Ipv4Addr::new(91, 108, 8, 0), 22),
        (Ipv4Addr::new(91, 108, 12, 0), 22),
        (Ipv4Addr::new(91, 108, 16, 0), 22),
        (Ipv4Addr::new(91, 108, 20, 0), 22),
        (Ipv4Addr::new(91, 108, 56, 0), 22),
        (Ipv4Addr::new(91, 105, 192, 0), 23),
        (Ipv4Addr::new(149, 154, 160, 0), 20),
        (Ipv4Addr::new(185, 76, 151, 0), 24),
    ];
    networks.iter().any(|(network, bits)| number >> (32 - bits) == network.to_bits() >> (32 - bits))
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};

    use super::*;

    fn telethon(ip: [u8; 4]) -> String {
        let mut bytes = vec![4];
        bytes.extend(ip);
        bytes.extend(443_u16.to_be_bytes());
        bytes.extend([7; 256]);
        format!("1{}", URL_SAFE.encode(bytes))
    }

    #[test]
    fn sessions_of_other_programs_are_taken() {
        let session =
            import(&Config::default(), "n".into(), &telethon([149, 154, 167, 91])).unwrap();
        let dc = session.dcs.iter().find(|dc| dc.id == 4).unwrap();
        assert_eq!((session.home, dc.v4.to_string().as_str()), (4, "149.154.167.91:443"));
        assert_eq!(dc.key, Some(STANDARD.encode([7; 256])));

        let mut bytes = vec![2, 0, 0, 0, 9, 0];
        bytes.extend([8; 256]);
        bytes.extend(5_u64.to_be_bytes());
        bytes.push(0);
        let session =
            import(&Config::default(), "n".into(), &URL_SAFE_NO_PAD.encode(&bytes)).unwrap();
        assert_eq!(session.home, 2);
        bytes[5] = 1;
        let test = import(&Config::default(), "n".into(), &URL_SAFE_NO_PAD.encode(&bytes));
        assert_eq!(test.err(), Some(BadSession::Elsewhere));
    }

    #[test]
    fn a_session_does_not_say_where_to_connect_to() {
        let session = import(&Config::default(), "n".into(), &telethon([10, 0, 0, 1])).unwrap();
        let dc = session.dcs.iter().find(|dc| dc.id == 4).unwrap();
        assert!(is_telegrams(*dc.v4.ip()), "{}", dc.v4);
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in ["", "1", "hello", "1AAAA", &"A".repeat(361), "\u{1f600}"] {
            assert!(import(&Config::default(), "n".into(), bad).is_err(), "{bad}");
        }
    }
}
