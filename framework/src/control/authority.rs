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
    let power = Power::of(matrix, room_id, user, "/state_default");
    let Power { own, needed, enough } = power.await.map_err(|error| failed(&error))?;
    if enough {
        return Ok(());
    }
    Err(ControlError::Denied(format!(
        "For that you need power level {needed} in this room; you have {own}."
    )))
}

/// Somebody's power in a room, against what something needs.
pub(crate) struct Power {
    own: i64,
    needed: i64,
    /// Whether it is enough.
    pub(crate) enough: bool,
}

impl Power {
    /// For what `level` names in the room's power levels, whose default must be 50.
    pub(crate) async fn of(
        matrix: &Matrix,
        room_id: &str,
        user: &str,
        level: &str,
    ) -> Result<Self, MatrixError> {
        let levels = matrix.bot().get_state(room_id, "m.room.power_levels", "").await?;
        let levels = levels.unwrap_or_default();
        let number = |pointer: &str| levels.pointer(pointer).and_then(Value::as_i64);
        let needed = number(level).unwrap_or(50);
        let own = levels.get("users").and_then(|users| users.get(user)).and_then(Value::as_i64);
        let own = own.or_else(|| number("/users_default")).unwrap_or(0);
        let enough = own >= needed || is_creator(matrix, room_id, user).await?;
        Ok(Self { own, needed, enough })
    }
}

/// From room version 12 on creators have all power, and stand in no list of levels (MSC4289).
async fn is_creator(matrix: &Matrix, room_id: &str, user: &str) -> Result<bool, MatrixError> {
    let state = matrix.bot().full_state(room_id).await?;
    let Some(create) = state.iter().find(|event| event["type"] == "m.room.create") else {
        return Ok(false);
    };
    let version = create["content"]["room_version"].as_str().and_then(|v| v.parse::<u32>().ok());
    let mut additional = create["content"]["additional_creators"].as_array().into_iter().flatten();
    Ok(version.is_some_and(|v| v >= 12)
        && (create["sender"] == user || additional.any(|creator| creator.as_str() == Some(user))))
}
