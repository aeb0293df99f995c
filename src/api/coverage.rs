//! `/coverage`: how much of the land the facilities serve by each rule, and where they do not.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::Shared;
use super::extract::{Ask, Params};
use super::features::{self, Column, Features, Shape, Wish};
use super::past::{self, moment};
use super::reader::Reader;
use super::resource::find;
use super::scenario::planned;
use super::work::Progress;
use crate::coverage::figures::{By, Figures, by, total};
use crate::coverage::{Outcome, PLANNED, Planned, Question, rules, spots};
use crate::domain::filter::Filter;
use crate::domain::grant::Rights;
use crate::domain::rule::{Denominator, MAX_RADIUS, Rule, Source};
use crate::domain::text::{Lang, Text};
use crate::domain::word::{AreaLevel, State as Condition};
use crate::error::{Error, Result};
use crate::exchange::write::Kind;
use crate::index::Memory;
use crate::spatial::cover::Watch;
use crate::text;

/// The routes of coverage.
pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/coverage", get(list))
        .route("/coverage/{rule}", get(show))
        .route("/coverage/{rule}/blind", get(blind))
}

/// Blind spots in an answer.
const MAX_SPOTS: u64 = 10_000;

async fn list(State(_): State<Shared>, ask: Ask, params: Params) -> Result<Json<Value>> {
    params.finish()?;
    let rules: Vec<Value> = rules::all().iter().map(|r| described(r, &ask)).collect();
    Ok(Json(json!({"rules": rules})))
}

fn described(rule: &Rule, ask: &Ask) -> Value {
    let lang = ask.lang;
    let (id, base) = (&rule.id, &ask.base);
    let denominators = rule
        .denominators
        .iter()
        .map(|d| json!({"key": d.key, "title": d.title(lang)}));
    json!({
        "id": id, "title": rule.title(lang), "layer": rule.layer, "filter": rule.filter, "states": rule.states,
        "measured_from": rule.measured_from, "radius": tiers(rule), "least_blind_m2": rule.least_blind_m2,
        "denominators": denominators.collect::<Vec<_>>(),
        "wanted": rule.wanted.iter().map(|w| json!({"rate": w.rate / 100.0, "above": w.above, "source": source(&w.source)})).collect::<Vec<_>>(),
        "note": lang.pick(&rule.note_zh, &rule.note_en),
        "links": [
            {"rel": "item", "href": format!("{base}/coverage/{id}"), "type": "application/json"},
            {"rel": "items", "href": format!("{base}/coverage/{id}/blind"), "type": "application/geo+json"},
        ],
    })
}

fn tiers(rule: &Rule) -> Vec<Value> {
    let tier = |t: &crate::domain::rule::Tier| json!({"at_least_m2": t.at_least_m2, "metres": t.metres, "source": source(&t.source)});
    rule.tiers.iter().map(tier).collect()
}

fn source(s: &Source) -> Value {
    json!({"text": s.text, "verified": s.verified})
}

/// What is asked of a rule.
pub(super) struct Asked {
    /// The question of the first denominator.
    pub(super) question: Question,
    /// Other denominators whose rates are told too.
    pub(super) others: Vec<Denominator>,
    /// As it was recorded then.
    pub(super) past: Option<DateTime<Utc>>,
}

/// Reads what every question of coverage takes.
pub(super) async fn asked(app: &Shared, reader: &Reader, params: &mut Params, name: &str) -> Result<Asked> {
    let planned = match params.number("scenario", 1, i64::MAX as u64) {
        Some(id) => Some(planned(app, reader, id as i64, name).await?),
        None => None,
    };
    read(app, reader, params, name, planned)
}

/// A rule by its name.
pub(super) fn rule(name: &str) -> Result<Arc<Rule>> {
    rules::get(name).cloned().ok_or_else(|| {
        let known: Vec<&str> = rules::all().iter().map(|r| r.id.as_str()).collect();
        let known = known.join(", ");
        Error::NotFound(text!(
            "没有规则“{name}”；已有：{known}",
            "there is no rule \"{name}\"; there are {known}"
        ))
    })
}

fn read(
    app: &Shared,
    reader: &Reader,
    params: &mut Params,
    name: &str,
    planned: Option<Arc<Planned>>,
) -> Result<Asked> {
    let rule = rule(name)?;
    let layer = find(&rule.layer, reader)?;
    let radius = params.read("radius", |s| {
        let metres = s.parse::<f64>().ok().filter(|r| (1.0..=MAX_RADIUS).contains(r));
        metres.ok_or_else(|| {
            text!(
                "“{s}”应为1至{MAX_RADIUS}米",
                "\"{s}\" should be 1 to {MAX_RADIUS} metres"
            )
        })
    });
    let own = super::extract::filter(params, &[&layer]);
    let mut states = params.each("state", Condition::parse);
    let wanted = params.read("denominator", |key| {
        let found = rule.denominators.iter().find(|d| d.key == key).cloned();
        found.ok_or_else(|| {
            let known: Vec<&str> = rule.denominators.iter().map(|d| d.key.as_str()).collect();
            let known = known.join(", ");
            text!("“{key}”应为 {known} 之一", "\"{key}\" should be one of {known}")
        })
    });
    let memory = app.index.read();
    let within = params.read("within-area", |code| {
        let area = memory.area(code).map(|a| a.what.id);
        area.ok_or_else(|| text!("没有区划“{code}”", "there is no area \"{code}\""))
    });
    let past = params.read("datetime", moment);
    // Nobody learns here of land or areas that they may not see.
    let shown = |d: &Denominator| find(if d.level().is_some() { "areas" } else { "land" }, reader);
    let others = match wanted {
        Some(_) => Vec::new(),
        None => rule
            .denominators
            .iter()
            .skip(1)
            .filter(|d| shown(d).is_ok())
            .cloned()
            .collect(),
    };
    let first = || rule.denominators.first().cloned();
    let denominator = wanted.or_else(first);
    let denominator = denominator.ok_or_else(|| Error::internal("a rule without a denominator"))?;
    shown(&denominator)?;
    let bits = match &rule.entrances {
        Some(of) => layer.bit | find(&of.layer, reader)?.bit,
        None => layer.bit,
    };
    let rights = app.matchers.restricted(&memory).rights(reader.rights(), bits);
    reader.reads_layer(app, &layer, "coverage");
    // What the rule says, but for what is asked otherwise.
    let mut question = Question::of_rule(&rule, Some(&denominator.key), rights)?;
    question.filter = match (own, question.filter.take()) {
        (Some(own), Some(fixed)) => Some(Arc::new(Filter::all(vec![(*fixed).clone(), (*own).clone()]))),
        (own, fixed) => own.or(fixed),
    };
    if !states.is_empty() {
        states.sort_unstable_by_key(|s| *s as u8);
        states.dedup();
        question.states = states;
    }
    (question.radius, question.within, question.planned) = (radius, within, planned);
    Ok(Asked { question, others, past })
}

/// The memory that is asked about: of now, or of the past as a whole.
pub(super) async fn memory(app: &Shared, past: Option<DateTime<Utc>>) -> Result<(Arc<Memory>, bool)> {
    let revision = past::revision(app, past).await?;
    let memory = past::memory(app, revision, |_| None).await?;
    Ok((memory, revision.is_some()))
}

/// What a question comes to.
pub(super) fn outcome(
    app: &Shared,
    memory: &Memory,
    then: bool,
    question: &Question,
    watch: Watch<'_>,
) -> Result<Arc<Outcome>> {
    match then {
        false => app.coverages.of(memory, &app.matchers, question, watch),
        true => app.coverages.then(memory, &app.matchers, question, watch),
    }
}

/// Works out what every rule comes to, so that nobody waits for land to be cut: once, when the service begins.
pub async fn warm(app: &Shared) {
    for rule in rules::all() {
        for denominator in &rule.denominators {
            let Ok(question) = Question::of_rule(rule, Some(&denominator.key), Rights::default()) else {
                continue;
            };
            let shared = app.clone();
            let work = move |progress: &Progress| {
                outcome(&shared, &shared.index.read(), false, &question, &progress.step(0, 1)).map(drop)
            };
            if let Ok(Err(e)) = app.analyses.run_while_wanted(work).await {
                tracing::debug!(rule = rule.id, "no coverage at hand: {e}");
            }
        }
    }
}

async fn show(
    State(app): State<Shared>,
    ask: Ask,
    reader: Reader,
    params: Params,
    Path(name): Path<String>,
) -> Result<Response> {
    let work = prepare(&app, &ask, &reader, params, &name).await?;
    let body = app.analyses.run_while_wanted(work).await??;
    Ok(([(header::CACHE_CONTROL, "no-cache")], Json(body)).into_response())
}

/// Reads a question, and says what is to be done to answer it.
pub(super) async fn prepare(
    app: &Shared,
    ask: &Ask,
    reader: &Reader,
    mut params: Params,
    name: &str,
) -> Result<impl FnOnce(&Progress) -> Result<Value> + Send + use<>> {
    let asked = asked(app, reader, &mut params, name).await?;
    let group = grouping(&mut params);
    params.finish()?;
    let (memory, then) = memory(app, asked.past).await?;
    let (shared, lang) = (app.clone(), ask.lang);
    Ok(move |progress: &Progress| {
        let steps = 1 + asked.others.len();
        let found = outcome(&shared, &memory, then, &asked.question, &progress.step(0, steps))?;
        let mut denominators = vec![denominator(&found, lang)];
        for (n, other) in asked.others.iter().enumerate() {
            let question = Question {
                denominator: other.clone(),
                ..asked.question.clone()
            };
            match outcome(&shared, &memory, then, &question, &progress.step(n + 1, steps)) {
                Ok(found) => denominators.push(self::denominator(&found, lang)),
                Err(Error::NotFound(why)) => {
                    denominators.push(json!({"key": other.key, "title": other.title(lang), "missing": why.get(lang)}));
                }
                Err(e) => return Err(e),
            }
        }
        let groups = group.map(|group| groups(&found, &shared, &memory, group));
        Ok(shown(&found, &asked, denominators, groups, lang))
    })
}

pub(super) fn round(v: f64, digits: i32) -> f64 {
    let by = 10f64.powi(digits);
    // The sum of nothing is a negative zero.
    (v * by).round() / by + 0.0
}

pub(super) fn figures(f: &Figures) -> Map<String, Value> {
    let fields = [
        ("area_m2", json!(round(f.area, 1))),
        ("covered_m2", json!(round(f.covered(), 1))),
        ("blind_m2", json!(round(f.blind, 1))),
        ("rate", json!(f.rate().map(|r| round(r, 6)))),
        ("people", json!(round(f.people, 0))),
        ("covered_people", json!(round((f.people - f.blind_people).max(0.0), 0))),
        ("blind_people", json!(round(f.blind_people, 0))),
    ];
    fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
}

fn denominator(found: &Outcome, lang: Lang) -> Value {
    let of = &found.question.denominator;
    let mut out = json!({"key": of.key, "title": of.title(lang)});
    if let Some(out) = out.as_object_mut() {
        out.extend(figures(&total(found)));
        out.insert("shared_m2".to_owned(), json!(round(found.land.ground.shared, 1)));
    }
    out
}

/// What figures are grouped by.
pub(super) fn grouping(params: &mut Params) -> Option<By> {
    params.read("by", |s| match s {
        "cell" => Ok(By::Cell),
        _ => AreaLevel::parse(s).map(By::Area).map_err(|_| {
            text!(
                "“{s}”应为 cell, community, street, district 之一",
                "\"{s}\" should be one of cell, community, street, district"
            )
        }),
    })
}

/// Code, name and figures of a group.
pub(super) type Group = (Option<String>, Option<String>, Figures);

/// The figures of each group, by its code; of what lies in none last.
pub(super) fn grouped(found: &Outcome, app: &Shared, memory: &Memory, way: By) -> Vec<Group> {
    let roll = app.matchers.rolls.of(memory);
    let called = |n: u32| -> Option<(String, Option<String>)> {
        let id = i32::try_from(n).ok().filter(|n| *n > 0)?;
        match way {
            By::Cell => memory
                .cells
                .what(id)
                .map(|c| (c.code.to_string(), c.name.as_deref().map(str::to_owned))),
            By::Area(_) => memory.areas.what(id).map(|a| (a.code.clone(), Some(a.name.clone()))),
        }
    };
    let mut groups: Vec<Group> = by(found, memory, &roll, way)
        .into_iter()
        .map(|(n, f)| {
            let (key, name) = called(n).map_or((None, None), |(key, name)| (Some(key), name));
            (key, name, f)
        })
        .collect();
    groups.sort_by(|(a, ..), (b, ..)| (a.is_none(), a).cmp(&(b.is_none(), b)));
    groups
}

fn groups(found: &Outcome, app: &Shared, memory: &Memory, way: By) -> Vec<Value> {
    let shown = |(key, name, f): Group| {
        let mut out = Map::from_iter([("key".to_owned(), json!(key)), ("name".to_owned(), json!(name))]);
        out.extend(figures(&f));
        Value::Object(out)
    };
    grouped(found, app, memory, way).into_iter().map(shown).collect()
}

fn shown(found: &Outcome, asked: &Asked, denominators: Vec<Value>, groups: Option<Vec<Value>>, lang: Lang) -> Value {
    let (rule, spots) = (&found.question.rule, found.spots());
    let share = total(found).rate();
    let wanted = rule.wanted.iter().map(|w| {
        let short = share.map(|s| round((w.rate / 100.0 - s).max(0.0), 6));
        json!({"rate": w.rate / 100.0, "above": w.above, "source": source(&w.source), "met": share.map(|s| w.met(s)), "short": short})
    });
    let listed: f64 = spots.listed.iter().map(|s| s.area).sum();
    let people: f64 = spots.listed.iter().map(|s| s.people).sum();
    json!({
        "rule": rule.id, "title": rule.title(lang), "note": lang.pick(&rule.note_zh, &rule.note_en),
        "revision": found.revision(), "datetime": asked.past.map(|t| t.to_rfc3339()),
        "scenario": found.question.planned.as_ref().map(|p| json!({"id": p.id, "name": p.name})),
        "crs": found.land.ground.local.crs().key(),
        "radius": found.question.radius.map_or_else(|| json!(tiers(rule)), |r| json!([{"at_least_m2": 0, "metres": r, "source": null}])),
        "measured_from": rule.measured_from, "distance": "straight line",
        "states": found.question.states.iter().map(|s| s.key()).collect::<Vec<_>>(),
        "facilities": {"counted": found.sites.len(), "too_small": found.too_small.len()},
        "denominators": denominators,
        "wanted": wanted.collect::<Vec<_>>(),
        "blind_spots": {
            "count": spots.listed.len(), "area_m2": round(listed, 1), "people": round(people, 0), "least_m2": rule.least_blind_m2,
            "slivers": {"count": spots.slivers, "area_m2": round(spots.sliver_area, 1), "people": round(spots.sliver_people, 0)},
        },
        "groups": groups,
    })
}

const COLUMNS: [Column; 6] = [
    ("area_m2", "面积（平方米）", "Area (m²)", Kind::Number),
    ("people", "人口", "People", Kind::Number),
    (
        "nearest/distance_m",
        "最近设施距离（米）",
        "To the nearest (m)",
        Kind::Number,
    ),
    ("nearest/id", "最近设施编号", "Nearest, No.", Kind::Integer),
    ("nearest/code", "最近设施标识码", "Nearest, code", Kind::Code),
    ("nearest/name", "最近设施名称", "Nearest, name", Kind::Text),
];

async fn blind(
    State(app): State<Shared>,
    ask: Ask,
    reader: Reader,
    mut params: Params,
    Path(name): Path<String>,
) -> Result<Response> {
    let wish = Wish::read(&mut params);
    let make = prepare_blind(&app, &ask, &reader, params, &name).await?;
    features::answer(&app, &reader, &ask, wish, make).await
}

/// The same for blind spots.
pub(super) async fn prepare_blind(
    app: &Shared,
    ask: &Ask,
    reader: &Reader,
    mut params: Params,
    name: &str,
) -> Result<impl FnOnce(&Progress) -> Result<Features> + Send + use<>> {
    let asked = asked(app, reader, &mut params, name).await?;
    let limit = params.number("limit", 1, MAX_SPOTS).unwrap_or(1000) as usize;
    params.finish()?;
    let (memory, then) = memory(app, asked.past).await?;
    let (shared, own) = (app.clone(), ask.clone());
    Ok(move |progress: &Progress| {
        let found = outcome(&shared, &memory, then, &asked.question, &progress.step(0, 1))?;
        Ok(spots_of(&found, &memory, limit, &own))
    })
}

/// The blind spots as features.
pub(super) fn spots_of(found: &Outcome, memory: &Memory, limit: usize, ask: &Ask) -> Features {
    let (spots, question, lang) = (found.spots(), &found.question, ask.lang);
    let row = |spot: &spots::Spot| {
        let nearest = spot.nearest.and_then(|(id, metres)| {
            let metres = round(metres, 1);
            if let Some((n, scenario)) = id.checked_sub(PLANNED).zip(question.planned.as_ref()) {
                return Some(json!({"scenario": scenario.id, "site": n + 1, "distance_m": metres}));
            }
            let component = memory.components.get(id)?;
            let (code, name) = (component.code().map(|c| c.into_owned()), component.name());
            Some(json!({"id": id, "code": code, "name": name, "distance_m": metres, "href": format!("{}/components/{id}", ask.base)}))
        });
        let properties = json!({"area_m2": round(spot.area, 1), "people": round(spot.people, 0), "nearest": nearest});
        (properties, Shape::Rings(spot.rings.clone()))
    };
    let rate = total(found)
        .rate()
        .map_or("–".to_owned(), |r| format!("{:.2} %", r * 100.0));
    let members = json!({"numberMatched": spots.listed.len(), "rule": question.rule.id, "revision": found.revision()});
    Features {
        name: format!("{}-blind", question.rule.id),
        title: question.rule.title(lang).to_owned(),
        members: members.as_object().cloned().unwrap_or_default(),
        columns: &COLUMNS,
        rows: spots.listed.iter().take(limit).map(row).collect(),
        local: found.land.ground.local,
        foot: vec![
            (Text::new("覆盖率", "Rate"), rate),
            (
                Text::new("分母", "Denominator"),
                question.denominator.title(lang).to_owned(),
            ),
            (Text::new("登记簿修订", "Revision"), found.revision().to_string()),
        ],
    }
}
