//! A running login as its driver sees it: steps come out, answers go in.

use std::collections::BTreeMap;
use std::future::Future;

use serde::Serialize;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::LoginError;
use super::form::{CookieSpec, Display, Form, OAuthSpec};

/// What a step wants of the user.
#[derive(Clone, Debug)]
pub enum StepKind {
    /// Answers to a form.
    Ask(Form),
    /// Look at something; the step ends by itself.
    Show(Display),
    /// Cookies from a browser.
    Cookies(CookieSpec),
    /// An OAuth authorization; the answer is `{"url": ...}`, the address the browser was sent to.
    OAuth(OAuthSpec),
    /// A `WebAuthn` challenge (`PublicKeyCredentialRequestOptions`); the answer is `{"response": <JSON>}`.
    Webauthn(Value),
    /// The login is there.
    Done(Outcome),
    /// There will be no login.
    Failed(LoginError),
}

/// One step of a login.
#[derive(Clone, Debug)]
pub struct Step {
    /// Counts up from 1; an answer names the step it belongs to, so that a repeated request answers only once.
    pub number: u64,
    /// What went wrong with the last answer, for the user.
    pub complaint: Option<String>,
    /// What is wanted.
    pub kind: StepKind,
}

/// A finished login.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The login's encoded ID.
    pub login_id: String,
    /// What it is called.
    pub name: String,
}

/// The answers to a step, by field.
pub type Answer = BTreeMap<String, String>;

/// Why an answer was not taken.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum AnswerError {
    /// The step is over or not there yet.
    #[error("the login is at another step")]
    WrongStep,
    /// The step takes no answer.
    #[error("this step waits for the network, not for an answer")]
    NoAnswerWanted,
    /// The login is over.
    #[error("the login is over")]
    Over,
}

/// What the flow's side holds.
pub(super) struct Link {
    pub(super) steps: mpsc::Sender<Sent>,
    pub(super) next: u64,
}

/// A step on its way to the driver.
pub(super) struct Sent {
    pub(super) step: Step,
    pub(super) reply: Option<oneshot::Sender<Answer>>,
}

/// A running login. Dropping it cancels the login.
pub struct LoginProcess {
    steps: mpsc::Receiver<Sent>,
    task: JoinHandle<()>,
    current: Option<Step>,
    reply: Option<oneshot::Sender<Answer>>,
}

impl LoginProcess {
    /// Runs a flow and reports how it ended as its last step.
    pub(super) fn spawn<F, Fut>(start: F) -> Self
    where
        F: FnOnce(Link) -> Fut,
        Fut: Future<Output = Result<Outcome, LoginError>> + Send + 'static,
    {
        let (sender, steps) = mpsc::channel(1);
        let flow = start(Link { steps: sender.clone(), next: 1 });
        let task = tokio::spawn(async move {
            let kind = match flow.await {
                Ok(outcome) => StepKind::Done(outcome),
                Err(error) => StepKind::Failed(error),
            };
            let step = Step { number: u64::MAX, complaint: None, kind };
            // Nobody listens any more: then nobody needs to know.
            let _ = sender.send(Sent { step, reply: None }).await;
        });
        Self { steps, task, current: None, reply: None }
    }

    /// The step the login is at, without waiting.
    pub fn current(&self) -> Option<&Step> {
        self.current.as_ref()
    }

    /// Waits for the next step. Cancel-safe. After `Done` or `Failed` it keeps giving that.
    pub async fn next(&mut self) -> Step {
        if let Some(step) = &self.current
            && matches!(step.kind, StepKind::Done(_) | StepKind::Failed(_))
        {
            return step.clone();
        }
        let step = match self.steps.recv().await {
            Some(Sent { step, reply }) => {
                self.reply = reply;
                step
            }
            // The flow panicked: its task is gone without a last word.
            None => Step {
                number: u64::MAX,
                complaint: None,
                kind: StepKind::Failed(LoginError::Refused(
                    "the login broke off; please start it again".into(),
                )),
            },
        };
        self.current = Some(step.clone());
        step
    }

    /// Answers the current step; the result of it comes with [`LoginProcess::next`].
    pub fn answer(&mut self, number: u64, answer: Answer) -> Result<(), AnswerError> {
        match &self.current {
            Some(step) if matches!(step.kind, StepKind::Done(_) | StepKind::Failed(_)) => {
                Err(AnswerError::Over)
            }
            Some(step) if step.number != number => Err(AnswerError::WrongStep),
            None => Err(AnswerError::WrongStep),
            Some(Step { kind: StepKind::Show(_), .. }) => Err(AnswerError::NoAnswerWanted),
            Some(_) => {
                let reply = self.reply.take().ok_or(AnswerError::WrongStep)?;
                reply.send(answer).map_err(|_| AnswerError::Over)
            }
        }
    }
}

impl Drop for LoginProcess {
    fn drop(&mut self) {
        self.task.abort();
    }
}
