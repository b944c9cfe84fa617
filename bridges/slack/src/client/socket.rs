//! Socket Mode (<https://docs.slack.dev/apis/events-api/using-socket-mode>): the bridge calls Slack, and events come by WebSocket. An envelope
//! is acknowledged only when what is in it is stored.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use landbridge_framework::{CancellationToken, Exit, NetError};
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::mpsc,
    task::JoinSet,
    time::Instant,
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};
use url::Url;

use super::Session;
use crate::{hub::Hub, json::text};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(20);
/// After so long without a word the other side is asked whether it is there,
const SILENCE: Duration = Duration::from_secs(30);
/// and after so long it isn't.
const DEAD: Duration = Duration::from_secs(75);
/// The largest envelope; Slack's are far smaller.
const MAX_ENVELOPE: usize = 8 << 20;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}
type Socket = WebSocketStream<Box<dyn Stream>>;

/// What became of a connection.
enum Ended {
    /// Slack asked for a new one; this one goes on until it ends.
    Refresh,
    /// It is over.
    Over(String),
}

/// Keeps a connection until `stop`. Slack replaces connections from time to time: the new one is made before the old one ends.
pub(crate) async fn run(session: &Session, hub: &Arc<Hub>, stop: &CancellationToken) -> Exit {
    let (news, mut heard) = mpsc::channel(16);
    let mut connections: JoinSet<()> = JoinSet::new();
    let mut live = 0_usize;
    loop {
        let connected = tokio::select! {
            () = stop.cancelled() => return Exit::Stopped,
            connected = open(session) => connected,
        };
        match connected {
            Ok(socket) => {
                hub.online(true);
                if live == 0 {
                    // From now on events come; what came before has to be fetched.
                    hub.gap();
                }
                live += 1;
                connections.spawn(talk(socket, hub.clone(), news.clone()));
            }
            Err(exit) if live == 0 => return exit,
            Err(exit) => tracing::warn!(?exit, "a new connection could not be made yet"),
        }
        // Until a new one is needed.
        loop {
            let ended = tokio::select! {
                () = stop.cancelled() => return Exit::Stopped,
                ended = heard.recv() => ended,
            };
            match ended {
                Some(Ended::Refresh) => break,
                Some(Ended::Over(why)) => {
                    live = live.saturating_sub(1);
                    if live == 0 {
                        hub.online(false);
                        return Exit::Lost(NetError::temporary(why));
                    }
                }
                None => return Exit::Lost(NetError::temporary("the connection ended")),
            }
        }
    }
}

async fn open(session: &Session) -> Result<Socket, Exit> {
    let url = session.socket_url().await.map_err(|error| {
        if error.is_logged_out() || error.code() == Some("not_allowed_token_type") {
            Exit::BadCredentials(format!("the app's token: {error}"))
        } else {
            Exit::Lost(error.looking())
        }
    })?;
    let lost = |error: &dyn std::fmt::Display| Exit::Lost(NetError::temporary(error));
    match tokio::time::timeout(CONNECT, connect(&url)).await {
        Ok(Ok(socket)) => Ok(socket),
        Ok(Err(error)) => Err(lost(&error)),
        Err(_) => Err(lost(&"Slack took too long to connect")),
    }
}

async fn connect(url: &Url) -> std::io::Result<Socket> {
    let other = std::io::Error::other::<String>;
    let host = url.host_str().ok_or_else(|| other("there is no host in the address".into()))?;
    let secure = match url.scheme() {
        "wss" => true,
        "ws" => false,
        scheme => return Err(other(format!("{scheme} is no way to connect"))),
    };
    let port = url.port_or_known_default().unwrap_or(if secure { 443 } else { 80 });
    let tcp = TcpStream::connect((host, port)).await?;
    tcp.set_nodelay(true)?;
    let stream: Box<dyn Stream> = if secure {
        let name = ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?;
        Box::new(tokio_rustls::TlsConnector::from(Arc::new(tls()?)).connect(name, tcp).await?)
    } else {
        Box::new(tcp)
    };
    let mut config = WebSocketConfig::default();
    config.max_message_size = Some(MAX_ENVELOPE);
    config.max_frame_size = Some(MAX_ENVELOPE);
    let connected = client_async_with_config(url.as_str(), stream, Some(config)).await;
    // The address holds a ticket: it must not be in the error.
    connected.map(|(socket, _)| socket).map_err(|error| match error {
        tokio_tungstenite::tungstenite::Error::Io(error) => error,
        tokio_tungstenite::tungstenite::Error::Http(response) => {
            other(format!("Slack answered {}", response.status()))
        }
        _ => other("Slack does not speak WebSocket there".into()),
    })
}

fn tls() -> std::io::Result<rustls::ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().map_err(std::io::Error::other)?;
    let mut roots = rustls::RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// One connection, from its beginning to its end.
async fn talk(socket: Socket, hub: Arc<Hub>, news: mpsc::Sender<Ended>) {
    let why = serve(socket, &hub, &news).await;
    // Nobody listens any more only when the whole bridge stops.
    let _ = news.send(Ended::Over(why)).await;
}

async fn serve(socket: Socket, hub: &Arc<Hub>, news: &mpsc::Sender<Ended>) -> String {
    let (mut writer, mut reader) = socket.split();
    // Their number is bounded by that of the events that the hub takes at once.
    let (acknowledge, mut acknowledged) = mpsc::unbounded_channel::<String>();
    let mut last = Instant::now();
    loop {
        let wait = tokio::time::sleep_until(last + SILENCE);
        tokio::select! {
            frame = reader.next() => {
                let text = match frame {
                    Some(Ok(Message::Text(text))) => text,
                    Some(Ok(Message::Close(_))) | None => return "Slack closed the connection".into(),
                    Some(Ok(_)) => {
                        last = Instant::now();
                        continue;
                    }
                    Some(Err(error)) => return format!("the connection broke: {error}"),
                };
                last = Instant::now();
                let Ok(envelope) = serde_json::from_str::<Value>(&text) else {
                    tracing::warn!("Slack sent something that is no JSON");
                    continue;
                };
                if text_of(&envelope) == Some("disconnect") {
                    let reason = envelope.get("reason").and_then(Value::as_str).unwrap_or_default();
                    tracing::debug!(reason, "Slack replaces a connection");
                    if reason == "link_disabled" {
                        return "Socket Mode is switched off in the app's settings".into();
                    }
                    let _ = news.send(Ended::Refresh).await;
                    continue;
                }
                receive(hub, envelope, acknowledge.clone()).await;
            }
            Some(answer) = acknowledged.recv() => {
                if let Err(error) = writer.send(Message::text(answer)).await {
                    return format!("the connection broke: {error}");
                }
            }
            () = wait => {
                if last.elapsed() >= DEAD {
                    return "Slack fell silent".into();
                }
                if let Err(error) = writer.send(Message::Ping(Bytes::new())).await {
                    return format!("the connection broke: {error}");
                }
                // Asked again after as long, until it counts as dead.
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

fn text_of(envelope: &Value) -> Option<&str> {
    text(envelope, "type")
}

/// Hands an envelope on, in order; the acknowledgement follows when it is stored.
async fn receive(hub: &Arc<Hub>, envelope: Value, acknowledge: mpsc::UnboundedSender<String>) {
    let Some(id) = text(&envelope, "envelope_id").map(ToOwned::to_owned) else { return };
    let payload = envelope.get("payload").cloned().unwrap_or_default();
    match text_of(&envelope) {
        Some("events_api") => {
            let taken = hub.receive(payload).await;
            tokio::spawn(async move {
                // What isn't stored isn't acknowledged: Slack sends it again.
                if taken.await.is_ok_and(|stored| stored) {
                    // Without the connection Slack sends it again on the next.
                    let _ = acknowledge.send(json!({ "envelope_id": id }).to_string());
                }
            });
        }
        Some("slash_commands") => {
            let answer = hub.command(&payload);
            let _ = acknowledge.send(json!({ "envelope_id": id, "payload": answer }).to_string());
        }
        // Interactions: there is nothing to press on what this bridge sends.
        _ => {
            let _ = acknowledge.send(json!({ "envelope_id": id }).to_string());
        }
    }
}
