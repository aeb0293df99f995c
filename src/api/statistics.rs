//! `/statistics`: how many there are, in what state, and how far their ownership is settled; today or on a past day.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::extract::{Ask, Params};
use super::item::filter;
use super::past::{self, moment};
use super::reader::Reader;
use super::resource::find;
use super::{Shared, export};
use crate::audit::Act;
use crate::domain::text::{Lang, Text};
use crate::domain::word::{OwnershipStatus, State as Condition};
use crate::error::{Error, Result};
use crate::exchange::write::Format;
use crate::exchange::write::tables::{Cell, Table, Tables};
use crate::index::Memory;
use crate::query::list::{Filter, reach};
use crate::query::statistics::{Counted, Figures, Statistics, Way, roll_up, statistics};
use crate::spatial::plane::Plane;

/// The routes of statistics.
pub(super) fn router() -> Router<Shared> {
    Router::new().route("/statistics", get(show))
}

async fn show(State(app): State<Shared>, ask: Ask, reader: Reader, mut params: Params) -> Result<Response> {
    let format = params.file_format();
    let way = params.read("by", Way::parse);
    let layer = params.text("layer").unwrap_or_else(|| "components".to_owned());
    let layer = find(&layer, &reader)?;
    let past = params.read("datetime", moment);
    let filter = filter(&mut params, Plane::default(), &layer, &reader);
    if way.is_none() {
        let detail = Text::new("须给出，如 by=street", "is needed, such as by=street");
        params.fault("by", detail);
    }
    if format.is_some_and(|f| !matches!(f, Format::Csv | Format::Xlsx)) {
        params.fault("f", Text::new("可为 json, csv, xlsx", "can be json, csv or xlsx"));
    }
    params.finish()?;
    let way = way.ok_or_else(|| Error::syntax("by", Text::new("缺少", "missing")))?;
    reader.reads_layer(&app, &layer, "statistics");
    let (shared, lang) = (app.clone(), ask.lang);
    let found = match past {
        None => {
            let today = move || {
                let memory = shared.index.read();
                statistics(&memory, &shared.matchers, &layer, &filter, way, lang)
            };
            app.work.run(today).await??
        }
        Some(moment) => {
            let plain = Filter {
                cql: filter.cql.clone(),
                rights: filter.rights.clone(),
                ..Filter::default()
            };
            let matcher = app
                .matchers
                .of(&app.index.read(), &layer, filter.cql.as_ref(), &filter.rights);
            let revision = past::revision(&app, Some(moment)).await?;
            match revision.filter(|_| plain == filter && matcher.by_mark()) {
                Some(revision) => {
                    let counts = app.store.counts_at(revision, way.by().key()).await?;
                    let rolled = move || {
                        let counted: Result<Vec<Counted>> = counts.iter().map(|c| Counted::then(way.by(), c)).collect();
                        let counted = counted?.into_iter().filter(|c| matcher.mark(c.mark));
                        Ok::<_, Error>(roll_up(
                            &shared.index.read(),
                            &shared.matchers.rolls,
                            way,
                            lang,
                            counted,
                        ))
                    };
                    app.work.run(rolled).await??
                }
                None => {
                    let memory = past::memory(&app, revision, |now| reach(now, &filter)).await?;
                    let then = move || statistics(&memory, &shared.matchers, &layer, &filter, way, lang);
                    app.work.run(then).await??
                }
            }
        }
    };
    match format {
        None => {
            let body = shown(&app.index.read(), &found, way, past);
            Ok(([(header::CACHE_CONTROL, "no-cache")], Json(body)).into_response())
        }
        Some(format) => {
            let what = format!("statistics.{}: by={}", format.extension(), way.key());
            app.audit.note(Act::Export, reader.name(), &reader.peer(), &what);
            file(&app, &ask, found, way, past, format).await
        }
    }
}

fn shown(memory: &Memory, found: &Statistics, way: Way, past: Option<DateTime<Utc>>) -> Value {
    let groups: Vec<Value> = found
        .groups
        .iter()
        .map(|g| {
            let mut out = json!({"key": g.key, "name": g.name});
            if let (Some(out), Value::Object(own)) = (out.as_object_mut(), figures(memory, &g.figures)) {
                out.extend(own);
            }
            out
        })
        .collect();
    json!({"by": way.key(), "datetime": past.map(|t| t.to_rfc3339()), "total": figures(memory, &found.total), "groups": groups})
}

fn figures(memory: &Memory, f: &Figures) -> Value {
    let mut states = Map::new();
    for state in Condition::ALL.iter().filter(|s| **s != Condition::Retired) {
        states.insert(
            state.key().to_owned(),
            json!(f.states.get(&(*state as u8)).copied().unwrap_or(0)),
        );
    }
    let retired = f.states.get(&(Condition::Retired as u8));
    states.extend(retired.map(|n| (Condition::Retired.key().to_owned(), json!(n))));
    let ownership = OwnershipStatus::ALL
        .iter()
        .map(|s| (s.key().to_owned(), json!(f.owned(*s))));
    let classes = f.classes.iter().filter_map(|(class, n)| {
        let class = memory.classes.get(&i32::from(*class))?;
        Some((format!("{}/{}", class.scheme, class.code), json!(n)))
    });
    json!({
        "count": f.count, "confirmed_share": f.confirmed_share().map(|s| (s * 1e6).round() / 1e6),
        "disputed": f.owned(OwnershipStatus::Disputed), "unclaimed": f.owned(OwnershipStatus::Unclaimed),
        "unmaintained": f.unmaintained, "states": states, "ownership": ownership.collect::<Map<_, _>>(),
        "classes": classes.collect::<Map<_, _>>(),
    })
}

/// The groups as a table, all of them together in the last row.
fn table(found: &Statistics, lang: Lang) -> Table {
    let text = Text::new;
    let mut head = vec![
        text("代码", "Key"),
        text("名称", "Name"),
        text("数量", "Count"),
        text("确权率", "Confirmed"),
        text("无养护单位", "Without a maintainer"),
    ];
    let states: Vec<Condition> = Condition::ALL
        .iter()
        .copied()
        .filter(|s| *s != Condition::Retired)
        .collect();
    let named = |zh: &'static str, en: &'static str| Text::new(zh, en);
    head.extend(states.iter().map(|s| named(s.name(Lang::Zh), s.name(Lang::En))));
    head.extend(
        OwnershipStatus::ALL
            .iter()
            .map(|s| named(s.name(Lang::Zh), s.name(Lang::En))),
    );
    let count = |n: u64| Cell::Count(i64::try_from(n).unwrap_or(i64::MAX));
    let row = |key: Cell, name: Cell, f: &Figures| {
        let mut row = vec![key, name, count(f.count)];
        row.push(f.confirmed_share().map_or(Cell::None, Cell::Share));
        row.push(count(f.unmaintained));
        row.extend(
            states
                .iter()
                .map(|s| count(f.states.get(&(*s as u8)).copied().unwrap_or(0))),
        );
        row.extend(OwnershipStatus::ALL.iter().map(|s| count(f.owned(*s))));
        row
    };
    let none = || Cell::Text(lang.pick("（无）", "(none)").to_owned());
    let said = |s: &Option<String>| s.clone().map_or_else(none, Cell::Text);
    let mut rows: Vec<Vec<Cell>> = found
        .groups
        .iter()
        .map(|g| row(said(&g.key), g.name.clone().map_or(Cell::None, Cell::Text), &g.figures))
        .collect();
    rows.push(row(
        Cell::Text(lang.pick("合计", "Total").to_owned()),
        Cell::None,
        &found.total,
    ));
    Table {
        title: text("统计", "Statistics"),
        head,
        rows,
        note: None,
    }
}

async fn file(
    app: &Shared,
    ask: &Ask,
    found: Statistics,
    way: Way,
    past: Option<DateTime<Utc>>,
    format: Format,
) -> Result<Response> {
    let lang = ask.lang;
    let when = past.unwrap_or_else(Utc::now).to_rfc3339();
    let make = move || {
        let path = tempfile::Builder::new()
            .prefix("lamppost-")
            .tempfile()
            .map_err(Error::internal)?
            .into_temp_path();
        let table = table(&found, lang);
        match format {
            Format::Csv => table.csv(&path, lang)?,
            _ => Tables {
                title: Text::new("部件统计", "Statistics of components"),
                facts: vec![
                    (Text::new("分组", "By"), way.key().to_owned()),
                    (Text::new("时点", "As of"), when),
                ],
                tables: vec![table],
            }
            .xlsx(&path, lang)?,
        }
        Ok::<_, Error>(path)
    };
    let path = app.work.run(make).await??;
    export::handed(path, &format!("statistics.{}", format.extension()), format).await
}
