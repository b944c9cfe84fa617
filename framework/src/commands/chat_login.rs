//! Logins driven by talking to the bot: one question at a time, secrets removed from the room.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{qr, reply::Reply};
use crate::kv::KeyValue;
use crate::login::{Answer, Display, Field, FieldKind, LoginProcess, Step, StepKind, pending};
use crate::matrix::Matrix;

/// A login in which nothing is said for so long is ended.
const PATIENCE: Duration = Duration::from_mins(10);

/// The logins that are going on, by user: one each.
pub(super) struct ChatLogins {
    matrix: Matrix,
    kv: Arc<dyn KeyValue>,
    going_on: Arc<Mutex<HashMap<String, Session>>>,
}

/// A login that is going on. Dropping it ends it.
struct Session {
    room_id: String,
    answers: mpsc::Sender<Said>,
    task: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the user said.
struct Said {
    event_id: String,
    text: String,
}

impl ChatLogins {
    pub(super) fn new(matrix: Matrix, kv: Arc<dyn KeyValue>) -> Self {
        Self { matrix, kv, going_on: Arc::default() }
    }

    /// Drives a login in this room; one that was going on is ended.
    pub(super) async fn start(
        &self,
        user: &str,
        room_id: &str,
        event_id: &str,
        process: LoginProcess,
    ) {
        if let Err(error) = pending::begin(&*self.kv, user, room_id).await {
            tracing::warn!(%error, "a login's start can't be remembered");
        }
        let (answers, said) = mpsc::channel(4);
        let conversation = Talk {
            reply: Reply::new(&self.matrix, room_id, &format!("login/{event_id}")),
            process,
            said,
            pictured: None,
        };
        let (kv, going_on, own) =
            (self.kv.clone(), Arc::downgrade(&self.going_on), user.to_owned());
        let mark = answers.clone();
        let task = tokio::spawn(async move {
            conversation.run().await;
            if let Err(error) = pending::end(&*kv, &own).await {
                tracing::warn!(%error, "a login's end can't be remembered");
            }
            if let Some(going_on) = going_on.upgrade() {
                let mut map = going_on.lock().unwrap_or_else(PoisonError::into_inner);
                // Only our own entry: the user may have begun anew.
                if map.get(&own).is_some_and(|session| session.answers.same_channel(&mark)) {
                    map.remove(&own);
                }
            }
        });
        let session = Session { room_id: room_id.to_owned(), answers, task };
        self.going_on
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(user.to_owned(), session);
    }

    /// Takes a message as an answer; false if no login is going on in this room.
    pub(super) async fn answer(
        &self,
        user: &str,
        room_id: &str,
        event_id: &str,
        text: &str,
    ) -> bool {
        let answers = {
            let map = self.going_on.lock().unwrap_or_else(PoisonError::into_inner);
            match map.get(user) {
                Some(session) if session.room_id == room_id => session.answers.clone(),
                _ => return false,
            }
        };
        answers.send(Said { event_id: event_id.to_owned(), text: text.to_owned() }).await.is_ok()
    }

    /// Ends a user's login; false if none is going on.
    pub(super) async fn cancel(&self, user: &str) -> bool {
        let ended =
            self.going_on.lock().unwrap_or_else(PoisonError::into_inner).remove(user).is_some();
        if let Err(error) = pending::end(&*self.kv, user).await {
            tracing::warn!(%error, "a login's end can't be remembered");
        }
        ended
    }
}

/// One conversation.
struct Talk {
    reply: Reply,
    process: LoginProcess,
    said: mpsc::Receiver<Said>,
    /// The code that is shown as a picture: whoever scans it is let in, so it goes with its step.
    pictured: Option<String>,
}

/// The conversation is over.
struct Over;

impl Talk {
    async fn run(mut self) {
        loop {
            let step = self.process.next().await;
            if self.step(step).await.is_err() {
                return;
            }
        }
    }

    async fn step(&mut self, step: Step) -> Result<(), Over> {
        if let Some(pictured) = self.pictured.take() {
            self.reply.redact(&pictured).await;
        }
        if let Some(complaint) = &step.complaint {
            self.reply.send(complaint).await;
        }
        let answer = match &step.kind {
            StepKind::Ask(form) => {
                if step.complaint.is_none() && !form.instructions.is_empty() {
                    self.reply.send(&form.instructions).await;
                }
                let mut answer = Answer::new();
                for field in &form.fields {
                    let value = self.ask(field).await?;
                    answer.insert(field.id.clone(), value);
                }
                answer
            }
            StepKind::Show(display) => {
                self.show(display).await;
                return Ok(());
            }
            StepKind::Cookies(spec) => {
                let mut text =
                    format!("Log in on {} and send me these cookies as JSON, by name:", spec.url);
                for field in &spec.fields {
                    let _ = write!(text, "\n- `{}` of {}", field.name, field.cookie_domain);
                }
                self.reply.send(&text).await;
                let said = self.listen(true).await?;
                let cookies: HashMap<String, String> =
                    serde_json::from_str(&said).unwrap_or_default();
                let named = spec
                    .fields
                    .iter()
                    .filter_map(|f| Some((f.id.clone(), cookies.get(&f.name)?.clone())));
                named.collect()
            }
            StepKind::OAuth(spec) => {
                let text = format!(
                    "Follow this link, allow it, and send me the address you end up at:\n{}",
                    spec.authorize_url
                );
                self.reply.send(&text).await;
                Answer::from([("url".to_owned(), self.listen(true).await?)])
            }
            StepKind::Webauthn(_) => {
                self.reply
                    .send("This login needs a security key, which can't be used in a chat.")
                    .await;
                return Err(Over);
            }
            StepKind::Done(outcome) => {
                self.reply.send(&format!("You are logged in as **{}**.", outcome.name)).await;
                return Err(Over);
            }
            StepKind::Failed(error) => {
                self.reply.send(&format!("The login failed: {error}")).await;
                return Err(Over);
            }
        };
        // An answer that comes too late for its step is answered by the next step.
        let _ = self.process.answer(step.number, answer);
        Ok(())
    }

    /// Asks one question until the answer fits its field.
    async fn ask(&mut self, field: &Field) -> Result<String, Over> {
        let mut question = format!("**{}**?", field.name);
        if !field.description.is_empty() {
            let _ = write!(question, " {}", field.description);
        }
        if field.kind == FieldKind::Select {
            let _ = write!(question, " One of: {}", field.options.join(", "));
        }
        if let Some(default) = &field.default_value {
            let _ = write!(question, " (`-` for {default})");
        }
        loop {
            self.reply.send(&question).await;
            let said = self.listen(field.kind.is_secret()).await?;
            let said =
                if field.default_value.is_some() && said == "-" { String::new() } else { said };
            match field.accept(&said) {
                Ok(value) => return Ok(value),
                Err(complaint) => self.reply.send(&complaint).await,
            };
        }
    }

    async fn show(&mut self, display: &Display) {
        let text = match display {
            Display::Qr(data) => {
                if let Some(picture) = qr::picture(data) {
                    let text = format!("Scan this on the device that is logged in: {data}");
                    self.pictured = self.reply.show(picture, &text).await;
                    if self.pictured.is_some() {
                        return;
                    }
                }
                format!(
                    "Make a QR code of this, and scan it on the device that is logged in:\n```\n{data}\n```"
                )
            }
            Display::Code(code) => format!("Type this code on your other device: **{code}**"),
            Display::Emoji(emoji) => format!("Choose this emoji on your other device: {emoji}"),
            Display::Nothing(text) => text.clone(),
        };
        self.reply.send(&text).await;
    }

    async fn listen(&mut self, secret: bool) -> Result<String, Over> {
        match tokio::time::timeout(PATIENCE, self.said.recv()).await {
            Ok(Some(said)) => {
                if secret && !self.reply.redact(&said.event_id).await {
                    self.reply
                        .send("Please delete your message: it holds a secret, and I may not.")
                        .await;
                }
                Ok(said.text)
            }
            Ok(None) => Err(Over),
            Err(_) => {
                self.reply.send("You said nothing for a while, so the login was ended.").await;
                Err(Over)
            }
        }
    }
}
