//! The account's e-mail addresses.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use maud::{Markup, html};
use ruma::UserId;

use super::super::visitor::Visitor;
use super::super::{Failure, PageResult};
use super::{EMAILS, back, done, part};
use crate::app::App;
use crate::http::limit::Limit;
use crate::http::page::{Page, alert};
use crate::http::params::FormParams;
use crate::services::threepids::{EMAIL, Purpose, tell};

pub(super) const PATH: &str = "/_landbridge/account/emails";

pub(super) async fn page(
    app: &App,
    visitor: &Visitor,
    user: &UserId,
    notice: Option<Markup>,
) -> Result<Page, Failure> {
    let known = app.threepids.list(user).await?;
    Ok(Page::new("E-mail addresses").body(html! {
        @if let Some(notice) = notice { (notice) }
        p { "With one of these " strong { (user) } " can sign in and set a forgotten password." }
        @if known.is_empty() { p { "There is no address yet." } }
        @for threepid in &known {
            form method="post" action=(PATH) {
                (visitor.field())
                input type="hidden" name="medium" value=(threepid.medium);
                input type="hidden" name="address" value=(threepid.address);
                p { code { (threepid.address) } }
                button name="decision" value="remove" aria-label={ "Remove " (threepid.address) } { "Remove" }
            }
        }
        @if app.mailer.is_on() {
            form method="post" action=(PATH) {
                (visitor.field())
                label { "Another address " input type="email" name="address" autocomplete="email" required; }
                button name="decision" value="add" { "Add it" }
            }
        } @else {
            p { "This server sends no e-mail, so that no address can be confirmed." }
        }
        (back())
    }))
}

fn wait(visitor: &Visitor, sid: &str, problem: Option<&str>) -> Page {
    Page::new("Confirm the address").body(html! {
        @if let Some(problem) = problem { (alert(problem)) }
        p role="status" { "An e-mail is on its way. Open the link in it and confirm, then go on here." }
        form method="post" action=(PATH) {
            (visitor.field())
            input type="hidden" name="sid" value=(sid);
            button name="decision" value="confirm" { "Add the address" }
        }
        (back())
    })
}

pub(super) async fn change(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    FormParams(params): FormParams,
) -> PageResult {
    visitor.check(&params)?;
    // An address is a way into the account. Whoever begins with one has shown who they are; the e-mail may take its time.
    let who = if params.get("decision") == Some("confirm") {
        visitor.must_be_signed_in_for(&part(EMAILS))?
    } else {
        visitor.must_be_fresh(&part(EMAILS))?
    };
    let user = &who.user;
    app.limits.check(Limit::Other, user.as_str())?;
    let address = params.get("address").unwrap_or_default();
    let sid = params.get("sid").unwrap_or_default();
    let changed = match params.get("decision") {
        Some("remove") => {
            let medium = params.get("medium").unwrap_or(EMAIL);
            if app.threepids.delete(user, medium, address).await? {
                tell::address_removed(&app, user, address);
            }
            Ok("The address is removed.")
        }
        Some("add") if app.mailer.is_on() => {
            match visitor.prove(&app, Purpose::Add, address).await {
                Ok(sid) => return Ok(visitor.show(wait(&visitor, &sid, None))),
                Err(error) => Err(error),
            }
        }
        _ => match visitor.proven(&app, Purpose::Add, sid).await {
            Ok(proven) => {
                let address = proven.threepid().1.to_owned();
                let added = app.threepids.add(user, proven).await;
                if added.is_ok() {
                    tell::address_added(&app, user, &address).await;
                }
                added.map(|()| "The address is added.")
            }
            Err(error) if error.status.is_client_error() => {
                let page = wait(&visitor, sid, Some(&error.error));
                return Ok(visitor.show(page.status(StatusCode::BAD_REQUEST)));
            }
            Err(error) => Err(error),
        },
    };
    Ok(visitor.show(match changed {
        Ok(text) => page(&app, &visitor, user, Some(done(text))).await?,
        Err(error) if error.status.is_client_error() => {
            page(&app, &visitor, user, Some(alert(&error.error))).await?.status(error.status)
        }
        Err(error) => return Err(error.into()),
    }))
}
