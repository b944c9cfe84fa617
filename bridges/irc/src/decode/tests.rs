use super::*;
use crate::casemap::CaseMapping;
use crate::raw::Change;

fn raw(owner: Option<&str>, what: What) -> Raw {
    Raw {
        network: String::new(),
        mapping: CaseMapping::Rfc1459,
        at: 5_000,
        key: "e:x.7".into(),
        owner: owner.map(str::to_owned),
        what,
    }
}

fn bot() -> Account {
    Account { network: String::new(), owner: None }
}

fn said(line: &str) -> What {
    What::Said { line: line.into(), mentions: Vec::new() }
}

fn one(what: What) -> Event {
    let mut all = decode(&bot(), &raw(None, what)).unwrap();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn user(sender: &Sender<Irc>) -> &str {
    match sender {
        Sender::User(nick) => &nick.nick,
        other => panic!("{other:?}"),
    }
}

#[test]
fn channel_messages_go_to_the_channel_s_portal() {
    let event = one(said("@msgid=zz;+draft/reply=yy :Anna[m]!a@h PRIVMSG #Chan :hi \x02you\x02"));
    assert_eq!(event.portal.id, Chat::channel("", "#chan"));
    assert_eq!(
        (user(&event.sender), event.create_portal, event.key.0.as_str()),
        ("anna{m}", false, "e:x.7")
    );
    let Body::Message(message) = &event.body else { panic!("{:?}", event.body) };
    assert_eq!(
        (message.id.as_str(), message.reply_to.as_ref().unwrap().id.as_str()),
        ("e:x.7", "m:yy")
    );
    assert!(
        matches!(&message.parts[0].content, Content::Text(rich) if rich.text() == "hi you" && rich.spans().len() == 1)
    );
    assert_eq!(one(said(":a!b@c NOTICE @#Chan :ops")).portal.id, Chat::channel("", "#chan"));
}

#[test]
fn private_messages_go_to_the_one_they_are_for() {
    let line = said(":Bob!b@h PRIVMSG anna :psst");
    let through_puppet = &decode(&bot(), &raw(Some("@anna:hs"), line.clone())).unwrap()[0];
    assert_eq!(
        through_puppet.portal.id,
        Chat::Query { network: String::new(), nick: "bob".into(), owner: Some("@anna:hs".into()) }
    );
    assert!(through_puppet.create_portal && through_puppet.portal.scope == Scope::Shared);
    let login = Account { network: String::new(), owner: Some("@anna:hs".into()) };
    let own = &decode(&login, &raw(None, line)).unwrap()[0];
    assert_eq!(own.portal.scope, Scope::Private(login));
    assert_eq!(
        own.portal.id,
        Chat::Query { network: String::new(), nick: "bob".into(), owner: None }
    );
}

#[test]
fn tags_are_typing_and_reactions_and_ctcp_is_nothing() {
    assert!(
        matches!(one(said("@+typing=active :a!b@c TAGMSG #c")).body, Body::Typing { timeout, .. } if timeout == TYPING_HOLDS)
    );
    assert!(
        matches!(one(said("@+typing=done :a!b@c TAGMSG #c")).body, Body::Typing { timeout, .. } if timeout.is_zero())
    );
    let react = one(said("@+draft/react=\u{1f44d};+draft/reply=zz :a!b@c TAGMSG #c"));
    assert!(
        matches!(react.body, Body::React { target, emoji: Emoji::Unicode(e), set: true } if target.id == "m:zz" && e == "\u{1f44d}")
    );
    for silent in [
        "@+draft/react=x :a!b@c TAGMSG #c",
        "@+other=1 :a!b@c TAGMSG #c",
        ":a!b@c PRIVMSG #c :\x01VERSION\x01",
    ] {
        assert_eq!(decode(&bot(), &raw(None, said(silent))).unwrap().len(), 0, "{silent}");
    }
    assert!(decode(&bot(), &raw(None, said(""))).is_err());
}

#[test]
fn members_come_and_go() {
    let change = |nick: &str, to| Change { nick: nick.into(), to, reason: None };
    let members = |by: Option<&str>, changes| What::Members {
        channel: "#c".into(),
        by: by.map(str::to_owned),
        changes,
    };
    let join = one(members(None, vec![change("Anna", Standing::In)]));
    assert_eq!(user(&join.sender), "anna");
    let kick = one(members(Some("Op"), vec![change("Anna", Standing::Out)]));
    assert_eq!(user(&kick.sender), "op");
    assert!(
        matches!(&kick.body, Body::Members(c) if c[0].membership == Membership::Leave && user(&c[0].user) == "anna")
    );
    let split = one(members(None, vec![change("a", Standing::Out), change("b", Standing::Out)]));
    assert!(matches!(split.sender, Sender::System));
}

#[test]
fn a_new_nick_is_another_ghost_with_keys_of_their_own() {
    let renamed = |to: &str| What::Renamed {
        channels: vec!["#a".into(), "#b".into()],
        from: "anna".into(),
        to: to.into(),
        shown: true,
    };
    let events = decode(&bot(), &raw(None, renamed("annika"))).unwrap();
    let keys: std::collections::HashSet<_> = events.iter().map(|e| e.key.0.clone()).collect();
    assert_eq!((events.len(), keys.len()), (4, 4));
    let events = decode(&bot(), &raw(None, renamed("ANNA"))).unwrap();
    assert!(
        matches!(&events[0].body, Body::UserChanged { info: Some(info), .. } if info.name.as_deref() == Some("ANNA"))
    );
}

#[test]
fn modes_are_power_levels() {
    let flags = Flags { moderated: Some(true), topic_locked: Some(false), invite_only: None };
    let event = one(What::Modes {
        channel: "#c".into(),
        by: "op".into(),
        flags,
        levels: vec![("Anna".into(), 50)],
    });
    let Body::ChatInfo(delta) = event.body else { panic!("delta") };
    let power = delta.power.unwrap();
    assert_eq!(
        (power.events_default, power.events["m.room.topic"], power.users[0].1),
        (Some(1), 0, 50)
    );
    let topic = one(What::Topic { channel: "#c".into(), by: "op".into(), text: "\x02new".into() });
    assert!(matches!(topic.body, Body::ChatInfo(delta) if delta.topic.as_deref() == Some("new")));
}
