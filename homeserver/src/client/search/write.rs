//! The answer to a search.

use std::collections::{BTreeMap, BTreeSet};

use super::token::Group;
use super::{Criteria, Hit, Page, groups_of};
use crate::app::App;
use crate::http::error::ApiResult;
use crate::http::json::RawReply;
use crate::room::MEMBER;
use crate::services::search::Words;
use crate::sync::access::Access;
use crate::sync::json::Writer;
use crate::sync::viewer::{Form, Surroundings, Viewer};

use super::Around;

const FORM: Form<'static> = Form { room_id: true, federation: false, fields: None };

/// Writes a page.
pub(super) async fn write(
    app: &App,
    viewer: &Viewer,
    criteria: &Criteria,
    words: &Words,
    page: &Page,
) -> ApiResult<RawReply> {
    let mut out = Writer::with_capacity(page.hits.len() * 1000 + 200);
    out.open();
    out.open_at("search_categories");
    out.open_at("room_events");
    out.key("count");
    out.int(i64::try_from(page.count).unwrap_or(i64::MAX));
    out.open_list_at("highlights");
    for word in words.iter().collect::<BTreeSet<_>>() {
        out.text(word);
    }
    out.close_list();
    out.open_list_at("results");
    let profiles = criteria.event_context.as_ref().is_some_and(|context| context.include_profile);
    for (hit, around) in page.hits.iter().zip(&page.around) {
        result(app, viewer, page, hit, around.as_ref(), profiles, &mut out).await?;
    }
    out.close_list();
    if let Some(next) = &page.next {
        out.key("next_batch");
        out.text(next);
    }
    if criteria.groupings.is_some() {
        groups(criteria, page, &mut out);
    }
    if criteria.include_state {
        state(app, viewer, page, &mut out).await?;
    }
    out.close();
    out.close();
    out.close();
    Ok(RawReply(out.into_string().into()))
}

async fn result(
    app: &App,
    viewer: &Viewer,
    page: &Page,
    hit: &Hit,
    around: Option<&Around>,
    profiles: bool,
    out: &mut Writer,
) -> ApiResult<()> {
    let plain = Surroundings::default();
    out.open();
    out.key("rank");
    out.raw(&format!("{:.12}", hit.found.rank));
    out.key("result");
    let surroundings = page.surroundings.get(&hit.event.room).unwrap_or(&plain);
    viewer.write(out, &hit.event, Some(hit.membership), FORM, surroundings);
    if let Some(around) = around {
        out.open_at("context");
        for (key, events) in [("events_before", &around.before), ("events_after", &around.after)] {
            out.open_list_at(key);
            for (event, membership) in events {
                viewer.write(out, event, Some(*membership), FORM, &plain);
            }
            out.close_list();
        }
        out.key("start");
        out.text(&crate::sync::token::PageToken(around.start).to_string());
        out.key("end");
        out.text(&crate::sync::token::PageToken(around.end).to_string());
        if let Some(access) = page.rooms.get(&hit.event.room).filter(|_| profiles) {
            profile_info(app, hit, around, access, out).await?;
        }
        out.close();
    }
    out.close();
    Ok(())
}

/// The names and pictures of the senders, as they are now.
async fn profile_info(
    app: &App,
    hit: &Hit,
    around: &Around,
    access: &Access,
    out: &mut Writer,
) -> ApiResult<()> {
    let events =
        around.before.iter().chain(&around.after).map(|(event, _)| event).chain([&hit.event]);
    let senders: BTreeSet<&str> = events.map(|event| event.pdu.sender.as_str()).collect();
    let state = access.state().await?;
    let nids: Vec<_> = senders.into_iter().filter_map(|sender| state.nid(MEMBER, sender)).collect();
    out.open_at("profile_info");
    for member in app.rooms.events(&nids).await? {
        out.open_at(member.pdu.state_key().unwrap_or_default());
        for key in ["displayname", "avatar_url"] {
            if let Some(value) = member.pdu.content_str(key) {
                out.key(key);
                out.text(&value);
            }
        }
        out.close();
    }
    out.close();
    Ok(())
}

fn groups(criteria: &Criteria, page: &Page, out: &mut Writer) {
    let mut keys: BTreeMap<String, Vec<Group>> = BTreeMap::new();
    for group in groups_of(criteria, &page.hits) {
        keys.entry(group.key.clone()).or_default().push(group);
    }
    out.open_at("groups");
    for (key, mut groups) in keys {
        let members = |group: &Group| page.hits.iter().position(|hit| group.has(&hit.event));
        // The group with the first result comes first.
        groups.sort_by_key(members);
        out.open_at(&key);
        for (order, group) in groups.iter().enumerate() {
            out.open_at(&group.value);
            out.key("order");
            out.int(order as i64);
            if let Some((_, next)) = page.groups.iter().find(|(known, _)| known == group) {
                out.key("next_batch");
                out.text(next);
            }
            out.open_list_at("results");
            for hit in page.hits.iter().filter(|hit| group.has(&hit.event)) {
                out.text(hit.event.pdu.event_id.as_str());
            }
            out.close_list();
            out.close();
        }
        out.close();
    }
    out.close();
}

async fn state(app: &App, viewer: &Viewer, page: &Page, out: &mut Writer) -> ApiResult<()> {
    out.open_at("state");
    for access in page.rooms.values() {
        let nids: Vec<_> = access.state().await?.iter().map(|(_, entry)| entry.nid).collect();
        out.open_list_at(access.room.id().as_str());
        for event in app.rooms.events(&nids).await? {
            viewer.write(out, &event, None, FORM, &Surroundings::default());
        }
        out.close_list();
    }
    out.close();
    Ok(())
}
