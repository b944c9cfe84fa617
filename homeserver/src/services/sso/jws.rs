//! Signed tokens (JSON Web Signature, RFC 7515) and the keys they are checked with (JSON Web Key, RFC 7517).
//!
//! Written out here, on `ring`, which does the arithmetic: the crates that do this bring another implementation of RSA and of the elliptic
//! curves with them, in versions that the rest doesn't use. Only signatures with public keys are taken, so that nobody can
//! have a public key used as a secret, and a key is used for the algorithms of its own kind alone.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The most keys of one provider that are looked at.
const MAX_KEYS: usize = 64;

/// The claims of a token.
pub type Claims = Map<String, Value>;

/// Why a token is no good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// It isn't of the form.
    #[error("it is not a signed token")]
    Form,
    /// It is signed in a way that isn't taken.
    #[error("its algorithm is not accepted")]
    Algorithm,
    /// No key made its signature.
    #[error("none of the provider's keys made its signature")]
    Signature,
}

/// A set of keys.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Keys {
    keys: Vec<Value>,
}

/// A public key.
#[derive(Debug, Clone, Deserialize)]
struct Key {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    n: Option<String>,
    e: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

enum Way {
    Rsa(&'static RsaParameters),
    Curve(&'static str, &'static dyn VerificationAlgorithm),
    Edwards,
}

fn way(algorithm: &str) -> Option<Way> {
    Some(match algorithm {
        "RS256" => Way::Rsa(&RSA_PKCS1_2048_8192_SHA256),
        "RS384" => Way::Rsa(&RSA_PKCS1_2048_8192_SHA384),
        "RS512" => Way::Rsa(&RSA_PKCS1_2048_8192_SHA512),
        "PS256" => Way::Rsa(&RSA_PSS_2048_8192_SHA256),
        "PS384" => Way::Rsa(&RSA_PSS_2048_8192_SHA384),
        "PS512" => Way::Rsa(&RSA_PSS_2048_8192_SHA512),
        "ES256" => Way::Curve("P-256", &ECDSA_P256_SHA256_FIXED),
        "ES384" => Way::Curve("P-384", &ECDSA_P384_SHA384_FIXED),
        "EdDSA" | "Ed25519" => Way::Edwards,
        _ => return None,
    })
}

fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
}

fn part(text: Option<&String>) -> Option<Vec<u8>> {
    text.and_then(|text| decode(text))
}

fn object<T: serde::de::DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

impl Key {
    fn may_check(&self, header: &Header) -> bool {
        self.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
            && self.alg.as_ref().is_none_or(|alg| *alg == header.alg)
            && header.kid.as_ref().is_none_or(|kid| self.kid.as_ref() == Some(kid))
    }

    fn made(&self, way: &Way, message: &[u8], signature: &[u8]) -> bool {
        self.try_made(way, message, signature).unwrap_or(false)
    }

    /// `None` when the key isn't of the kind, or not whole.
    fn try_made(&self, way: &Way, message: &[u8], signature: &[u8]) -> Option<bool> {
        let curve = self.crv.as_deref();
        Some(match way {
            Way::Rsa(parameters) if self.kty == "RSA" => {
                let (n, e) = (part(self.n.as_ref())?, part(self.e.as_ref())?);
                let zeros = n.iter().take_while(|byte| **byte == 0).count();
                let key = RsaPublicKeyComponents { n: &n[zeros..], e: &e[..] };
                key.verify(parameters, message, signature).is_ok()
            }
            Way::Curve(name, algorithm) if self.kty == "EC" && curve == Some(*name) => {
                let mut point = vec![4];
                point.extend(part(self.x.as_ref())?);
                point.extend(part(self.y.as_ref())?);
                UnparsedPublicKey::new(*algorithm, point).verify(message, signature).is_ok()
            }
            Way::Edwards if self.kty == "OKP" && curve == Some("Ed25519") => {
                let key = UnparsedPublicKey::new(&ED25519, part(self.x.as_ref())?);
                key.verify(message, signature).is_ok()
            }
            _ => return None,
        })
    }
}

impl Keys {
    /// Checks the signature of a token and gives what it claims. Whether the claims may be believed is another question.
    pub fn open(&self, token: &str) -> Result<Claims, BadToken> {
        let (message, signature) = token.rsplit_once('.').ok_or(BadToken::Form)?;
        let (header, claims) = message.split_once('.').ok_or(BadToken::Form)?;
        let header: Header = object(header).ok_or(BadToken::Form)?;
        // What must be understood and isn't.
        if header.crit.is_some() {
            return Err(BadToken::Form);
        }
        let way = way(&header.alg).ok_or(BadToken::Algorithm)?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).map_err(|_| BadToken::Form)?;
        let known = self.keys.iter().take(MAX_KEYS);
        // A key of a kind that isn't known here doesn't spoil the others.
        let known = known.filter_map(|key| Key::deserialize(key).ok());
        let signed = known
            .filter(|key| key.may_check(&header))
            .any(|key| key.made(&way, message.as_bytes(), &signature));
        if !signed {
            return Err(BadToken::Signature);
        }
        object(claims).ok_or(BadToken::Form)
    }
}

#[cfg(test)]
mod tests;
