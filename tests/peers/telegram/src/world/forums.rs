//! Forums: supergroups whose messages belong to topics.

use std::collections::BTreeMap;

use grammers_tl_types as tl;

use super::{Message, Place, World};

impl World {
    /// Makes a supergroup a forum.
    pub fn forum(&mut self, channel: i64) {
        if let Some(channel) = self.channels.get_mut(&channel) {
            channel.topics = Some(BTreeMap::new());
            // The message of this number has made the supergroup: the topic that every forum has.
            channel.next = channel.next.max(2);
        }
    }

    /// Somebody begins a topic; gives its number.
    pub fn begin_topic(&mut self, from: i64, channel: i64, title: &str) -> i32 {
        let action = tl::types::MessageActionTopicCreate {
            title_missing: false,
            title: title.into(),
            icon_color: 0,
            icon_emoji_id: None,
        };
        // The first message of a topic is its number; it is in the forum before the topic is told of.
        let number = self.channels.get(&channel).map_or(0, |channel| channel.next);
        if let Some(topics) = self.channels.get_mut(&channel).and_then(|c| c.topics.as_mut()) {
            topics.insert(number, title.into());
        }
        let message = Message { action: Some(action.into()), ..Message::plain(from, "") };
        self.add(Place::Channel(channel), message)
    }

    /// Somebody says something in a topic; gives its number.
    pub fn say_in_topic(&mut self, from: i64, channel: i64, topic: i32, text: &str) -> i32 {
        let message = Message { topic: Some(topic), ..Message::plain(from, text) };
        self.add(Place::Channel(channel), message)
    }

    /// The topics that were begun, in order, with their names.
    pub fn topics(&self, channel: i64) -> Vec<(i32, String)> {
        let topics = self.channels.get(&channel).and_then(|channel| channel.topics.as_ref());
        topics.into_iter().flatten().map(|(id, name)| (*id, name.clone())).collect()
    }

    /// A topic's name.
    pub fn topic(&self, channel: i64, topic: i32) -> Option<&str> {
        self.channels.get(&channel)?.topics.as_ref()?.get(&topic).map(String::as_str)
    }

    /// Whether only administrators write in a topic.
    pub fn is_closed(&self, channel: i64, topic: i32) -> bool {
        self.channels.get(&channel).is_some_and(|channel| channel.closed.contains(&topic))
    }

    /// What a message answers, and the topic that it belongs to, as a request names them (core.telegram.org/api/forum): what answers a
    /// topic's first message is only in it.
    pub(crate) fn answered_in(
        &self,
        place: Place,
        reply: Option<i32>,
        top: Option<i32>,
    ) -> (Option<i32>, Option<i32>) {
        let Place::Channel(id) = place else { return (reply, None) };
        let Some(channel) = self.channels.get(&id) else { return (reply, None) };
        let Some(topics) = &channel.topics else { return (reply, None) };
        match (reply, top) {
            (Some(reply), None) if topics.contains_key(&reply) => (None, Some(reply)),
            (Some(reply), None) => {
                let answered = channel.messages.get(&reply);
                (Some(reply), answered.and_then(|message| message.topic))
            }
            (reply, top) => (reply, top),
        }
    }
}
