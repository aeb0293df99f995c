//! `/coverage/{rule}/change`: what is served after and not before, or before and not after: on two days, by two scenarios, by two radii.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use serde_json::{Map, Value, json};

use super::Shared;
use super::coverage::{asked, figures, grouped, grouping, memory, outcome, round};
use super::extract::{Ask, Params};
use super::features::{self, Column, Features, Shape, Wish};
use super::reader::Reader;
use super::work::Progress;
use crate::coverage::Outcome;
use crate::coverage::change::{Place, change};
use crate::coverage::figures::{Figures, total};
use crate::domain::text::Text;
use crate::exchange::write::Kind;

/// The route of changes.
pub(super) fn router() -> Router<Shared> {
    Router::new().route("/coverage/{rule}/change", get(show))
}

/// What is asked of the one alone and not of the other.
const OWN: [&str; 2] = ["datetime", "scenario"];
/// Places of either kind in an answer.
const MAX_PLACES: u64 = 10_000;
const COLUMNS: [Column; 2] = [
    ("change", "变化", "Change", Kind::Text),
    ("area_m2", "面积（平方米）", "Area (m²)", Kind::Number),
];

async fn show(
    State(app): State<Shared>,
    ask: Ask,
    reader: Reader,
    mut params: Params,
    Path(name): Path<String>,
) -> Result<Response, crate::error::Error> {
    let wish = Wish::read(&mut params);
    let group = grouping(&mut params);
    let limit = params.number("limit", 1, MAX_PLACES);
    let mut from = params.split("from-", &OWN);
    let before = asked(&app, &reader, &mut from, &name).await?;
    from.finish()?;
    let after = asked(&app, &reader, &mut params, &name).await?;
    params.finish()?;
    let (then, then_past) = memory(&app, before.past).await?;
    let (now, now_past) = memory(&app, after.past).await?;
    let (then, now) = (Some(then).filter(|_| then_past), Some(now).filter(|_| now_past));
    let (shared, lang) = (app.clone(), ask.lang);
    let limit = limit.unwrap_or(1000) as usize;
    let make = move |progress: &Progress| {
        // Both of now are of the same now, whenever it is their turn.
        let newest = shared.index.read();
        let (then, now) = (then.unwrap_or_else(|| newest.clone()), now.unwrap_or(newest));
        let a = outcome(&shared, &then, then_past, &before.question, &progress.step(0, 2))?;
        let b = outcome(&shared, &now, now_past, &after.question, &progress.step(1, 2))?;
        let change = change(&a, &b)?;
        let side = |o: &Outcome, past: Option<chrono::DateTime<chrono::Utc>>| {
            let mut out = figures(&total(o));
            let planned = o.question.planned.as_ref();
            out.insert("facilities".to_owned(), json!(o.sites.len()));
            out.insert("revision".to_owned(), json!(o.revision()));
            out.insert("datetime".to_owned(), json!(past.map(|t| t.to_rfc3339())));
            out.insert(
                "scenario".to_owned(),
                json!(planned.map(|p| json!({"id": p.id, "name": p.name}))),
            );
            Value::Object(out)
        };
        let groups = group.map(|group| {
            let old = grouped(&a, &shared, &then, group);
            let new = grouped(&b, &shared, &now, group);
            new.into_iter().map(|(key, name, after)| {
                let before = old.iter().find(|(k, ..)| *k == key).map(|(.., f)| *f).unwrap_or_default();
                json!({"key": key, "name": name, "before": figures(&before), "after": figures(&after), "rate_change": changed(&before, &after)})
            }).collect::<Vec<_>>()
        });
        let rule = &b.question.rule;
        let sum = |places: &[Place]| round(places.iter().map(|p| p.area).sum(), 1);
        let members = json!({
            "rule": rule.id, "title": rule.title(lang), "denominator": b.question.denominator.title(lang),
            "before": side(&a, before.past), "after": side(&b, after.past), "rate_change": changed(&total(&a), &total(&b)),
            "gained_m2": sum(&change.gained), "lost_m2": sum(&change.lost), "least_m2": rule.least_blind_m2, "groups": groups,
        });
        let row = |word: &'static str| {
            move |p: Place| {
                (
                    json!({"change": word, "area_m2": round(p.area, 1)}),
                    Shape::Rings(p.rings),
                )
            }
        };
        let gained = change.gained.into_iter().map(row("gained"));
        Ok(Features {
            name: format!("{}-change", rule.id),
            title: rule.title(lang).to_owned(),
            members: members.as_object().cloned().unwrap_or_else(Map::new),
            columns: &COLUMNS,
            rows: gained
                .take(limit)
                .chain(change.lost.into_iter().take(limit).map(row("lost")))
                .collect(),
            local: b.land.ground.local,
            foot: vec![(
                Text::new("分母", "Denominator"),
                b.question.denominator.title(lang).to_owned(),
            )],
        })
    };
    features::answer(&app, &reader, &ask, wish, make).await
}

/// By how much a rate has changed; none where there is none.
fn changed(before: &Figures, after: &Figures) -> Option<f64> {
    Some(round(after.rate()? - before.rate()?, 6))
}
