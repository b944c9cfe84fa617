//! Packets as the server sees them. grammers' cipher is a client's; with the key turned by eight bytes it is a server's, since the two
//! sides differ in nothing but where in the key they begin (x = 0 and x = 8, core.telegram.org/mtproto/description).

use grammers_crypto::{AuthKey, DequeBuffer, decrypt_data_v2, encrypt_data_v2};
use grammers_mtproto::transport::{Full, Transport as _};

use crate::keys;

/// A message of a client.
pub(crate) struct Incoming {
    pub(crate) session: i64,
    pub(crate) msg_id: i64,
    pub(crate) body: Vec<u8>,
}

/// Decrypts what a client sent: the messages in it.
pub(crate) fn decrypt(packet: &[u8], key: &[u8; 256]) -> Option<Vec<Incoming>> {
    let mut turned = [0; 256];
    turned[8..].copy_from_slice(&key[..248]);
    let mut packet = packet.to_vec();
    packet.get_mut(..8)?.copy_from_slice(&keys::id(&turned));
    let plain = decrypt_data_v2(&mut packet, &AuthKey::from_bytes(turned)).ok()?;
    let session = i64::from_le_bytes(plain.get(8..16)?.try_into().ok()?);
    let mut messages = Vec::new();
    messages_of(plain.get(16..)?, session, &mut messages)?;
    Some(messages)
}

const CONTAINER: u32 = 0x73f1_f8dc;
const GZIP: u32 = 0x3072_cfa1;

/// One message with its header, or a container of several.
fn messages_of(bytes: &[u8], session: i64, out: &mut Vec<Incoming>) -> Option<usize> {
    let msg_id = i64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    let length = usize::try_from(i32::from_le_bytes(bytes.get(12..16)?.try_into().ok()?)).ok()?;
    let body = bytes.get(16..16 + length)?;
    if constructor(body) == Some(CONTAINER) {
        let count = i32::from_le_bytes(body.get(4..8)?.try_into().ok()?);
        let mut at = 8;
        for _ in 0..count {
            at += messages_of(body.get(at..)?, session, out)?;
        }
    } else {
        out.push(Incoming { session, msg_id, body: unzipped(body)? });
    }
    Some(16 + length)
}

pub(crate) fn constructor(body: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(body.get(..4)?.try_into().ok()?))
}

/// A body that was compressed, as it was before.
pub(crate) fn unzipped(body: &[u8]) -> Option<Vec<u8>> {
    use std::io::Read as _;
    if constructor(body) != Some(GZIP) {
        return Some(body.to_vec());
    }
    let packed = <Vec<u8> as grammers_tl_types::Deserializable>::from_bytes(body.get(4..)?).ok()?;
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut out).ok()?;
    Some(out)
}

/// What the server sends to one session of a connection.
pub(crate) struct Outgoing {
    transport: Full,
    key: [u8; 256],
    last_id: i64,
    sequence: i32,
}

impl Outgoing {
    pub(crate) fn new(key: [u8; 256]) -> Self {
        Self { transport: Full::new(), key, last_id: 0, sequence: 0 }
    }

    /// A packet with one message.
    pub(crate) fn pack(&mut self, session: i64, body: &[u8]) -> Vec<u8> {
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let id = ((now.as_secs() as i64) << 32 | i64::from(now.subsec_nanos()) << 2 & !3) | 1;
        self.last_id = id.max(self.last_id + 4);
        self.sequence += 2;
        let mut buffer = DequeBuffer::with_capacity(body.len() + 128, 64);
        // Any salt will do: the client has asked for none.
        buffer.extend(0_i64.to_le_bytes());
        buffer.extend(session.to_le_bytes());
        buffer.extend(self.last_id.to_le_bytes());
        buffer.extend((self.sequence - 1).to_le_bytes());
        buffer.extend((body.len() as i32).to_le_bytes());
        buffer.extend(body.iter().copied());
        let mut turned = [0; 256];
        turned[..248].copy_from_slice(&self.key[8..]);
        encrypt_data_v2(&mut buffer, &AuthKey::from_bytes(turned));
        buffer[..8].copy_from_slice(&keys::id(&self.key));
        self.transport.pack(&mut buffer);
        buffer[..].to_vec()
    }
}
