//! The life of a connection: connect, register, run, pause, again.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::orders::Order;
use super::register::{Failure, Registration, Step};
use super::session::{Online, Session};
use super::settings::Settings;
use super::snapshot::Snapshot;
use super::transport::{LineReader, Stream, connect};
use super::{ClientEvent, State};
use crate::isupport::ISupport;
use crate::message::{Message, Source};

/// A session that held this long counts as good: the next pause is short again.
const GOOD_AFTER: Duration = Duration::from_mins(1);
/// The least pause after a ban: hammering a server that banned us makes it worse.
const BANNED_PAUSE: Duration = Duration::from_mins(10);

/// Runs the connection until `stop` is cancelled or the credentials are refused.
pub(crate) async fn run(
    settings: Settings,
    mut orders: mpsc::Receiver<Order>,
    events: mpsc::Sender<ClientEvent>,
    state: watch::Sender<State>,
    stop: CancellationToken,
) {
    let mut backoff = Backoff::new(settings.min_backoff, settings.max_backoff);
    let failure = loop {
        let started = Instant::now();
        let attempt = offline(&mut orders, &stop, attempt(&settings)).await;
        let failure = match attempt {
            None => break None,
            Some(Err(failure)) => failure,
            Some(Ok(online)) => {
                let ended =
                    Session::new(&settings, online, &events, &state).run(&mut orders, &stop).await;
                if stop.is_cancelled() {
                    break None;
                }
                ended
            }
        };
        tracing::info!(host = %settings.host, nick = %settings.nick, %failure, "IRC connection ended");
        if started.elapsed() > GOOD_AFTER {
            backoff.reset();
        }
        let fatal = matches!(failure, Failure::Credentials(_));
        if !fatal {
            state.send_replace(State::Offline(Some(failure.clone())));
        }
        if events.send(ClientEvent::Down(failure.clone())).await.is_err() || fatal {
            break Some(failure);
        }
        let mut pause = backoff.next(&settings.random);
        if matches!(failure, Failure::Banned(_)) {
            pause = pause.max(BANNED_PAUSE);
        }
        if offline(&mut orders, &stop, tokio::time::sleep(pause)).await.is_none() {
            break None;
        }
    };
    state.send_replace(State::Closed(failure));
    orders.close();
    while let Some(order) = orders.recv().await {
        order.not_sent("the connection is closed");
    }
}

/// Waits for `future` while refusing orders; `None` when told to stop.
async fn offline<T>(
    orders: &mut mpsc::Receiver<Order>,
    stop: &CancellationToken,
    future: impl Future<Output = T>,
) -> Option<T> {
    tokio::pin!(future);
    loop {
        tokio::select! {
            () = stop.cancelled() => return None,
            done = &mut future => return Some(done),
            order = orders.recv() => match order {
                Some(order) => order.not_sent("not connected"),
                // Every handle is gone: nobody will ever use this connection again.
                None => return None,
            },
        }
    }
}

async fn attempt(settings: &Settings) -> Result<Online, Failure> {
    let attempt = async {
        let stream = connect(settings).await.map_err(|error| {
            Failure::Other(format!("cannot connect to {}: {error}", settings.host))
        })?;
        register(settings, stream).await
    };
    let late = |_| Failure::Other("the server didn't finish the registration in time".into());
    tokio::time::timeout(settings.connect_timeout, attempt).await.map_err(late)?
}

/// Registers and reads on to the end of the server's greeting, so that its features are known before the first join.
async fn register(settings: &Settings, mut stream: Box<dyn Stream>) -> Result<Online, Failure> {
    let mut reader = LineReader::default();
    let mut registration = Registration::new(settings);
    let mut isupport = ISupport::default();
    let mut version = String::new();
    let mut me: Option<Source> = None;
    send(&mut stream, registration.start()).await?;
    loop {
        let bytes =
            reader.next(&mut stream).await.map_err(|error| Failure::Other(error.to_string()))?;
        let Some(bytes) = bytes else {
            return Err(Failure::Other("the server closed the connection".into()));
        };
        let Ok(line) = Message::parse(&bytes) else {
            continue;
        };
        match line.command.as_str() {
            "004" => line.param(2).clone_into(&mut version),
            "005" => isupport.apply(&line.params),
            // End of MOTD, or none.
            "376" | "422" if me.is_some() => break,
            "396" => {
                if let Some(me) = &mut me {
                    me.host = Some(line.param(1).rsplit('@').next().unwrap_or_default().to_owned());
                }
            }
            _ => match registration.on(&line) {
                Step::Continue(lines) => send(&mut stream, lines).await?,
                Step::Failed(failure) => return Err(failure),
                Step::Done { nick, send: lines } => {
                    // Many servers close their welcome with our full address.
                    let address = line
                        .last()
                        .rsplit(' ')
                        .next()
                        .map(Source::parse)
                        .filter(|s| s.name == nick && s.host.is_some());
                    me = Some(address.unwrap_or(Source { name: nick, user: None, host: None }));
                    send(&mut stream, lines).await?;
                }
            },
        }
    }
    let (caps, logged_in) = registration.finish();
    let epoch = format!("{:016x}", settings.random.next()).into();
    let me = me.unwrap_or_default();
    let snapshot = Snapshot {
        epoch,
        me,
        isupport,
        caps,
        version,
        joined: std::collections::BTreeSet::new(),
        logged_in,
    };
    Ok(Online { stream, reader, snapshot })
}

async fn send(stream: &mut Box<dyn Stream>, lines: Vec<Message>) -> Result<(), Failure> {
    for line in lines {
        let text = line
            .to_line()
            .map_err(|error| Failure::Other(format!("cannot write {}: {error}", line.command)))?;
        stream
            .write_all(text.as_bytes())
            .await
            .map_err(|error| Failure::Other(error.to_string()))?;
    }
    stream.flush().await.map_err(|error| Failure::Other(error.to_string()))
}
