use std::sync::Arc;

use super::*;
use crate::client::Caps;
use crate::isupport::ISupport;
use crate::message::Message;

struct Rig {
    tracker: Tracker,
    me: Snapshot,
    now: Instant,
    lines: u64,
}

impl Rig {
    fn new() -> Self {
        let config =
            MembersConfig { show: ShowMembers::All, max: 4, quit_debounce: 10, netsplit_hold: 100 };
        let me = Snapshot {
            epoch: "e".into(),
            me: Source::parse("bot!~b@h"),
            isupport: ISupport::default(),
            caps: Caps::default(),
            version: String::new(),
            joined: std::collections::BTreeSet::new(),
            logged_in: false,
        };
        let mut rig = Self { tracker: Tracker::new(config), me, now: Instant::now(), lines: 0 };
        rig.say(":bot!~b@h JOIN #c");
        rig.say(":s 332 bot #c :the topic");
        rig.say(":s 353 bot = #c :@bot +Anna puppet bob");
        assert_eq!(
            rig.say(":s 366 bot #c :End"),
            [("names".into(), What::Resync { channel: "#c".into() })]
        );
        rig
    }

    fn say(&mut self, line: &str) -> Vec<Told> {
        self.lines += 1;
        let message = Message::parse(line.as_bytes()).unwrap();
        let line =
            Incoming { epoch: Arc::from("e"), number: self.lines, message, at: None, batch: None };
        let ours = |source: &Source| source.name.starts_with("puppet");
        self.tracker.on(&line, &Context { me: &self.me, ours: &ours, now: self.now })
    }

    fn people(&self) -> Vec<&str> {
        let mut all: Vec<&str> =
            self.tracker.channel("#c").unwrap().people.values().map(|p| p.nick.as_str()).collect();
        all.sort_unstable();
        all
    }
}

fn change(nick: &str, to: Standing, reason: Option<&str>) -> Vec<Change> {
    vec![Change { nick: nick.into(), to, reason: reason.map(str::to_owned) }]
}

fn members(by: Option<&str>, changes: Vec<Change>) -> What {
    What::Members { channel: "#c".into(), by: by.map(str::to_owned), changes }
}

#[test]
fn names_tell_who_is_there_without_our_own() {
    let rig = Rig::new();
    assert_eq!(rig.people(), ["Anna", "bob"]);
    let channel = rig.tracker.channel("#c").unwrap();
    assert_eq!((channel.topic.as_deref(), channel.bot_is_operator()), (Some("the topic"), true));
    assert_eq!(channel.people["anna"].ranks, "v");
    assert_eq!(rig.tracker.spelling("anna"), Some("Anna"));
}

#[test]
fn joins_parts_and_kicks_are_told_but_not_our_own() {
    let mut rig = Rig::new();
    assert_eq!(
        rig.say(":Carl!c@h JOIN #C")[0].1,
        members(None, change("Carl", Standing::In, None))
    );
    assert_eq!(rig.say(":puppet2!c@h JOIN #c"), []);
    assert_eq!(
        rig.say(":carl!c@h PART #c :bye")[0].1,
        members(None, change("Carl", Standing::Out, Some("bye")))
    );
    assert_eq!(
        rig.say(":Anna!a@h KICK #c BOB :out")[0].1,
        members(Some("Anna"), change("bob", Standing::Out, Some("out")))
    );
    assert!(
        matches!(&rig.say(":Anna!a@h KICK #c puppet :out")[0].1, What::Notice { text, .. } if text == "puppet was kicked from #c by Anna: out")
    );
    assert!(matches!(&rig.say(":Anna!a@h KICK #c bot :out")[0].1, What::Notice { .. }));
    assert!(rig.tracker.channel("#c").is_none());
}

#[test]
fn a_quit_is_told_only_if_they_stay_away() {
    let mut rig = Rig::new();
    assert_eq!(rig.say(":anna!a@h QUIT :Ping timeout"), []);
    assert_eq!(rig.say(":bob!b@h QUIT :Ping timeout"), []);
    assert_eq!(rig.tracker.next_due(), Some(rig.now + Duration::from_secs(10)));
    assert_eq!(rig.say(":anna!a@h JOIN #c"), []);
    assert_eq!(rig.tracker.due(rig.now + Duration::from_secs(9)), []);
    let due = rig.tracker.due(rig.now + Duration::from_secs(10));
    assert_eq!(
        due,
        [("#c".into(), members(None, change("bob", Standing::Out, Some("Ping timeout"))))]
    );
    assert_eq!((rig.people(), rig.tracker.next_due()), (vec!["Anna"], None));
}

#[test]
fn a_netsplit_is_held_longer() {
    let mut rig = Rig::new();
    rig.say(":anna!a@h QUIT :hub.net.example leaf.net.example");
    assert_eq!(rig.tracker.next_due(), Some(rig.now + Duration::from_secs(100)));
    assert!(
        is_netsplit("*.net *.split")
            && !is_netsplit("see you.")
            && !is_netsplit("a.b c.d e.f")
            && !is_netsplit("Quit: a.b c.d")
    );
}

#[test]
fn large_channels_show_only_who_speaks() {
    let mut rig = Rig::new();
    assert_eq!(rig.say(":c1!c@h JOIN #c").len(), 1);
    assert_eq!(rig.say(":c2!c@h JOIN #c").len(), 1);
    assert_eq!(rig.say(":c3!c@h JOIN #c").len(), 0);
    assert_eq!(rig.say(":c3!c@h PART #c").len(), 1);
}

#[test]
fn nick_changes_follow_everywhere() {
    let mut rig = Rig::new();
    let told = rig.say(":anna!a@h NICK Annika");
    assert_eq!(
        told[0].1,
        What::Renamed {
            channels: vec!["#c".into()],
            from: "anna".into(),
            to: "Annika".into(),
            shown: true
        }
    );
    assert_eq!(rig.people(), ["Annika", "bob"]);
    assert_eq!(rig.tracker.channel("#c").unwrap().people["annika"].ranks, "v");
    assert_eq!(rig.say(":puppet!a@h NICK puppet9"), []);
}

#[test]
fn modes_become_levels_flags_and_bans() {
    let mut rig = Rig::new();
    let told = rig.say(":bob!b@h MODE #c +om-v+b Anna Anna troll!*@*");
    let flags = crate::raw::Flags { moderated: Some(true), ..Default::default() };
    assert_eq!(
        told[0].1,
        What::Modes {
            channel: "#c".into(),
            by: "bob".into(),
            flags,
            levels: vec![("Anna".into(), 50)]
        }
    );
    assert_eq!(told[1].1, members(Some("bob"), change("troll", Standing::Banned, None)));
    assert!(rig.tracker.channel("#c").unwrap().moderated);
    rig.say(":bob!b@h MODE #c -o bot");
    assert!(!rig.tracker.channel("#c").unwrap().bot_is_operator());
    assert_eq!(rig.say(":puppet!b@h MODE #c -m"), []);
    assert_eq!(rig.say(":s 324 bot #c +mi"), []);
    assert!(rig.tracker.channel("#c").unwrap().invite_only);
}

#[test]
fn topics_are_told_unless_they_came_from_matrix() {
    let mut rig = Rig::new();
    assert_eq!(
        rig.say(":bob!b@h TOPIC #c :new")[0].1,
        What::Topic { channel: "#c".into(), by: "bob".into(), text: "new".into() }
    );
    assert_eq!(rig.say(":puppet!b@h TOPIC #c :newer"), []);
    assert_eq!(rig.tracker.channel("#c").unwrap().topic.as_deref(), Some("newer"));
}
