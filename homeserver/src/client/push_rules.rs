//! Push rules (Client-Server API, "Push Rules").

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use ruma::push::{
    Action, InsertPushRuleError, NewConditionalPushRule, NewPatternedPushRule, NewPushRule,
    NewSimplePushRule, PushCondition, RemovePushRuleError, RuleKind, RuleNotFoundError,
};
use ruma::{RoomId, UserId};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::{Path, Query};
use crate::http::json::{EMPTY, Empty, Json, Reply};
use crate::http::limit::Limit;
use crate::http::router::{Route, delete, get, put};
use crate::services::push_rules::to_json;

/// More rules than this of a kind are refused: each is looked at for each event.
const MAX_RULES: usize = 1_000;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_matrix/client/v3/pushrules/", all),
        get("/_matrix/client/v3/pushrules/global/", global),
        get("/_matrix/client/v3/pushrules/global/{kind}/{ruleId}", one),
        put("/_matrix/client/v3/pushrules/global/{kind}/{ruleId}", set),
        delete("/_matrix/client/v3/pushrules/global/{kind}/{ruleId}", remove),
        get("/_matrix/client/v3/pushrules/global/{kind}/{ruleId}/enabled", enabled),
        put("/_matrix/client/v3/pushrules/global/{kind}/{ruleId}/enabled", set_enabled),
        get("/_matrix/client/v3/pushrules/global/{kind}/{ruleId}/actions", actions),
        put("/_matrix/client/v3/pushrules/global/{kind}/{ruleId}/actions", set_actions),
    ]
}

fn kind_of(name: &str) -> ApiResult<RuleKind> {
    match name {
        "override" => Ok(RuleKind::Override),
        "underride" => Ok(RuleKind::Underride),
        "sender" => Ok(RuleKind::Sender),
        "room" => Ok(RuleKind::Room),
        "content" => Ok(RuleKind::Content),
        _ => Err(ApiError::invalid_param(format!("{name:?} is no kind of push rule"))),
    }
}

fn no_rule() -> ApiError {
    ApiError::not_found("There is no such push rule")
}

async fn rules(app: &App, user: &UserId) -> ApiResult<Value> {
    to_json(&*app.push_rules.of(user).await?)
}

async fn all(State(app): State<Arc<App>>, requester: Requester) -> ApiResult<Reply<Value>> {
    Ok(Reply(json!({ "global": rules(&app, &requester.user).await? })))
}

async fn global(State(app): State<Arc<App>>, requester: Requester) -> ApiResult<Reply<Value>> {
    rules(&app, &requester.user).await.map(Reply)
}

async fn find(app: &App, user: &UserId, kind: &str, id: &str) -> ApiResult<Value> {
    kind_of(kind)?;
    let mut rules = rules(app, user).await?;
    let Some(Value::Array(rules)) = rules.get_mut(kind).map(Value::take) else {
        return Err(no_rule());
    };
    rules.into_iter().find(|rule| rule["rule_id"] == id).ok_or_else(no_rule)
}

async fn one(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path((kind, id)): Path<(String, String)>,
) -> ApiResult<Reply<Value>> {
    find(&app, &requester.user, &kind, &id).await.map(Reply)
}

#[derive(Deserialize)]
struct Place {
    before: Option<String>,
    after: Option<String>,
}

#[derive(Deserialize)]
struct Rule {
    actions: Vec<Action>,
    #[serde(default)]
    conditions: Vec<PushCondition>,
    pattern: Option<String>,
}

fn rule(kind: &RuleKind, id: &str, body: Rule) -> ApiResult<NewPushRule> {
    let Rule { actions, conditions, pattern } = body;
    let id_error =
        |what: &str| ApiError::invalid_param(format!("The ID of such a rule must be {what}"));
    Ok(match kind {
        RuleKind::Override => {
            NewPushRule::Override(NewConditionalPushRule::new(id.to_owned(), conditions, actions))
        }
        RuleKind::Content => {
            let pattern = pattern.ok_or_else(|| ApiError::missing_param("pattern is missing"))?;
            NewPushRule::Content(NewPatternedPushRule::new(id.to_owned(), pattern, actions))
        }
        RuleKind::Room => {
            let room = RoomId::parse(id).map_err(|_| id_error("a room ID"))?;
            NewPushRule::Room(NewSimplePushRule::new(room, actions))
        }
        RuleKind::Sender => {
            let user = UserId::parse(id).map_err(|_| id_error("a user ID"))?;
            NewPushRule::Sender(NewSimplePushRule::new(user, actions))
        }
        _ => {
            NewPushRule::Underride(NewConditionalPushRule::new(id.to_owned(), conditions, actions))
        }
    })
}

fn not_inserted(error: &InsertPushRuleError) -> ApiError {
    match error {
        InsertPushRuleError::UnknownRuleId => {
            ApiError::new(StatusCode::NOT_FOUND, "M_NOT_FOUND", error.to_string())
        }
        _ => ApiError::invalid_param(error.to_string()),
    }
}

async fn set(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path((kind, id)): Path<(String, String)>,
    Query(place): Query<Place>,
    Json(body): Json<Rule>,
) -> ApiResult<Reply<Empty>> {
    requester.limit(&app, Limit::Other)?;
    let new = rule(&kind_of(&kind)?, &id, body)?;
    app.push_rules
        .change(&requester.user, move |rules| {
            if rules.iter().count() >= MAX_RULES {
                return Err(ApiError::too_large(format!("A user may have {MAX_RULES} push rules")));
            }
            rules
                .insert(new.clone(), place.after.as_deref(), place.before.as_deref())
                .map_err(|error| not_inserted(&error))
        })
        .await?;
    Ok(EMPTY)
}

async fn remove(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path((kind, id)): Path<(String, String)>,
) -> ApiResult<Reply<Empty>> {
    let kind = kind_of(&kind)?;
    app.push_rules
        .change(&requester.user, move |rules| {
            rules.remove(kind.clone(), &id).map_err(|error| match error {
                RemovePushRuleError::NotFound => no_rule(),
                _ => ApiError::invalid_param(error.to_string()),
            })
        })
        .await?;
    Ok(EMPTY)
}

async fn enabled(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path((kind, id)): Path<(String, String)>,
) -> ApiResult<Reply<Value>> {
    let rule = find(&app, &requester.user, &kind, &id).await?;
    Ok(Reply(json!({ "enabled": rule["enabled"] })))
}

#[derive(Deserialize)]
struct Enabled {
    enabled: bool,
}

async fn set_enabled(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path((kind, id)): Path<(String, String)>,
    Json(body): Json<Enabled>,
) -> ApiResult<Reply<Empty>> {
    requester.limit(&app, Limit::Other)?;
    let kind = kind_of(&kind)?;
    app.push_rules
        .change(&requester.user, move |rules| {
            rules
                .set_enabled(kind.clone(), &id, body.enabled)
                .map_err(|RuleNotFoundError { .. }| no_rule())
        })
        .await?;
    Ok(EMPTY)
}

async fn actions(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path((kind, id)): Path<(String, String)>,
) -> ApiResult<Reply<Value>> {
    let rule = find(&app, &requester.user, &kind, &id).await?;
    Ok(Reply(json!({ "actions": rule["actions"] })))
}

#[derive(Deserialize)]
struct Actions {
    actions: Vec<Action>,
}

async fn set_actions(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path((kind, id)): Path<(String, String)>,
    Json(body): Json<Actions>,
) -> ApiResult<Reply<Empty>> {
    requester.limit(&app, Limit::Other)?;
    let kind = kind_of(&kind)?;
    app.push_rules
        .change(&requester.user, move |rules| {
            rules
                .set_actions(kind.clone(), &id, body.actions.clone())
                .map_err(|RuleNotFoundError { .. }| no_rule())
        })
        .await?;
    Ok(EMPTY)
}
