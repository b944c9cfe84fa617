//! Who is there, and what they do.

use http::{Method, StatusCode};
use rand::RngExt as _;
use rand::rngs::StdRng;
use ruma::OwnedUserId;
use serde_json::{Value, json};

use super::device::Device;
use crate::sync::tests::rig::{Person, Rig};

/// The users and rooms of a case.
pub(super) struct World {
    pub(super) users: Vec<(OwnedUserId, String)>,
    pub(super) rooms: Vec<String>,
    /// Which of the rooms anybody may read.
    pub(super) for_all: Vec<bool>,
    /// How often each user may have come into each room.
    pub(super) epochs: Vec<Vec<u64>>,
    /// The last number of the account data of each user.
    data: Vec<u64>,
    /// Messages sent to each device.
    pub(super) sent: Vec<u64>,
    next: u64,
}

/// Something that somebody does.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Say { user: usize, room: usize, n: u64 },
    Topic { user: usize, room: usize, n: u64 },
    Name { user: usize, room: usize, n: u64 },
    Join { user: usize, room: usize },
    Leave { user: usize, room: usize },
    Do { what: &'static str, user: usize, whom: usize, room: usize },
    Data { user: usize, n: u64 },
    Message { device: usize, n: u64 },
}

impl Op {
    pub(super) fn random(random: &mut StdRng, users: usize, rooms: usize, devices: usize) -> Self {
        let (user, room) = (random.random_range(0..users), random.random_range(0..rooms));
        match random.random_range(0..20) {
            0..8 => Self::Say { user, room, n: 0 },
            8 => Self::Topic { user, room, n: 0 },
            9 => Self::Name { user, room, n: 0 },
            10..13 => Self::Join { user, room },
            13..15 => Self::Leave { user, room },
            15 | 16 => {
                let what = ["kick", "invite", "ban", "unban"][random.random_range(0..4)];
                Self::Do { what, user, whom: random.random_range(0..users), room }
            }
            17 => Self::Data { user, n: 0 },
            _ => Self::Message { device: random.random_range(0..devices), n: 0 },
        }
    }
}

impl Op {
    /// Whether it matters in which order such are carried out.
    pub(super) fn is_ordered(&self) -> bool {
        matches!(self, Self::Data { .. } | Self::Message { .. })
    }
}

impl World {
    pub(super) async fn new(
        rig: &Rig,
        seed: u64,
        users: usize,
        rooms: usize,
        random: &mut StdRng,
    ) -> Self {
        let mut world = Self {
            users: Vec::new(),
            rooms: Vec::new(),
            for_all: Vec::new(),
            epochs: vec![vec![0; rooms]; users],
            data: vec![0; users],
            sent: Vec::new(),
            next: 0,
        };
        for n in 0..users {
            world.users.push(rig.person(&format!("u{n}_{seed}")).await.keep());
        }
        for n in 0..rooms {
            let visibility =
                ["shared", "joined", "invited", "world_readable"][random.random_range(0..4)];
            let levels: serde_json::Map<String, Value> =
                world.users.iter().map(|(id, _)| (id.to_string(), json!(100))).collect();
            let body = json!({
                "preset": "public_chat", "room_version": "11",
                "initial_state": [{"type": "m.room.history_visibility", "state_key": "",
                    "content": {"history_visibility": visibility}}],
                "power_level_content_override": {"users": levels},
            });
            let creator = world.person(rig, n % users);
            let room = creator.call(Method::POST, "v3/createRoom", body).await;
            world.for_all.push(visibility == "world_readable");
            world.rooms.push(room["room_id"].as_str().expect("an id").to_owned());
        }
        world
    }

    pub(super) fn person<'r>(&self, rig: &'r Rig, user: usize) -> Person<'r> {
        rig.again(self.users[user].clone())
    }

    /// Another device of a user; its access token.
    pub(super) async fn log_in(&self, rig: &Rig, user: usize) -> String {
        let body = json!({"type": "m.login.password", "password": "a long password",
            "identifier": {"type": "m.id.user", "user": self.users[user].0}});
        let answer = self.person(rig, user).call(Method::POST, "v3/login", body).await;
        answer["access_token"].as_str().expect("a token").to_owned()
    }

    /// Notes what may come of an operation before it is carried out, and gives it its number.
    pub(super) fn expect(&mut self, op: &mut Op) {
        self.next += 1;
        match op {
            Op::Say { n, .. } | Op::Topic { n, .. } | Op::Name { n, .. } => *n = self.next,
            Op::Join { user, room } => self.epochs[*user][*room] += 1,
            Op::Data { user, n } => {
                self.data[*user] += 1;
                *n = self.data[*user];
            }
            Op::Message { device, n } => {
                self.sent[*device] += 1;
                *n = self.sent[*device];
            }
            Op::Leave { .. } | Op::Do { .. } => {}
        }
    }

    /// Does it. What the rooms' rules refuse is refused.
    pub(super) async fn carry_out(&self, rig: &Rig, op: &Op, devices: &[Device]) {
        let (user, method, path, body) = match op {
            Op::Say { user, room, n } => {
                let path = format!("v3/rooms/{}/send/m.room.message/{n}", self.rooms[*room]);
                (*user, Method::PUT, path, json!({"msgtype": "m.text", "body": n.to_string()}))
            }
            Op::Topic { user, room, n } => {
                let path = format!("v3/rooms/{}/state/m.room.topic/", self.rooms[*room]);
                (*user, Method::PUT, path, json!({"topic": n.to_string()}))
            }
            Op::Name { user, room, n } => {
                let id = &self.users[*user].0;
                let path = format!("v3/rooms/{}/state/m.test.name/{n}-{id}", self.rooms[*room]);
                (*user, Method::PUT, path, json!({"n": n}))
            }
            Op::Join { user, room } => {
                (*user, Method::POST, format!("v3/rooms/{}/join", self.rooms[*room]), json!({}))
            }
            Op::Leave { user, room } => {
                (*user, Method::POST, format!("v3/rooms/{}/leave", self.rooms[*room]), json!({}))
            }
            Op::Do { what, user, whom, room } => {
                let path = format!("v3/rooms/{}/{what}", self.rooms[*room]);
                (*user, Method::POST, path, json!({"user_id": self.users[*whom].0}))
            }
            Op::Data { user, n } => {
                let path = format!("v3/user/{}/account_data/m.test", self.users[*user].0);
                (*user, Method::PUT, path, json!({"n": n}))
            }
            Op::Message { device, n } => {
                let device = &devices[*device];
                let mut to = serde_json::Map::new();
                let mut one = serde_json::Map::new();
                one.insert(device.id(rig, self).await, json!({"n": n}));
                to.insert(self.users[device.user].0.to_string(), Value::Object(one));
                let path = format!("v3/sendToDevice/m.test/{}-{n}", device.token);
                (device.user, Method::PUT, path, json!({ "messages": to }))
            }
        };
        let (status, answer) = self.person(rig, user).ask(method, &path, Some(&body)).await;
        let refused = matches!(status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND);
        assert!(status == StatusCode::OK || refused, "{op:?}: {status} {answer}");
    }

    /// The number that a user's account data must have in the end; `None` when it was never set.
    pub(super) fn data(&self, user: usize) -> Option<u64> {
        Some(self.data[user]).filter(|n| *n > 0)
    }
}
