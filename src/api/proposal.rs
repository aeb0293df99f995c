//! `/proposals`: edits that met another person's edit of the same field, kept until somebody takes them up or turns them down.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::Shared;
use super::change::{self, Change, Seen, Wanted};
use super::draft;
use super::extract::{Ask, Caller, Params};
use super::motion::unknown;
use super::reader::Reader;
use super::resource::{find, visible};
use super::write::{object, reason, settled};
use crate::domain::grant::Grant;
use crate::domain::text::{Fault, Text};
use crate::error::{Error, Result};
use crate::index::Memory;
use crate::store::edit::Edit;
use crate::store::page::Detail;
use crate::store::proposal::{self, Proposal};
use crate::text;

/// The routes of proposals.
pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/proposals", get(list))
        .route("/proposals/{id}", get(one).post(decide))
}

const STATES: [&str; 3] = ["open", "applied", "rejected"];
/// Proposals of one page without `limit`, and at most.
const DEFAULT_LIMIT: u64 = 50;
const MAX_LIMIT: u64 = 1000;

/// Keeps a patch for somebody to look at.
pub(super) async fn keep(edit: &mut Edit, grant: &Grant, wanted: &Wanted, faults: &[Fault]) -> Result<i64> {
    let Change::Patch(body) = &wanted.change else {
        return Err(Error::internal("only a patch can be proposed"));
    };
    let clashes: Vec<String> = faults.iter().map(|f| f.pointer.clone()).collect();
    edit.propose(wanted.id, &wanted.layer.id, body, &clashes, &grant.name)
        .await
}

fn none(id: &str) -> Error {
    Error::NotFound(text!("没有第 {id} 号提案", "there is no proposal {id}"))
}

/// `GET`: those in a state, of a component; oldest first.
async fn list(State(app): State<Shared>, Caller(grant): Caller, mut params: Params) -> Result<Response> {
    let state = params.read("state", |s| {
        let known = STATES.iter().copied().find(|known| *known == s);
        known.ok_or_else(|| {
            text!(
                "“{s}”应为 open, applied, rejected 之一",
                "\"{s}\" should be one of open, applied, rejected"
            )
        })
    });
    let limit = params.number("limit", 1, MAX_LIMIT).unwrap_or(DEFAULT_LIMIT) as usize;
    let component = params.number("component", 1, i64::MAX as u64).map(|id| id as i64);
    let after = params.number("cursor", 0, i64::MAX as u64).unwrap_or(0) as i64;
    params.finish()?;
    let memory = app.index.read();
    let hidden = memory.classes.values().filter(|c| !grant.rights.sees(c));
    let wanted = proposal::Wanted {
        state,
        component,
        hidden: hidden.map(|c| c.id).collect(),
        after,
        limit: limit as i64 + 1,
    };
    let mut rows = app.store.proposals(&wanted).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|p| p.id);
    let versions: Vec<(i64, i64)> = rows.iter().map(|p| (p.component, p.version)).collect();
    let now = app.store.details_of_versions(&versions).await?;
    let of = |p: &Proposal| now.iter().find(|d| d.id == p.component);
    let shown: Vec<Value> = rows.iter().map(|p| shown(&memory, p, of(p))).collect();
    Ok(Json(json!({"proposals": shown, "next": next})).into_response())
}

/// A proposal with what stands now in the fields that it met.
fn shown(memory: &Memory, p: &Proposal, now: Option<&Detail>) -> Value {
    let class = memory.classes.get(&p.class);
    let body = Value::Object(p.body.0.clone());
    let current = now.zip(class).map(|(d, c)| draft::current(d, c)).unwrap_or_default();
    let fields: Vec<Value> = p
        .clashes
        .iter()
        .map(|at| json!({"pointer": at, "proposed": body.pointer(at), "current": current.pointer(at)}))
        .collect();
    json!({
        "id": p.id, "component": p.component, "layer": p.layer, "version": p.version, "state": p.state, "by": p.made_by, "made": p.made,
        "patch": body, "clashes": fields, "decided_by": p.decided_by, "decided": p.decided, "note": p.note,
    })
}

async fn found(app: &Shared, grant: &Grant, text: &str) -> Result<Proposal> {
    let id: i64 = text.parse().map_err(|_| none(text))?;
    let proposal = app.store.proposal(id).await?.ok_or_else(|| none(text))?;
    if visible(&app.index.read(), proposal.class, &grant.rights) {
        Ok(proposal)
    } else {
        Err(none(text))
    }
}

async fn one(
    State(app): State<Shared>,
    Caller(grant): Caller,
    params: Params,
    Path(id): Path<String>,
) -> Result<Response> {
    params.finish()?;
    let proposal = found(&app, &grant, &id).await?;
    let now = app
        .store
        .details_of_versions(&[(proposal.component, proposal.version)])
        .await?;
    Ok(Json(shown(&app.index.read(), &proposal, now.first())).into_response())
}

/// `POST`: takes it up, which edits whatever version is current, or turns it down.
async fn decide(
    State(app): State<Shared>,
    ask: Ask,
    reader: Reader,
    Caller(grant): Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response> {
    let proposal = found(&app, &grant, &id).await?;
    let body = object(&body)?;
    let faults = unknown(&body, &["act", "reason"]);
    let said = reason(&body)?;
    let act = body.get("act").and_then(Value::as_str);
    let state = match act {
        Some("apply") if faults.is_empty() => "applied",
        Some("reject") if faults.is_empty() => "rejected",
        _ => {
            let detail = Text::new("应为 apply 或 reject", "should be apply or reject");
            let wrong = !matches!(act, Some("apply" | "reject"));
            let own = wrong.then(|| Fault::new("/act", detail));
            return Err(Error::Invalid(faults.into_iter().chain(own).collect()));
        }
    };
    let (no, by) = (proposal.id, &proposal.made_by);
    let why = format!("第 {no} 号提案（{by}）/ proposal {no} by {by}");
    let why = said.map_or(why.clone(), |said| format!("{why}: {said}"));
    let mut edit = app.store.edit(&grant.name, Some(&why)).await?;
    if !edit.decide_proposal(no, state, &grant.name, said).await? {
        return Err(Error::Conflict(text!(
            "第 {no} 号提案已有结论",
            "proposal {no} has been decided"
        )));
    }
    let layer = find(&proposal.layer, &reader)?;
    let wanted = Wanted {
        layer,
        id: proposal.component,
        seen: Seen::Any,
        change: Change::Patch(proposal.body.0),
    };
    if state == "applied" {
        change::make(&app, &mut edit, &grant, &wanted).await?;
    } else {
        change::may(&app, &mut edit, &grant, &wanted).await?;
    }
    let revision = settled(app.feed.commit(edit).await?);
    let href = format!(
        "{}/collections/{}/items/{}",
        ask.base, proposal.layer, proposal.component
    );
    let mut response =
        Json(json!({"id": no, "state": state, "decided_by": grant.name, "component": href})).into_response();
    response.headers_mut().extend(revision);
    Ok(response)
}
