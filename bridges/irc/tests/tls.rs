//! TLS against a peer with a certificate of its own making: trusted by its fingerprint or as a root, and not otherwise.

#![allow(clippy::unwrap_used, reason = "a failing test may panic")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use landbridge_irc::client::{ClientEvent, Interest, Random, Sasl, Settings, Tls, spawn};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// A key and certificate that exist for this test only.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn certificate() -> CertificateDer<'static> {
    CertificateDer::from_pem_file(fixture("cert.pem")).unwrap()
}

/// Plays a server that offers SASL EXTERNAL and welcomes whoever finishes the handshake; gives its port.
async fn peer() -> u16 {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate()).unwrap();
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
        Arc::new(roots),
        Arc::clone(&provider),
    );
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let config =
        config.with_client_cert_verifier(verifier.allow_unauthenticated().build().unwrap());
    let key = PrivateKeyDer::from_pem_file(fixture("key.pem")).unwrap();
    let config = config.with_single_cert(vec![certificate()], key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(tcp).await else { return };
                let certified = stream.get_ref().1.peer_certificates().is_some();
                let (read, mut write) = tokio::io::split(stream);
                let mut lines = BufReader::new(read).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    let answer = match line.split(' ').next().unwrap_or_default() {
                        "CAP" if line.starts_with("CAP LS") => ":s CAP * LS :sasl=EXTERNAL\r\n",
                        "CAP" if line.starts_with("CAP REQ") => ":s CAP * ACK :sasl\r\n",
                        "AUTHENTICATE" if line.ends_with("EXTERNAL") => "AUTHENTICATE +\r\n",
                        "AUTHENTICATE" if certified => ":s 903 * :ok\r\n",
                        "AUTHENTICATE" => ":s 904 * :no certificate\r\n",
                        "CAP" => ":s 001 casey :Welcome\r\n:s 422 casey :No MOTD\r\n",
                        _ => "",
                    };
                    if write.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

/// Whether a client with these settings comes online; else why not.
async fn connect(port: u16, host: &str, tls: Tls, sasl: Option<Sasl>) -> Result<bool, String> {
    let settings = Settings {
        host: host.into(),
        port,
        tls: Some(tls),
        password: None,
        nick: "casey".into(),
        username: "casey".into(),
        realname: "Casey".into(),
        sasl,
        nickserv: None,
        flood: None,
        interest: Interest::Private,
        user_modes: None,
        regain: true,
        connect_timeout: Duration::from_secs(20),
        ping_interval: Duration::from_mins(1),
        min_backoff: Duration::from_mins(1),
        max_backoff: Duration::from_mins(1),
        random: Random::new(|| 7),
    };
    let (sender, mut events) = mpsc::channel(8);
    let stop = CancellationToken::new();
    let _guard = stop.clone().drop_guard();
    let _handle = spawn(settings, sender, stop);
    match events.recv().await.unwrap() {
        ClientEvent::Up(me) => Ok(me.logged_in),
        ClientEvent::Down(failure) => Err(failure.to_string()),
        ClientEvent::Line(line) => panic!("unexpected {line:?}"),
    }
}

fn fingerprint() -> String {
    Sha256::digest(certificate())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .join(":")
}

#[tokio::test]
async fn a_certificate_of_its_own_is_trusted_only_when_told_so() {
    let port = peer().await;
    let refused = connect(port, "127.0.0.1", Tls::default(), None).await.unwrap_err();
    assert!(refused.contains("certificate"), "{refused}");
    let pinned = Tls { fingerprint: Some(fingerprint()), ..Tls::default() };
    assert_eq!(connect(port, "127.0.0.1", pinned.clone(), None).await, Ok(false));
    let other = Tls {
        fingerprint: Some(fingerprint().replace(char::is_alphabetic, "0")),
        ..Tls::default()
    };
    assert!(connect(port, "127.0.0.1", other, None).await.is_err());
    let root = Tls { ca_file: Some(fixture("cert.pem")), ..Tls::default() };
    assert_eq!(connect(port, "127.0.0.1", root.clone(), None).await, Ok(false));
    let refused = connect(port, "localhost", root, None).await.unwrap_err();
    assert!(refused.contains("certificate"), "{refused}");
}

#[tokio::test]
async fn a_client_certificate_logs_in() {
    let port = peer().await;
    let pinned = Tls { fingerprint: Some(fingerprint()), ..Tls::default() };
    let with = Tls { client_certificate: Some(fixture("both.pem")), ..pinned.clone() };
    assert_eq!(connect(port, "127.0.0.1", with, Some(Sasl::External)).await, Ok(true));
    let without = connect(port, "127.0.0.1", pinned, Some(Sasl::External)).await.unwrap_err();
    assert!(without.contains("credentials"), "{without}");
}
