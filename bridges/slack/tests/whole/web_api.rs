//! The methods of the stand-in's Web API.

use serde_json::{Value, json};

use crate::slack::{BEGIN, Inside, PERSON, SECOND, changed, channel_of, with_channel};

impl Inside {
    pub(crate) fn answer(
        &mut self,
        method: &str,
        asked: &Value,
        token: &str,
    ) -> Result<Value, &'static str> {
        let by_person = token == PERSON;
        let field = |key: &str| asked[key].as_str().unwrap_or_default();
        Ok(match method {
            "auth.revoke" => json!({ "revoked": true }),
            "oauth.v2.access" if field("code") == "good" => {
                json!({ "authed_user": { "id": "U07", "access_token": PERSON } })
            }
            "oauth.v2.access" if field("code") == "installed" => json!({ "access_token": SECOND }),
            "oauth.v2.access" => return Err("invalid_code"),
            "auth.test" if token == SECOND => {
                json!({ "team_id": "T02", "team": "Second", "user_id": "UBOT", "user": "bridge", "bot_id": "BBOT" })
            }
            "auth.test" if by_person => {
                json!({ "team_id": "T01", "team": "Test", "user_id": "U07", "user": "ann" })
            }
            "auth.test" => {
                json!({ "team_id": "T01", "team": "Test", "user_id": "UBOT", "user": "bridge", "bot_id": "BBOT" })
            }
            "apps.connections.open" if self.closed => return Err("internal_error"),
            "apps.connections.open" => json!({ "url": format!("ws://{}/link", self.address) }),
            "users.conversations" => {
                let mut channels = vec![json!({ "id": "C01" }), json!({ "id": "D01" })];
                channels.extend(self.made.iter().map(|(id, made)| {
                    json!({ "id": id, "name": made["name"], "creator": "U07", "created": BEGIN })
                }));
                json!({ "channels": channels })
            }
            "conversations.open" => self.open(field("users"))?,
            "conversations.create" => {
                if self.made.values().any(|made| made["name"] == asked["name"]) {
                    return Err("name_taken");
                }
                let made = json!({ "name": asked["name"], "is_private": asked["is_private"] });
                let id = self.make("C", made);
                if self.lose > 0 {
                    self.lose -= 1;
                    return Err("lost");
                }
                json!({ "channel": { "id": id } })
            }
            "conversations.invite" if !self.made.contains_key(field("channel")) => {
                self.passes(field("channel"), field("users"), true)
            }
            "conversations.kick" => self.passes(field("channel"), field("user"), false),
            "conversations.invite" => {
                let made = self.made.get_mut(field("channel")).ok_or("channel_not_found")?;
                made["users"] = asked["users"].clone();
                json!({ "errors": [{ "user": "U02", "error": "cant_invite", "ok": false }] })
            }
            "conversations.setTopic" if !self.made.contains_key(field("channel")) => {
                self.describe(field("channel"), field("topic"))
            }
            "conversations.rename" => self.rename(field("channel"), field("name")),
            "conversations.setTopic" => {
                let made = self.made.get_mut(field("channel")).ok_or("channel_not_found")?;
                made["topic"] = asked["topic"].clone();
                json!({})
            }
            "conversations.members" if self.made.contains_key(field("channel")) => {
                let users = self.made[field("channel")]["users"].as_str().unwrap_or_default();
                let users = users.split(',').filter(|user| !user.is_empty());
                json!({ "members": users.chain(["U07"]).collect::<Vec<_>>() })
            }
            "conversations.members" => json!({ "members": ["UBOT", "U01", "U02", "U07"] }),
            "conversations.join" | "conversations.leave" | "conversations.mark" => json!({}),
            "pins.add" | "pins.remove" => {
                self.pin("UBOT", field("timestamp"), method == "pins.add");
                json!({})
            }
            "conversations.history" | "conversations.replies" if self.no_history => {
                return Err("internal_error");
            }
            "conversations.history" => self.history(asked),
            "conversations.replies" => self.replies(asked),
            "chat.postMessage" => return self.post(asked, by_person),
            "chat.update" => {
                let at = self.next_ts();
                let found = self.messages.iter_mut().find(|it| it["ts"] == asked["ts"]);
                let message = found.ok_or("message_not_found")?;
                let before = message.clone();
                message["text"] = asked["text"].clone();
                message["blocks"] = asked["blocks"].clone();
                message["edited"] = json!({ "user": "UBOT", "ts": at });
                let after = message.clone();
                self.tell(&changed(&at, &before, &after));
                json!({ "ts": asked["ts"] })
            }
            "chat.delete" if self.remove(field("ts")) => json!({}),
            "chat.delete" => return Err("message_not_found"),
            "reactions.add" | "reactions.remove" => {
                self.react("UBOT", field("timestamp"), field("name"), method == "reactions.add");
                json!({})
            }
            _ => return self.look_up(method, asked),
        })
    }

    /// The methods that ask about people, channels, files and the like, and those that bring files.
    fn look_up(&mut self, method: &str, asked: &Value) -> Result<Value, &'static str> {
        let field = |key: &str| asked[key].as_str().unwrap_or_default();
        Ok(match method {
            "conversations.info" if self.made.contains_key(field("channel")) => {
                let mut channel = self.made[field("channel")].clone();
                channel["id"] = field("channel").into();
                json!({ "channel": channel })
            }
            "conversations.info" if field("channel") == "D01" => {
                json!({ "channel": { "id": "D01", "is_im": true, "user": "U02" } })
            }
            "conversations.info" => {
                let channel = self.channels.get(field("channel")).ok_or("channel_not_found")?;
                json!({ "channel": channel })
            }
            "conversations.list" => {
                json!({ "channels": self.channels.values().collect::<Vec<_>>() })
            }
            "team.info" => {
                let icon = self.picture("team.png");
                json!({ "team": { "id": "T01", "name": "Test", "icon": { "image_230": icon } } })
            }
            "users.info" => {
                let user = self.people.get(field("user")).ok_or("user_not_found")?;
                json!({ "user": user })
            }
            "users.lookupByEmail" => {
                let mut people = self.people.values();
                let user = people.find(|user| user["profile"]["email"] == asked["email"]);
                json!({ "user": user.ok_or("users_not_found")? })
            }
            // Two at once: there is always another page.
            "users.list" => {
                let from: usize = field("cursor").parse().unwrap_or(0);
                let page: Vec<&Value> = self.people.values().skip(from).take(2).collect();
                let next = if from + 2 < self.people.len() {
                    (from + 2).to_string()
                } else {
                    String::new()
                };
                json!({ "members": page, "response_metadata": { "next_cursor": next } })
            }
            "bots.info" => {
                let icons = json!({ "image_72": self.picture("bot.png") });
                json!({ "bot": { "id": field("bot"), "name": "Builder", "icons": icons } })
            }
            "emoji.list" => json!({ "emoji": self.emoji }),
            "usergroups.list" => json!({ "usergroups": [{ "id": "S01", "handle": "devs" }] }),
            "files.getUploadURLExternal" => self.place_for(field("filename")),
            "files.completeUploadExternal" => self.share(asked),
            "files.info" => {
                let file = self.files.get(field("file")).ok_or("file_not_found")?;
                json!({ "file": file })
            }
            _ => return Err("unknown_method"),
        })
    }

    /// The conversation with some people, of which there is one.
    fn open(&mut self, users: &str) -> Result<Value, &'static str> {
        if users.split(',').any(|user| !self.people.contains_key(user)) {
            return Err("user_not_found");
        }
        let known = self.made.iter().find(|(_, made)| made["users"] == users);
        let id = match known {
            Some((id, _)) => id.clone(),
            // There is one with Ben already.
            None if users == "U02" => "D01".to_owned(),
            None if !users.contains(',') => {
                self.make("D", json!({ "users": users, "user": users, "is_im": true }))
            }
            None => self.make("G", json!({ "name": "mpdm", "users": users, "is_mpim": true })),
        };
        Ok(json!({ "channel": { "id": id } }))
    }

    fn post(&mut self, asked: &Value, by_person: bool) -> Result<Value, &'static str> {
        if self.limit > 0 {
            self.limit -= 1;
            return Err("limited");
        }
        let mut message = if by_person {
            json!({ "type": "message", "user": "U07", "app_id": "A01" })
        } else {
            json!({ "type": "message", "subtype": "bot_message", "user": "UBOT", "bot_id": "BBOT" })
        };
        let keys = ["channel", "text", "blocks", "thread_ts", "username", "icon_url", "metadata"];
        for key in keys {
            if let Some(value) = asked.get(key) {
                message[key] = value.clone();
            }
        }
        let message = self.add(message);
        // As Slack's events come: without the metadata, and often before the answer.
        let mut told = with_channel(message.clone());
        if let Some(told) = told.as_object_mut() {
            told.remove("metadata");
        }
        self.tell(&told);
        if self.lose > 0 {
            self.lose -= 1;
            return Err("lost");
        }
        Ok(json!({ "channel": channel_of(&message), "ts": message["ts"], "message": message }))
    }

    /// Newest first, as Slack has it; without replies, but for those that were sent to the channel too.
    fn history(&self, asked: &Value) -> Value {
        let bound = |key: &str| asked[key].as_str().and_then(|ts| ts.parse::<f64>().ok());
        let (oldest, latest) = (bound("oldest"), bound("latest"));
        let within = |message: &&Value| {
            let ts = message["ts"].as_str().unwrap_or_default();
            let at = ts.parse::<f64>().unwrap_or_default();
            let inclusive = asked["inclusive"] == "true";
            let after = oldest.is_none_or(|oldest| at > oldest || inclusive && at >= oldest);
            let before = latest.is_none_or(|latest| at < latest || inclusive && at <= latest);
            let reply = message["thread_ts"].is_string() && message["thread_ts"] != message["ts"];
            let here = channel_of(message) == asked["channel"].as_str().unwrap_or_default();
            here && after && before && (!reply || message["subtype"] == "thread_broadcast")
        };
        let limit = asked["limit"].as_str().and_then(|limit| limit.parse().ok()).unwrap_or(100);
        let mut found: Vec<&Value> = self.messages.iter().filter(within).collect();
        found.reverse();
        let more = found.len() > limit;
        found.truncate(limit);
        json!({ "messages": found, "has_more": more })
    }

    /// The root, and its replies, oldest first.
    fn replies(&self, asked: &Value) -> Value {
        let within =
            |message: &&Value| message["ts"] == asked["ts"] || message["thread_ts"] == asked["ts"];
        let found: Vec<&Value> = self.messages.iter().filter(within).collect();
        json!({ "messages": found })
    }
}
