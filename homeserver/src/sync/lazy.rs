//! Which members each device has been told of
//! ([Lazy-loading room members](https://spec.matrix.org/v1.19/client-server-api/#lazy-loading-room-members)).
//!
//! What an answer told counts only once the device comes back with that answer's token: an answer that was lost must not leave a hole.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use quick_cache::sync::Cache;

use crate::nid::{EventNid, RoomNid};

/// Devices that are remembered; a forgotten one is told its members once more.
const MAX_DEVICES: usize = 10_000;
/// Members remembered for one device; beyond it, it begins anew.
const MAX_MEMBERS: usize = 50_000;
/// Answers of one device that may be unacknowledged at once.
const MAX_PENDING: usize = 4;

/// The memory of all devices.
#[derive(Debug)]
pub struct LazyMembers(Cache<String, Arc<Mutex<Device>>>);

#[derive(Debug, Default)]
struct Device {
    told: HashMap<RoomNid, HashSet<EventNid>>,
    count: usize,
    pending: Vec<(String, Vec<(RoomNid, EventNid)>)>,
}

impl Default for LazyMembers {
    fn default() -> Self {
        Self(Cache::new(MAX_DEVICES))
    }
}

impl LazyMembers {
    /// The memory for one request of a device that comes with this token; without one it begins anew.
    pub fn session(&self, device: &str, since: Option<&str>) -> Session {
        let device = self.0.get(device).unwrap_or_else(|| {
            let new = Arc::new(Mutex::new(Device::default()));
            self.0.insert(device.to_owned(), Arc::clone(&new));
            new
        });
        {
            let mut memory = device.lock().unwrap_or_else(PoisonError::into_inner);
            match since {
                None => *memory = Device::default(),
                Some(token) => memory.acknowledge(token),
            }
        }
        Session { device, telling: Vec::new(), in_this_answer: HashSet::new() }
    }
}

impl Device {
    fn acknowledge(&mut self, token: &str) {
        let Some(at) = self.pending.iter().position(|(pending, _)| pending == token) else {
            return;
        };
        let (_, told) = self.pending.swap_remove(at);
        if self.count + told.len() > MAX_MEMBERS {
            self.told.clear();
            self.count = 0;
        }
        for (room, member) in told {
            if self.told.entry(room).or_default().insert(member) {
                self.count += 1;
            }
        }
    }
}

/// The memory as one answer uses it.
#[derive(Debug)]
pub struct Session {
    device: Arc<Mutex<Device>>,
    telling: Vec<(RoomNid, EventNid)>,
    in_this_answer: HashSet<EventNid>,
}

impl Session {
    /// Whether the device already has this member event, from an answer it acknowledged or from this one.
    pub fn knows(&self, room: RoomNid, member: EventNid) -> bool {
        self.in_this_answer.contains(&member)
            || self
                .device
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .told
                .get(&room)
                .is_some_and(|told| told.contains(&member))
    }

    /// This answer tells the device of a member.
    pub fn tell(&mut self, room: RoomNid, member: EventNid) {
        if self.in_this_answer.insert(member) {
            self.telling.push((room, member));
        }
    }

    /// Takes back what the answer would have told: it is built once more.
    pub fn reset(&mut self) {
        self.telling.clear();
        self.in_this_answer.clear();
    }

    /// The answer goes out with this token.
    pub fn answered(self, token: &str) {
        if self.telling.is_empty() {
            return;
        }
        let mut device = self.device.lock().unwrap_or_else(PoisonError::into_inner);
        device.pending.retain(|(pending, _)| pending != token);
        if device.pending.len() >= MAX_PENDING {
            device.pending.remove(0);
        }
        device.pending.push((token.to_owned(), self.telling));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: RoomNid = RoomNid(1);
    const MEMBER: EventNid = EventNid(7);

    #[test]
    fn an_answer_counts_when_its_token_comes_back() {
        let memory = LazyMembers::default();
        let mut first = memory.session("@a:h|D", None);
        assert!(!first.knows(ROOM, MEMBER));
        first.tell(ROOM, MEMBER);
        assert!(first.knows(ROOM, MEMBER), "not twice in one answer");
        first.answered("t1");
        assert!(!memory.session("@a:h|D", Some("t0")).knows(ROOM, MEMBER), "the answer was lost");
        assert!(memory.session("@a:h|D", Some("t1")).knows(ROOM, MEMBER));
        assert!(memory.session("@a:h|D", Some("t2")).knows(ROOM, MEMBER));
        assert!(!memory.session("@a:h|E", Some("t1")).knows(ROOM, MEMBER), "another device");
    }

    #[test]
    fn a_device_that_starts_over_knows_nothing() {
        let memory = LazyMembers::default();
        let mut first = memory.session("@a:h|D", None);
        first.tell(ROOM, MEMBER);
        first.answered("t1");
        assert!(memory.session("@a:h|D", Some("t1")).knows(ROOM, MEMBER));
        assert!(!memory.session("@a:h|D", None).knows(ROOM, MEMBER));
        assert!(!memory.session("@a:h|D", Some("t1")).knows(ROOM, MEMBER));
    }

    #[test]
    fn a_new_profile_is_told_again() {
        let memory = LazyMembers::default();
        let mut first = memory.session("@a:h|D", None);
        first.tell(ROOM, MEMBER);
        first.answered("t1");
        assert!(!memory.session("@a:h|D", Some("t1")).knows(ROOM, EventNid(8)));
    }
}
