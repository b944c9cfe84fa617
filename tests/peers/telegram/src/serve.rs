//! Connections: packets in, answers and updates out.

use std::sync::{Arc, Mutex, PoisonError};

use grammers_mtproto::transport::{Error, Full, Transport as _};
use grammers_tl_types as tl;
use tl::{Deserializable as _, Identifiable as _, Serializable as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc},
};

use crate::{
    keys::Keys,
    packet::{self, Incoming, Outgoing},
    rpc,
    world::{Connection, World},
};

/// The largest packet: a part of a file, and what surrounds it.
const MAX_PACKET: usize = 4 << 20;

pub(crate) async fn accept(listener: TcpListener, world: Arc<Mutex<World>>, keys: Arc<Keys>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(serve(stream, world.clone(), keys.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                return;
            }
        }
    }
}

async fn serve(mut stream: TcpStream, world: Arc<Mutex<World>>, keys: Arc<Keys>) {
    let mut transport = Full::new();
    let mut buffer = Vec::new();
    let mut state: Option<Session> = None;
    let (push, mut pushed) = mpsc::unbounded_channel::<Vec<u8>>();
    let cut = Arc::new(Notify::new());
    let mut chunk = vec![0; 1 << 16];
    loop {
        tokio::select! {
            read = stream.read(&mut chunk) => {
                let Ok(read @ 1..) = read else { break };
                buffer.extend_from_slice(&chunk[..read]);
                let mut answers = Vec::new();
                loop {
                    match transport.unpack(&mut buffer) {
                        Ok(offset) => {
                            let data = buffer[offset.data_range].to_vec();
                            buffer.drain(..offset.next_offset);
                            if !take(&data, &mut state, &world, &keys, &push, &cut, &mut answers) {
                                forget(&world, &push);
                                return;
                            }
                        }
                        Err(Error::MissingBytes) => break,
                        Err(error) => {
                            tracing::warn!(%error, "a packet that is none");
                            forget(&world, &push);
                            return;
                        }
                    }
                }
                if buffer.len() > MAX_PACKET || stream.write_all(&answers).await.is_err() {
                    break;
                }
            }
            Some(body) = pushed.recv() => {
                if let Some(session) = &mut state {
                    let packet = session.outgoing.pack(session.id, &body);
                    if stream.write_all(&packet).await.is_err() {
                        break;
                    }
                }
            }
            () = cut.notified() => break,
        }
    }
    forget(&world, &push);
}

/// A connection's session: one key, one number.
struct Session {
    key_id: [u8; 8],
    key: [u8; 256],
    id: i64,
    outgoing: Outgoing,
}

fn forget(world: &Mutex<World>, push: &mpsc::UnboundedSender<Vec<u8>>) {
    let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
    world.connections.retain(|connection| !connection.push.same_channel(push));
}

/// Takes a packet; `false`: the connection ends.
fn take(
    data: &[u8],
    state: &mut Option<Session>,
    world: &Mutex<World>,
    keys: &Keys,
    push: &mpsc::UnboundedSender<Vec<u8>>,
    cut: &Arc<Notify>,
    answers: &mut Vec<u8>,
) -> bool {
    let Some(Ok(key_id)) = data.get(..8).map(<[u8; 8]>::try_from) else { return false };
    let Some(key) = keys.get(key_id) else { return false };
    let Some(messages) = packet::decrypt(data, &key) else { return false };
    let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
    for message in messages {
        let session = state.get_or_insert_with(|| {
            world.connections.push(Connection {
                key: key_id,
                push: push.clone(),
                cut: cut.clone(),
            });
            Session { key_id, key, id: message.session, outgoing: Outgoing::new(key) }
        });
        if session.key != key {
            return false;
        }
        session.id = message.session;
        let Some(answer) = answered(&mut world, session.key_id, &message) else { continue };
        // Done, but nobody hears of it.
        if !is_ping(&message) && world.loses_answer() {
            return false;
        }
        answers.extend(session.outgoing.pack(session.id, &answer));
    }
    true
}

fn is_ping(message: &Incoming) -> bool {
    let id = packet::constructor(&message.body);
    id == Some(tl::functions::PingDelayDisconnect::CONSTRUCTOR_ID)
        || id == Some(tl::functions::Ping::CONSTRUCTOR_ID)
}

const RPC_RESULT: u32 = 0xf35c_6d01;

/// The answer to a message; none to what needs none.
fn answered(world: &mut World, key: [u8; 8], message: &Incoming) -> Option<Vec<u8>> {
    let id = packet::constructor(&message.body)?;
    let rest = &message.body[4..];
    let pong = |ping_id| {
        let pong = tl::types::Pong { msg_id: message.msg_id, ping_id };
        Some(tl::enums::Pong::Pong(pong).to_bytes())
    };
    match id {
        tl::types::MsgsAck::CONSTRUCTOR_ID | tl::types::HttpWait::CONSTRUCTOR_ID => return None,
        tl::functions::Ping::CONSTRUCTOR_ID => {
            return pong(tl::functions::Ping::from_bytes(rest).ok()?.ping_id);
        }
        tl::functions::PingDelayDisconnect::CONSTRUCTOR_ID => {
            return pong(tl::functions::PingDelayDisconnect::from_bytes(rest).ok()?.ping_id);
        }
        _ => {}
    }
    let result = match rpc::answer(world, key, &message.body) {
        Ok(result) => result,
        Err(refusal) => {
            let error =
                tl::types::RpcError { error_code: refusal.code, error_message: refusal.message };
            tl::enums::RpcError::Error(error).to_bytes()
        }
    };
    let mut out = RPC_RESULT.to_le_bytes().to_vec();
    out.extend(message.msg_id.to_le_bytes());
    out.extend(result);
    Some(out)
}
