//! The addresses a server listens on: plain HTTP and HTTPS.

use std::{io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use axum::{Router, extract::connect_info::Connected, serve::IncomingStream};
use futures::FutureExt as _;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

use super::StartError;
use crate::config::{Listen, TlsListen};

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes that may be done and not yet served.
const READY: usize = 64;

/// Binds every address and serves `router` there until `stopping`.
pub(super) async fn start(
    listen: &Listen,
    router: &Router,
    stopping: &CancellationToken,
) -> Result<(Vec<SocketAddr>, JoinSet<()>), StartError> {
    let mut addresses = Vec::new();
    let mut tasks = JoinSet::new();
    for address in &listen.http {
        let listener = bind(*address).await?;
        addresses.push(listener.local_addr().map_err(StartError::io(address))?);
        let service = router.clone().into_make_service_with_connect_info::<Peer>();
        let stop = stopping.clone().cancelled_owned();
        let serving = axum::serve(PlainListener(listener), service).with_graceful_shutdown(stop);
        tasks.spawn(serving.into_future().map(ended));
    }
    for tls in &listen.tls {
        let acceptor = acceptor(tls)?;
        let listener = bind(tls.address).await?;
        addresses.push(listener.local_addr().map_err(StartError::io(tls.address))?);
        let listener = TlsListener::new(listener, acceptor, stopping.clone());
        let service = router.clone().into_make_service_with_connect_info::<Peer>();
        let stop = stopping.clone().cancelled_owned();
        let serving = axum::serve(listener, service).with_graceful_shutdown(stop);
        tasks.spawn(serving.into_future().map(ended));
    }
    Ok((addresses, tasks))
}

fn ended(result: io::Result<()>) {
    if let Err(e) = result {
        tracing::error!(error = %e, "a listener failed");
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(StartError::io(address))
}

fn acceptor(tls: &TlsListen) -> Result<TlsAcceptor, StartError> {
    let bad = |file: &Path, reason: &dyn ToString| StartError::Tls {
        file: file.display().to_string(),
        reason: reason.to_string(),
    };
    let chain = CertificateDer::pem_file_iter(&tls.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| bad(&tls.certificate, &e))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|e| bad(&tls.key, &e))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| bad(&tls.certificate, &e))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|e| bad(&tls.certificate, &e))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Connections without TLS.
struct PlainListener(TcpListener);

impl axum::serve::Listener for PlainListener {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        accept_one(&self.0).await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// The next connection, whatever goes wrong before.
async fn accept_one(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Answers are written whole: waiting to fill a packet would only delay them.
                let _ = stream.set_nodelay(true);
                return (stream, peer);
            }
            Err(e) => {
                // Out of file descriptors, most likely: they come back when others hang up.
                tracing::warn!(error = %e, "could not accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Connections whose handshake is done. Handshakes run beside each other, so that a slow one holds up nobody.
struct TlsListener {
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
}

impl TlsListener {
    fn new(listener: TcpListener, acceptor: TlsAcceptor, stopping: CancellationToken) -> Self {
        let (sender, ready) = mpsc::channel(READY);
        let address = listener.local_addr().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)));
        tokio::spawn(async move {
            stopping.run_until_cancelled(accept(listener, acceptor, sender)).await;
        });
        Self { ready, address }
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    ready: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    loop {
        let (stream, peer) = accept_one(&listener).await;
        let (acceptor, ready) = (acceptor.clone(), ready.clone());
        tokio::spawn(async move {
            if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                let _ = ready.send((stream, peer)).await;
            }
        });
    }
}

/// The address of the client at the other end, as `ConnectInfo` gives it to handlers.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

impl Connected<IncomingStream<'_, PlainListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, PlainListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

impl Connected<IncomingStream<'_, TlsListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(connection) => connection,
            // The server is stopping.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
