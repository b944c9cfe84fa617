//! The task of one pusher: tells what waits, one thing after the other, until nothing is left.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue};
use rand::RngExt as _;
use ruma::UserId;
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

use super::badge::Badge;
use super::news::News;
use super::webpush::Recipient;
use super::{Key, Push, email, gateway, webpush};
use crate::app::App;
use crate::commit::CommitError;
use crate::http::error::ApiError;
use crate::outbound::post::Answer;
use crate::room::RoomError;
use crate::services::email::EmailError;
use crate::storage::pushers::{self, Pusher, PusherKey};
use crate::storage::{StorageError, notifications};

/// How long a gateway may take.
const TIME: Duration = Duration::from_secs(20);
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_hours(1);
/// How long a number waits for what it counts to be noted.
const PATIENCE: Duration = Duration::from_secs(20);
/// Notifications that are looked at together.
const PAGE: usize = 50;

/// Why nothing was told.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("{0}")]
    Storage(#[from] StorageError),
    #[error("{0}")]
    Commit(#[from] CommitError),
    #[error("{0}")]
    Room(#[from] RoomError),
    #[error("{0}")]
    Service(#[from] ApiError),
    #[error("{0}")]
    Unreachable(#[from] crate::outbound::FetchError),
    #[error("it answered {0}")]
    Refused(http::StatusCode, Option<Duration>),
    #[error("{0}")]
    Email(#[from] EmailError),
    #[error("its message could not be encrypted")]
    Encryption,
    #[error("its definition can't be read: {0}")]
    Damaged(String),
}

/// What a step has come to.
pub(super) enum Step {
    /// There may be more.
    Again,
    /// There is something to tell, but not yet.
    Wait(Duration),
    /// Nothing is left to tell, or nobody to be told.
    Idle,
}

/// What became of a request.
enum Outcome {
    Taken,
    /// The gateway says that nobody is there any more.
    Rejected,
}

#[derive(Deserialize)]
struct Definition {
    kind: String,
    data: Map<String, Value>,
}

/// A pusher and the way to it.
struct Target {
    pusher: Pusher,
    url: Url,
    /// What the client wants to be sent with each message.
    data: Map<String, Value>,
    /// Who decrypts what goes by web push; none for a gateway.
    recipient: Option<Recipient>,
}

impl Target {
    fn of(pusher: Pusher) -> Result<Self, Problem> {
        let damaged = |what: &str| Problem::Damaged(what.to_owned());
        let definition: Definition = serde_json::from_str(&pusher.definition)
            .map_err(|error| damaged(&error.to_string()))?;
        let mut data = definition.data;
        let mut recipient = None;
        if definition.kind == webpush::KIND {
            recipient = webpush::recipient(&pusher, &data);
            if recipient.is_none() {
                return Err(damaged("its keys are none"));
            }
            // The client knows its secret.
            data.remove("auth");
        }
        let url = data.remove("url");
        let url = url.as_ref().and_then(Value::as_str).and_then(|url| Url::parse(url).ok());
        let url = url.ok_or_else(|| damaged("it has no URL"))?;
        Ok(Self { pusher, url, data, recipient })
    }

    fn wants_counts(&self) -> bool {
        self.recipient.is_none() || webpush::wants_counts(&self.data)
    }

    /// The body that tells of an event.
    async fn event(
        &self,
        app: &App,
        user: &UserId,
        news: &News,
        badge: Badge,
    ) -> Result<Value, RoomError> {
        let only_id = self.data.get("format").and_then(Value::as_str) == Some("event_id_only");
        let Self { pusher, data, .. } = self;
        let body = gateway::event(app, user, pusher, data, news, badge, only_id).await?;
        let fits = self.recipient.is_none() || body.to_string().len() <= webpush::MAX_BYTES;
        if fits || only_id {
            return Ok(body);
        }
        // Web push carries little; the client fetches the rest.
        gateway::event(app, user, pusher, data, news, badge, true).await
    }
}

/// Ends a pusher's entry when its task ends in whatever way, so that the next news starts another.
struct Entry {
    push: Push,
    key: Key,
    left: bool,
}

impl Drop for Entry {
    fn drop(&mut self) {
        if !self.left {
            self.push.working().remove(&self.key);
        }
    }
}

pub(super) async fn run(app: Arc<App>, push: Push, key: Key) {
    let mut entry = Entry { push, key, left: false };
    let mut failures: u32 = 0;
    // When an e-mail was refused because there is no such mailbox.
    let mut refused: Option<i64> = None;
    loop {
        if let Some(rest) = refused.and_then(|at| email::pause(at, app.clock.now_ms())) {
            entry.push.nap(&entry.key, rest).await;
            continue;
        }
        let began = app.clock.now_ms();
        match step(&app, &entry.push, &entry.key).await {
            Ok(Step::Again) => (failures, refused) = (0, None),
            Ok(Step::Wait(time)) => {
                failures = 0;
                entry.push.nap(&entry.key, time).await;
            }
            Ok(Step::Idle) => {
                failures = 0;
                if entry.push.rest(&entry.key) {
                    entry.left = true;
                    return;
                }
            }
            Err(Problem::Email(error)) if error.is_no_mailbox() => {
                let (user, key) = &entry.key;
                tracing::info!(%user, %error, again = refused.is_some(), "a mailbox refuses e-mails");
                if refused.is_none() {
                    refused = Some(began);
                } else if let Err(problem) = drop_pusher(&app, user, key).await {
                    tracing::warn!(%user, %problem, "a pusher could not be deleted");
                    refused = Some(began);
                }
            }
            Err(problem) => {
                failures += 1;
                // The first failure is told, then ever fewer.
                if failures.is_power_of_two() {
                    let (user, app_id) = (&entry.key.0, &entry.key.1.app_id);
                    tracing::warn!(%user, app_id, failures, %problem, "a pusher could not tell its news");
                }
                pause(failures, &problem).await;
            }
        }
    }
}

/// Deletes a pusher whose mailbox isn't there, unless it was set again meanwhile.
async fn drop_pusher(app: &App, user: &UserId, key: &PusherKey) -> Result<(), Problem> {
    if let Some(pusher) = pushers::get(&app.db, user, key).await? {
        app.pushers.reject(user, &pusher).await?;
    }
    Ok(())
}

/// Longer each time. Pushers whose gateway went away do not come back all at the same moment.
async fn pause(failures: u32, problem: &Problem) {
    let wait = FIRST_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let wait = match problem {
        Problem::Refused(_, Some(asked)) => wait.max(*asked),
        _ => wait,
    };
    let wait = wait.min(LONGEST_WAIT).mul_f64(rand::rng().random_range(0.75..1.0));
    tokio::time::sleep(wait).await;
}

async fn step(app: &Arc<App>, push: &Push, (user, key): &Key) -> Result<Step, Problem> {
    let Some(pusher) = pushers::get(&app.db, user, key).await? else { return Ok(Step::Idle) };
    if pusher.is_email() {
        return email::step(app, user, pusher).await;
    }
    let mut target = Target::of(pusher)?;
    if !target.pusher.active {
        return ask(app, push, user, &target).await;
    }
    let upto = app.notifications.noted();
    let before = target.pusher.pos;
    let page = notifications::after(&app.db, user, before, upto, PAGE).await?;
    let mut news = None;
    for row in page {
        target.pusher.pos = row.pos;
        news = News::of(app, user, &row).await?;
        if news.is_some() {
            break;
        }
    }
    let badge = push.0.badges.of(app, user).await?;
    let body = match &news {
        Some(news) => target.event(app, user, news, badge).await?,
        None if target.pusher.pos > before => {
            // All of them are read by now, or old.
            app.pushers.told(user, &target.pusher).await?;
            return Ok(Step::Again);
        }
        None if i64::from(badge.unread) != target.pusher.badge && target.wants_counts() => {
            // What is counted may be on its way to being noted: then it is told of, and the number with it.
            app.notifications.noted_up_to(app.feed.head(), PATIENCE).await;
            let upto = app.notifications.noted();
            if !notifications::after(&app.db, user, before, upto, 1).await?.is_empty() {
                return Ok(Step::Again);
            }
            gateway::counts_alone(&target.pusher, &target.data, badge)
        }
        None => return Ok(Step::Idle),
    };
    let urgent = news.as_ref().is_some_and(News::is_urgent);
    if let Outcome::Rejected = deliver(app, push, user, &target, &body, urgent).await? {
        return Ok(Step::Again);
    }
    target.pusher.badge = badge.unread.into();
    app.pushers.told(user, &target.pusher).await?;
    Ok(Step::Again)
}

/// Asks a client of web push whether it gets what is sent, if it was not asked yet.
async fn ask(app: &Arc<App>, push: &Push, user: &UserId, target: &Target) -> Result<Step, Problem> {
    let now = app.clock.now_ms();
    let challenge = target.pusher.challenge.as_ref();
    let Some(challenge) = challenge.filter(|ask| ask.due && now < ask.expires_ms) else {
        return Ok(Step::Idle);
    };
    let body = webpush::challenge(&target.pusher, &challenge.token);
    if let Outcome::Rejected = deliver(app, push, user, target, &body, true).await? {
        return Ok(Step::Again);
    }
    app.pushers.asked(user, &target.pusher.key, &challenge.token).await?;
    Ok(Step::Again)
}

/// Sends a body; deletes the pusher if nobody is there any more.
async fn deliver(
    app: &Arc<App>,
    push: &Push,
    user: &UserId,
    target: &Target,
    body: &Value,
    urgent: bool,
) -> Result<Outcome, Problem> {
    let outcome = send(app, push, target, body, urgent).await;
    count(&outcome);
    let outcome = outcome?;
    if let Outcome::Rejected = outcome {
        let app_id = &target.pusher.key.app_id;
        tracing::info!(%user, app_id, "a pusher was rejected and is deleted");
        app.pushers.reject(user, &target.pusher).await?;
    }
    Ok(outcome)
}

async fn send(
    app: &App,
    push: &Push,
    target: &Target,
    body: &Value,
    urgent: bool,
) -> Result<Outcome, Problem> {
    #[derive(Deserialize)]
    struct Said {
        #[serde(default)]
        rejected: Vec<String>,
    }
    let url = &target.url;
    let mut body = body.to_string().into_bytes();
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(recipient) = &target.recipient {
        body = recipient.encrypt(&body).map_err(|_| Problem::Encryption)?;
        headers = webpush::headers(&app.vapid, url, urgent, app.clock.now_ms())
            .map_err(|_| Problem::Encryption)?;
    }
    let _place = push.0.lanes.enter(url).await;
    let Answer { status, headers, body } =
        app.outbound.post(url, headers, Bytes::from(body), TIME).await?;
    if target.recipient.is_some() && webpush::is_over(status) {
        return Ok(Outcome::Rejected);
    }
    if !status.is_success() {
        return Err(Problem::Refused(status, retry_after(&headers)));
    }
    let said = serde_json::from_slice::<Said>(&body);
    let rejects = |said: Said| said.rejected.contains(&target.pusher.key.pushkey);
    if target.recipient.is_none() && said.is_ok_and(rejects) {
        return Ok(Outcome::Rejected);
    }
    Ok(Outcome::Taken)
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn count(outcome: &Result<Outcome, Problem>) {
    let outcome = match outcome {
        Ok(Outcome::Taken) => "taken",
        Ok(Outcome::Rejected) => "rejected",
        Err(_) => "failed",
    };
    metrics::counter!("landbridge_pushes_total", "outcome" => outcome).increment(1);
}
