//! `/indicators`: tables to sign: what a plan asks for, what the register says, and by how much it falls short.

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use hashbrown::HashMap;
use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::Shared;
use super::coverage::{memory, round};
use super::export::handed;
use super::extract::{Ask, Params};
use super::past::moment;
use super::print;
use super::reader::Reader;
use super::resource::find;
use super::work::Progress;
use crate::audit::Act;
use crate::calendar;
use crate::coverage::rules;
use crate::domain::indicator::{Quantity, Table};
use crate::domain::rule::Rule;
use crate::domain::text::{Lang, Text};
use crate::domain::word::AreaLevel;
use crate::error::{Error, Result};
use crate::exchange::write::Format;
use crate::exchange::write::tables::{Cell, Table as Sheet, Tables};
use crate::index::Memory;
use crate::indicator::{By, City, Figure, Row, complete, gather, road_class, tables};
use crate::text;

/// The routes of indicators.
pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/indicators", get(list))
        .route("/indicators/{table}", get(show))
}

async fn list(State(_): State<Shared>, ask: Ask, params: Params) -> Result<Json<Value>> {
    params.finish()?;
    let base = &ask.base;
    let link = |id: &str, f: &str, kind: &str| json!({"rel": "item", "href": format!("{base}/indicators/{id}{f}"), "type": kind});
    let said = |t: &std::sync::Arc<Table>| {
        let id = &t.id;
        json!({
            "id": id, "title": t.title(ask.lang), "count": t.indicators.len(),
            "links": [link(id, "", "application/json"), link(id, "?f=html", "text/html"), link(id, "?f=xlsx", Format::Xlsx.media_type())],
        })
    };
    let all: Vec<Value> = tables::all().iter().map(said).collect();
    Ok(Json(json!({"tables": all})))
}

/// A table that has been worked out.
struct Made {
    table: std::sync::Arc<Table>,
    rows: Vec<Row>,
    /// Names of the groups that there are.
    names: HashMap<i32, (String, String)>,
    by: Option<By>,
    revision: i64,
    past: Option<DateTime<Utc>>,
    lang: Lang,
}

async fn show(
    State(app): State<Shared>,
    ask: Ask,
    reader: Reader,
    mut params: Params,
    Path(name): Path<String>,
) -> Result<Response> {
    let table = tables::get(&name).cloned().ok_or_else(|| {
        let known: Vec<&str> = tables::all().iter().map(|t| t.id.as_str()).collect();
        let known = known.join(", ");
        Error::NotFound(text!(
            "没有指标表“{name}”；已有：{known}",
            "there is no table \"{name}\"; there are {known}"
        ))
    })?;
    let page = params.wants_page();
    let format = params.file_format();
    if let Some(format) = format.filter(|f| f.has_shapes()) {
        let key = format.key();
        params.fault(
            "f",
            text!("指标表不能写为 {key}", "a table of indicators cannot be {key}"),
        );
    }
    let by = params.read("by", |s| match s {
        "road-class" => Ok(By::RoadClass),
        _ => AreaLevel::parse(s).map(By::Area).map_err(|_| {
            text!(
                "“{s}”应为 community, street, district, road-class 之一",
                "\"{s}\" should be one of community, street, district, road-class"
            )
        }),
    });
    let past = params.read("datetime", moment);
    params.finish()?;
    let (memory, then) = memory(&app, past).await?;
    let mut seen = HashMap::new();
    let quantities = table.indicators.iter().flat_map(|i| i.value.iter().chain(&i.per));
    let layers = |q: &Quantity| -> Vec<String> {
        let of_rule = |r: &std::sync::Arc<Rule>| {
            let doors = r.entrances.as_ref().map(|e| e.layer.clone());
            std::iter::once(r.layer.clone()).chain(doors).collect()
        };
        match q {
            Quantity::Coverage { rule, .. } => rules::get(rule).map(of_rule).unwrap_or_default(),
            other => other.layer().map(str::to_owned).into_iter().collect(),
        }
    };
    for id in quantities.flat_map(layers) {
        if let (false, Ok(layer)) = (seen.contains_key(&id), find(&id, &reader)) {
            let rights = app.matchers.restricted(&memory).rights(reader.rights(), layer.bit);
            reader.reads_layer(&app, &layer, "indicators");
            seen.insert(id, rights);
        }
    }
    let (shared, own, held) = (app.clone(), table.clone(), memory.clone());
    let work = move |progress: &Progress| {
        let city = City {
            memory: &held,
            then,
            matchers: &shared.matchers,
            coverages: &shared.coverages,
            seen: &seen,
        };
        gather(&city, &own, by, &progress.step(0, 1))
    };
    let gathered = app.analyses.run_while_wanted(work).await??;
    let rows = complete(&app.store, gathered).await?;
    let made = Made {
        names: names(&memory, &rows, by, ask.lang),
        table,
        rows,
        by,
        revision: memory.revision.as_ref().map_or(0, |r| r.number),
        past,
        lang: ask.lang,
    };
    if page {
        return Ok(print::page(ask.lang, made.table.title(ask.lang), &made.page()));
    }
    let Some(format) = format else {
        return Ok(([(header::CACHE_CONTROL, "no-cache")], Json(made.json())).into_response());
    };
    let file = format!("indicators-{}.{}", made.table.id, format.extension());
    app.audit.note(Act::Export, reader.name(), &reader.peer(), &file);
    let path = app.work.run(move || made.file(format)).await??;
    handed(path, &file, format).await
}

fn names(memory: &Memory, rows: &[Row], by: Option<By>, lang: Lang) -> HashMap<i32, (String, String)> {
    let groups = rows
        .iter()
        .flat_map(|r| r.groups.iter().flatten())
        .filter_map(|(g, _)| *g);
    let name = |g: i32| {
        let said = match by? {
            By::Area(_) => memory.areas.what(g).map(|a| (a.code.clone(), a.name.clone())),
            By::RoadClass => road_class(g).map(|c| (c.key().to_owned(), c.name(lang).to_owned())),
        };
        Some((g, said?))
    };
    groups.filter_map(name).collect()
}

/// With as many digits as are worth reading.
fn short(v: f64) -> String {
    let text = format!("{:.2}", round(v, 2));
    text.trim_end_matches('0').trim_end_matches('.').replace('-', "−")
}

impl Made {
    fn json(&self) -> Value {
        let figure = |row: &Row, f: &Figure| {
            let target = &row.indicator.target;
            let off = f.value.map(|v| round(target.off(v), 4));
            Map::from_iter([
                ("value".to_owned(), json!(f.value.map(|v| round(v, 4)))),
                ("numerator".to_owned(), json!(round(f.top, 1))),
                ("denominator".to_owned(), json!(f.bottom.map(|b| round(b, 1)))),
                ("met".to_owned(), json!(f.value.map(|v| target.met(v)))),
                ("off".to_owned(), json!(off)),
            ])
        };
        let row = |r: &Row| {
            let i = &r.indicator;
            let mut out = Map::from_iter([
                ("id".to_owned(), json!(i.id)),
                ("title".to_owned(), json!(i.title(self.lang))),
                ("unit".to_owned(), json!(i.unit(self.lang))),
                ("target".to_owned(), json!(i.target)),
            ]);
            out.extend(match &r.missing {
                None => figure(r, &r.figure),
                Some(_) => ["value", "met", "off"]
                    .map(|k| (k.to_owned(), Value::Null))
                    .into_iter()
                    .collect(),
            });
            out.insert("needed".to_owned(), json!(r.needed));
            out.insert(
                "missing".to_owned(),
                json!(r.missing.as_ref().map(|t| t.get(self.lang))),
            );
            out.insert("basis".to_owned(), json!(i.basis(self.lang)));
            out.insert(
                "source".to_owned(),
                json!({"text": i.source.text, "verified": i.source.verified}),
            );
            let groups = r.groups.as_ref().map(|groups| {
                let group = |(g, f): &(Option<i32>, Figure)| {
                    let said = g.and_then(|g| self.names.get(&g));
                    let mut out = figure(r, f);
                    out.insert("key".to_owned(), json!(said.map(|(key, _)| key)));
                    out.insert("name".to_owned(), json!(said.map(|(_, name)| name)));
                    Value::Object(out)
                };
                groups.iter().map(group).collect::<Vec<_>>()
            });
            out.insert("groups".to_owned(), json!(groups));
            Value::Object(out)
        };
        json!({
            "table": self.table.id, "title": self.table.title(self.lang), "date": calendar::today(), "revision": self.revision,
            "datetime": self.past.map(|t| t.to_rfc3339()), "indicators": self.rows.iter().map(row).collect::<Vec<_>>(),
        })
    }

    fn pick<'t>(&self, zh: &'t str, en: &'t str) -> &'t str {
        self.lang.pick(zh, en)
    }

    /// As of when the register was asked.
    fn as_of(&self) -> String {
        match self.past {
            Some(t) => (t + chrono::Duration::hours(calendar::HOURS_EAST))
                .format("%Y-%m-%d %H:%M")
                .to_string(),
            None => calendar::today().to_string(),
        }
    }

    /// 现状, 差距 and 结论 of a row.
    fn said(&self, r: &Row) -> (String, String, String) {
        let Some(value) = r.figure.value.filter(|_| r.missing.is_none()) else {
            let why = r.missing.as_ref().map_or("", |t| t.get(self.lang));
            return (
                why.to_owned(),
                "–".to_owned(),
                self.pick("缺数据", "No data").to_owned(),
            );
        };
        let target = &r.indicator.target;
        if target.said().is_empty() {
            return (
                short(value),
                "–".to_owned(),
                self.pick("无目标", "No target").to_owned(),
            );
        }
        let off = target.off(value);
        let needed = r.needed.filter(|n| *n > 0).map(|n| {
            let (zh, en) = (format!("（还需 {n} 个）"), format!(" ({n} more)"));
            self.lang.pick(zh, en)
        });
        let gap = match target.met(value) {
            true => "–".to_owned(),
            false => format!("{}{}", short(off), needed.unwrap_or_default()),
        };
        let met = match target.met(value) {
            true => self.pick("达标", "Met"),
            false => self.pick("未达标", "Not met"),
        };
        (short(value), gap, met.to_owned())
    }

    fn head(&self) -> [Text; 9] {
        [
            Text::new("指标", "Indicator"),
            Text::new("单位", "Unit"),
            Text::new("目标", "Target"),
            Text::new("现状", "Now"),
            Text::new("差距", "Gap"),
            Text::new("结论", "Verdict"),
            Text::new("口径", "How it is counted"),
            Text::new("来源", "Source"),
            Text::new("时点", "As of"),
        ]
    }

    /// 来源; what nobody has seen in the source says so.
    fn source(&self, r: &Row) -> String {
        let source = &r.indicator.source;
        match source.verified {
            true => source.text.clone(),
            false => format!("{}{}", source.text, self.pick("（未核实）", " (unverified)")),
        }
    }

    /// The groups that any figure has, by key.
    fn groups(&self) -> Vec<Option<i32>> {
        let all = self
            .rows
            .iter()
            .flat_map(|r| r.groups.iter().flatten())
            .map(|(g, _)| *g);
        let mut keys: Vec<Option<i32>> = all.collect();
        let key = |g: &Option<i32>| (g.is_none(), g.and_then(|g| self.names.get(&g)).map(|n| n.0.clone()));
        keys.sort_by_cached_key(key);
        keys.dedup();
        keys
    }

    fn called(&self, group: Option<i32>) -> String {
        let name = group.and_then(|g| self.names.get(&g)).map(|(_, name)| name.clone());
        name.unwrap_or_else(|| self.pick("（未归入）", "(none)").to_owned())
    }

    fn page(&self) -> Markup {
        let (lang, head) = (self.lang, self.head());
        let grouped: Vec<&Row> = self.rows.iter().filter(|r| r.groups.is_some()).collect();
        html! {
            style { "@page { size: A4 landscape; margin: 12mm } body { max-width: 270mm } .wide { font-size: 9pt } .n { text-align: right; white-space: nowrap }" }
            h1 { (self.table.title(lang)) }
            p.small {
                (self.pick("登记簿时点：", "Register as of ")) (self.as_of()) (self.pick("　修订：", ", revision ")) (self.revision)
                (self.pick("　制表：", ", made on ")) (calendar::today())
            }
            table.wide {
                thead { tr { @for t in &head { th { (t.get(lang)) } } } }
                tbody {
                    @for r in &self.rows {
                        @let (value, gap, met) = self.said(r);
                        tr {
                            td { (r.indicator.title(lang)) }
                            td { (r.indicator.unit(lang)) }
                            td.n { (r.indicator.target.said()) }
                            td class=(if r.missing.is_none() { "n" } else { "small" }) { (value) }
                            td.n { (gap) }
                            td { (met) }
                            td.small { (r.indicator.basis(lang)) }
                            td.small { (self.source(r)) }
                            td.n.small { (self.as_of()) }
                        }
                    }
                }
            }
            @if self.by.is_some() && !grouped.is_empty() {
                h2 { (self.pick("分项", "By group")) }
                table.wide {
                    thead { tr { th { } @for r in &grouped { th style="white-space: normal" { (r.indicator.title(lang)) " (" (r.indicator.unit(lang)) ")" } } } }
                    tbody {
                        @for g in self.groups() {
                            tr {
                                th { (self.called(g)) }
                                @for r in &grouped { td.n { (r.of(g).map_or_else(|| "–".to_owned(), short)) } }
                            }
                        }
                    }
                }
            }
            div.seal {
                div { (self.pick("填报单位（盖章）", "Reported by (seal)")) p { (self.pick("填表人：　　　　　　　日期：", "Signed by:                     Date:")) } }
                div { (self.pick("审核单位（盖章）", "Checked by (seal)")) p { (self.pick("负责人：　　　　　　　日期：", "Signed by:                     Date:")) } }
            }
        }
    }

    fn file(&self, format: Format) -> Result<tempfile::TempPath> {
        let cell = |v: Option<f64>| v.map_or(Cell::None, |v| Cell::Number(round(v, 4)));
        let row = |r: &Row| {
            let (said, gap, met) = self.said(r);
            let value = match &r.missing {
                None => cell(r.figure.value),
                Some(_) => Cell::Text(said),
            };
            let i = &r.indicator;
            let text = |s: &str| Cell::Text(s.to_owned());
            vec![
                text(i.title(self.lang)),
                text(i.unit(self.lang)),
                Cell::Text(i.target.said()),
                value,
                Cell::Text(gap),
                Cell::Text(met),
                text(i.basis(self.lang)),
                Cell::Text(self.source(r)),
                Cell::Text(self.as_of()),
            ]
        };
        let mut sheets = vec![Sheet {
            title: Text::new("指标", "Indicators"),
            head: self.head().to_vec(),
            rows: self.rows.iter().map(row).collect(),
            note: None,
        }];
        let grouped: Vec<&Row> = self.rows.iter().filter(|r| r.groups.is_some()).collect();
        if self.by.is_some() && !grouped.is_empty() {
            let titles = grouped
                .iter()
                .map(|r| Text::new(r.indicator.title_zh.clone(), r.indicator.title_en.clone()));
            sheets.push(Sheet {
                title: Text::new("分项", "By group"),
                head: std::iter::once(Text::new("名称", "Name")).chain(titles).collect(),
                rows: self
                    .groups()
                    .into_iter()
                    .map(|g| {
                        let figures = grouped.iter().map(|r| cell(r.of(g)));
                        std::iter::once(Cell::Text(self.called(g))).chain(figures).collect()
                    })
                    .collect(),
                note: None,
            });
        }
        let path = tempfile::Builder::new()
            .prefix("lamppost-")
            .tempfile()
            .map_err(Error::internal)?
            .into_temp_path();
        match (format, sheets.first()) {
            (Format::Csv, Some(first)) => first.csv(&path, self.lang)?,
            _ => Tables {
                title: Text::new(self.table.title_zh.clone(), self.table.title_en.clone()),
                facts: vec![
                    (Text::new("登记簿时点", "Register as of"), self.as_of()),
                    (Text::new("修订", "Revision"), self.revision.to_string()),
                    (Text::new("制表", "Made on"), calendar::today().to_string()),
                ],
                tables: sheets,
            }
            .xlsx(&path, self.lang)?,
        }
        Ok(path)
    }
}
