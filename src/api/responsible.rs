//! `/responsible` and `/components/{id}/responsible`: who answers for it on a day, as known now or as known then.

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Map, Value, json};

use super::Shared;
use super::claim::named;
use super::code;
use super::dispute::of_dispute;
use super::extract::{Ask, Params};
use super::item::back;
use super::past::{day, moment};
use super::reader::Reader;
use super::resource::{find, no_component, visible};
use crate::calendar::today;
use crate::domain::claim::holding::{Answer, answer};
use crate::domain::text::Text;
use crate::domain::word::{OwnershipStatus, Role};
use crate::error::{Error, Result};
use crate::query::nearest;
use crate::spatial::plane::Plane;

/// The routes of this question.
pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/responsible", get(search))
        .route("/components/{id}/responsible", get(one))
}

/// Components that one question answers for.
const MAX: usize = 10;
/// The farthest that a component may be from the point asked about, in metres.
const MAX_METRES: f64 = 1000.0;

/// The day asked about, and the moment whose knowledge counts; none for what is known now.
struct When {
    on: NaiveDate,
    known: Option<DateTime<Utc>>,
}

/// `on` and `known`. A day stands for its end.
fn when(params: &mut Params) -> When {
    let on = params.read("on", day).unwrap_or(today());
    let known = params.read("known", moment);
    When { on, known }
}

async fn one(
    State(app): State<Shared>,
    ask: Ask,
    reader: Reader,
    mut params: Params,
    Path(text): Path<String>,
) -> Result<Json<Value>> {
    let when = when(&mut params);
    params.finish()?;
    let id: i64 = text.parse().map_err(|_| no_component(&text))?;
    let known = revision(&app, &when).await?;
    let found = responsible(&app, &ask, &reader, id, &when, known).await?;
    found.map(Json).ok_or_else(|| no_component(&text))
}

async fn search(State(app): State<Shared>, ask: Ask, reader: Reader, mut params: Params) -> Result<Json<Value>> {
    let when = when(&mut params);
    let (code, point) = (params.text("code"), params.read("point", |s| back(s, Plane::default())));
    let metres = params.metres("within", MAX_METRES).unwrap_or(20.0);
    let class = params.text("class");
    if code.is_some() == point.is_some() {
        let detail = Text::new(
            "须给出 code 或 point=经度,纬度 之一",
            "either code or point=lon,lat is needed",
        );
        params.fault("code", detail);
    }
    params.finish()?;
    let ids: Vec<i64> = match (code, point) {
        (Some(code), _) => {
            let held = code::held(&app, &code).await?;
            held.into_iter()
                .filter(|h| h.entity == "component")
                .map(|h| h.id)
                .collect()
        }
        (None, Some(point)) => {
            let layer = find("components", &reader)?;
            let (shared, rights) = (app.clone(), reader.rights().clone());
            let of_class = move || {
                let memory = shared.index.read();
                let matcher = shared.matchers.of(&memory, &layer, None, &rights);
                // As many as stand about one point; those of the class are picked out of them.
                let near = nearest::nearest(&memory, &matcher, point, 1000, metres);
                let is = |id: u64| {
                    let found = memory
                        .components
                        .get(id)
                        .and_then(|row| memory.classes.get(&i32::from(row.class)));
                    found.is_some_and(|c| {
                        class
                            .as_deref()
                            .is_none_or(|w| [&c.code, &c.name_zh, &c.name_en].iter().any(|n| *n == w))
                    })
                };
                near.into_iter()
                    .filter(|(id, _)| is(*id))
                    .map(|(id, _)| id as i64)
                    .collect()
            };
            app.work.run(of_class).await?
        }
        (None, None) => Vec::new(),
    };
    let known = revision(&app, &when).await?;
    let mut components = Vec::new();
    for id in ids.into_iter().take(MAX) {
        components.extend(responsible(&app, &ask, &reader, id, &when, known).await?);
    }
    Ok(Json(json!({"components": components})))
}

async fn revision(app: &Shared, when: &When) -> Result<i64> {
    match when.known {
        Some(moment) => Ok(app.store.standing_at(moment).await?.revision),
        None => Ok(i64::MAX),
    }
}

/// Who answers for one component; none where it was not in the register then, or is not the reader's to see.
async fn responsible(
    app: &Shared,
    ask: &Ask,
    reader: &Reader,
    id: i64,
    when: &When,
    known: i64,
) -> Result<Option<Value>> {
    let Some(then) = app.store.registered(id, known).await? else {
        return Ok(None);
    };
    let mut roles = Map::new();
    for role in Role::ALL.iter().copied() {
        let Some(page) = app.store.book(id, role).await? else {
            return Ok(None);
        };
        if !visible(&app.index.read(), page.class, reader.rights()) {
            return Ok(None);
        }
        reader.reads_component(app, page.class, id);
        let (parties, from, to, claim) = match answer(&page.book.decisions, when.on, known) {
            Answer::Decided(s) => (s.decision.parties.clone(), Some(s.from), s.to, Some(s.decision.no)),
            Answer::Nobody => (Vec::new(), None, None, None),
            Answer::Registered(at) => {
                let said = app.store.registered(id, at).await?;
                let party = said.and_then(|r| r.party(role));
                (party.into_iter().collect(), None, None, None)
            }
        };
        let memory = app.index.read();
        let parties: Vec<Value> = parties.iter().map(|p| named(&memory, *p)).collect();
        // Who answers for it while it is disputed, as known now.
        let dispute = if when.known.is_none() && when.on >= today() {
            of_dispute(&memory, &page)
        } else {
            None
        };
        let value = json!({
            "name": role.name(ask.lang), "parties": parties, "from": from, "to": to, "claim": claim, "dispute": dispute,
        });
        roles.insert(role.key().to_owned(), value);
    }
    let status = OwnershipStatus::parse(&then.ownership_status).map_err(|e| Error::internal(e.en))?;
    Ok(Some(json!({
        "id": id, "on": when.on, "known": when.known.map(|m| m.to_rfc3339()), "roles": roles,
        "ownership_status": status.key(), "ownership_status_name": status.name(ask.lang),
        "href": format!("{}/collections/components/items/{id}", ask.base),
    })))
}
