//! What the stand-in keeps: people, channels, pictures, files; and what becomes of them.

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};

use crate::slack::{Inside, Shared, Workspace, with_channel};

/// What is at the place of a picture: enough of one, and what it is called, so that one can be told from another.
pub(crate) fn picture(name: &str) -> Vec<u8> {
    [b"\x89PNG\r\n\x1a\n", name.as_bytes()].concat()
}

/// The workspace as it is at first.
pub(crate) fn furnished(address: &str) -> Inside {
    let mut inside = Inside { address: address.to_owned(), ..Inside::default() };
    for (id, name) in [("U01", "Alice"), ("U02", "Ben"), ("U03", "Cleo"), ("U07", "Ann of Slack")] {
        let picture = inside.picture(&format!("{id}.png"));
        let email = format!("{}@example.org", id.to_lowercase());
        let profile = json!({ "display_name": name, "real_name": name, "image_192": picture, "email": email });
        let user = json!({ "id": id, "team_id": "T01", "name": name, "profile": profile });
        inside.people.insert(id.into(), user);
    }
    // Somebody who is there no more.
    let user = json!({ "id": "U04", "team_id": "T01", "name": "Cleopatra", "deleted": true, "profile": {} });
    inside.people.insert("U04".into(), user);
    for (id, name) in [("C01", "general"), ("C02", "random")] {
        let about = json!({ "value": "", "creator": "", "last_set": 0 });
        let channel =
            json!({ "id": id, "name": name, "is_channel": true, "topic": about, "purpose": about });
        inside.channels.insert(id.into(), channel);
    }
    inside.emoji = json!({ "parrot": inside.picture("parrot.png"), "polly": "alias:parrot" });
    inside
}

impl Workspace {
    /// A file that somebody has put into Slack, as messages have it.
    pub(crate) fn file(&self, id: &str, name: &str, mime: &str) -> Value {
        let mut inside = self.inside();
        let url = format!("http://{}/files/{id}/{name}", inside.address);
        let file = json!({
            "id": id, "name": name, "title": name, "mimetype": mime, "mode": "hosted", "size": 16,
            "file_access": "visible", "url_private": url, "url_private_download": url,
            "permalink": format!("https://test.slack.com/files/U01/{id}/{name}"),
        });
        inside.files.insert(id.into(), file.clone());
        inside.contents.insert(id.into(), picture(name));
        file
    }

    /// Changes what a channel is about, as `topic` or `purpose`.
    pub(crate) fn set_about(&self, channel: &str, what: &str, value: &str) {
        let mut inside = self.inside();
        inside.channels.get_mut(channel).unwrap()[what]["value"] = value.into();
    }

    /// What is pinned.
    pub(crate) fn pins(&self) -> Vec<String> {
        self.inside().pins.clone()
    }
}

impl Inside {
    /// The address of a picture of the stand-in's.
    pub(crate) fn picture(&self, name: &str) -> String {
        format!("http://{}/pictures/{name}", self.address)
    }

    /// A note of Slack's that something about a channel has changed.
    fn note(&mut self, channel: &str, subtype: &str, mut more: Value) {
        more["type"] = "message".into();
        more["subtype"] = subtype.into();
        more["channel"] = channel.into();
        more["user"] = "UBOT".into();
        let note = self.add(more);
        self.tell(&with_channel(note));
    }

    pub(crate) fn describe(&mut self, channel: &str, topic: &str) -> Value {
        self.channels.get_mut(channel).unwrap()["topic"]["value"] = topic.into();
        self.note(channel, "channel_topic", json!({ "topic": topic, "text": "set the topic" }));
        json!({ "channel": self.channels[channel] })
    }

    pub(crate) fn rename(&mut self, channel: &str, name: &str) -> Value {
        let old = self.channels[channel]["name"].clone();
        self.channels.get_mut(channel).unwrap()["name"] = name.into();
        self.note(channel, "channel_name", json!({ "name": name, "old_name": old }));
        let at = self.next_ts();
        let renamed = json!({ "id": channel, "name": name, "created": 1_700_000_000 });
        self.tell(&json!({ "type": "channel_rename", "channel": renamed, "event_ts": at }));
        json!({ "channel": self.channels[channel] })
    }

    /// Somebody comes into a channel, or goes.
    pub(crate) fn passes(&mut self, channel: &str, user: &str, comes: bool) -> Value {
        let kind = if comes { "member_joined_channel" } else { "member_left_channel" };
        let at = self.next_ts();
        self.tell(&json!({ "type": kind, "user": user, "channel": channel, "channel_type": "C",
            "team": "T01", "event_ts": at }));
        json!({ "channel": self.channels[channel] })
    }

    pub(crate) fn pin(&mut self, user: &str, ts: &str, pinned: bool) {
        self.pins.retain(|other| other != ts);
        if pinned {
            self.pins.push(ts.to_owned());
        }
        let kind = if pinned { "pin_added" } else { "pin_removed" };
        let found = self.messages.iter().find(|message| message["ts"] == ts);
        let channel = found.map_or_else(|| "C01".into(), crate::slack::channel_of);
        let at = self.next_ts();
        self.tell(&json!({ "type": kind, "user": user, "channel_id": channel, "event_ts": at,
            "item": { "type": "message", "channel": channel, "message": { "ts": ts } } }));
    }

    /// A place for a file, which nobody sees yet.
    pub(crate) fn place_for(&mut self, name: &str) -> Value {
        let id = format!("F9{}", self.files.len());
        let url = format!("http://{}/files/{id}/{name}", self.address);
        let file = json!({ "id": id, "name": name, "mode": "hosted", "url_private": url });
        self.files.insert(id.clone(), file);
        json!({ "file_id": id, "upload_url": format!("http://{}/upload/{id}", self.address) })
    }

    /// Shows files in a channel: the message comes of it.
    pub(crate) fn share(&mut self, asked: &Value) -> Value {
        let channel = asked["channel_id"].as_str().unwrap().to_owned();
        let files = asked["files"].as_array().unwrap().iter();
        let ids: Vec<String> = files.map(|file| file["id"].as_str().unwrap().to_owned()).collect();
        for id in &ids {
            assert!(self.contents.contains_key(id), "it was uploaded");
        }
        let files: Vec<Value> = ids.iter().map(|id| self.files[id].clone()).collect();
        let mut message = json!({
            "type": "message", "subtype": "file_share", "user": "UBOT", "bot_id": "BBOT",
            "channel": channel, "text": asked["initial_comment"].as_str().unwrap_or_default(), "files": files,
        });
        if let Some(thread) = asked.get("thread_ts") {
            message["thread_ts"] = thread.clone();
        }
        let message = self.add(message);
        for id in &ids {
            let share = json!({ "ts": message["ts"] });
            self.files.get_mut(id).unwrap()["shares"]["public"][&channel] = json!([share]);
        }
        self.tell(&with_channel(message));
        json!({ "files": files })
    }
}

pub(crate) fn router() -> Router<Shared> {
    let router = Router::new().route(
        "/pictures/{name}",
        get(async |Path(name): Path<String>| {
            ([(header::CONTENT_TYPE, "image/png")], picture(&name))
        }),
    );
    router.route("/files/{id}/{name}", get(fetch)).route("/upload/{id}", post(upload))
}

/// Only who has a token may have a file: others are shown the page where one logs in.
async fn fetch(
    State(inside): State<Shared>,
    Path((id, _)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if !headers.contains_key(header::AUTHORIZATION) {
        return ([(header::CONTENT_TYPE, "text/html")], "log in").into_response();
    }
    let inside = inside.lock().unwrap();
    let mime = inside.files.get(&id).and_then(|file| file["mimetype"].as_str());
    let mime = mime.unwrap_or("application/octet-stream").to_owned();
    match inside.contents.get(&id) {
        Some(bytes) => ([(header::CONTENT_TYPE, mime)], bytes.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn upload(State(inside): State<Shared>, Path(id): Path<String>, bytes: Bytes) -> StatusCode {
    inside.lock().unwrap().contents.insert(id, bytes.to_vec());
    StatusCode::OK
}
