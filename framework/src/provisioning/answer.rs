//! The bodies of the API.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::control::{Contact, ControlError, LoginInfo};
use crate::login::{Step, StepKind};

/// A Matrix error.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    errcode: &'static str,
    text: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, errcode: &'static str, text: impl Into<String>) -> Self {
        Self { status, errcode, text: text.into() }
    }

    pub(crate) fn forbidden(text: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "M_FORBIDDEN", text)
    }

    pub(crate) fn missing(field: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "M_MISSING_PARAM", format!("{field} is missing"))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "errcode": self.errcode, "error": self.text }))).into_response()
    }
}

impl From<ControlError> for Problem {
    fn from(error: ControlError) -> Self {
        let (status, errcode) = match &error {
            ControlError::Denied(_) => (StatusCode::FORBIDDEN, "M_FORBIDDEN"),
            ControlError::NotFound(_) => (StatusCode::NOT_FOUND, "M_NOT_FOUND"),
            ControlError::Unsupported(_) => (StatusCode::NOT_IMPLEMENTED, "M_UNRECOGNIZED"),
            ControlError::NoLogin(_) => (StatusCode::BAD_REQUEST, "FI.MAU.NOT_LOGGED_IN"),
            ControlError::Failed(_) => (StatusCode::BAD_GATEWAY, "M_UNKNOWN"),
        };
        Self::new(status, errcode, error.to_string())
    }
}

/// A body that must be a JSON object.
pub(crate) fn object(body: &[u8]) -> Result<Value, Problem> {
    match serde_json::from_slice(body) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => {
            Err(Problem::new(StatusCode::BAD_REQUEST, "M_BAD_JSON", "the body is not an object"))
        }
        Err(error) => Err(Problem::new(StatusCode::BAD_REQUEST, "M_NOT_JSON", error.to_string())),
    }
}

pub(crate) fn contact(contact: &Contact) -> Value {
    let mut out = json!({ "id": contact.id, "identifiers": contact.identifiers });
    let fields = [
        ("name", &contact.name),
        ("avatar_url", &contact.avatar_url),
        ("mxid", &contact.mxid),
        ("dm_room_mxid", &contact.dm_room),
    ];
    for (key, value) in fields {
        if let Some(value) = value {
            out[key] = value.as_str().into();
        }
    }
    out
}

/// A login, with its state in the names of bridge states.
pub(crate) fn login(login: &LoginInfo) -> Value {
    let event = match login.state.as_str() {
        "connected" => "CONNECTED",
        "connecting" => "CONNECTING",
        "bad_credentials" => "BAD_CREDENTIALS",
        _ => "TRANSIENT_DISCONNECT",
    };
    let mut state = json!({ "state_event": event });
    if let Some(reason) = &login.reason {
        state["reason"] = reason.as_str().into();
    }
    json!({ "id": login.id, "name": login.name, "state_event": event, "state": state })
}

/// A step of a login.
pub(crate) fn step(process: &str, step: &Step) -> Result<Value, Problem> {
    let (kind, instructions, body) = match &step.kind {
        StepKind::Ask(form) => {
            ("user_input", form.instructions.clone(), json!({ "fields": form.fields }))
        }
        StepKind::Show(display) => ("display_and_wait", String::new(), json!(display)),
        StepKind::Cookies(spec) => {
            let field = |f: &crate::login::CookieField| {
                let source =
                    json!({ "type": "cookie", "name": f.name, "cookie_domain": f.cookie_domain });
                json!({ "id": f.id, "required": f.required, "sources": [source] })
            };
            let fields: Vec<Value> = spec.fields.iter().map(field).collect();
            (
                "cookies",
                String::new(),
                json!({ "url": spec.url, "user_agent": spec.user_agent, "fields": fields }),
            )
        }
        StepKind::OAuth(spec) => {
            let text = format!("Follow {} and give the address you end up at.", spec.authorize_url);
            let field = json!({ "type": "url", "id": "url", "name": "Address", "description": "" });
            ("user_input", text, json!({ "fields": [field] }))
        }
        StepKind::Webauthn(options) => ("webauthn", String::new(), json!({ "publicKey": options })),
        StepKind::Done(outcome) => {
            ("complete", String::new(), json!({ "user_login_id": outcome.login_id }))
        }
        StepKind::Failed(error) => {
            return Err(Problem::new(StatusCode::FORBIDDEN, "M_FORBIDDEN", error.to_string()));
        }
    };
    let instructions = match &step.complaint {
        Some(complaint) => format!("{complaint}\n{instructions}").trim().to_owned(),
        None => instructions,
    };
    let number = step.number.to_string();
    Ok(json!({
        "login_id": process, "type": kind, "step_id": number, "txn_id": number, "instructions": instructions, kind: body,
    }))
}
