//! The connector: a login by token, text both ways.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::UNIX_EPOCH,
};

use futures::StreamExt as _;
use landbridge_framework::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::{
    io::AsyncWriteExt as _,
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::oneshot,
};
use tokio_util::codec::{FramedRead, LinesCodec};

use crate::wire::{FromNetwork, Said, ToNetwork};

/// The longest line that is read.
const MAX_LINE: usize = 64 * 1024;
/// How many events that have come already are stored in one transaction.
const AT_ONCE: usize = 256;
/// How long the network may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the network is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Host and port.
    pub(crate) network: String,
}

/// What is kept with a login.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Credentials {
    token: String,
}
impl Meta for Credentials {}

/// The network.
pub(crate) struct Bench(Settings);

/// A connection.
pub(crate) struct Session {
    reader: tokio::sync::Mutex<FramedRead<OwnedReadHalf, LinesCodec>>,
    writer: tokio::sync::Mutex<OwnedWriteHalf>,
    waiting: Mutex<HashMap<u64, oneshot::Sender<String>>>,
    requests: AtomicU64,
}

impl Network for Bench {
    const ID: &'static str = "bench";
    type Config = Settings;
    type PortalId = String;
    type UserId = String;
    type MessageId = String;
    type LoginId = String;
    type LoginMeta = Credentials;
    type PortalMeta = ();
    type GhostMeta = ();
    type MessageMeta = ();
    type Raw = Said;
    type Client = Session;

    fn info(_: &Settings) -> NetworkInfo {
        NetworkInfo { name: "Bench", url: "https://bench.example", icon: None }
    }
    fn handlers(handlers: Handlers<Self>) -> Handlers<Self> {
        handlers.text(TextCaps::default(), Idempotency::Native, send)
    }
    fn logins(logins: Logins<Self>) -> Logins<Self> {
        logins.flow("token", "Token", |mut io: LoginIo<Self>| async move {
            let credentials: Credentials = io.ask(Form::new().token("token", "Token")).await?;
            Ok(NewLogin::new(credentials.token.clone(), credentials.token.clone(), credentials))
        })
    }
    async fn start(settings: Settings, _: Runtime) -> Result<Self, StartError> {
        Ok(Self(settings))
    }
    async fn connect(&self, login: Login<Self>) -> Result<Session, ConnectError> {
        let lost = |error: std::io::Error| ConnectError::Temporary(error.to_string());
        let stream = TcpStream::connect(&self.0.network).await.map_err(lost)?;
        stream.set_nodelay(true).map_err(lost)?;
        let (reader, writer) = stream.into_split();
        let session = Session {
            reader: FramedRead::new(reader, LinesCodec::new_with_max_length(MAX_LINE)).into(),
            writer: writer.into(),
            waiting: Mutex::default(),
            requests: AtomicU64::default(),
        };
        session.say(&ToNetwork::Hello { token: &login.meta.token }).await.map_err(lost)?;
        Ok(session)
    }
    fn decode(&self, _: &Login<Self>, said: &Said) -> Result<Vec<RemoteEvent<Self>>, DecodeError> {
        Ok(vec![RemoteEvent::new(
            PortalKey::shared(said.chat.clone()),
            Sender::User(said.user.clone()),
            UNIX_EPOCH + Duration::from_millis(said.ts),
            said.id.clone(),
            Message::text(said.id.clone(), said.text.clone()),
        )])
    }
}

impl Client for Session {
    type Net = Bench;

    async fn run(&self, inbox: Inbox<Bench>, stop: CancellationToken) -> Exit {
        inbox.state(LoginState::Connected);
        let mut reader = self.reader.lock().await;
        let mut lines = (&mut *reader).ready_chunks(AT_ONCE);
        while let Some(Some(some)) = stop.run_until_cancelled(lines.next()).await {
            let mut said = Vec::new();
            for line in some {
                let line = match line.map_err(|error| error.to_string()) {
                    Ok(line) => serde_json::from_str(&line).map_err(|error| error.to_string()),
                    Err(error) => Err(error),
                };
                match line {
                    Ok(FromNetwork::Msg(message)) => said.push(message),
                    Ok(FromNetwork::Sent { req, id }) => {
                        if let Some(waiting) = self.waiting().remove(&req) {
                            // Whoever asked may have given up.
                            let _ = waiting.send(id);
                        }
                    }
                    Err(error) => return Exit::Lost(NetError::temporary(error)),
                }
            }
            let Some(seq) = said.last().map(|last| last.seq) else { continue };
            let events = said.into_iter().map(|said| (said.id.clone().into(), said)).collect();
            // Durable first, acknowledged then.
            if let Err(error) = inbox.put_all(events, None).await {
                return Exit::Lost(NetError::temporary(error));
            }
            if let Err(error) = self.say(&ToNetwork::Ack { seq }).await {
                return Exit::Lost(NetError::temporary(error));
            }
        }
        if stop.is_cancelled() { Exit::Stopped } else { Exit::Lost(NetError::temporary("cut off")) }
    }
    async fn chat(&self, key: &PortalKey<Bench>) -> Result<ChatInfo<Bench>, NetError> {
        Ok(ChatInfo::named(format!("Chat {}", key.id)))
    }
    async fn user(&self, id: &String) -> Result<UserInfo, NetError> {
        Ok(UserInfo::named(format!("User {id}")))
    }
}

impl Session {
    async fn say(&self, what: &ToNetwork<'_>) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(what)?;
        line.push(b'\n');
        self.writer.lock().await.write_all(&line).await
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, HashMap<u64, oneshot::Sender<String>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, chat: &str, text: &str, key: &str) -> Result<String, SendError> {
        let req = self.requests.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        self.waiting().insert(req, answer);
        if let Err(error) = self.say(&ToNetwork::Send { req, chat, text, key }).await {
            self.waiting().remove(&req);
            return Err(SendError::unknown(error));
        }
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(id)) => Ok(id),
            Ok(Err(_)) => Err(SendError::unknown("cut off")),
            Err(_) => {
                self.waiting().remove(&req);
                Err(SendError::unknown("no answer"))
            }
        }
    }
}

async fn send(
    Via(session): Via<Bench>,
    In(at, _): In<Bench>,
    Key(key): Key,
    text: Text,
) -> Result<Sent<Bench>, SendError> {
    Ok(Sent::now(session.ask(&at.id, text.body.text(), &key.as_nonce(32)).await?))
}
