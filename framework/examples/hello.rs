//! A whole bridge to the testing kit's network: relay, messages, edits and deletions both ways.
#![allow(missing_docs, clippy::wildcard_imports, reason = "the whole of it fits on a page")]

use std::{sync::Arc, time::UNIX_EPOCH};

use landbridge_framework::{prelude::*, testing::*};

pub struct Hello(Arc<SimNetwork>);
pub struct Session(SimSession);
type Events = Result<Vec<RemoteEvent<Hello>>, DecodeError>;
type Sends = Result<Sent<Hello>, SendError>;
type Does = Result<Done, SendError>;

impl Network for Hello {
    const ID: &'static str = "hello";
    type Config = ();
    type PortalId = String;
    type UserId = String;
    type MessageId = String;
    type LoginId = String;
    type LoginMeta = ();
    type PortalMeta = ();
    type GhostMeta = ();
    type MessageMeta = ();
    type Raw = SimEvent;
    type Client = Session;

    fn info((): &()) -> NetworkInfo {
        NetworkInfo { name: "Hello", url: "https://hello.example", icon: None }
    }
    fn handlers(h: Handlers<Self>) -> Handlers<Self> {
        let h = h.text(TextCaps { max_len: 4000 }, Idempotency::Native, send);
        let h = h.edit(EditCaps::default(), edit).remove(RemoveCaps::default(), remove);
        h.relay(RelayStyle::Prefix)
    }
    fn system_logins((): &()) -> Vec<NewLogin<Self>> {
        vec![NewLogin::new("relay", "The relay", ())]
    }
    async fn start((): (), runtime: Runtime) -> Result<Self, StartError> {
        runtime.shared.get().map(Self).ok_or_else(|| StartError("no network to bridge".into()))
    }
    async fn connect(&self, login: Login<Self>) -> Result<Session, ConnectError> {
        Ok(Session(self.0.connect(&login.id).await?))
    }
    fn decode(&self, _: &Login<Self>, raw: &SimEvent) -> Events {
        let said =
            |m: &SimMessage| Message::text(&*m.id, &*m.text).echo(m.key.clone().map(EchoOf::nonce));
        let (ms, user, body) = match raw {
            SimEvent::Message { ms, message, .. } => (ms, &message.user, said(message).into()),
            SimEvent::Edit { ms, message, .. } => {
                let (target, version, new) = (message.id.clone(), message.edits, said(message));
                (ms, &message.user, Body::Edit { target, version, new })
            }
            SimEvent::Remove { ms, id, user, .. } => {
                (ms, user, Body::Remove { target: MessageRef::whole(&**id), for_me_only: false })
            }
        };
        let (at, key) = (UNIX_EPOCH + Duration::from_millis(*ms), raw.seq().to_string());
        let (portal, sender) = (PortalKey::shared(raw.chat()), Sender::User(user.clone()));
        Ok(vec![RemoteEvent::new(portal, sender, at, key, body)])
    }
}

impl Client for Session {
    type Net = Hello;
    async fn run(&self, inbox: Inbox<Hello>, stop: CancellationToken) -> Exit {
        inbox.state(LoginState::Connected);
        while let Some(Ok(event)) = stop.run_until_cancelled(self.0.next()).await {
            let seq = event.seq();
            // Durable first, acknowledged then: all that a connector must do for nothing to be lost.
            if inbox.put(seq.to_string(), event).await.is_err() || self.0.ack(seq).await.is_err() {
                break;
            }
        }
        if stop.is_cancelled() { Exit::Stopped } else { Exit::Lost(NetError::temporary("cut off")) }
    }
    async fn chat(&self, key: &PortalKey<Hello>) -> Result<ChatInfo<Hello>, NetError> {
        Ok(ChatInfo::named(&*key.id))
    }
    async fn user(&self, id: &String) -> Result<UserInfo, NetError> {
        Ok(UserInfo::named(&**id))
    }
}

async fn send(Via(c): Via<Hello>, In(at, _): In<Hello>, Key(k): Key, t: Text) -> Sends {
    Ok(Sent::now(c.0.send(&at.id, t.body.text(), &k.as_nonce(32)).await?))
}
async fn edit(Via(c): Via<Hello>, e: Edited<Hello>) -> Does {
    Ok(c.0.edit(&e.target.id, e.body.text()).await.map(|()| Done)?)
}
async fn remove(Via(c): Via<Hello>, r: Removed<Hello>) -> Does {
    Ok(c.0.remove(&r.target.id).await.map(|()| Done)?)
}

fn main() {
    check_guarantee::<Hello>((), Plan::crashes(20));
}
