//! Who may decide about a room.

use serde_json::Value;

use super::ControlError;
use crate::matrix::{Matrix, MatrixError};

fn failed(error: &MatrixError) -> ControlError {
    ControlError::Failed(format!("The homeserver said no: {error}"))
}

/// Plumbing decides about a room for everybody in it: who asks must be one of those who may change its state.
pub(crate) async fn require_power(
    matrix: &Matrix,
    room_id: &str,
    user: &str,
) -> Result<(), ControlError> {
    let bot = matrix.bot();
    let levels =
        bot.get_state(room_id, "m.room.power_levels", "").await.map_err(|error| failed(&error))?;
    let levels = levels.unwrap_or_default();
    let needed = levels.get("state_default").and_then(Value::as_i64).unwrap_or(50);
    let own = levels.get("users").and_then(|users| users.get(user)).and_then(Value::as_i64);
    let own = own.or_else(|| levels.get("users_default").and_then(Value::as_i64)).unwrap_or(0);
    if own >= needed || is_creator(matrix, room_id, user).await? {
        return Ok(());
    }
    Err(ControlError::Denied(format!(
        "For that you need power level {needed} in this room; you have {own}."
    )))
}

/// From room version 12 on creators have all power, and stand in no list of levels (MSC4289).
async fn is_creator(matrix: &Matrix, room_id: &str, user: &str) -> Result<bool, ControlError> {
    let state = matrix.bot().full_state(room_id).await.map_err(|error| failed(&error))?;
    let Some(create) = state.iter().find(|event| event["type"] == "m.room.create") else {
        return Ok(false);
    };
    let version = create["content"]["room_version"].as_str().and_then(|v| v.parse::<u32>().ok());
    let mut additional = create["content"]["additional_creators"].as_array().into_iter().flatten();
    Ok(version.is_some_and(|v| v >= 12)
        && (create["sender"] == user || additional.any(|creator| creator.as_str() == Some(user))))
}
