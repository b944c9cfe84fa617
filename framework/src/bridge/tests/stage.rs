//! A network of which each test says what happens: it has everything that the simulated one lacks.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

mod files;

use files::Files;

use crate::{
    event::{ChatKind, JoinRule, MediaRef, Poll, PollOption},
    format::{Rich, Style},
    prelude::*,
    testing::{CrashPoint, Faults},
};

/// Something that happens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum What {
    Say {
        id: String,
        text: String,
    },
    /// Words with an emoji of the network, whose picture is a file.
    Emoji {
        id: String,
        emoji: String,
        file: String,
    },
    /// Something that disappears so many milliseconds after it is sent, or read.
    Fades {
        id: String,
        ms: u64,
        read: bool,
    },
    Poll {
        id: String,
        options: Vec<String>,
    },
    Vote {
        poll: String,
        choices: Vec<String>,
    },
    Results {
        poll: String,
        counts: Vec<(String, u64)>,
        ended: bool,
    },
    End {
        poll: String,
    },
    React {
        target: String,
        emoji: String,
        file: Option<String>,
        set: bool,
    },
    Pin {
        target: String,
        pinned: bool,
    },
    Pins(Vec<String>),
    /// The chat is part of another.
    Parent(Option<String>),
    /// Its messages disappear so many milliseconds after they are sent.
    Timer(Option<u64>),
    Gone,
    /// It goes on under another name.
    Moved(String),
    /// A file, perhaps of an album.
    File(Filed),
    /// The file is another now, or says something else.
    NewFile(Filed),
    /// It is deleted.
    Remove(String),
    /// Said by a program under a name.
    Named {
        id: String,
        text: String,
        name: String,
    },
}

/// A file as it is sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Filed {
    pub(super) id: String,
    pub(super) file: String,
    pub(super) album: Option<String>,
    pub(super) caption: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Told {
    seq: u64,
    ms: u64,
    chat: String,
    user: String,
    /// The chat that `chat` is a thread of, and the message it begins with.
    thread: Option<(String, String)>,
    what: What,
}

#[derive(Default)]
struct State {
    told: Vec<Told>,
    /// What was asked of the network, once per key.
    asked: Vec<String>,
    done: BTreeMap<String, String>,
    chats: BTreeMap<String, (ChatKind, Option<String>)>,
    fetched: usize,
    /// What the next texts are answered with.
    troubles: VecDeque<SendError>,
    /// Of each attempt at a text whether an earlier one may have arrived.
    doubts: Vec<bool>,
}

/// The network. Cheap to clone; it outlives the bridge's crashes.
#[derive(Clone)]
pub(super) struct Stage {
    state: Arc<Mutex<State>>,
    news: Arc<Notify>,
    faults: Faults,
}

impl Stage {
    /// An empty one, with these faults on the way to it.
    pub(super) fn new(faults: Faults) -> Self {
        Self { state: Arc::default(), news: Arc::default(), faults }
    }
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Something happens.
    pub(super) fn tell(&self, chat: &str, user: &str, what: What) {
        self.tell_all(chat, user, None, what);
    }
    /// Something happens in a thread that is a chat of its own.
    pub(super) fn tell_in(&self, thread: &str, of: (&str, &str), user: &str, what: What) {
        let of = (of.0.to_owned(), of.1.to_owned());
        self.tell_all(thread, user, Some(of), what);
    }
    fn tell_all(&self, chat: &str, user: &str, thread: Option<(String, String)>, what: What) {
        let mut state = self.state();
        let seq = state.told.len() as u64 + 1;
        // No two at the same time.
        let last = state.told.last().map_or(0, |told| told.ms);
        let ms = crate::clock::millis(SystemTime::now()).unsigned_abs().max(last + 1);
        let (chat, user) = (chat.to_owned(), user.to_owned());
        state.told.push(Told { seq, ms, chat, user, thread, what });
        drop(state);
        self.news.notify_waiters();
    }
    /// What sort of chat it is, and what it is part of; otherwise it is a group.
    pub(super) fn chat(&self, id: &str, kind: ChatKind, parent: Option<&str>) {
        self.state().chats.insert(id.to_owned(), (kind, parent.map(ToOwned::to_owned)));
    }
    pub(super) fn asked(&self) -> Vec<String> {
        self.state().asked.clone()
    }
    /// How often a file was fetched.
    pub(super) fn fetched(&self) -> usize {
        self.state().fetched
    }
    /// What the next texts are answered with, before any is taken.
    pub(super) fn trouble(&self, troubles: impl IntoIterator<Item = SendError>) {
        self.state().troubles.extend(troubles);
    }
    /// Of each attempt at a text whether an earlier one may have arrived.
    pub(super) fn doubts(&self) -> Vec<bool> {
        self.state().doubts.clone()
    }
    /// Whether anything happened in a chat.
    fn is_silent(&self, chat: &str) -> bool {
        !self.state().told.iter().any(|told| told.chat == chat)
    }
    /// Does something once per key; gives the message's id.
    async fn ask(&self, key: &IdempotencyKey, what: String) -> String {
        self.faults.point(CrashPoint::BeforeNetwork).await;
        let id = {
            let mut state = self.state();
            let next = format!("s{}", state.done.len() + 1);
            let key = key.to_hex();
            if let Some(id) = state.done.get(&key) {
                id.clone()
            } else {
                state.asked.push(what);
                state.done.insert(key, next.clone());
                next
            }
        };
        self.faults.point(CrashPoint::AfterNetwork).await;
        id
    }
}

pub(super) struct Session {
    stage: Arc<Stage>,
    user: String,
}

/// What a handler answers.
type Answer<T> = Result<T, SendError>;
type Here = Via<Stage>;

impl Network for Stage {
    const ID: &'static str = "stage";
    type Config = ();
    type PortalId = String;
    type UserId = String;
    type MessageId = String;
    type LoginId = String;
    type LoginMeta = ();
    type PortalMeta = ();
    type GhostMeta = ();
    type MessageMeta = ();
    type Raw = Told;
    type Client = Session;

    fn info((): &()) -> NetworkInfo {
        NetworkInfo { name: "Stage", url: "https://stage.example", icon: None }
    }
    fn handlers(h: Handlers<Self>) -> Handlers<Self> {
        h.text(TextCaps::default(), Idempotency::Native, send)
            .poll(PollCaps { max_options: 3 }, Idempotency::Native, poll)
            .poll_vote(VoteCaps::default(), vote)
            .poll_end(end)
            .react(ReactCaps { per_user: Some(1), allowed: Vec::new() }, react)
            .remove(RemoveCaps::default(), remove)
            .edit(EditCaps::default(), files::edit)
            .gallery(Idempotency::Native, files::gallery)
            .live_location(Idempotency::Native, files::live)
            .group([files::group_kind()], files::group)
            .pins(pins)
            .disappearing(DisappearCaps::default(), timer)
            .media_source(Files)
            .directory(Files)
            .relay(RelayStyle::Prefix)
    }
    fn logins(logins: Logins<Self>) -> Logins<Self> {
        logins.flow("name", "By name", |mut io: LoginIo<Self>| async move {
            #[derive(Deserialize)]
            struct Name {
                name: String,
            }
            let Name { name } = io.ask(Form::new().text("name", "Name")).await?;
            Ok(NewLogin::new(&*name, &*name, ()).user(name.clone()))
        })
    }
    fn system_logins((): &()) -> Vec<NewLogin<Self>> {
        vec![NewLogin::new("relay", "The relay", ()).user("relay".into())]
    }
    async fn start((): (), runtime: Runtime) -> Result<Self, StartError> {
        let stage = runtime.shared.get::<Self>();
        stage.map(|stage| (*stage).clone()).ok_or_else(|| StartError("no network".into()))
    }
    async fn connect(&self, login: Login<Self>) -> Result<Session, ConnectError> {
        Ok(Session { stage: Arc::new(self.clone()), user: login.id })
    }
    fn decode(&self, _: &Login<Self>, raw: &Told) -> Result<Vec<RemoteEvent<Self>>, DecodeError> {
        let body = body(raw);
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(raw.ms);
        let (portal, sender) = (key(&raw.chat), Sender::User(raw.user.clone()));
        // As networks do that number messages by chat.
        let event_key = match &raw.what {
            What::Say { id, .. } => format!("said {id}"),
            _ => raw.seq.to_string(),
        };
        let event = RemoteEvent::<Self>::new(portal, sender, at, event_key, body);
        Ok(vec![match &raw.thread {
            Some((chat, root)) => event.in_thread_of(PortalKey::shared(&**chat), &**root),
            None => event,
        }])
    }
}

/// Chats whose names begin so are the relay's alone.
const OWN: &str = "own ";

fn key(chat: &str) -> PortalKey<Stage> {
    if chat.starts_with(OWN) {
        PortalKey::private(chat, "relay".into())
    } else {
        PortalKey::shared(chat)
    }
}

fn body(raw: &Told) -> Body<Stage> {
    let message = |id: &str, content: Content| Message::<Stage>::of(id, content);
    let emoji = |id: &str, file: &Option<String>| match file {
        Some(file) => Emoji::Custom {
            id: id.into(),
            shortcode: id.into(),
            media: Some(MediaRef(file.clone())),
        },
        None => Emoji::Unicode(id.into()),
    };
    match &raw.what {
        What::Say { id, text } => Message::<Stage>::text(&**id, &**text).into(),
        What::Named { id, text, name } => {
            let profile = MessageProfile::named(&**name);
            Message::<Stage>::text(&**id, &**text).shown_as(Some(profile)).into()
        }
        What::Emoji { id, emoji, file } => {
            let mut rich = Rich::plain("look: ");
            let style = Style::RemoteEmoji { id: emoji.clone(), media: Some(file.clone()) };
            rich.push_styled(&format!(":{emoji}:"), style);
            message(id, Content::Text(rich)).into()
        }
        What::Fades { id, ms, read } => {
            let after = Duration::from_millis(*ms);
            let when = if *read {
                Disappear::after_reading(after)
            } else {
                Disappear::after_sending(after)
            };
            Message::<Stage>::text(&**id, "soon gone").disappearing(Some(when)).into()
        }
        What::Poll { id, options } => {
            let option = |id: &String| PollOption { id: id.clone(), text: format!("Option {id}") };
            let poll = Poll {
                question: "Which?".into(),
                options: options.iter().map(option).collect(),
                max_choices: 1,
                disclosed: true,
            };
            message(id, Content::Poll(poll)).into()
        }
        What::Vote { poll, choices } => {
            Body::PollVote { poll: poll.clone(), choices: choices.clone() }
        }
        What::Results { poll, counts, ended } => {
            Body::PollResults { poll: poll.clone(), counts: counts.clone(), ended: *ended }
        }
        What::End { poll } => Body::PollEnd { poll: poll.clone() },
        What::React { target, emoji: id, file, set } => {
            Body::React { target: MessageRef::whole(&**target), emoji: emoji(id, file), set: *set }
        }
        What::Pin { target, pinned } => Body::Pin { target: target.clone(), pinned: *pinned },
        What::Pins(ids) => Body::Pins { ids: ids.clone() },
        What::Parent(parent) => {
            ChatDelta::<Stage> { parent: Some(parent.clone()), ..ChatDelta::default() }.into()
        }
        What::Timer(ms) => {
            let timer = ms.map(|ms| Disappear::after_sending(Duration::from_millis(ms)));
            ChatDelta::<Stage> { disappear: Some(timer), ..ChatDelta::default() }.into()
        }
        What::File(file) => files::message(file).into(),
        What::NewFile(file) => {
            let (target, new) = (file.id.clone(), files::message(file));
            Body::Edit { target, version: raw.seq, new }
        }
        What::Remove(id) => Body::Remove { target: MessageRef::whole(&**id), for_me_only: false },
        What::Gone => Body::ChatGone { for_me_only: false },
        What::Moved(to) => Body::PortalMoved { to: key(to) },
    }
}

impl Client for Session {
    type Net = Stage;
    async fn run(&self, inbox: Inbox<Stage>, stop: CancellationToken) -> Exit {
        inbox.state(LoginState::Connected);
        let Ok(cursor) = inbox.cursor().await else { return Exit::Stopped };
        let mut seen = cursor.and_then(|text| text.parse().ok()).unwrap_or(0);
        // People's own accounts hear nothing that the relay doesn't: one of them tells.
        if self.user != "relay" {
            stop.cancelled().await;
            return Exit::Stopped;
        }
        loop {
            let news = self.stage.news.notified();
            let next = self.stage.state().told.iter().find(|told| told.seq > seen).cloned();
            let Some(told) = next else {
                let waited = tokio::time::timeout(Duration::from_millis(200), news);
                if stop.run_until_cancelled(waited).await.is_none() {
                    return Exit::Stopped;
                }
                continue;
            };
            self.stage.faults.point(CrashPoint::BeforeNetwork).await;
            seen = told.seq;
            let key = told.seq.to_string();
            if inbox.put_with_cursor(key.clone(), told, &key).await.is_err() {
                return Exit::Stopped;
            }
        }
    }
    async fn chat(&self, key: &PortalKey<Stage>) -> Result<ChatInfo<Stage>, NetError> {
        let known = self.stage.state().chats.get(&key.id).cloned();
        let (kind, parent) = known.unwrap_or((ChatKind::Group, None));
        // Channels are open to all who are in their server.
        let open = kind == ChatKind::Channel;
        let join_rule = if open { JoinRule::Parent } else { JoinRule::Invite };
        let named = ChatInfo::named(format!("Chat {}", key.id));
        Ok(ChatInfo { kind, parent, join_rule, ..named })
    }
    async fn user(&self, id: &String) -> Result<UserInfo, NetError> {
        Ok(UserInfo::named(id.to_uppercase()))
    }
}

async fn send(
    Via(c): Here,
    Key(k): Key,
    Thread(root): Thread<Stage>,
    attempt: Attempt,
    t: Text,
) -> Answer<Sent<Stage>> {
    let trouble = {
        let mut state = c.stage.state();
        state.doubts.push(attempt.maybe_sent);
        state.troubles.pop_front()
    };
    if let Some(trouble) = trouble {
        return Err(trouble);
    }
    let mut said: String = t.body.text().into();
    for span in t.body.spans() {
        if let Style::RemoteEmoji { id, .. } = &span.style {
            said = format!("{said} [{id}]");
        }
    }
    if let Some(root) = root {
        said = format!("{said} (in {root})");
    }
    Ok(Sent::now(c.stage.ask(&k, said).await))
}
async fn poll(Via(c): Here, Key(k): Key, PollSent(poll): PollSent) -> Answer<Sent<Stage>> {
    let names: Vec<_> = poll.options.iter().map(|option| &*option.text).collect();
    let id = c.stage.ask(&k, format!("poll {}: {}", poll.question, names.join(", "))).await;
    // The network numbers them.
    let options = (1..=poll.options.len()).map(|number| number.to_string()).collect();
    Ok(Sent::Poll { id, options })
}
async fn vote(Via(c): Here, Key(k): Key, v: PollVoted<Stage>) -> Answer<Done> {
    c.stage.ask(&k, format!("vote {}: {}", v.poll.id, v.choices.join(", "))).await;
    Ok(Done)
}
async fn end(Via(c): Here, Key(k): Key, e: PollEnded<Stage>) -> Answer<Done> {
    c.stage.ask(&k, format!("end {}", e.poll.id)).await;
    Ok(Done)
}
async fn react(
    Via(c): Here,
    Key(k): Key,
    OwnReactions(all): OwnReactions,
    r: Reacted<Stage>,
) -> Answer<Done> {
    let all: Vec<_> = all.iter().map(Emoji::id).collect();
    c.stage.ask(&k, format!("reactions to {}: {}", r.target.id, all.join(", "))).await;
    Ok(Done)
}
async fn remove(Via(c): Here, Key(k): Key, Targets(all): Targets<Stage>) -> Answer<Done> {
    let all: Vec<_> = all.into_iter().map(|target| target.id).collect();
    c.stage.ask(&k, format!("remove {}", all.join(", "))).await;
    Ok(Done)
}
async fn pins(Via(c): Here, Key(k): Key, p: PinsChanged<Stage>) -> Answer<Done> {
    c.stage.ask(&k, format!("pins +{} -{}", p.added.join(","), p.removed.join(","))).await;
    Ok(Done)
}
async fn timer(Via(c): Here, Key(k): Key, DisappearSet(timer): DisappearSet) -> Answer<Done> {
    let words = timer.map_or("never".into(), |timer| format!("{:?}", timer.after));
    c.stage.ask(&k, format!("timer {words}")).await;
    Ok(Done)
}
