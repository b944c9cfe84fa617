//! Logins end to end, with the driver's side played by the test.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::oneshot;

use super::*;
use crate::kv::MemoryKv;
use crate::network::{
    CancellationToken, Client, ConnectError, DecodeError, Exit, Login, NetworkInfo, PortalKey,
    Runtime, StartError,
};
use crate::{Handlers, Inbox};

/// A network that can't do anything: logins need no more.
#[derive(Debug)]
pub(crate) struct Nothing;

impl Client for Nothing {
    type Net = Nothing;
    async fn run(&self, _: Inbox<Nothing>, _: CancellationToken) -> Exit {
        Exit::Stopped
    }
    async fn chat(
        &self,
        _: &PortalKey<Nothing>,
    ) -> Result<crate::event::ChatInfo<Nothing>, NetError> {
        Err(NetError::permanent("none"))
    }
    async fn user(&self, _: &String) -> Result<crate::event::UserInfo, NetError> {
        Err(NetError::permanent("none"))
    }
}

impl Network for Nothing {
    const ID: &'static str = "nothing";
    type Config = ();
    type PortalId = String;
    type UserId = String;
    type MessageId = String;
    type LoginId = String;
    type LoginMeta = ();
    type PortalMeta = ();
    type GhostMeta = ();
    type MessageMeta = ();
    type Raw = ();
    type Client = Nothing;

    fn info((): &()) -> NetworkInfo {
        NetworkInfo::default()
    }
    fn handlers(handlers: Handlers<Self>) -> Handlers<Self> {
        handlers
    }
    async fn start((): (), _: Runtime) -> Result<Self, StartError> {
        Ok(Self)
    }
    async fn connect(&self, _: Login<Self>) -> Result<Nothing, ConnectError> {
        Ok(Nothing)
    }
    fn decode(
        &self,
        _: &Login<Self>,
        (): &(),
    ) -> Result<Vec<crate::event::RemoteEvent<Self>>, DecodeError> {
        Ok(Vec::new())
    }
}

pub(crate) async fn finish(new: NewLogin<Nothing>) -> Result<Outcome, LoginError> {
    Ok(Outcome { login_id: new.id, name: new.name })
}

fn answer(pairs: &[(&str, &str)]) -> Answer {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn start(logins: &Logins<Nothing>) -> LoginProcess {
    logins.flows()[0].start(Arc::new(Nothing), "@u:hs".into(), None, finish)
}

#[derive(Deserialize)]
struct Phone {
    phone: String,
}

#[tokio::test]
async fn a_flow_asks_until_the_answer_fits() {
    let logins = Logins::<Nothing>::new().flow("phone", "Phone", |mut io| async move {
        assert_eq!(io.owner(), "@u:hs");
        let got: Phone =
            io.ask(Form::new().instructions("Hello").phone("phone", "Phone number")).await?;
        Ok(NewLogin::new(got.phone, "me", ()))
    });
    let mut process = start(&logins);
    let first = process.next().await;
    assert!(first.complaint.is_none());
    assert_eq!(process.answer(first.number + 1, answer(&[])), Err(AnswerError::WrongStep));
    process.answer(first.number, answer(&[("phone", "abc")])).unwrap();
    let second = process.next().await;
    assert!(second.complaint.unwrap().contains("Phone number"));
    // The same answer sent twice answers once.
    process.answer(second.number, answer(&[("phone", "+49 30 123-456")])).unwrap();
    assert_eq!(process.answer(second.number, answer(&[])), Err(AnswerError::WrongStep));
    match process.next().await.kind {
        StepKind::Done(outcome) => assert_eq!(outcome.login_id, "+4930123456"),
        other => panic!("{other:?}"),
    }
    assert_eq!(process.answer(second.number, answer(&[])), Err(AnswerError::Over));
    assert!(matches!(process.next().await.kind, StepKind::Done(_)));
}

#[tokio::test]
async fn a_display_ends_by_itself() {
    let (scanned, wait) = oneshot::channel::<&'static str>();
    let wait = Arc::new(tokio::sync::Mutex::new(Some(wait)));
    let logins = Logins::<Nothing>::new().flow("qr", "QR", move |mut io| {
        let wait = wait.clone();
        async move {
            let wait = wait.lock().await.take().unwrap();
            let id = io.show_until(Display::Qr("data".into()), wait).await?.unwrap();
            Ok(NewLogin::new(id, "me", ()))
        }
    });
    let mut process = start(&logins);
    let step = process.next().await;
    assert!(matches!(step.kind, StepKind::Show(Display::Qr(_))));
    assert_eq!(process.answer(step.number, answer(&[])), Err(AnswerError::NoAnswerWanted));
    scanned.send("device").unwrap();
    assert!(matches!(process.next().await.kind, StepKind::Done(o) if o.login_id == "device"));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_process_drops_the_flow() {
    struct Guard(Arc<AtomicBool>);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let dropped = Arc::new(AtomicBool::new(false));
    let flag = dropped.clone();
    let logins = Logins::<Nothing>::new().flow("x", "X", move |mut io| {
        let guard = Guard(flag.clone());
        async move {
            let _guard = guard;
            let got: Phone = io.ask(Form::new().phone("phone", "Phone")).await?;
            Ok(NewLogin::new(got.phone, "me", ()))
        }
    });
    let mut process = start(&logins);
    process.next().await;
    drop(process);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(dropped.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_panic_and_a_refusal_are_told() {
    let logins = Logins::<Nothing>::new()
        .flow("no", "No", |_| async { Err(LoginError::refused("wrong day")) })
        .flow("boom", "Boom", |_| async { panic!("boom") });
    let mut process = start(&logins);
    assert!(
        matches!(process.next().await.kind, StepKind::Failed(LoginError::Refused(r)) if r == "wrong day")
    );
    let mut process =
        logins.get("boom").unwrap().start(Arc::new(Nothing), "@u:hs".into(), None, finish);
    assert!(matches!(process.next().await.kind, StepKind::Failed(_)));
}

#[test]
fn oauth_checks_the_state() {
    let spec = OAuthSpec { authorize_url: "https://n/auth".into(), state: "s1".into() };
    assert_eq!(spec.accept("https://b/cb?code=c&state=s1").map(|c| c.0), Ok("c".to_owned()));
    assert!(spec.accept("https://b/cb?code=c&state=s2").is_err());
    assert!(
        spec.accept("https://b/cb?error=access_denied&state=s1")
            .err()
            .unwrap()
            .contains("access_denied")
    );
    assert!(spec.accept("nonsense").is_err());
}

#[tokio::test]
async fn interrupted_logins_are_remembered_until_told() {
    let kv = MemoryKv::default();
    pending::begin(&kv, "@a:hs", "!r:hs").await.unwrap();
    pending::begin(&kv, "@b:hs", "!s:hs").await.unwrap();
    pending::end(&kv, "@b:hs").await.unwrap();
    let left = pending::interrupted(&kv).await.unwrap();
    assert_eq!(left, vec![pending::Interrupted { user: "@a:hs".into(), room: "!r:hs".into() }]);
}

/// The network above, started.
pub(crate) fn network() -> Arc<Nothing> {
    Arc::new(Nothing)
}

/// Two ways to log in, for the tests of those who drive logins.
pub(crate) fn demo_flows() -> Logins<Nothing> {
    #[derive(Deserialize)]
    struct Account {
        name: String,
        password: String,
    }
    Logins::new()
        .flow("password", "Password", |mut io| async move {
            let form = Form::new().username("name", "Your name").password("password", "Password");
            let account: Account = io.ask(form).await?;
            if account.password != "hunter2" {
                return Err(LoginError::refused("wrong password"));
            }
            Ok(NewLogin::new(account.name.clone(), account.name, ()))
        })
        .flow("qr", "QR code", |mut io| async move {
            io.show_until(
                Display::Qr("sim:scan".into()),
                tokio::time::sleep(Duration::from_secs(5)),
            )
            .await?;
            Ok(NewLogin::new("scanned", "Scanned", ()))
        })
}
