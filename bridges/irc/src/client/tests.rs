use std::time::Duration;

use tokio::net::TcpListener;

use super::*;
use crate::peer::Peer;

fn settings(port: u16) -> Settings {
    let seed = std::sync::atomic::AtomicU64::new(1);
    Settings {
        host: "127.0.0.1".into(),
        port,
        tls: None,
        password: None,
        nick: "casey".into(),
        username: "casey".into(),
        realname: "Casey".into(),
        sasl: None,
        nickserv: None,
        flood: Some(FloodLimits { burst: 1e6, per_second: 1e6 }),
        interest: Interest::Channels,
        user_modes: None,
        regain: true,
        connect_timeout: Duration::from_secs(10),
        ping_interval: Duration::from_mins(1),
        min_backoff: Duration::from_millis(1),
        max_backoff: Duration::from_millis(2),
        random: Random::new(move || seed.fetch_add(1, std::sync::atomic::Ordering::Relaxed)),
    }
}

struct Rig {
    listener: TcpListener,
    client: ClientHandle,
    events: mpsc::Receiver<ClientEvent>,
    stop: CancellationToken,
}

async fn rig(change: impl FnOnce(&mut Settings)) -> Rig {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = settings(listener.local_addr().unwrap().port());
    change(&mut settings);
    let (sender, events) = mpsc::channel(8);
    let stop = CancellationToken::new();
    let client = spawn(settings, sender, stop.clone());
    Rig { listener, client, events, stop }
}

impl Rig {
    async fn up(&mut self, caps: &str) -> (Peer, Arc<Snapshot>) {
        let mut peer = Peer::accept(&self.listener).await;
        peer.register(caps).await;
        loop {
            match self.events.recv().await.unwrap() {
                ClientEvent::Up(snapshot) => return (peer, snapshot),
                ClientEvent::Down(_) => {}
                ClientEvent::Line(line) => panic!("unexpected {line:?}"),
            }
        }
    }

    async fn next_line(&mut self) -> Incoming {
        match tokio::time::timeout(Duration::from_secs(10), self.events.recv())
            .await
            .expect("an event comes")
            .unwrap()
        {
            ClientEvent::Line(line) => *line,
            other => panic!("unexpected {other:?}"),
        }
    }

    fn send(
        &self,
        target: &str,
        text: &str,
    ) -> tokio::task::JoinHandle<Result<Confirmed, SendFailure>> {
        let line = OutLine {
            target: target.into(),
            notice: false,
            text: text.into(),
            tags: vec![("+x".into(), "y".into())],
        };
        let client = self.client.clone();
        tokio::spawn(async move { client.send(line).await })
    }
}

#[tokio::test]
async fn a_label_confirms_a_line_with_its_id() {
    let mut rig = rig(|_| {}).await;
    let (mut peer, me) =
        rig.up("message-tags server-time batch labeled-response echo-message").await;
    assert_eq!((me.me.host.as_deref(), me.isupport.nick_len), (Some("host"), 20));
    let sent = rig.send("#c", "hello");
    assert_eq!(peer.line().await, "@+x=y;label=l1 PRIVMSG #c :hello");
    peer.say("@label=l1;msgid=abc;time=2026-11-21T07:00:00.000Z :casey!~u@host PRIVMSG #c :hello")
        .await;
    assert_eq!(
        sent.await.unwrap(),
        Ok(Confirmed { msgid: Some("abc".into()), at: Some(1_795_244_400_000) })
    );

    let refused = rig.send("#d", "no");
    peer.expect("label=l2").await;
    peer.say("@label=l2 :s 404 casey #d :Cannot send to channel").await;
    assert_eq!(
        refused.await.unwrap(),
        Err(SendFailure::Refused { code: "404".into(), text: "Cannot send to channel".into() })
    );

    // An answer of several lines comes as a batch.
    let away = rig.send("bob", "there?");
    peer.expect("label=l3").await;
    peer.say("@label=l3 :s BATCH +1 labeled-response\n@batch=1 :s 301 casey bob :away\n@batch=1;msgid=m3 :casey!~u@host PRIVMSG bob :there?\n:s BATCH -1").await;
    assert_eq!(away.await.unwrap().unwrap().msgid.as_deref(), Some("m3"));
    assert_eq!(rig.next_line().await.message.command, "301");
}

#[tokio::test]
async fn an_echo_confirms_and_a_swallowed_line_is_told() {
    let mut rig = rig(|_| {}).await;
    let (mut peer, _) = rig.up("echo-message").await;
    let (one, two) = (rig.send("#c", "one"), rig.send("#c", "two"));
    let first = peer.expect("PRIVMSG #c :").await;
    let second = peer.expect("PRIVMSG #c :").await;
    peer.say(&format!(":casey!~u@host {first}\n:casey!~u@host {second}")).await;
    assert_eq!(
        (one.await.unwrap(), two.await.unwrap()),
        (Ok(Confirmed::default()), Ok(Confirmed::default()))
    );

    let swallowed = rig.send("#c", "shunned");
    peer.expect("shunned").await;
    let barrier = peer.expect("PING lb-").await;
    peer.say(&format!(":s PONG s :{}", &barrier[5..])).await;
    assert!(
        matches!(swallowed.await.unwrap(), Err(SendFailure::Refused { code, .. }) if code == "none")
    );
}

#[tokio::test]
async fn a_barrier_confirms_where_the_server_has_nothing_better() {
    let mut rig = rig(|_| {}).await;
    let (mut peer, _) = rig.up("").await;
    let sent = rig.send("#c", "one");
    assert_eq!(peer.line().await, "PRIVMSG #c :one");
    let barrier = peer.expect("PING lb-1").await;
    assert!(!sent.is_finished());
    peer.say(&format!(":s PONG s :{}", &barrier[5..])).await;
    assert_eq!(sent.await.unwrap(), Ok(Confirmed::default()));

    let refused = rig.send("#C", "two");
    peer.expect("two").await;
    let barrier = peer.expect("PING ").await;
    peer.say(&format!(":s 404 casey #c :No\n:s PONG s :{}", &barrier[5..])).await;
    assert!(
        matches!(refused.await.unwrap(), Err(SendFailure::Refused { code, .. }) if code == "404")
    );
}

#[tokio::test]
async fn a_line_in_flight_is_lost_and_one_not_written_is_not() {
    let mut rig = rig(|s| s.flood = Some(FloodLimits { burst: 2.0, per_second: 0.01 })).await;
    let (mut peer, before) = rig.up("").await;
    let in_flight = rig.send("#c", "one");
    peer.expect("one").await;
    let waiting = rig.send("#c", "two");
    peer.say(":s NOTICE casey :still here").await;
    assert_eq!(rig.next_line().await.message.command, "NOTICE");
    drop(peer);
    assert_eq!(in_flight.await.unwrap(), Err(SendFailure::Lost));
    assert!(matches!(waiting.await.unwrap(), Err(SendFailure::NotSent(_))));
    let (_peer, after) = rig.up("").await;
    assert_ne!(before.epoch, after.epoch);
}

#[tokio::test]
async fn joins_are_answered_and_followed() {
    let mut rig = rig(|_| {}).await;
    let (mut peer, _) = rig.up("").await;
    let client = rig.client.clone();
    let join = tokio::spawn(async move {
        (
            client.join("#C", Some("key")).await,
            client.join("#banned", None).await,
            client.join("#c", None).await,
        )
    });
    assert_eq!(peer.line().await, "JOIN #C key");
    peer.say(":casey!~real@cloak JOIN #c\n:s 353 casey = #c :@casey").await;
    assert_eq!(peer.line().await, "JOIN #banned");
    peer.say(":s 474 casey #banned :Cannot join channel (+b)").await;
    let (first, second, third) = join.await.unwrap();
    assert!(first.is_ok() && third.is_ok());
    assert!(matches!(second, Err(SendFailure::Refused { code, .. }) if code == "474"));
    let now = rig.client.snapshot().unwrap();
    assert!(now.is_in("#C") && now.me.host.as_deref() == Some("cloak"));
    peer.say(":op!o@h KICK #c casey :out").await;
    while rig.next_line().await.message.command != "KICK" {}
    assert!(!rig.client.snapshot().unwrap().is_in("#c"));
}

#[tokio::test]
async fn history_comes_as_one_answer() {
    let mut rig = rig(|_| {}).await;
    let (mut peer, me) = rig.up("batch server-time message-tags draft/chathistory").await;
    assert_eq!(me.isupport.chathistory, Some(50));
    let client = rig.client.clone();
    let history = tokio::spawn(async move {
        client.history(["AFTER", "#c", "msgid=a", "50"].map(str::to_owned).to_vec()).await
    });
    assert_eq!(peer.line().await, "CHATHISTORY AFTER #c msgid=a 50");
    peer.say(":s BATCH +h chathistory #c\n@batch=h;msgid=b;time=2026-11-21T07:00:00.000Z :x!y@z PRIVMSG #c :b").await;
    peer.say(":live!y@z PRIVMSG #c :now\n@batch=h;msgid=c :x!y@z PRIVMSG #c :c\n:s BATCH -h").await;
    let lines = history.await.unwrap().unwrap();
    assert_eq!(lines.iter().filter_map(Incoming::msgid).collect::<Vec<_>>(), ["b", "c"]);
    assert_eq!(rig.next_line().await.message.last(), "now");

    let client = rig.client.clone();
    let refused = tokio::spawn(async move {
        client.history(["LATEST", "#x", "*", "50"].map(str::to_owned).to_vec()).await
    });
    peer.expect("CHATHISTORY LATEST").await;
    peer.say(":s FAIL CHATHISTORY INVALID_TARGET LATEST #x :Messages could not be retrieved").await;
    assert!(
        matches!(refused.await.unwrap(), Err(SendFailure::Refused { code, .. }) if code == "INVALID_TARGET")
    );
}

#[tokio::test]
async fn a_taken_nick_is_got_back_when_it_is_free() {
    let mut rig = rig(|_| {}).await;
    let mut peer = Peer::accept(&rig.listener).await;
    for wanted in ["CAP", "NICK casey", "USER"] {
        peer.expect(wanted).await;
    }
    peer.say(":s 433 * casey :in use").await;
    peer.expect("NICK casey_").await;
    peer.say(":s 001 casey_ :Welcome\n:s 422 casey_ :No MOTD\n:casey!x@y QUIT :gone").await;
    peer.expect("NICK casey").await;
    peer.say(":casey_!~u@h NICK casey").await;
    while rig.client.snapshot().is_none_or(|me| me.me.name != "casey") {
        rig.events.recv().await.unwrap();
    }
}

#[tokio::test]
async fn an_owner_who_does_not_read_stops_the_socket_not_the_sends() {
    let mut rig = rig(|_| {}).await;
    let (mut peer, _) = rig.up("").await;
    for n in 0..600 {
        peer.say(&format!(":x!y@z PRIVMSG #c :{n}")).await;
    }
    let client = rig.client.clone();
    client.command(Message::new("AWAY", ["busy"])).await.unwrap();
    peer.expect("AWAY :busy").await;
    for n in 0..600 {
        let line = rig.next_line().await;
        assert_eq!((line.message.last(), line.number > n), (n.to_string().as_str(), true));
    }
}

#[tokio::test]
async fn refused_credentials_end_the_connection_for_good() {
    let mut rig = rig(|s| s.password = Some(Secret("wrong".into()))).await;
    let mut peer = Peer::accept(&rig.listener).await;
    peer.expect("PASS wrong").await;
    peer.say(":s 464 * :Password incorrect").await;
    assert!(matches!(rig.events.recv().await, Some(ClientEvent::Down(Failure::Credentials(_)))));
    assert!(matches!(
        rig.client.online(Duration::from_secs(10)).await,
        Err(SendFailure::NotSent(_))
    ));
    assert!(rig.events.recv().await.is_none());
}

#[tokio::test]
async fn stopping_says_goodbye() {
    let mut rig = rig(|_| {}).await;
    let (mut peer, _) = rig.up("").await;
    rig.stop.cancel();
    peer.expect("QUIT :").await;
    assert!(matches!(
        rig.client.online(Duration::from_secs(10)).await,
        Err(SendFailure::NotSent(_))
    ));
}

#[tokio::test]
async fn whois_answers_with_or_without_somebody() {
    let mut rig = rig(|_| {}).await;
    let (mut peer, _) = rig.up("").await;
    let client = rig.client.clone();
    let asked =
        tokio::spawn(async move { (client.whois("Bob").await, client.whois("nobody").await) });
    peer.expect("WHOIS Bob").await;
    peer.say(":s 311 casey bob ~b host * :Bob B\n:s 330 casey bob bobacc :is logged in as\n:s 318 casey bob :End").await;
    peer.expect("WHOIS nobody").await;
    peer.say(":s 401 casey nobody :No such nick\n:s 318 casey nobody :End").await;
    let (bob, nobody) = asked.await.unwrap();
    let bob = bob.unwrap().unwrap();
    assert_eq!((bob.realname.as_str(), bob.account.as_deref()), ("Bob B", Some("bobacc")));
    assert_eq!(nobody, Ok(None));
}
