//! Logins driven by a program: start, step, cancel.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Extension;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use rand::RngExt;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::answer::{self, Problem};
use super::{Answer, Shared, User, Which};
use crate::control::ControlError;
use crate::login::{AnswerError, LoginProcess, StepKind};

/// A login that isn't touched for so long is ended.
const PATIENCE: Duration = Duration::from_mins(30);
/// How many logins can go on at the same time, of one user and of all.
const MAX_OF_USER: usize = 5;
const MAX: usize = 1_000;

/// The logins that are going on.
#[derive(Default)]
pub(crate) struct Logins {
    map: Mutex<HashMap<String, Session>>,
}

/// One of them.
#[derive(Clone)]
struct Session {
    user: String,
    touched: Instant,
    process: Arc<tokio::sync::Mutex<LoginProcess>>,
}

impl Logins {
    fn add(&self, user: &str, process: LoginProcess) -> Result<(String, Session), Problem> {
        let mut map = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        map.retain(|_, session| session.touched.elapsed() < PATIENCE);
        if map.len() >= MAX
            || map.values().filter(|session| session.user == user).count() >= MAX_OF_USER
        {
            return Err(Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "M_LIMIT_EXCEEDED",
                "too many logins are going on",
            ));
        }
        let id = format!("{:032x}", rand::rng().random::<u128>());
        let process = Arc::new(tokio::sync::Mutex::new(process));
        let session = Session { user: user.to_owned(), touched: Instant::now(), process };
        map.insert(id.clone(), session.clone());
        Ok((id, session))
    }

    fn get(&self, user: &str, id: &str) -> Result<Session, Problem> {
        let mut map = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        map.retain(|_, session| session.touched.elapsed() < PATIENCE);
        let session = map.get_mut(id).filter(|session| session.user == user);
        let session = session
            .ok_or_else(|| ControlError::NotFound("there is no such login going on".into()))?;
        session.touched = Instant::now();
        Ok(session.clone())
    }

    fn remove(&self, user: &str, id: &str) -> bool {
        let mut map = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        if map.get(id).is_some_and(|session| session.user == user) {
            return map.remove(id).is_some();
        }
        false
    }
}

/// `POST /login/start/{flow}`: gives the first step. `login_id` names a login to be renewed.
pub(super) async fn start(
    State(api): Shared,
    Extension(User(user)): Extension<User>,
    Path(flow): Path<String>,
    Query(which): Query<Which>,
) -> Answer {
    let process = api.control.start_login(&user, &flow, which.login_id.as_deref()).await?;
    let (id, session) = api.logins.add(&user, process)?;
    let mut process = session.process.lock().await;
    give(&api.logins, &user, &id, &mut process).await
}

/// `POST /login/step/{process}/{step}/{kind}`: answers a step, or waits for what is displayed, and gives the next one.
/// Asking again for a step that was answered gives the step after it.
pub(super) async fn step(
    State(api): Shared,
    Extension(User(user)): Extension<User>,
    Path((id, number, kind)): Path<(String, String, String)>,
    body: axum::body::Bytes,
) -> Answer {
    let session = api.logins.get(&user, &id)?;
    let number: u64 = number.parse().map_err(|_| {
        Problem::new(StatusCode::BAD_REQUEST, "M_INVALID_PARAM", "that is not a step")
    })?;
    let mut process = session.process.lock().await;
    let Some(current) = process.current().cloned() else {
        return give(&api.logins, &user, &id, &mut process).await;
    };
    if number < current.number {
        return answer::step(&id, &current).map(Json);
    }
    let shown = matches!(current.kind, StepKind::Show(_));
    if shown != (kind == "display_and_wait") {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "M_BAD_STATE",
            "the login is at another kind of step",
        ));
    }
    if !shown {
        let body = answer::object(&body)?;
        let fields = body.as_object().into_iter().flatten();
        let answer = match current.kind {
            StepKind::Webauthn(_) => [("response".to_owned(), body.to_string())].into(),
            _ => fields.filter_map(|(key, value)| Some((key.clone(), text(value)?))).collect(),
        };
        match process.answer(number, answer) {
            Ok(()) => {}
            Err(AnswerError::WrongStep | AnswerError::NoAnswerWanted | AnswerError::Over) => {
                return Err(Problem::new(
                    StatusCode::BAD_REQUEST,
                    "M_BAD_STATE",
                    "the login is at another step",
                ));
            }
        }
    }
    give(&api.logins, &user, &id, &mut process).await
}

/// `POST /login/cancel/{process}`.
pub(super) async fn cancel(
    State(api): Shared,
    Extension(User(user)): Extension<User>,
    Path(id): Path<String>,
) -> Answer {
    if api.logins.remove(&user, &id) {
        Ok(Json(json!({})))
    } else {
        Err(ControlError::NotFound("there is no such login going on".into()).into())
    }
}

/// Waits for the next step and gives it. A login that is over is forgotten.
async fn give(logins: &Logins, user: &str, id: &str, process: &mut LoginProcess) -> Answer {
    let step = process.next().await;
    if matches!(step.kind, StepKind::Done(_) | StepKind::Failed(_)) {
        logins.remove(user, id);
    }
    answer::step(id, &step).map(Json)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
