//! The Discord of the bridge's own tests.

use serde_json::json;

use crate::{
    Playground,
    fake::{CHANNEL, Fake, GUILD, TOKEN},
};

pub(crate) struct Playing {
    fake: Fake,
    /// How many messages and answers were shown.
    shown: (usize, usize),
    connected: u32,
}

impl Playing {
    pub(crate) async fn start() -> Self {
        let fake = Fake::start().await;
        println!(
            "# For [bridges.discord.network]; the server's ID is {GUILD}, the channel's (#general) {CHANNEL}.\n\
             token = \"{TOKEN}\"\n\
             api_url = \"http://{0}/api/v10/\"\n\
             cdn_url = \"http://{0}/cdn/\"\n",
            fake.address
        );
        Self { fake, shown: (0, 0), connected: 0 }
    }
}

impl Playground for Playing {
    const HELP: &str = "Type `say NAME TEXT` for somebody's words in #general, `matrix NAME COMMAND` for the slash command /matrix COMMAND there";

    fn typed(&self, words: &[&str], rest: &str) -> bool {
        match words {
            ["say", name, _, ..] => {
                self.fake.say(CHANNEL, name, rest);
            }
            ["matrix", name, command] => {
                let id = self.fake.state().next_id().to_string();
                let asked = json!({
                    "id": id, "token": "t", "type": 2, "guild_id": GUILD, "channel_id": CHANNEL,
                    // Somebody who may manage channels.
                    "member": { "user": Fake::user(name), "permissions": "16" },
                    "data": { "name": "matrix", "options": [{ "type": 1, "name": command }] },
                });
                self.fake.dispatch("INTERACTION_CREATE", &asked);
            }
            _ => return false,
        }
        true
    }

    fn show(&mut self) {
        let heard = self.fake.heard(CHANNEL);
        for (name, text) in heard.iter().skip(self.shown.0) {
            println!("{name} in #general: {text}");
        }
        let state = self.fake.state();
        for answer in state.answers.iter().skip(self.shown.1) {
            println!("answer: {}", answer["data"]["content"].as_str().unwrap_or_default());
        }
        if state.connected > self.connected {
            println!("(the bot has connected)");
        }
        self.connected = state.connected;
        self.shown = (heard.len(), state.answers.len());
    }
}
