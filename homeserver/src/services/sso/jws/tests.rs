//! Tokens with good and bad signatures.

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::json;

use super::*;

/// The key and the token of RFC 7515, appendix A.2.
const RSA_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
const RSA_TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

fn keys(keys: &Value) -> Keys {
    serde_json::from_value(json!({ "keys": keys })).unwrap()
}

fn token(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = BASE64_URL_SAFE_NO_PAD.encode(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

fn edwards() -> (Ed25519KeyPair, Value) {
    let random = SystemRandom::new();
    let pair =
        Ed25519KeyPair::from_pkcs8(Ed25519KeyPair::generate_pkcs8(&random).unwrap().as_ref())
            .unwrap();
    let x = BASE64_URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    (pair, json!({ "kty": "OKP", "crv": "Ed25519", "kid": "a", "x": x }))
}

#[test]
fn the_example_of_the_rfc_is_taken_and_no_change_to_it() {
    let rsa = json!({ "kty": "RSA", "n": RSA_N, "e": "AQAB" });
    assert_eq!(keys(&json!([rsa])).open(RSA_TOKEN).unwrap()["iss"], "joe");
    let changed = RSA_TOKEN.replacen("eyJpc3Mi", "eyJpc3Nj", 1);
    assert_eq!(keys(&json!([rsa])).open(&changed), Err(BadToken::Signature));
    let encrypts = json!({ "kty": "RSA", "n": RSA_N, "e": "AQAB", "use": "enc" });
    assert_eq!(keys(&json!([encrypts])).open(RSA_TOKEN), Err(BadToken::Signature));
    let other = json!({ "kty": "RSA", "n": RSA_N, "e": "AQAB", "alg": "PS256" });
    assert_eq!(keys(&json!([other])).open(RSA_TOKEN), Err(BadToken::Signature));
    assert_eq!(Keys::default().open(RSA_TOKEN), Err(BadToken::Signature));
}

#[test]
fn curves_sign_too() {
    let (pair, key) = edwards();
    let sign = |message: &[u8]| pair.sign(message).as_ref().to_vec();
    let good = token(&json!({ "alg": "EdDSA", "kid": "a" }), &json!({ "sub": "x" }), sign);
    let strange = json!({ "kty": "QUANTUM" });
    assert_eq!(keys(&json!([strange, 7, key])).open(&good).unwrap()["sub"], "x");
    let unknown = token(&json!({ "alg": "EdDSA", "kid": "b" }), &json!({}), sign);
    assert_eq!(keys(&json!([key])).open(&unknown), Err(BadToken::Signature));

    let random = SystemRandom::new();
    let way = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(way, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(way, pkcs8.as_ref(), &random).unwrap();
    let point = pair.public_key().as_ref();
    let (x, y) = point[1..].split_at(32);
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let key = json!({ "kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y) });
    let sign = |message: &[u8]| pair.sign(&random, message).unwrap().as_ref().to_vec();
    let good = token(&json!({ "alg": "ES256" }), &json!({ "sub": "y" }), sign);
    assert_eq!(keys(&json!([key])).open(&good).unwrap()["sub"], "y");
    let wrong = token(&json!({ "alg": "ES384" }), &json!({}), sign);
    assert_eq!(keys(&json!([key])).open(&wrong), Err(BadToken::Signature));
}

#[test]
fn unsigned_and_secretly_signed_tokens_are_refused() {
    let (pair, key) = edwards();
    let keys = keys(&json!([key]));
    for algorithm in ["none", "None", "HS256", "RS1"] {
        let bad = token(&json!({ "alg": algorithm }), &json!({}), |_| Vec::new());
        assert_eq!(keys.open(&bad), Err(BadToken::Algorithm), "{algorithm}");
    }
    let sign = |message: &[u8]| pair.sign(message).as_ref().to_vec();
    let critical =
        token(&json!({ "alg": "EdDSA", "crit": ["b64"], "b64": false }), &json!({}), sign);
    assert_eq!(keys.open(&critical), Err(BadToken::Form));
    for bad in ["", ".", "..", "a.b.c", "not a token"] {
        assert_eq!(keys.open(bad), Err(BadToken::Form), "{bad}");
    }
}
