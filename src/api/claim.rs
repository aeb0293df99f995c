//! `/components/{id}/claims` and `/claims/{id}`: who holds the roles of a component, and how that comes about.

use std::collections::HashMap;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::NaiveDate;
use serde_json::{Map, Value, json};

use super::Shared;
use super::evidence::{MAX_TEXT, readable, shown as document};
use super::extract::{Ask, Caller, Params};
use super::reader::Reader;
use super::resource::{no_component, visible, within};
use super::write::{object, reason, settled};
use crate::calendar::today;
use crate::domain::claim::book::{Act, Moment, Motion, Person, Wanted};
use crate::domain::claim::holding::timeline;
use crate::domain::evidence::Described;
use crate::domain::grant::Grant;
use crate::domain::text::{Fault, Lang, Text};
use crate::domain::word::{Access, MotionKind, Role};
use crate::error::{Error, Result};
use crate::exchange::nearest::hint;
use crate::index::Memory;
use crate::spatial::position::LonLat;
use crate::store::claim::Page;
use crate::store::edit::Edit;
use crate::store::evidence::{Document, Documents};
use crate::text;

/// The routes of claims.
pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/components/{id}/claims", get(list).post(hand_in))
        .route("/claims/{id}", post(act))
}

/// Parties that hold one role together.
const MAX_PARTIES: usize = 20;
/// Documents handed in with one claim.
const MAX_DOCUMENTS: usize = 100;

/// The city's day, and a revision later than all.
fn now() -> Moment {
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
    let (role, wanted, documents, note) = read(&body, &parties)?;
    let mut edit = app.store.edit(&grant.name, reason(&body)?).await?;
    let page = edit.book(id, role).await?.ok_or_else(|| no_component(&text))?;
    if !visible(&app.index.read(), page.class, &grant.rights) {
        return Err(no_component(&text));
    }
    let claimed: Vec<Option<i32>> = wanted.parties.iter().copied().map(Some).collect();
    bounded(&app, &mut edit, &grant, id, &claimed).await?;
    let no = edit.next_motion().await?;
    let evidence = keep(&app, &mut edit, &grant, documents).await?;
    let mut book = page.book.clone();
    let at = now();
    let act = Act::HandIn(no, wanted);
    book.turn(at)
        .and_then(|()| book.act(act, &person(&grant), at))
        .map_err(Error::Conflict)?;
    edit.write_book((id, role), &page.book, &book, (&evidence, note.as_deref()), at)
        .await?;
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
    edit.write_book((id, role), &page.book, &book, (&[], None), at).await?;
    finish(&app, &ask, edit, id, role).await
}

/// Refuses what lies outside of the caller's area, and a claim that is not for the caller's party.
async fn bounded(app: &Shared, edit: &mut Edit, grant: &Grant, id: i64, claimed: &[Option<i32>]) -> Result<()> {
    if !grant.is_bounded() {
        return Ok(());
    }
    let component = edit.lock(id).await?;
    let (component, _) = component.ok_or_else(|| no_component(&id.to_string()))?;
    within(&app.index.read(), grant, component.at, claimed)
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

fn unknown(body: &Map<String, Value>, known: &[&str]) -> Vec<Fault> {
    let list = known.join(", ");
    let not = body.keys().filter(|k| !known.contains(&k.as_str()));
    not.map(|k| {
        Fault::new(
            format!("/{k}"),
            text!("没有此成员；可为 {list}", "there is no such member; there are {list}"),
        )
    })
    .collect()
}

fn day(value: &Value, at: &str, faults: &mut Vec<Fault>) -> Option<NaiveDate> {
    let day = value.as_str().and_then(|s| s.parse().ok());
    if day.is_none() && !value.is_null() {
        let detail = Text::new("应为日期，如 2026-03-01", "should be a day such as 2026-03-01");
        faults.push(Fault::new(at, detail));
    }
    day
}

fn words(value: Option<&Value>, at: &str, faults: &mut Vec<Fault>) -> Option<String> {
    match value {
        None | Some(Value::Null) => None,
        Some(Value::String(s)) if s.chars().count() <= MAX_TEXT => Some(s.trim().to_owned()).filter(|s| !s.is_empty()),
        Some(_) => {
            let detail = text!(
                "应为不超过{MAX_TEXT}个字符的文本",
                "should be text of at most {MAX_TEXT} characters"
            );
            faults.push(Fault::new(at, detail));
            None
        }
    }
}

/// A document that a claim names: one that was handed in before, by its number, or what is said of one.
enum Backed {
    Known(i64),
    Described(Described),
}

type Read = (Role, Wanted, Vec<Backed>, Option<String>);

/// A claim as it is handed in; every fault at once.
fn read(body: &Map<String, Value>, known: &HashMap<String, i32>) -> Result<Read> {
    const KNOWN: [&str; 8] = ["role", "kind", "parties", "from", "to", "evidence", "note", "reason"];
    let mut faults = unknown(body, &KNOWN);
    let role = words(body.get("role"), "/role", &mut faults).unwrap_or_default();
    let role = Role::parse(&role).map_err(|e| faults.push(Fault::new("/role", e)));
    let kind = words(body.get("kind"), "/kind", &mut faults).unwrap_or_else(|| MotionKind::Claim.key().to_owned());
    let kind = MotionKind::parse(&kind).map_err(|e| faults.push(Fault::new("/kind", e)));
    let mut parties = Vec::new();
    let named = body
        .get("parties")
        .map_or(Some(&[][..]), |v| v.as_array().map(Vec::as_slice));
    for (i, name) in named.unwrap_or_default().iter().take(MAX_PARTIES).enumerate() {
        let name = name.as_str().unwrap_or_default();
        match known.get(name) {
            Some(id) if !parties.contains(id) => parties.push(*id),
            Some(_) => {}
            None => {
                let near = hint(name, known.keys().map(String::as_str));
                let (zh, en) = (near.zh, near.en);
                let detail = text!("登记册没有单位“{name}”{zh}", "the register has no party \"{name}\"{en}");
                faults.push(Fault::new(format!("/parties/{i}"), detail));
            }
        }
    }
    if named.is_none_or(|n| n.len() > MAX_PARTIES) {
        let detail = text!(
            "应为单位名称或代码的数组，至多 {MAX_PARTIES} 个",
            "should be an array of at most {MAX_PARTIES} names or codes of parties"
        );
        faults.push(Fault::new("/parties", detail));
    }
    let from = body.get("from").and_then(|v| day(v, "/from", &mut faults));
    if from.is_none() && !faults.iter().any(|f| f.pointer == "/from") {
        let detail = Text::new("缺少起日", "the first day is missing");
        faults.push(Fault::new("/from", detail));
    }
    let to = body.get("to").and_then(|v| day(v, "/to", &mut faults));
    let note = words(body.get("note"), "/note", &mut faults);
    let documents = read_documents(body, &mut faults);
    match (role, kind, from) {
        (Ok(role), Ok(kind), Some(from)) if faults.is_empty() => {
            let wanted = Wanted {
                kind,
                parties,
                from,
                to,
                evidence: documents.len(),
            };
            Ok((role, wanted, documents, note))
        }
        _ => Err(Error::Invalid(faults)),
    }
}

fn read_documents(body: &Map<String, Value>, faults: &mut Vec<Fault>) -> Vec<Backed> {
    let mut documents = Vec::new();
    let listed = body
        .get("evidence")
        .map_or(Some(&[][..]), |v| v.as_array().map(Vec::as_slice));
    for (i, value) in listed.unwrap_or_default().iter().take(MAX_DOCUMENTS).enumerate() {
        if let Some(id) = value.get("id").and_then(Value::as_i64) {
            documents.push(Backed::Known(id));
            continue;
        }
        let empty = Map::new();
        let own = value.as_object().unwrap_or(&empty);
        let mut field = |name: &str| words(own.get(name), &format!("/evidence/{i}/{name}"), faults);
        let (kind, number, issuer) = (field("kind"), field("number"), field("issuer"));
        let dated = own
            .get("date")
            .and_then(|v| day(v, &format!("/evidence/{i}/date"), faults));
        match kind {
            Some(kind) => documents.push(Backed::Described(Described {
                kind,
                number,
                issuer,
                dated,
            })),
            None => {
                let detail = Text::new(
                    "应为 {id}，或 {kind, number, issuer, date}，须有 kind，如“移交协议”",
                    "should be {id}, or {kind, number, issuer, date} with at least its kind",
                );
                faults.push(Fault::new(format!("/evidence/{i}"), detail));
            }
        }
    }
    if listed.is_none_or(|l| l.len() > MAX_DOCUMENTS) {
        let detail = text!(
            "应为至多 {MAX_DOCUMENTS} 份文件的数组",
            "should be an array of at most {MAX_DOCUMENTS} documents"
        );
        faults.push(Fault::new("/evidence", detail));
    }
    documents
}

/// Keeps what is described, and finds what was handed in before.
async fn keep(app: &Shared, edit: &mut Edit, grant: &Grant, documents: Vec<Backed>) -> Result<Vec<i64>> {
    let (mut ids, mut faults) = (Vec::with_capacity(documents.len()), Vec::new());
    for (i, document) in documents.into_iter().enumerate() {
        match document {
            Backed::Described(d) => ids.push(edit.keep_document(&d, None, &grant.name).await?),
            Backed::Known(id) => {
                let found = edit.document(id).await?;
                let memory = app.index.read();
                if found.is_some_and(|(d, classes)| readable(&memory, grant, &d, &classes)) {
                    ids.push(id);
                } else {
                    let detail = text!("没有材料 {id}", "there is no document {id}");
                    faults.push(Fault::new(format!("/evidence/{i}/id"), detail));
                }
            }
        }
    }
    if faults.is_empty() {
        Ok(ids)
    } else {
        Err(Error::Invalid(faults))
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
        "timeline": days, "claims": claims,
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
