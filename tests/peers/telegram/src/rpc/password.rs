//! Passwords, as the server's side of core.telegram.org/api/srp has it.

use grammers_tl_types as tl;
use hmac::{Hmac, Mac};
use num_bigint::BigUint;
use sha2::{Digest as _, Sha256, Sha512};

use super::{Answer, Asker, refused, signing_in};
use crate::world::World;

/// The prime that Telegram uses.
const PRIME: &str = "c71caeb9c6b1c9048e6c522f70f13f73980d40238e3e21c14934d037563d930f48198a0aa7c14058229493d22530f4db \
    fa336f6e0ac925139543aed44cce7c3720fd51f69458705ac68cd4fe6b6b13abdc9746512969328454f18faf8c595f64 \
    2477fe96bb2a941d5bcd1d4ac8cc49880708fa9b378e3c4f3a9060bee67cf9a4a4a695811051907e162753b56b0f6b41 \
    0dba74d8a84b2a14b3144e0ef1284754fd17ed950d5965b4b9dd46582db1178d169c6bc465b0d6ff9ca3928fef5b9ae4 \
    e418fc15e83ebea0f87fa9ff5eed70050ded2849f47bf959d956850ce929851f0d8115f635b105ee2e4e15d04b2454bf \
    6f4fadf034b10403119cd8e3b92fcc5b";
const G: i32 = 3;
const SALT_1: &[u8] = b"first salt";
const SALT_2: &[u8] = b"second salt";
/// The server's secret of one proof: a new one for each would do no harm, but need a source of random numbers.
const B: u32 = 0x1234_5677;

fn prime() -> BigUint {
    let digits: Vec<u8> = PRIME.bytes().filter(u8::is_ascii_hexdigit).collect();
    BigUint::parse_bytes(&digits, 16).expect("hexadecimal digits")
}

fn padded(number: &BigUint) -> [u8; 256] {
    let bytes = number.to_bytes_be();
    let mut out = [0; 256];
    out[256 - bytes.len()..].copy_from_slice(&bytes);
    out
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

fn salted(data: &[u8], salt: &[u8]) -> [u8; 32] {
    hash(&[salt, data, salt])
}

/// PBKDF2 with HMAC-SHA512, 100,000 rounds, one block.
fn stretched(password: &[u8], salt: &[u8]) -> [u8; 64] {
    let keyed = |data: &[u8]| {
        let mut mac = <Hmac<Sha512> as Mac>::new_from_slice(password).expect("any length will do");
        mac.update(data);
        let mut out = [0; 64];
        out.copy_from_slice(&mac.finalize().into_bytes());
        out
    };
    let mut block = keyed(&[salt, &[0, 0, 0, 1]].concat());
    let mut out = block;
    for _ in 1..100_000 {
        block = keyed(&block);
        for (out, byte) in out.iter_mut().zip(block) {
            *out ^= byte;
        }
    }
    out
}

fn secret_of(password: &str) -> BigUint {
    let first = salted(&salted(password.as_bytes(), SALT_1), SALT_2);
    BigUint::from_bytes_be(&salted(&stretched(&first, SALT_1), SALT_2))
}

/// The verifier, and the server's public number.
fn numbers(password: &str) -> (BigUint, BigUint) {
    let (p, g) = (prime(), BigUint::from(G.unsigned_abs()));
    let verifier = g.modpow(&secret_of(password), &p);
    let multiplier = BigUint::from_bytes_be(&hash(&[&padded(&p), &padded(&g)]));
    let public = (multiplier * &verifier + g.modpow(&BigUint::from(B), &p)) % &p;
    (verifier, public)
}

pub(super) fn challenge(
    world: &mut World,
    asker: Asker,
    _: tl::functions::account::GetPassword,
) -> Answer<tl::enums::account::Password> {
    let Some(id) = world.half_way.get(&asker.key) else {
        return refused(401, "AUTH_KEY_UNREGISTERED");
    };
    let password =
        world.people.get(id).and_then(|person| person.password.clone()).unwrap_or_default();
    let (_, public) = numbers(&password);
    let algo: tl::enums::PasswordKdfAlgo =
        tl::types::PasswordKdfAlgoSha256Sha256Pbkdf2Hmacsha512iter100000Sha256ModPow {
            salt1: SALT_1.to_vec(),
            salt2: SALT_2.to_vec(),
            g: G,
            p: padded(&prime()).to_vec(),
        }
        .into();
    Ok(tl::types::account::Password {
        has_recovery: false,
        has_secure_values: false,
        has_password: true,
        current_algo: Some(algo.clone()),
        srp_b: Some(padded(&public).to_vec()),
        srp_id: Some(1),
        hint: Some("the usual".into()),
        email_unconfirmed_pattern: None,
        new_algo: algo,
        new_secure_algo: tl::enums::SecurePasswordKdfAlgo::Unknown,
        secure_random: vec![7; 256],
        pending_reset_date: None,
        login_email_pattern: None,
    }
    .into())
}

pub(super) fn check(
    world: &mut World,
    asker: Asker,
    request: tl::functions::auth::CheckPassword,
) -> Answer<tl::enums::auth::Authorization> {
    let Some(id) = world.half_way.get(&asker.key).copied() else {
        return refused(401, "AUTH_KEY_UNREGISTERED");
    };
    let tl::enums::InputCheckPasswordSrp::Srp(proof) = request.password else {
        return refused(400, "PASSWORD_HASH_INVALID");
    };
    let password =
        world.people.get(&id).and_then(|person| person.password.clone()).unwrap_or_default();
    let (verifier, public) = numbers(&password);
    let (p, g) = (prime(), BigUint::from(G.unsigned_abs()));
    let theirs = BigUint::from_bytes_be(&proof.a);
    let mix = BigUint::from_bytes_be(&hash(&[&padded(&theirs), &padded(&public)]));
    let shared = (&theirs * verifier.modpow(&mix, &p)).modpow(&BigUint::from(B), &p);
    let key = hash(&[&padded(&shared)]);
    let (of_p, of_g) = (hash(&[&padded(&p)]), hash(&[&padded(&g)]));
    let both: Vec<u8> = of_p.iter().zip(of_g).map(|(a, b)| a ^ b).collect();
    let wanted = hash(&[
        &both,
        &hash(&[SALT_1]),
        &hash(&[SALT_2]),
        &padded(&theirs),
        &padded(&public),
        &key,
    ]);
    if proof.m1 != wanted {
        return refused(400, "PASSWORD_HASH_INVALID");
    }
    world.half_way.remove(&asker.key);
    signing_in::authorised(world, asker, id)
}
