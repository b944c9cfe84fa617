//! What people say, as their clients send it, and how a room's messages read then.

use serde_json::{Value, json};

/// The content of a text.
pub(super) fn text(text: &str) -> Value {
    json!({ "msgtype": "m.text", "body": text })
}

/// The content of an edit.
pub(super) fn edit(event_id: &str, text: &str) -> Value {
    json!({
        "msgtype": "m.text", "body": format!("* {text}"),
        "m.new_content": { "msgtype": "m.text", "body": text },
        "m.relates_to": { "rel_type": "m.replace", "event_id": event_id },
    })
}

/// The content of a reaction.
pub(super) fn reaction(event_id: &str, key: &str) -> Value {
    json!({ "m.relates_to": { "rel_type": "m.annotation", "event_id": event_id, "key": key } })
}

/// Sender and body of the messages of a timeline, oldest first; edits count as their new text where the message stands,
/// redacted messages are left out.
pub(super) fn messages(timeline: &[Value]) -> Vec<(String, String)> {
    let mut out: Vec<(String, String, String)> = Vec::new();
    for event in timeline.iter().filter(|event| event["type"] == "m.room.message") {
        let content = &event["content"];
        let Some(body) = content["body"].as_str() else { continue };
        let sender = event["sender"].as_str().unwrap_or_default().to_owned();
        let replaced = (content["m.relates_to"]["rel_type"] == "m.replace")
            .then(|| content["m.relates_to"]["event_id"].as_str())
            .flatten();
        if let Some(target) = replaced {
            let new = content["m.new_content"]["body"].as_str().unwrap_or(body);
            if let Some(old) = out.iter_mut().find(|(id, ..)| id == target) {
                new.clone_into(&mut old.2);
            }
            continue;
        }
        out.push((
            event["event_id"].as_str().unwrap_or_default().to_owned(),
            sender,
            body.to_owned(),
        ));
    }
    out.into_iter().map(|(_, sender, body)| (sender, body)).collect()
}
