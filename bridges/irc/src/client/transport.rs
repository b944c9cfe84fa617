//! The bytes: TCP or TLS (rustls with ring), and lines of bounded length.

use std::io;
use std::sync::Arc;

use bytes::{Buf as _, BytesMut};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::TcpStream;

use super::pin::PinnedCertificate;
use super::settings::{Settings, Tls};
use crate::message::READ_LIMIT;

/// A connected stream, whatever carries it.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects, with TLS if the settings say so.
pub(crate) async fn connect(settings: &Settings) -> io::Result<Box<dyn Stream>> {
    let tcp = TcpStream::connect((settings.host.as_str(), settings.port)).await?;
    tcp.set_nodelay(true)?;
    let Some(tls) = &settings.tls else {
        return Ok(Box::new(tcp));
    };
    let config = tls_config(tls)?;
    let name = ServerName::try_from(settings.host.clone()).map_err(io::Error::other)?;
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
    Ok(Box::new(stream))
}

fn tls_config(tls: &Tls) -> io::Result<rustls::ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?;
    let builder = if let Some(fingerprint) = &tls.fingerprint {
        let pinned = PinnedCertificate::new(fingerprint, &provider).map_err(io::Error::other)?;
        builder.dangerous().with_custom_certificate_verifier(Arc::new(pinned))
    } else {
        let mut roots = rustls::RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        if let Some(path) = &tls.ca_file {
            for certificate in CertificateDer::pem_file_iter(path).map_err(io::Error::other)? {
                roots.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
            }
        }
        builder.with_root_certificates(roots)
    };
    let Some(path) = &tls.client_certificate else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = CertificateDer::pem_file_iter(path)
        .map_err(io::Error::other)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_file(path).map_err(io::Error::other)?;
    builder.with_client_auth_cert(chain, key).map_err(io::Error::other)
}

/// Cuts a stream into lines. A line longer than [`READ_LIMIT`] is dropped whole; memory stays bounded.
#[derive(Debug, Default)]
pub(crate) struct LineReader {
    buffer: BytesMut,
    scanned: usize,
    skipping: bool,
}

impl LineReader {
    /// The next line without its end; `None` at the end of the stream. Cancel-safe: nothing read is lost.
    pub(crate) async fn next<R: AsyncRead + Unpin>(
        &mut self,
        stream: &mut R,
    ) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(line) = self.cut() {
                return Ok(Some(line));
            }
            self.buffer.reserve(4_096);
            if stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    fn cut(&mut self) -> Option<Vec<u8>> {
        while let Some(at) = self.buffer[self.scanned..].iter().position(|b| *b == b'\n') {
            let end = self.scanned + at;
            let mut line = self.buffer.split_to(end).to_vec();
            self.buffer.advance(1);
            self.scanned = 0;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            if !line.is_empty() {
                return Some(line);
            }
        }
        if self.buffer.len() > READ_LIMIT {
            self.buffer.clear();
            self.skipping = true;
        }
        self.scanned = self.buffer.len();
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn cuts_lines_and_drops_those_without_end() {
        let mut input: &[u8] = b"one\r\n\r\ntwo\nthr";
        let mut reader = LineReader::default();
        assert_eq!(reader.next(&mut input).await.unwrap().unwrap(), b"one");
        assert_eq!(reader.next(&mut input).await.unwrap().unwrap(), b"two");
        assert!(reader.next(&mut input).await.unwrap().is_none());
        let mut rest: &[u8] = b"ee\r\n";
        assert_eq!(reader.next(&mut rest).await.unwrap().unwrap(), b"three");

        let mut long = vec![b'x'; READ_LIMIT * 3];
        long.extend(b"\nafter\n");
        let mut input: &[u8] = &long;
        let mut reader = LineReader::default();
        assert_eq!(reader.next(&mut input).await.unwrap().unwrap(), b"after");
        assert!(reader.buffer.capacity() < READ_LIMIT * 4);
    }
}
