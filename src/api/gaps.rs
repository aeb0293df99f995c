//! `/gaps/{layer}`: stretches of streets along which nothing of a layer stands.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use serde_json::{Map, Value, json};

use super::Shared;
use super::coverage::{memory, round};
use super::extract::{Ask, Params, filter};
use super::features::{self, Column, Features, Shape, Wish};
use super::past::moment;
use super::reader::Reader;
use super::resource::find;
use super::work::Progress;
use crate::domain::text::{Lang, Text};
use crate::domain::word::{RoadClass, State as Condition};
use crate::error::{Error, Result};
use crate::exchange::write::Kind;
use crate::query::gaps::{Gap, Streets, Wanted, gaps};
use crate::text;
use crate::tile::layer::Source;

/// The route of gaps.
pub(super) fn router() -> Router<Shared> {
    Router::new().route("/gaps/{layer}", get(show))
}

/// Gaps in an answer.
const MAX_GAPS: u64 = 10_000;
/// The longest that a gap can be asked to be.
const MAX_LENGTH: f64 = 10_000.0;

const COLUMNS: [Column; 5] = [
    ("length_m", "长度（米）", "Length (m)", Kind::Number),
    ("road/name", "道路", "Road", Kind::Text),
    ("road/class", "道路等级", "Road class", Kind::Text),
    ("before", "起点部件编号", "From component", Kind::Integer),
    ("after", "终点部件编号", "To component", Kind::Integer),
];

async fn show(
    State(app): State<Shared>,
    ask: Ask,
    reader: Reader,
    mut params: Params,
    Path(name): Path<String>,
) -> Result<Response> {
    let wish = Wish::read(&mut params);
    let layer = find(&name, &reader)?;
    if layer.source != Source::Component {
        return Err(Error::NotFound(text!(
            "图层 {name} 不含部件",
            "the layer {name} holds no components"
        )));
    }
    find("roads", &reader)?;
    let longer = params.read("longer", |s| {
        let metres = s.parse::<f64>().ok().filter(|m| (1.0..=MAX_LENGTH).contains(m));
        metres.ok_or_else(|| {
            text!(
                "“{s}”应为1至{MAX_LENGTH}米",
                "\"{s}\" should be 1 to {MAX_LENGTH} metres"
            )
        })
    });
    let wanted = Wanted {
        states: params.each("state", Condition::parse),
        classes: params.each("road-class", RoadClass::parse),
        longer: longer.unwrap_or(MAX_LENGTH),
    };
    let own = filter(&mut params, &[&layer]);
    let past = params.read("datetime", moment);
    let limit = params.number("limit", 1, MAX_GAPS).unwrap_or(1000) as usize;
    if longer.is_none() {
        let detail = Text::new("须给出米数，如 60", "a number of metres is needed, such as 60");
        params.fault("longer", detail);
    }
    params.finish()?;
    let (memory, _) = memory(&app, past).await?;
    let rights = app.matchers.restricted(&memory).rights(reader.rights(), layer.bit);
    reader.reads_layer(&app, &layer, "gaps");
    let (shared, lang, base) = (app.clone(), ask.lang, ask.base.clone());
    let make = move |_: &Progress| {
        let matcher = shared.matchers.of(&memory, &layer, own.as_ref(), &rights);
        let found = gaps(&memory, &matcher, &wanted)?;
        let local = found.local.ok_or_else(|| {
            Error::NotFound(Text::new(
                "登记簿中没有道路；请先导入道路",
                "the register has no roads; import them first",
            ))
        })?;
        let by_class = found.by_class.iter().map(|(class, s)| {
            let mut out = Map::from_iter([
                ("key".to_owned(), json!(class.key())),
                ("name".to_owned(), json!(class.name(lang))),
            ]);
            out.extend(said(s));
            Value::Object(out)
        });
        let mut members = said(&found.total());
        members.insert("layer".to_owned(), json!(layer.id));
        members.insert("longer_m".to_owned(), json!(wanted.longer));
        members.insert("numberMatched".to_owned(), json!(found.gaps.len()));
        members.insert("astray".to_owned(), json!(found.astray));
        members.insert("groups".to_owned(), by_class.collect());
        let row = |gap: Gap| {
            let road = memory.roads.what(gap.road);
            let road = road.map(|r| json!({"id": r.id, "name": r.name, "class": r.class.key()}));
            let href = |id: Option<u64>| id.map(|id| format!("{base}/components/{id}"));
            let links = json!({"before": href(gap.before), "after": href(gap.after)});
            let properties = json!({"length_m": round(gap.length, 1), "road": road, "before": gap.before, "after": gap.after, "href": links});
            (properties, Shape::Degrees(gap.line.into()))
        };
        Ok(Features {
            name: format!("{}-gaps", layer.id),
            title: title(layer.title(lang), wanted.longer, lang),
            members,
            columns: &COLUMNS,
            rows: found.gaps.into_iter().take(limit).map(row).collect(),
            local,
            foot: Vec::new(),
        })
    };
    features::answer(&app, &reader, &ask, wish, make).await
}

fn title(layer: &str, longer: f64, lang: Lang) -> String {
    lang.pick(
        format!("{layer}：间距超过 {longer} 米的路段"),
        format!("{layer}: stretches longer than {longer} m without one"),
    )
}

fn said(s: &Streets) -> Map<String, Value> {
    let share = (s.length > 0.0).then(|| round(1.0 - s.in_gaps / s.length, 6));
    let out = [
        ("streets_m", json!(round(s.length, 1))),
        ("gaps", json!(s.gaps)),
        ("in_gaps_m", json!(round(s.in_gaps, 1))),
        ("served_share", json!(share)),
    ];
    out.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
}
