//! `/coverage/{rule}/report`: one page to print: the map, the figures, the rule with its sources, the day.

use std::fmt::Write;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use maud::{Markup, html};

use super::coverage::{Asked, Group, asked, grouped, memory, outcome, round};
use super::extract::{Ask, Params};
use super::reader::Reader;
use super::work::Progress;
use super::{Shared, print};
use crate::calendar;
use crate::coverage::figures::{By, Figures, total};
use crate::coverage::{Outcome, PLANNED};
use crate::domain::rule::{Source, Tier};
use crate::domain::text::Lang;
use crate::domain::word::AreaLevel;
use crate::error::{Error, Result};
use crate::index::Memory;
use crate::spatial::overlay::{Dot, PER_METRE, Ring, Window};

/// The route of reports.
pub(super) fn router() -> Router<Shared> {
    Router::new().route("/coverage/{rule}/report", get(show))
}

async fn show(
    State(app): State<Shared>,
    ask: Ask,
    reader: Reader,
    mut params: Params,
    Path(name): Path<String>,
) -> Result<Response> {
    let asked = asked(&app, &reader, &mut params, &name).await?;
    params.finish()?;
    let (memory, then) = memory(&app, asked.past).await?;
    let (shared, lang) = (app.clone(), ask.lang);
    let work = move |progress: &Progress| {
        let found = outcome(&shared, &memory, then, &asked.question, &progress.step(0, 1))?;
        let streets = grouped(&found, &shared, &memory, By::Area(AreaLevel::Street));
        let title = found.question.rule.title(lang).to_owned();
        Ok::<_, Error>((title, page(&found, &memory, &asked, &streets, lang)))
    };
    let (title, body) = app.analyses.run_while_wanted(work).await??;
    Ok(print::page(lang, &title, &body))
}

fn per_cent(f: &Figures) -> String {
    f.rate().map_or("–".to_owned(), |r| format!("{:.2} %", r * 100.0))
}

fn hectares(m2: f64) -> String {
    format!("{:.1}", m2 / 10_000.0)
}

fn cited(source: &Source, lang: Lang) -> String {
    match source.verified {
        true => source.text.clone(),
        false => format!("{}{}", source.text, lang.pick("（未核实）", " (unverified)")),
    }
}

fn page(found: &Outcome, memory: &Memory, asked: &Asked, streets: &[Group], lang: Lang) -> Markup {
    let (question, spots, all) = (&found.question, found.spots(), total(found));
    let rule = &question.rule;
    let pick = |zh: &'static str, en: &'static str| lang.pick(zh, en);
    let day = match asked.past {
        Some(t) => (t + chrono::Duration::hours(calendar::HOURS_EAST))
            .format("%Y-%m-%d %H:%M")
            .to_string(),
        None => calendar::today().to_string(),
    };
    let tier = |t: &Tier| {
        let size = match t.at_least_m2 > 0.0 {
            true => format!("≥ {} m²: ", t.at_least_m2),
            false => String::new(),
        };
        (format!("{size}{} m", t.metres), cited(&t.source, lang))
    };
    // What somebody has set stands before what the rule says.
    let set = question.radius.map(|m| {
        (
            format!("{m} m"),
            pick("本次设定；规则为：", "as set here; the rule's:").to_owned(),
        )
    });
    let radius: Vec<(String, String)> = set.into_iter().chain(rule.tiers.iter().map(tier)).collect();
    let states: Vec<&str> = question.states.iter().map(|s| s.name(lang)).collect();
    let people = |n: f64| {
        if all.people > 0.0 {
            round(n, 0).to_string()
        } else {
            "–".to_owned()
        }
    };
    html! {
        style { "@page { margin: 12mm } h1 { font-size: 16pt } @media print { body { padding: 0 1px } } .map { width: 100%; height: 118mm; border: 1px solid #666; display: block } .n { text-align: right } .two { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 5mm; align-items: start } table { font-size: 9pt } @media (max-width: 600px) { .two { grid-template-columns: 1fr } }" }
        h1 { (rule.title(lang)) }
        p.small {
            (pick("登记簿时点：", "Register as of ")) (day) (pick("　修订：", ", revision ")) (found.revision())
            (pick("　制表：", ", made on ")) (calendar::today())
            @if let Some(area) = question.within.and_then(|id| memory.areas.what(id)) { (pick("　范围：", ", within ")) (area.name) }
            @if let Some(filter) = &question.filter { (pick("　条件：", ", where ")) (filter) }
            @if let Some(planned) = &question.planned { (pick("　方案：", ", scenario: ")) (planned.name) }
        }
        (drawing(found, memory))
        p.small {
            span style="color:#7fb2e5" { "■ " } (pick("已覆盖　", "covered  ")) span style="color:#d63b3b" { "■ " } (pick("盲区　", "blind  "))
            span style="color:#125c3a" { "● " } (pick("设施　", "facilities  "))
            @if question.planned.is_some() { span style="color:#b45f00" { "◆ " } (pick("拟建", "planned")) }
        }
        div.two {
            div {
                table {
                    tr { th { (pick("覆盖率", "Rate")) } td.n { b { (per_cent(&all)) } } }
                    @for w in &rule.wanted {
                        tr {
                            th { (if w.above { "> " } else { "≥ " }) (w.rate) " %" }
                            td {
                                @match all.rate() {
                                    Some(rate) if w.met(rate) => b { (pick("达标", "Met")) },
                                    Some(rate) => b { (pick("未达标，差 ", "Not met, short by ")) (format!("{:.2}", w.rate - rate * 100.0)) },
                                    None => "–",
                                }
                                " " span.small { (cited(&w.source, lang)) }
                            }
                        }
                    }
                    tr { th { (pick("分母", "Denominator")) } td { (question.denominator.title(lang)) " " (hectares(all.area)) " ha" } }
                    tr { th { (pick("盲区", "Blind")) } td { (hectares(all.blind)) " ha, " (spots.listed.len()) (pick(" 处", " places")) } }
                    tr { th { (pick("盲区人口", "People there")) } td { (people(all.blind_people)) } }
                    tr { th { (pick("计入设施", "Facilities")) } td { (found.sites.len()) " (" (states.join(", ")) ")" } }
                    @for (metres, from) in &radius {
                        tr { th { (pick("服务半径", "Radius")) } td { (metres) " " span.small { (from) } } }
                    }
                    tr { th { (pick("量算", "Measured")) } td.small { (pick("直线距离；", "straight line; ")) (found.land.ground.local.crs().key()) } }
                }
                @if let Some(note) = lang.pick(&rule.note_zh, &rule.note_en) { p.small { (note) } }
            }
            table {
                thead { tr { th { (pick("街道", "Street")) } th { (pick("覆盖率", "Rate")) } th { (pick("盲区（公顷）", "Blind (ha)")) } th { (pick("盲区人口", "People")) } } }
                tbody {
                    @for (key, name, f) in streets.iter().filter(|(.., f)| f.area > 0.0) {
                        tr {
                            td { (name.as_ref().or(key.as_ref()).map_or(pick("（未归入）", "(none)"), |s| s)) }
                            td.n { (per_cent(f)) } td.n { (hectares(f.blind)) } td.n { (people(f.blind_people)) }
                        }
                    }
                }
            }
        }
    }
}

/// Facilities that are drawn.
const MAX_SITES: usize = 5_000;
/// Units of the drawing from west to east.
const WIDTH: f64 = 1800.0;
const HEIGHT: f64 = 1200.0;

/// Where a place is drawn: the land fills the sheet.
struct Sheet {
    west: f64,
    north: f64,
    per_unit: f64,
    off: (f64, f64),
}

impl Sheet {
    fn of(w: Window) -> Sheet {
        let (wide, high) = (f64::from(w[2]) - f64::from(w[0]), f64::from(w[3]) - f64::from(w[1]));
        let per_unit = (wide / (WIDTH - 40.0)).max(high / (HEIGHT - 40.0)).max(1.0);
        Sheet {
            west: f64::from(w[0]),
            north: f64::from(w[3]),
            per_unit,
            off: ((WIDTH - wide / per_unit) / 2.0, (HEIGHT - high / per_unit) / 2.0),
        }
    }

    fn at(&self, p: Dot) -> (f64, f64) {
        (
            (f64::from(p.x) - self.west) / self.per_unit + self.off.0,
            (self.north - f64::from(p.y)) / self.per_unit + self.off.1,
        )
    }

    /// Rings as the path of a drawing, without places that it does not show apart.
    fn path(&self, rings: &[Ring], out: &mut String) {
        for ring in rings {
            let mut last = (i32::MIN, i32::MIN);
            let mut count = 0;
            for p in ring {
                let (x, y) = self.at(*p);
                let here = ((x * 2.0).round() as i32, (y * 2.0).round() as i32);
                if here != last {
                    let word = if count == 0 { 'M' } else { 'L' };
                    // Writing to a string does not fail.
                    let _ = write!(out, "{word}{} {}", f64::from(here.0) / 2.0, f64::from(here.1) / 2.0);
                    (last, count) = (here, count + 1);
                }
            }
            if count > 0 {
                out.push('Z');
            }
        }
    }
}

fn drawing(found: &Outcome, memory: &Memory) -> Markup {
    let ground = &found.land.ground;
    let Some(window) = ground.window() else {
        return html! {};
    };
    let sheet = Sheet::of(window);
    let (mut land, mut blind) = (String::new(), String::new());
    for (piece, left) in ground.pieces.iter().zip(&found.blind) {
        sheet.path(&piece.rings, &mut land);
        sheet.path(left.rings(piece), &mut blind);
    }
    let mut borders = String::new();
    for area in memory
        .areas
        .iter()
        .filter(|a| a.shown && a.what.level == AreaLevel::Street)
    {
        let shape = crate::coverage::land::polygons(area.geometry.unpack());
        let rings = shape.iter().filter_map(|p| ground.local.ring(p.exterior()).ok());
        sheet.path(&rings.collect::<Vec<_>>(), &mut borders);
    }
    let mut sites: Vec<_> = found.sites.iter().map(|s| (s.id, sheet.at(s.middle()))).collect();
    let shown = |(x, y): (f64, f64)| (0.0..=WIDTH).contains(&x) && (0.0..=HEIGHT).contains(&y);
    sites.retain(|(_, at)| shown(*at));
    // Those of a scenario first, so that they are among those drawn.
    sites.sort_unstable_by_key(|(id, _)| (*id < PLANNED, *id));
    sites.truncate(MAX_SITES);
    // A bar of a round length, of a tenth to a quarter of the sheet.
    let metre = PER_METRE / sheet.per_unit;
    let bar = [
        50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0, 20_000.0, 50_000.0,
    ];
    let bar = bar.into_iter().rfind(|m| m * metre <= WIDTH / 4.0).unwrap_or(20.0);
    let said = if bar >= 1000.0 {
        format!("{} km", bar / 1000.0)
    } else {
        format!("{bar} m")
    };
    html! {
        svg.map viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) xmlns="http://www.w3.org/2000/svg" {
            path d=(land) fill="#7fb2e5" fill-opacity="0.6" fill-rule="evenodd" {}
            path d=(blind) fill="#d63b3b" fill-opacity="0.8" fill-rule="evenodd" {}
            path d=(borders) fill="none" stroke="#555" stroke-width="2" stroke-dasharray="10 6" {}
            @for (id, (x, y)) in &sites {
                @if *id >= PLANNED {
                    path d=(format!("M{x:.1} {:.1}l11 11 -11 11 -11 -11z", y - 11.0)) fill="#ff8f00" stroke="#fff" stroke-width="2" {}
                } @else {
                    circle cx=(format!("{x:.1}")) cy=(format!("{y:.1}")) r="5" fill="#125c3a" stroke="#fff" {}
                }
            }
            path d=(format!("M40 {} v12 h{:.1} v-12", HEIGHT - 42.0, bar * metre)) fill="none" stroke="#111" stroke-width="4" {}
            text x=(format!("{:.1}", 40.0 + bar * metre / 2.0)) y=(HEIGHT - 46.0) font-size="30" text-anchor="middle" { (said) }
            path d=(format!("M{} 30 l-16 44 16 -10 16 10z", WIDTH - 50.0)) fill="#111" {}
            text x=(WIDTH - 50.0) y="106" font-size="30" text-anchor="middle" { "N" }
        }
    }
}
