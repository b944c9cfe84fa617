//! Encryption of web push messages ([RFC 8291](https://www.rfc-editor.org/rfc/rfc8291)), in the content coding `aes128gcm`
//! ([RFC 8188](https://www.rfc-editor.org/rfc/rfc8188)). Made of the primitives of `ring`, which TLS brings along; the crates for it
//! bring OpenSSL or a second generation of everything.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::error::Unspecified;
use ring::rand::SystemRandom;
use ring::{aead, agreement, hkdf};

/// The size of a record. Push services take messages of 4,096 bytes at least, and a message is one record.
const RECORD: usize = 4096;
const PUBLIC: usize = 65;
const SALT: usize = 16;
/// Salt, size of records, length of the key's name, the key.
const HEADER: usize = SALT + 4 + 1 + PUBLIC;
/// The most bytes that a message may have.
pub(crate) const MAX_BYTES: usize = RECORD - HEADER - 16 - 1;

/// Who can decrypt: the public key and the secret of a user agent.
#[derive(Clone)]
pub(crate) struct Recipient {
    public: [u8; PUBLIC],
    auth: [u8; 16],
}

impl Recipient {
    /// From the keys as clients give them; `None` if they are none.
    pub(crate) fn parse(public: &str, auth: &str) -> Option<Self> {
        let read = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).ok();
        let (public, auth) = (read(public)?.try_into().ok()?, read(auth)?.try_into().ok()?);
        let recipient = Self { public, auth };
        // Whether the key is a point of the curve shows when it is used.
        recipient.encrypt(b"").ok()?;
        Some(recipient)
    }

    /// Encrypts a message of at most [`MAX_BYTES`].
    pub(crate) fn encrypt(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let random = SystemRandom::new();
        let own = agreement::EphemeralPrivateKey::generate(&agreement::ECDH_P256, &random)?;
        let sender = own.compute_public_key()?;
        let peer = agreement::UnparsedPublicKey::new(&agreement::ECDH_P256, self.public);
        let salt: [u8; SALT] = rand::random();
        agreement::agree_ephemeral(own, &peer, |shared| {
            self.seal(shared, sender.as_ref(), &salt, message)
        })?
    }

    fn seal(
        &self,
        shared: &[u8],
        sender: &[u8],
        salt: &[u8; SALT],
        message: &[u8],
    ) -> Result<Vec<u8>, Unspecified> {
        if message.len() > MAX_BYTES {
            return Err(Unspecified);
        }
        let mut input = [0; 32];
        let info: [&[u8]; 3] = [b"WebPush: info\0", &self.public, sender];
        derive(&self.auth, shared, &info, &mut input)?;
        let (mut key, mut nonce) = ([0; 16], [0; aead::NONCE_LEN]);
        derive(salt, &input, &[b"Content-Encoding: aes128gcm\0"], &mut key)?;
        derive(salt, &input, &[b"Content-Encoding: nonce\0"], &mut nonce)?;

        let mut record = Vec::with_capacity(message.len() + 1 + 16);
        record.extend_from_slice(message);
        // The mark of the last record; there is no padding.
        record.push(2);
        let key = aead::LessSafeKey::new(aead::UnboundKey::new(&aead::AES_128_GCM, &key)?);
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        key.seal_in_place_append_tag(nonce, aead::Aad::empty(), &mut record)?;

        let mut out = Vec::with_capacity(HEADER + record.len());
        out.extend_from_slice(salt);
        out.extend_from_slice(&(RECORD as u32).to_be_bytes());
        out.push(PUBLIC as u8);
        out.extend_from_slice(sender);
        out.extend_from_slice(&record);
        Ok(out)
    }
}

impl std::fmt::Debug for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recipient").finish_non_exhaustive()
    }
}

/// HKDF with SHA-256.
fn derive(salt: &[u8], input: &[u8], info: &[&[u8]], out: &mut [u8]) -> Result<(), Unspecified> {
    struct Length(usize);
    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(input);
    secret.expand(info, Length(out.len()))?.fill(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    const PUBLIC_KEY: &str =
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
    const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";

    /// The example of RFC 8291, section 5 and appendix A.
    #[test]
    fn the_example_of_the_rfc() {
        let recipient = Recipient::parse(PUBLIC_KEY, AUTH).unwrap();
        let shared = bytes("kyrL1jIIOHEzg3sM2ZWRHDRB62YACZhhSlknJ672kSs");
        let sender = bytes(
            "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8",
        );
        let salt = bytes("DGv6ra1nlYgDCS1FRnbzlw").try_into().unwrap();
        let message = b"When I grow up, I want to be a watermelon";
        let sealed = recipient.seal(&shared, &sender, &salt, message).unwrap();
        let expected = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8w\
                        EqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN";
        assert_eq!(BASE64_URL_SAFE_NO_PAD.encode(sealed), expected);
    }

    #[test]
    fn no_two_messages_look_alike_and_none_is_too_long() {
        let recipient = Recipient::parse(PUBLIC_KEY, AUTH).unwrap();
        assert_ne!(recipient.encrypt(b"x").unwrap(), recipient.encrypt(b"x").unwrap());
        assert_eq!(recipient.encrypt(&[b'x'; MAX_BYTES]).unwrap().len(), RECORD);
        assert!(recipient.encrypt(&[b'x'; MAX_BYTES + 1]).is_err());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let mut off_the_curve = bytes(PUBLIC_KEY);
        off_the_curve[64] ^= 1;
        for (public, auth) in [
            ("", AUTH),
            (PUBLIC_KEY, ""),
            (PUBLIC_KEY, PUBLIC_KEY),
            (&PUBLIC_KEY[..86], AUTH),
            (&format!("{PUBLIC_KEY}="), AUTH),
            (&BASE64_URL_SAFE_NO_PAD.encode(off_the_curve), AUTH),
            (&BASE64_URL_SAFE_NO_PAD.encode([0; 65]), AUTH),
        ] {
            assert!(Recipient::parse(public, auth).is_none(), "{public} {auth}");
        }
    }
}
