//! `/claims`: what waits for somebody to act on it. `/components/{id}/dispute`: who answers for what is disputed, and until when.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::Shared;
use super::claim::{bounded, named};
use super::extract::{Ask, Caller, Params};
use super::motion::{day, unknown, words};
use super::reader::Reader;
use super::resource::{no_component, visible};
use super::write::{object, reason, settled};
use crate::calendar::today;
use crate::domain::claim::DISPUTE_DAYS;
use crate::domain::text::{Fault, Text};
use crate::domain::word::{Access, ClaimStage, MotionKind, OwnershipStatus, Role};
use crate::error::{Error, Result};
use crate::index::Memory;
use crate::store::claim::Page;
use crate::store::dispute::{Dispute, Waiting, Wanted};
use crate::text;

/// The routes of what waits.
pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/claims", get(waiting))
        .route("/components/{id}/dispute", post(say))
}

/// Motions of one page without `limit`, and at most.
const DEFAULT_LIMIT: u64 = 50;
const MAX_LIMIT: u64 = 1000;

/// `GET`: open claims, transfers, designations and findings, oldest first.
async fn waiting(State(app): State<Shared>, ask: Ask, reader: Reader, mut params: Params) -> Result<Response> {
    let limit = params.number("limit", 1, MAX_LIMIT).unwrap_or(DEFAULT_LIMIT) as usize;
    let after = params.number("cursor", 0, i64::MAX as u64).unwrap_or(0) as i64;
    let mut stages = Vec::new();
    for word in params.list("stage") {
        match ClaimStage::parse(&word) {
            Ok(stage) => stages.push(stage.key()),
            Err(detail) => params.fault("stage", detail),
        }
    }
    let truth = |s: &str| match s {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Text::new("应为 true 或 false", "should be true or false")),
    };
    let role = params.read("role", Role::parse);
    let disputed = params.read("disputed", truth);
    let overdue = params.read("overdue", truth).filter(|o| *o).map(|_| today());
    let party = params.text("party");
    let memory = app.index.read();
    let party = party.and_then(|name| {
        let found = memory.parties.values().find(|p| p.code == name || p.name == name);
        if found.is_none() {
            params.fault("party", text!("没有单位“{name}”", "there is no party \"{name}\""));
        }
        found.map(|p| p.id)
    });
    params.finish()?;
    let hidden = memory.classes.values().filter(|c| !reader.rights().sees(c));
    let wanted = Wanted {
        stages,
        role,
        party,
        disputed: disputed.or(overdue.map(|_| true)),
        overdue,
        hidden: hidden.map(|c| c.id).collect(),
        after,
        limit: limit as i64 + 1,
    };
    let mut rows = app.store.waiting(&wanted).await?;
    let memory = app.index.read();
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|row| row.id);
    // One may have become restricted since.
    rows.retain(|row| visible(&memory, row.class, reader.rights()));
    let claims: Result<Vec<Value>> = rows.iter().map(|row| shown(&memory, row, &ask)).collect();
    Ok(Json(json!({"claims": claims?, "next": next})).into_response())
}

fn shown(memory: &Memory, row: &Waiting, ask: &Ask) -> Result<Value> {
    let bad = |t: Text| Error::internal(t.en);
    let lang = ask.lang;
    let (role, kind) = (
        Role::parse(&row.role).map_err(bad)?,
        MotionKind::parse(&row.kind).map_err(bad)?,
    );
    let stage = ClaimStage::parse(&row.stage).map_err(bad)?;
    let class = memory.classes.get(&row.class);
    let parties: Vec<Value> = row.parties.iter().map(|id| named(memory, *id)).collect();
    Ok(json!({
        "id": row.id, "component": row.component, "code": row.code, "class": class.map(|c| &c.code), "class_name": class.map(|c| c.name(lang)),
        "role": role.key(), "role_name": role.name(lang), "kind": kind.key(), "kind_name": kind.name(lang),
        "stage": stage.key(), "stage_name": stage.name(lang), "parties": parties, "from": row.first_day,
        "handed_in_by": row.handed_in_by, "reviewed_by": row.reviewed_by, "announced_until": row.announced_until,
        "disputed": row.disputed, "interim": row.interim.map(|id| named(memory, id)), "deadline": row.deadline,
        "overdue": row.deadline.is_some_and(|d| d < today()),
        "href": format!("{}/components/{}/claims", ask.base, row.component),
    }))
}

/// The dispute on a role as people read it; none where it is not disputed.
pub(super) fn of_dispute(memory: &Memory, page: &Page) -> Option<Value> {
    let disputed = page.book.state.status() == OwnershipStatus::Disputed;
    disputed.then(|| told(memory, page.dispute.as_ref(), page.party))
}

fn told(memory: &Memory, dispute: Option<&Dispute>, holder: Option<i32>) -> Value {
    let interim = dispute.map_or(holder, |d| d.interim);
    json!({
        "since": dispute.map(|d| d.arisen), "interim": interim.map(|id| named(memory, id)), "deadline": dispute.map(|d| d.deadline),
        "overdue": dispute.is_some_and(|d| d.deadline < today()),
    })
}

/// `POST`: names another interim party, or another deadline.
async fn say(
    State(app): State<Shared>,
    ask: Ask,
    Path(text): Path<String>,
    Caller(grant): Caller,
    body: Bytes,
) -> Result<Response> {
    let id: i64 = text.parse().map_err(|_| no_component(&text))?;
    let body = if body.is_empty() {
        Default::default()
    } else {
        object(&body)?
    };
    let known = app.store.party_names().await?;
    let mut edit = app.store.edit(&grant.name, reason(&body)?).await?;
    let mut faults = unknown(&body, &["role", "interim", "deadline", "reason"]);
    let role = words(body.get("role"), "/role", &mut faults).unwrap_or_else(|| Role::Owner.key().to_owned());
    let role = Role::parse(&role).map_err(|e| faults.push(Fault::new("/role", e)));
    let role = role.unwrap_or(Role::Owner);
    let page = edit.book(id, role).await?.ok_or_else(|| no_component(&text))?;
    if !visible(&app.index.read(), page.class, &grant.rights) {
        return Err(no_component(&text));
    }
    if grant.access < Access::Adjudicator {
        let detail = Text::new("须有审批权限（adjudicator）", "this takes the access of an adjudicator");
        return Err(Error::Forbidden(detail));
    }
    bounded(&app, &mut edit, &grant, id, &[page.party]).await?;
    let mut dispute = page.dispute.clone().unwrap_or(Dispute {
        arisen: today(),
        interim: page.party,
        deadline: today() + chrono::Days::new(DISPUTE_DAYS as u64),
    });
    match body.get("interim") {
        None => {}
        Some(Value::Null) => dispute.interim = None,
        Some(_) => {
            let name = words(body.get("interim"), "/interim", &mut faults).unwrap_or_default();
            dispute.interim = known.get(&name).copied();
            if dispute.interim.is_none() {
                let detail = text!("登记册没有单位“{name}”", "the register has no party \"{name}\"");
                faults.push(Fault::new("/interim", detail));
            }
        }
    }
    if let Some(deadline) = body.get("deadline").and_then(|v| day(v, "/deadline", &mut faults)) {
        dispute.deadline = deadline;
    }
    if dispute.deadline < today() && body.contains_key("deadline") {
        let detail = Text::new("不可早于今日", "cannot be before today");
        faults.push(Fault::new("/deadline", detail));
    }
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    if page.book.state.status() != OwnershipStatus::Disputed {
        let detail = Text::new("没有争议", "there is no dispute");
        return Err(Error::Conflict(detail));
    }
    edit.say_of_dispute(id, role, &dispute).await?;
    let revision = settled(app.feed.commit(edit).await?);
    let body = json!({"id": id, "role": role.key(), "role_name": role.name(ask.lang),
        "dispute": told(&app.index.read(), Some(&dispute), page.party)});
    let mut response = Json(body).into_response();
    response.headers_mut().extend(revision);
    Ok(response)
}
