//! Trust in one certificate by its fingerprint, for the many IRC servers that sign their own.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use sha2::{Digest as _, Sha256};

/// Accepts the certificate with this fingerprint and no other. The handshake's signature is verified as ever: the peer must hold the key.
#[derive(Debug)]
pub(crate) struct PinnedCertificate {
    sha256: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl PinnedCertificate {
    pub(crate) fn new(fingerprint: &str, provider: &Arc<CryptoProvider>) -> Result<Self, String> {
        let digits: Vec<u8> = fingerprint
            .chars()
            .filter(|c| *c != ':')
            .map_while(|c| c.to_digit(16).map(|d| d as u8))
            .collect();
        let bytes: Vec<u8> = digits
            .chunks(2)
            .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
            .collect();
        let sha256 = <[u8; 32]>::try_from(bytes).ok().filter(|_| digits.len() == 64);
        let sha256 = sha256.ok_or("the fingerprint must be the 64 hex digits of a SHA-256")?;
        Ok(Self { sha256, provider: Arc::clone(provider) })
    }
}

impl ServerCertVerifier for PinnedCertificate {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if Sha256::digest(end_entity).as_slice() == self.sha256 {
            return Ok(ServerCertVerified::assertion());
        }
        Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_only_a_whole_fingerprint() {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let colons = (0..32).map(|n| format!("{n:02X}")).collect::<Vec<_>>().join(":");
        assert_eq!(PinnedCertificate::new(&colons, &provider).unwrap().sha256[31], 31);
        assert!(PinnedCertificate::new("ab:cd", &provider).is_err());
        assert!(
            PinnedCertificate::new(&format!("{colons}zz").replace("00", "zz"), &provider).is_err()
        );
    }
}
