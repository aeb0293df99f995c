//! `/siting/{rule}`: where to build next, so that the most land or people are served, or a rate is reached with the fewest sites.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};

use super::Shared;
use super::coverage::{asked, figures, memory, outcome, round};
use super::extract::{Ask, Params};
use super::features::{self, Column, Features, Shape};
use super::reader::Reader;
use super::work::Progress;
use crate::coverage::figures::of;
use crate::coverage::{Outcome, Question, stopped};
use crate::domain::text::{Lang, Text};
use crate::error::{Error, Result};
use crate::exchange::write::Kind;
use crate::index::Memory;
use crate::siting::parcels::{Along, Parcels};
use crate::siting::place::{On, Siting, Wanted, Weight};
use crate::siting::{Plan, greedy, optimum};
use crate::spatial::cover::Watch;
use crate::spatial::local::Local;
use crate::spatial::position::LonLat;
use crate::spatial::site::Site;
use crate::text;

/// The routes of siting.
pub(super) fn router() -> Router<Shared> {
    Router::new().route("/siting/{rule}", get(show))
}

/// Sites in one plan.
const MAX_SITES: u64 = 500;
/// Places given one by one.
const MAX_POINTS: usize = 1000;
/// The longest search for the optimum, in seconds.
const MAX_SECONDS: u64 = 20;

/// What is asked besides what every question of coverage takes.
struct Wish {
    on: On,
    weight: Weight,
    wanted: Wanted,
    limit: Duration,
}

fn wish(params: &mut Params) -> Option<Wish> {
    let mut parcels = Parcels {
        kinds: params.list("on"),
        codes: params.list("on-code"),
        within: params.metres("along-within", 500.0).unwrap_or(30.0),
        ..Parcels::default()
    };
    parcels.along = params.each("along", |s| match s {
        "roads" => Ok(Along::Roads),
        "water" => Ok(Along::Water),
        _ => Err(text!("“{s}”应为 roads 或 water", "\"{s}\" should be roads or water")),
    });
    parcels.wider = params.read("wider", |s| {
        let metres = s.parse::<f64>().ok().filter(|m| (1.0..=1000.0).contains(m));
        metres.ok_or_else(|| text!("“{s}”应为1至1000米", "\"{s}\" should be 1 to 1000 metres"))
    });
    parcels.step = params.read("step", |s| {
        let metres = s.parse::<f64>().ok().filter(|m| (20.0..=5000.0).contains(m));
        metres.ok_or_else(|| text!("“{s}”应为20至5000米", "\"{s}\" should be 20 to 5000 metres"))
    });
    let points = params.read("points", |s| {
        let points = s.split(';').map(LonLat::parse).collect::<Result<Vec<LonLat>, Text>>()?;
        match points.len() {
            n if n > MAX_POINTS => Err(text!(
                "候选点至多 {MAX_POINTS} 个",
                "there can be {MAX_POINTS} points at most"
            )),
            _ => Ok(points),
        }
    });
    let weight = params.read("weight", |s| match s {
        "area" => Ok(Weight::Area),
        "people" => Ok(Weight::People),
        _ => Err(text!("“{s}”应为 area 或 people", "\"{s}\" should be area or people")),
    });
    let sites = params.number("sites", 1, MAX_SITES);
    let rate = params.read("rate", |s| {
        let rate = s.parse::<f64>().ok().filter(|r| (0.0..=1.0).contains(r));
        rate.ok_or_else(|| text!("“{s}”应为0至1，如 0.85", "\"{s}\" should be 0 to 1, such as 0.85"))
    });
    let seconds = params.number("seconds", 0, MAX_SECONDS).unwrap_or(5);
    let wanted = match (sites, rate) {
        (Some(n), None) => Some(Wanted::Sites(n as usize)),
        (None, Some(rate)) => Some(Wanted::Rate(rate)),
        _ => {
            let detail = Text::new(
                "须给出 sites（建几处）或 rate（达到多少）之一",
                "either sites (how many) or rate (how far) is needed",
            );
            params.fault("sites", detail);
            None
        }
    };
    let on = match (parcels.kinds.is_empty() && parcels.codes.is_empty(), points) {
        (false, None) => Some(On::Land(parcels)),
        (true, Some(points)) => Some(On::Points(points)),
        _ => {
            let detail = Text::new(
                "须给出 on=用地类别（如 commercial,other）、on-code=用地代码，或 points=经度,纬度;经度,纬度 之一",
                "either on=kinds of land, such as commercial,other, on-code=land-use codes, or points=lon,lat;lon,lat is needed",
            );
            params.fault("on", detail);
            None
        }
    };
    Some(Wish {
        on: on?,
        weight: weight.unwrap_or(Weight::Area),
        wanted: wanted?,
        limit: Duration::from_secs(seconds),
    })
}

async fn show(
    State(app): State<Shared>,
    ask: Ask,
    reader: Reader,
    mut params: Params,
    Path(name): Path<String>,
) -> Result<Response> {
    let file = features::Wish::read(&mut params);
    let make = prepare(&app, &ask, &reader, params, &name).await?;
    features::answer(&app, &reader, &ask, file, make).await
}

/// Reads a question, and says what is to be done to answer it.
pub(super) async fn prepare(
    app: &Shared,
    ask: &Ask,
    reader: &Reader,
    mut params: Params,
    name: &str,
) -> Result<impl FnOnce(&Progress) -> Result<Features> + Send + use<>> {
    let asked = asked(app, reader, &mut params, name).await?;
    let wish = wish(&mut params);
    params.finish()?;
    let (memory, then) = memory(app, asked.past).await?;
    let (shared, lang) = (app.clone(), ask.lang);
    Ok(move |progress: &Progress| {
        // Without one there was a fault, which is told before this.
        let wish = wish.ok_or_else(|| Error::internal("a wish that is neither read nor refused"))?;
        let found = outcome(&shared, &memory, then, &asked.question, &progress.step(0, 3))?;
        let siting = Siting::new(&memory, &found, &wish.on, wish.weight, &progress.step(0, 3))?;
        let goal = siting.goal(wish.wanted);
        progress.step(1, 3)(0.0);
        let quick = greedy(&siting.problem, goal).map_err(|short| siting.too_far(short))?;
        let best = optimum(&siting.problem, goal, wish.limit, progress.left(), &quick);
        let best = best.map_err(|short| siting.too_far(short))?;
        progress.step(2, 3)(0.0);
        sites_of(
            &found,
            &memory,
            (&siting, &wish),
            (&quick, &best),
            lang,
            &progress.step(2, 3),
        )
    })
}

/// How good a plan is.
fn said(plan: &Plan) -> Value {
    json!({
        "sites": plan.sites.len(), "adds": round(plan.weight, 1), "bound": round(plan.bound, 1), "gap": round(plan.gap, 6), "proven": plan.proven,
    })
}

const COLUMNS: [Column; 10] = [
    ("order", "建设顺序", "Order", Kind::Integer),
    ("adds_m2", "新增覆盖（平方米）", "Adds (m²)", Kind::Number),
    ("adds_people", "新增覆盖人口", "Adds people", Kind::Number),
    ("rate", "累计覆盖率", "Rate then", Kind::Number),
    ("radius_m", "服务半径（米）", "Radius (m)", Kind::Number),
    ("area_m2", "面积（平方米）", "Area (m²)", Kind::Number),
    ("parcel/id", "地块编号", "Parcel", Kind::Integer),
    ("parcel/kind", "用地类别", "Land", Kind::Text),
    ("parcel/code", "用地代码", "Land-use code", Kind::Code),
    ("parcel/name", "地块名称", "Parcel name", Kind::Text),
];

fn sites_of(
    found: &Outcome,
    memory: &Memory,
    (siting, wish): (&Siting, &Wish),
    (quick, best): (&Plan, &Plan),
    lang: Lang,
    watch: Watch<'_>,
) -> Result<Features> {
    let chosen = siting.sites(best);
    let question: &Question = &found.question;
    // The solver counts boxes; what is said of the rate is exact again.
    let mut built: Vec<Arc<Site>> = Vec::new();
    let before = of(found, &found.blind);
    let (mut last, mut rows) = (before, Vec::new());
    for (n, (candidate, step)) in chosen.iter().zip(&best.sites).enumerate() {
        if watch(n as f64 / chosen.len() as f64) {
            return Err(stopped());
        }
        built.push(candidate.site.clone());
        let now = of(found, &found.with(&built));
        let parcel = candidate.parcel.and_then(|id| memory.lands.what(id));
        let (local, site) = (&found.land.ground.local, &candidate.site);
        let properties = json!({
            "order": n + 1, "adds": round(step.adds, 1), "adds_m2": round(last.blind - now.blind, 1),
            "adds_people": round(last.blind_people - now.blind_people, 0), "rate": now.rate().map(|r| round(r, 6)),
            "radius_m": round(local.metres(site.radius, site.middle()), 1), "area_m2": round(site.size, 1),
            "parcel": parcel.map(|p| json!({"id": p.id, "kind": p.kind, "code": p.code, "name": p.name})),
        });
        rows.extend(shape(local, site).map(|shape| (properties, shape)));
        last = now;
    }
    let members = json!({
        "rule": question.rule.id, "title": question.rule.title(lang), "revision": found.revision(),
        "denominator": question.denominator.title(lang),
        "weight": match wish.weight { Weight::Area => "area", Weight::People => "people" },
        "candidates": siting.candidates.len(), "demand": siting.problem.weights().len(),
        "greedy": said(quick), "best": said(best), "before": figures(&before), "after": figures(&last),
    });
    Ok(Features {
        name: format!("{}-sites", question.rule.id),
        title: question.rule.title(lang).to_owned(),
        members: members.as_object().cloned().unwrap_or_default(),
        columns: &COLUMNS,
        rows,
        local: found.land.ground.local,
        foot: vec![
            (
                Text::new("分母", "Denominator"),
                question.denominator.title(lang).to_owned(),
            ),
            (Text::new("登记簿修订", "Revision"), found.revision().to_string()),
        ],
    })
}

/// A point in degrees, or the parcel that is built on.
fn shape(local: &Local, site: &Site) -> Option<Shape> {
    match &site.rings[..] {
        [only] if only.len() == 1 => {
            let (lon, lat) = local.back(only[0]).ok()?;
            Some(Shape::Degrees(geo::Point::new(round(lon, 8), round(lat, 8)).into()))
        }
        rings => Some(Shape::Rings(rings.to_vec())),
    }
}
