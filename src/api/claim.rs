//! `/components/{id}/claims` and `/claims/{id}`: who holds the roles of a component, and how that comes about.

use std::collections::HashMap;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Map, Value, json};

use super::Shared;
use super::dispute::of_dispute;
use super::evidence::shown as document;
use super::extract::{Ask, Caller, Params};
use super::motion::{check_papers, day, read_documents, read_wanted, unknown, words};
use super::reader::Reader;
use super::resource::{no_component, visible};
use super::write::{object, reason, settled};
use crate::calendar::today;
use crate::domain::claim::book::{Act, Moment, Motion, Person, Wanted};
use crate::domain::claim::holding::timeline;
use crate::domain::evidence::Paper;
use crate::domain::grant::Grant;
use crate::domain::text::{Fault, Lang, Text};
use crate::domain::word::{Access, Role};
use crate::door::within;
use crate::error::{Error, Result};
use crate::index::Memory;
use crate::spatial::position::LonLat;
use crate::store::claim::{Change, Page};
use crate::store::edit::Edit;
use crate::store::evidence::{Document, Documents};
use crate::text;

/// The routes of claims.
pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/components/{id}/claims", get(list).post(hand_in))
        .route("/claims/{id}", post(act))
}

/// The city's day, and a revision later than all.
pub(super) fn now() -> Moment {
    Moment {
        today: today(),
        revision: i64::MAX,
    }
}

fn person(grant: &Grant) -> Person {
    Person {
        name: grant.name.clone(),
        party: grant.party,
    }
}

fn no_claim(id: &str) -> Error {
    Error::NotFound(text!("没有第 {id} 号主张", "there is no claim {id}"))
}

/// `GET`: of each role how it stands, who holds it on which days, and every claim.
async fn list(
    State(app): State<Shared>,
    ask: Ask,
    reader: Reader,
    params: Params,
    Path(text): Path<String>,
) -> Result<Response> {
    params.finish()?;
    let id: i64 = text.parse().map_err(|_| no_component(&text))?;
    let mut roles = Map::new();
    for role in Role::ALL.iter().copied() {
        let page = app.store.book(id, role).await?.ok_or_else(|| no_component(&text))?;
        if !visible(&app.index.read(), page.class, reader.rights()) {
            return Err(no_component(&text));
        }
        reader.reads_component(&app, page.class, id);
        let documents = app.store.documents(id, role).await?;
        let book = shown(&app.index.read(), &ask, id, &page, &documents);
        roles.insert(role.key().to_owned(), book);
    }
    Ok(Json(json!({"id": id, "roles": roles})).into_response())
}

/// `POST`: hands a claim in.
async fn hand_in(
    State(app): State<Shared>,
    ask: Ask,
    Path(text): Path<String>,
    Caller(grant): Caller,
    body: Bytes,
) -> Result<Response> {
    let id: i64 = text.parse().map_err(|_| no_component(&text))?;
    let body = object(&body)?;
    let parties = app.store.party_names().await?;
    let (role, wanted, papers, note) = read(&body, &parties)?;
    check_papers(&app, &grant, &papers).await?;
    let mut edit = app.store.edit(&grant.name, reason(&body)?).await?;
    let page = edit.book(id, role).await?.ok_or_else(|| no_component(&text))?;
    if !visible(&app.index.read(), page.class, &grant.rights) {
        return Err(no_component(&text));
    }
    let claimed: Vec<Option<i32>> = wanted.parties.iter().copied().map(Some).collect();
    bounded(&app, &mut edit, &grant, id, &claimed).await?;
    let no = edit.next_motions(1).await?.first().copied().unwrap_or_default();
    let evidence = edit.keep_papers(&papers, &grant.name).await?;
    let mut book = page.book.clone();
    let at = now();
    let act = Act::HandIn(no, wanted);
    book.turn(at)
        .and_then(|()| book.act(act, &person(&grant), at))
        .map_err(Error::Conflict)?;
    let change = Change {
        evidence,
        note,
        ..Change::of(id, page, book)
    };
    edit.write_books(role, &[change], at).await?;
    let mut response = finish(&app, &ask, edit, id, role).await?;
    *response.status_mut() = StatusCode::CREATED;
    if let Ok(location) = HeaderValue::from_str(&format!("{}/claims/{no}", ask.base)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// `POST`: reviews, confirms, announces, rejects, withdraws a claim, or rules the dispute that it is part of.
async fn act(
    State(app): State<Shared>,
    ask: Ask,
    Path(text): Path<String>,
    Caller(grant): Caller,
    body: Bytes,
) -> Result<Response> {
    let no: i64 = text.parse().map_err(|_| no_claim(&text))?;
    let body = object(&body)?;
    let (id, role) = app.store.motion(no).await?.ok_or_else(|| no_claim(&text))?;
    let mut edit = app.store.edit(&grant.name, reason(&body)?).await?;
    let page = edit.book(id, role).await?.ok_or_else(|| no_claim(&text))?;
    if !visible(&app.index.read(), page.class, &grant.rights) {
        return Err(no_claim(&text));
    }
    let motion = page.book.motions.iter().find(|m| m.no == no);
    let motion = motion.ok_or_else(|| no_claim(&text))?;
    let claimed: Vec<Option<i32>> = motion.wanted.parties.iter().copied().map(Some).collect();
    bounded(&app, &mut edit, &grant, id, &claimed).await?;
    let act = read_act(&body, motion, &grant)?;
    let mut book = page.book.clone();
    let at = now();
    book.turn(at)
        .and_then(|()| book.act(act, &person(&grant), at))
        .map_err(Error::Conflict)?;
    edit.write_books(role, &[Change::of(id, page, book)], at).await?;
    finish(&app, &ask, edit, id, role).await
}

/// Refuses what lies outside of the caller's area, and a claim that is not for the caller's party.
pub(super) async fn bounded(
    app: &Shared,
    edit: &mut Edit,
    grant: &Grant,
    id: i64,
    claimed: &[Option<i32>],
) -> Result<()> {
    if !grant.is_bounded() {
        return Ok(());
    }
    let component = edit.lock(id).await?;
    let component = component.ok_or_else(|| no_component(&id.to_string()))?;
    within(&app.index.read(), grant, component.at, claimed).map_err(Error::Forbidden)
}

/// Commits and answers the book. Read before the commit: nothing that can fail comes after it, so that what is durable is never answered
/// as failed.
async fn finish(app: &Shared, ask: &Ask, mut edit: Edit, id: i64, role: Role) -> Result<Response> {
    let page = edit.book(id, role).await?;
    let page = page.ok_or_else(|| Error::internal(format!("component {id} is gone within an edit")))?;
    let documents = edit.documents(id, role).await?;
    let revision = settled(app.feed.commit(edit).await?);
    let book = shown(&app.index.read(), ask, id, &page, &documents);
    let mut response = Json(json!({"id": id, "role": role.key(), "book": book})).into_response();
    response.headers_mut().extend(revision);
    Ok(response)
}

/// What is asked of a claim, and whether the caller may.
fn read_act(body: &Map<String, Value>, motion: &Motion, grant: &Grant) -> Result<Act> {
    const ACTS: &str = "review, confirm, announce, reject, withdraw, rule, uphold";
    let mut faults = unknown(body, &["act", "until", "reason"]);
    let word = body.get("act").and_then(Value::as_str).unwrap_or_default();
    let until = match body.get("until") {
        None => None,
        Some(v) => day(v, "/until", &mut faults),
    };
    if word == "announce" && until.is_none() && faults.is_empty() {
        let detail = Text::new("公示须有止日", "an announcement needs its last day");
        faults.push(Fault::new("/until", detail));
    }
    let no = motion.no;
    let act = match (word, until) {
        ("review", _) => Act::Review(no),
        ("confirm", _) => Act::Confirm(no),
        ("announce", until) => Act::Announce(no, until.unwrap_or_default()),
        ("reject", _) => Act::Reject(no),
        ("withdraw", _) => Act::Withdraw(no),
        ("rule", _) => Act::Rule(Some(no)),
        ("uphold", _) => Act::Rule(None),
        _ => {
            let detail = text!("应为 {ACTS} 之一", "should be one of {ACTS}");
            faults.push(Fault::new("/act", detail));
            Act::Review(no)
        }
    };
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    let may = match &act {
        Act::HandIn(..) | Act::Review(_) => true,
        Act::Withdraw(_) => motion.handed_in_by == grant.name || grant.access >= Access::Adjudicator,
        Act::Confirm(_) | Act::Announce(..) | Act::Reject(_) | Act::Rule(_) => grant.access >= Access::Adjudicator,
    };
    if may {
        return Ok(act);
    }
    Err(Error::Forbidden(match act {
        Act::Withdraw(_) => Text::new("只有经办人可以撤回", "only who handed it in can withdraw it"),
        _ => Text::new("须有审批权限（adjudicator）", "this takes the access of an adjudicator"),
    }))
}

/// A claim as it is handed in; every fault at once.
fn read(body: &Map<String, Value>, known: &HashMap<String, i32>) -> Result<(Role, Wanted, Vec<Paper>, Option<String>)> {
    const KNOWN: [&str; 8] = ["role", "kind", "parties", "from", "to", "evidence", "note", "reason"];
    let mut faults = unknown(body, &KNOWN);
    let role = words(body.get("role"), "/role", &mut faults).unwrap_or_default();
    let role = Role::parse(&role).map_err(|e| faults.push(Fault::new("/role", e)));
    let wanted = read_wanted(body, known, &mut faults);
    let note = words(body.get("note"), "/note", &mut faults);
    let documents = read_documents(body, &mut faults);
    match (role, wanted) {
        (Ok(role), Some(wanted)) if faults.is_empty() => {
            let evidence = documents.len();
            Ok((role, Wanted { evidence, ..wanted }, documents, note))
        }
        _ => Err(Error::Invalid(faults)),
    }
}

/// A book as people read it.
fn shown(memory: &Memory, ask: &Ask, id: i64, page: &Page, documents: &Documents) -> Value {
    let lang = ask.lang;
    let row = memory.components.get(id.unsigned_abs());
    let at = row.and_then(|row| LonLat::new(row.lon, row.lat).ok());
    let parties = |ids: &[i32]| ids.iter().map(|id| named(memory, *id)).collect::<Vec<_>>();
    let status = page.book.state.status();
    let days: Vec<Value> = timeline(&page.book.decisions, i64::MAX)
        .into_iter()
        .map(|s| json!({"from": s.from, "to": s.to, "parties": parties(&s.decision.parties), "claim": s.decision.no}))
        .collect();
    let claims: Vec<Value> = page
        .book
        .motions
        .iter()
        .map(|m| {
            let own: &[Document] = documents.get(&m.no).map_or(&[], Vec::as_slice);
            let own = own.iter().map(|d| document(d, ask, at)).collect();
            claim(m, own, &parties(&m.wanted.parties), lang)
        })
        .collect();
    json!({
        "status": status.key(), "status_name": status.name(lang),
        "party": page.party.map(|id| named(memory, id)),
        "timeline": days, "claims": claims, "dispute": of_dispute(memory, page),
    })
}

pub(super) fn named(memory: &Memory, id: i32) -> Value {
    let party = memory.parties.get(&id);
    json!({"id": id, "code": party.map(|p| &p.code), "name": party.map(|p| &p.name)})
}

fn claim(m: &Motion, documents: Vec<Value>, parties: &[Value], lang: Lang) -> Value {
    json!({
        "id": m.no, "kind": m.wanted.kind.key(), "kind_name": m.wanted.kind.name(lang),
        "stage": m.stage.key(), "stage_name": m.stage.name(lang),
        "parties": parties, "from": m.wanted.from, "to": m.wanted.to, "evidence": documents,
        "handed_in_by": m.handed_in_by, "reviewed_by": m.reviewed_by, "decided_by": m.decided_by, "own_party": m.own_party,
        "announced_until": m.announced_until,
    })
}
