//! Push rules (Client-Server API, "Push Rules").

use std::sync::Arc;

use axum::extract::State;
use ruma::push::{
    Action, InsertPushRuleError, NewConditionalPushRule, NewPatternedPushRule, NewPushRule,
    NewSimplePushRule, PushCondition, RemovePushRuleError, RuleKind, RuleNotFoundError, Ruleset,
};
use ruma::{RoomId, UserId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::{Path, Query};
use crate::http::json::{EMPTY, Empty, Json, Reply};
use crate::http::limit::Limit;
use crate::http::router::{Route, delete, get, put};
use crate::services::push_rules::{insert, to_json};

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_matrix/client/v3/pushrules/", all),
        get("/_matrix/client/v3/pushrules/global/", global),
        get("/_matrix/client/v3/pushrules/global/{kind}/{ruleId}", one),
        put("/_matrix/client/v3/pushrules/global/{kind}/{ruleId}", set),
        delete("/_matrix/client/v3/pushrules/global/{kind}/{ruleId}", remove),
        get("/_matrix/client/v3/pushrules/global/{kind}/{ruleId}/enabled", field::<Enabled>),
        put("/_matrix/client/v3/pushrules/global/{kind}/{ruleId}/enabled", set_field::<Enabled>),
        get("/_matrix/client/v3/pushrules/global/{kind}/{ruleId}/actions", field::<Actions>),
        put("/_matrix/client/v3/pushrules/global/{kind}/{ruleId}/actions", set_field::<Actions>),
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
            let pattern = pattern.ok_or_else(|| ApiError::missing("pattern"))?;
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
        InsertPushRuleError::UnknownRuleId => ApiError::unknown("before/after rule not found"),
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
    let kind = kind_of(&kind)?;
    let new = rule(&kind, &id, body)?;
    app.push_rules
        .change(&requester.user, move |rules| {
            let place = (place.after.as_deref(), place.before.as_deref());
            insert(rules, &kind, new.clone(), place.0, place.1)
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
    requester.limit(&app, Limit::Other)?;
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

/// What can be changed of any rule, the server's own ones too.
trait Field: DeserializeOwned + Send + Sync + 'static {
    const NAME: &'static str;

    fn set(&self, rules: &mut Ruleset, kind: RuleKind, id: &str) -> Result<(), RuleNotFoundError>;
}

#[derive(Deserialize)]
struct Enabled {
    enabled: bool,
}

impl Field for Enabled {
    const NAME: &'static str = "enabled";

    fn set(&self, rules: &mut Ruleset, kind: RuleKind, id: &str) -> Result<(), RuleNotFoundError> {
        rules.set_enabled(kind, id, self.enabled)
    }
}

#[derive(Deserialize)]
struct Actions {
    actions: Vec<Action>,
}

impl Field for Actions {
    const NAME: &'static str = "actions";

    fn set(&self, rules: &mut Ruleset, kind: RuleKind, id: &str) -> Result<(), RuleNotFoundError> {
        rules.set_actions(kind, id, self.actions.clone())
    }
}

async fn field<F: Field>(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path((kind, id)): Path<(String, String)>,
) -> ApiResult<Reply<Value>> {
    let rule = find(&app, &requester.user, &kind, &id).await?;
    Ok(Reply(json!({ F::NAME: rule[F::NAME] })))
}

async fn set_field<F: Field>(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path((kind, id)): Path<(String, String)>,
    Json(field): Json<F>,
) -> ApiResult<Reply<Empty>> {
    requester.limit(&app, Limit::Other)?;
    let kind = kind_of(&kind)?;
    app.push_rules
        .change(&requester.user, move |rules| {
            field.set(rules, kind.clone(), &id).map_err(|RuleNotFoundError { .. }| no_rule())
        })
        .await?;
    Ok(EMPTY)
}
