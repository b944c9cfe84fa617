//! Account data as events.

use ruma::UserId;

use super::json::Writer;
use crate::app::App;
use crate::http::error::ApiResult;
use crate::services::push_rules::{PUSH_RULES, to_json};
use crate::storage::account_data::Entry;

/// Appends a piece of account data.
pub(crate) fn write_account_data(out: &mut Writer, entry: &Entry) {
    write(out, &entry.kind, &entry.content);
}

/// Appends the push rules of somebody who has none stored: they apply from the first day, and are stored once they are changed.
pub(crate) async fn write_push_rules(out: &mut Writer, app: &App, user: &UserId) -> ApiResult<()> {
    let rules = to_json(&*app.push_rules.of(user).await?)?;
    write(out, PUSH_RULES, &format!(r#"{{"global":{rules}}}"#));
    Ok(())
}

fn write(out: &mut Writer, kind: &str, content: &str) {
    out.open();
    out.key("type");
    out.text(kind);
    out.key("content");
    out.raw(content);
    out.close();
}
