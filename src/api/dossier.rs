//! What is printed: `/components/{id}/file`, the whole file of one component (一井一档案), and `/parties/{code}/confirmation`, what a
//! party holds, to be sealed (权属确认单). HTML that needs nothing else.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chrono::{DateTime, Duration, Utc};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use qrcode::QrCode;
use qrcode::render::svg;
use serde_json::Value;

use super::Shared;
use super::evidence::readable;
use super::extract::{Ask, Params};
use super::item;
use super::reader::Reader;
use super::resource::{find, no_component, visible};
use crate::audit::Act;
use crate::calendar::{HOURS_EAST, today};
use crate::domain::claim::holding::timeline;
use crate::domain::text::{Lang, Text};
use crate::domain::word::{OwnershipStatus, Role};
use crate::error::{Error, Result};
use crate::index::Memory;
use crate::query::feature::Names;
use crate::query::list::{Order, list};
use crate::query::sketch::{REACH, Sketch, sketch};
use crate::spatial::plane::Plane;
use crate::store::claim::Page;
use crate::store::evidence::{Document, Documents};
use crate::store::page::{Detail, Version};
use crate::text;

/// The routes of what is printed.
pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/components/{id}/file", get(dossier))
        .route("/parties/{code}/confirmation", get(confirmation))
}

/// Versions and photos of one file.
const MAX_VERSIONS: i64 = 200;
const MAX_PHOTOS: usize = 12;
/// Components on one sheet.
const MAX_ROWS: usize = 50_000;

const STYLE: &str = "
@page { size: A4; margin: 18mm 16mm }
* { box-sizing: border-box }
body { font: 10.5pt/1.5 'Noto Serif CJK SC', 'Source Han Serif SC', SimSun, Georgia, serif; color: #111; margin: 0 auto; max-width: 178mm; padding: 8mm 4mm }
h1 { font-size: 18pt; text-align: center; margin: 0 0 4mm; letter-spacing: .1em }
h2 { font-size: 12pt; margin: 6mm 0 2mm; border-bottom: 1px solid #111; break-after: avoid }
table { border-collapse: collapse; width: 100% }
th, td { border: 1px solid #666; padding: 1mm 2mm; text-align: left; vertical-align: top; overflow-wrap: anywhere }
th { background: #f0f0f0; font-weight: 600; white-space: nowrap }
thead { display: table-header-group }
tr { break-inside: avoid }
.head { display: flex; gap: 6mm; align-items: flex-start }
.head table { flex: 1 }
.qr { width: 32mm; text-align: center; font-size: 8pt }
.qr svg, .qr img { width: 32mm; height: 32mm; display: block }
.sketch { width: 80mm; height: 80mm; border: 1px solid #666; display: block }
.photos { display: grid; grid-template-columns: 1fr 1fr; gap: 4mm }
.photos figure { margin: 0; break-inside: avoid }
.photos img { width: 100%; max-height: 80mm; object-fit: contain; border: 1px solid #ccc }
figcaption, .small { font-size: 8.5pt; color: #444 }
.seal { display: grid; grid-template-columns: 1fr 1fr; gap: 8mm; margin-top: 8mm; break-inside: avoid }
.seal div { border: 1px solid #666; height: 52mm; padding: 3mm; position: relative }
.seal p { position: absolute; bottom: 2mm; left: 3mm; right: 3mm; margin: 0 }
@media (max-width: 600px) { .head { flex-direction: column } body { padding: 4mm } table { font-size: 9pt } }
@media print { body { max-width: none; padding: 0 } }
";

fn page(lang: Lang, title: &str, body: &Markup) -> Response {
    let whole = html! {
        (DOCTYPE)
        html lang=(lang.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    };
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "private, no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; frame-ancestors 'self'",
        ),
        (header::VARY, super::extract::LINKED),
    ];
    (headers, whole.into_string()).into_response()
}

/// An address as a QR code.
fn qr(address: &str) -> Markup {
    let made = QrCode::new(address.as_bytes()).map(|code| {
        code.render::<svg::Color<'_>>()
            .quiet_zone(false)
            .build()
            .replace("<?xml version=\"1.0\" standalone=\"yes\"?>", "")
    });
    html! { @if let Ok(svg) = made { (PreEscaped(svg)) } }
}

fn drawn(sketch: &Sketch) -> Markup {
    let path = |spots: &[(f64, f64)]| {
        let points: Vec<String> = spots.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        points.join(" ")
    };
    let view = format!("{} {} {} {}", -REACH, -REACH, 2.0 * REACH, 2.0 * REACH);
    html! {
        svg.sketch viewBox=(view) xmlns="http://www.w3.org/2000/svg" {
            @for (a, b) in &sketch.roads {
                line x1=(format!("{:.1}", a.0)) y1=(format!("{:.1}", a.1)) x2=(format!("{:.1}", b.0)) y2=(format!("{:.1}", b.1))
                    stroke="#bbb" stroke-width="5" stroke-linecap="round" {}
            }
            @for (x, y) in &sketch.others { circle cx=(format!("{x:.1}")) cy=(format!("{y:.1}")) r="1" fill="#888" {} }
            @for (at, name) in &sketch.names {
                text x=(format!("{:.1}", at.0)) y=(format!("{:.1}", at.1)) font-size="4.5" text-anchor="middle" fill="#333" { (name) }
            }
            @for outline in &sketch.outline { polyline points=(path(outline)) fill="none" stroke="#c00" stroke-width="1" {} }
            circle cx="0" cy="0" r="2" fill="#c00" {}
            circle cx="0" cy="0" r="4" fill="none" stroke="#c00" stroke-width="0.6" {}
            path d=(format!("M{0} {1} l-3 8 3 -2 3 2z", REACH - 8.0, 6.0 - REACH)) fill="#333" {}
            line x1=(4.0 - REACH) y1=(REACH - 4.0) x2=(24.0 - REACH) y2=(REACH - 4.0) stroke="#333" stroke-width="1" {}
            text x=(14.0 - REACH) y=(REACH - 6.0) font-size="4" text-anchor="middle" fill="#333" { "20 m" }
        }
    }
}

/// A moment as the city's clocks show it.
fn at_home(moment: DateTime<Utc>) -> String {
    (moment + Duration::hours(HOURS_EAST))
        .format("%Y-%m-%d %H:%M")
        .to_string()
}

/// A value as people read it.
fn said(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(s)) => s.clone(),
        Some(other) => other.to_string(),
    }
}

/// Everything that a file of one component is made of.
struct File<'a> {
    ask: &'a Ask,
    memory: &'a Memory,
    detail: &'a Detail,
    books: &'a [(Role, Page, Documents)],
    versions: &'a [Version],
    photos: &'a [Document],
    sketch: Option<Sketch>,
}

async fn dossier(
    State(app): State<Shared>,
    ask: Ask,
    reader: Reader,
    params: Params,
    Path(text): Path<String>,
) -> Result<Response> {
    params.finish()?;
    let id: i64 = text.parse().map_err(|_| no_component(&text))?;
    let detail = app
        .store
        .details(&[id])
        .await?
        .pop()
        .ok_or_else(|| no_component(&text))?;
    if !visible(&app.index.read(), detail.class, reader.rights()) {
        return Err(no_component(&text));
    }
    let mut versions = app.store.versions(id, MAX_VERSIONS).await?;
    let mut books = Vec::new();
    for role in Role::ALL.iter().copied() {
        let page = app.store.book(id, role).await?.ok_or_else(|| no_component(&text))?;
        books.push((role, page, app.store.documents(id, role).await?));
    }
    let mut photos: Vec<Document> = Vec::new();
    for document in books.iter().flat_map(|(_, _, all)| all.values().flatten()) {
        let shown = document.media.as_deref().is_some_and(|m| m.starts_with("image/"));
        if !shown || photos.len() >= MAX_PHOTOS || photos.iter().any(|p| p.id == document.id) {
            continue;
        }
        let found = app.store.document(document.id).await?;
        let memory = app.index.read();
        let grant = reader.grant();
        photos.extend(
            found.and_then(|(d, classes)| grant.is_some_and(|g| readable(&memory, g, &d, &classes)).then_some(d)),
        );
    }
    reader.reads_component(&app, detail.class, id);
    app.audit.note(
        Act::Export,
        reader.name(),
        &reader.peer(),
        &format!("file of component {id}"),
    );
    let layer = find("components", &reader)?;
    let (shared, rights) = (app.clone(), reader.rights().clone());
    let make = move || {
        let memory = shared.index.read();
        let matcher = shared.matchers.of(&memory, &layer, None, &rights);
        versions.retain(|v| visible(&memory, v.detail.class, &rights));
        let file = File {
            ask: &ask,
            memory: &memory,
            detail: &detail,
            books: &books,
            versions: &versions,
            photos: &photos,
            sketch: sketch(&memory, &matcher, id.unsigned_abs()),
        };
        file.page()
    };
    app.work.run(make).await
}

impl File<'_> {
    fn pick(&self, zh: &'static str, en: &'static str) -> &'static str {
        self.ask.lang.pick(zh, en)
    }

    fn page(&self) -> Response {
        let lang = self.ask.lang;
        let names = Names {
            memory: self.memory,
            lang,
            plane: Plane::default(),
        };
        let p = names.properties(self.detail);
        let of = |name: &str| said(p.get(name));
        let id = self.detail.id;
        let code = self.detail.code.clone().unwrap_or_else(|| format!("#{id}"));
        let title = format!("{} {code}", self.pick("部件档案", "Component file"));
        let rows: Vec<(&str, String)> = vec![
            (self.pick("标识码", "Code"), code),
            (
                self.pick("小类", "Class"),
                format!("{} {}", of("class"), of("class_name")),
            ),
            (self.pick("名称", "Name"), of("name")),
            (self.pick("状态", "State"), of("state_name")),
            (self.pick("确权状态", "Ownership"), of("ownership_status_name")),
            (self.pick("产权性质", "Property"), of("property_kind_name")),
            (self.pick("管理方式", "Management"), of("management_kind_name")),
            (self.pick("单元网格", "Unit cell"), of("cell")),
            (self.pick("道路", "Road"), of("road")),
            (self.pick("地址", "Address"), of("address")),
            (self.pick("普查日期", "Surveyed on"), of("surveyed_on")),
            (self.pick("精度等级", "Accuracy"), of("accuracy")),
            (self.pick("数据来源", "Source"), of("source")),
            (self.pick("备注", "Note"), of("note")),
        ];
        let at = self.memory.components.get(id.unsigned_abs());
        let at = at.map_or(String::new(), |f| format!("{:.7}, {:.7}", f.lon, f.lat));
        let read = names.attributes_read(self.detail);
        let attributes = read.as_array().map_or(&[][..], Vec::as_slice);
        let history = names.history(self.versions);
        let body = html! {
            h1 { (self.pick("部件档案", "Component file")) }
            div.head {
                table {
                    tbody {
                        @for (label, value) in rows.iter().filter(|(_, v)| !v.trim().is_empty()) { tr { th { (label) } td { (value) } } }
                        tr { th { (self.pick("经纬度", "Lon, lat")) } td { (at) } }
                        @for a in attributes { tr { th { (said(a.get("label"))) } td { (said(a.get("value"))) " " (said(a.get("unit"))) } } }
                    }
                }
                div.qr { (qr(&format!("{}/#id={id}", self.ask.base))) (self.pick("扫码查看", "Scan to see it on the map")) }
            }
            @if let Some(sketch) = &self.sketch { h2 { (self.pick("位置略图", "Sketch map")) } (drawn(sketch)) }
            h2 { (self.pick("责任单位", "Responsible parties")) }
            (self.parties())
            @if !self.photos.is_empty() { h2 { (self.pick("照片", "Photos")) } (self.pictures()) }
            h2 { (self.pick("确权材料", "Evidence")) }
            (self.evidence())
            h2 { (self.pick("变更历史", "History")) }
            (self.history(&history))
            p.small { (self.pick("印制日期", "Printed on")) " " (today()) " · " (self.pick("版本", "version")) " " (self.detail.version) }
        };
        page(lang, &title, &body)
    }

    fn named(&self, ids: &[i32]) -> String {
        let name = |id: &i32| self.memory.parties.get(id).map_or(String::new(), |p| p.name.clone());
        ids.iter().map(name).collect::<Vec<_>>().join("、")
    }

    fn parties(&self) -> Markup {
        let lang = self.ask.lang;
        html! {
            table {
                thead { tr {
                    th { (self.pick("责任", "Role")) } th { (self.pick("单位", "Party")) } th { (self.pick("状态", "Status")) }
                    th { (self.pick("自", "From")) } th { (self.pick("至", "To")) } th { (self.pick("主张", "Claim")) }
                } }
                tbody {
                    @for (role, book, _) in self.books {
                        @let days = timeline(&book.book.decisions, i64::MAX);
                        @let status = book.book.state.status().name(lang);
                        @if days.is_empty() {
                            tr { th { (role.name(lang)) } td { (self.named(&book.party.into_iter().collect::<Vec<_>>())) } td { (status) } td {} td {} td {} }
                        }
                        @for s in &days {
                            tr {
                                th { (role.name(lang)) } td { (self.named(&s.decision.parties)) } td { (status) }
                                td { (s.from) } td { @if let Some(to) = s.to { (to) } } td { (s.decision.no) }
                            }
                        }
                    }
                }
            }
        }
    }

    fn pictures(&self) -> Markup {
        html! {
            div.photos {
                @for photo in self.photos {
                    figure {
                        img src=(format!("{}/evidence/{}/file", self.ask.base, photo.id)) alt=(photo.kind);
                        figcaption { (photo.kind) " " (photo.number.as_deref().unwrap_or_default()) " " @if let Some(day) = photo.dated { (day) } }
                    }
                }
            }
        }
    }

    fn evidence(&self) -> Markup {
        let mut all: Vec<(&Document, Role, i64)> = Vec::new();
        for (role, _, documents) in self.books {
            for (claim, own) in documents {
                all.extend(own.iter().map(|d| (d, *role, *claim)));
            }
        }
        all.sort_by_key(|(d, _, claim)| (d.id, *claim));
        html! {
            table {
                thead { tr {
                    th { (self.pick("材料", "Document")) } th { (self.pick("文号", "Number")) } th { (self.pick("出具单位", "Issuer")) }
                    th { (self.pick("日期", "Date")) } th { (self.pick("所支持的主张", "Backs")) }
                } }
                tbody {
                    @if all.is_empty() { tr { td colspan="5" { (self.pick("无", "None")) } } }
                    @for (d, role, claim) in &all {
                        tr {
                            td { (d.kind) } td { (d.number.as_deref().unwrap_or_default()) } td { (d.issuer.as_deref().unwrap_or_default()) }
                            td { @if let Some(day) = d.dated { (day) } } td { (role.name(self.ask.lang)) " " (claim) }
                        }
                    }
                }
            }
        }
    }

    fn history(&self, versions: &[Value]) -> Markup {
        html! {
            table {
                thead { tr {
                    th { (self.pick("版本", "Version")) } th { (self.pick("时间", "When")) } th { (self.pick("何人", "Who")) }
                    th { (self.pick("变更", "What")) } th { (self.pick("事由", "Why")) }
                } }
                tbody {
                    @for (v, own) in versions.iter().zip(self.versions) {
                        tr {
                            td { (own.detail.version) } td { @if let Some(at) = own.recorded { (at_home(at)) } }
                            td { (said(v.get("by"))) }
                            td {
                                @for d in v.get("diff").and_then(Value::as_array).into_iter().flatten() {
                                    @if d.get("field").and_then(Value::as_str) == Some("geometry") { (self.pick("位置", "Position")) }
                                    @else { (said(d.get("label"))) "：" (said(d.get("old"))) " → " (said(d.get("new"))) }
                                    br;
                                }
                            }
                            td { (said(v.get("reason"))) }
                        }
                    }
                }
            }
        }
    }
}

async fn confirmation(
    State(app): State<Shared>,
    ask: Ask,
    reader: Reader,
    mut params: Params,
    Path(code): Path<String>,
    uri: axum::http::Uri,
) -> Result<Response> {
    let layer = params.text("layer").unwrap_or_else(|| "components".to_owned());
    let layer = find(&layer, &reader)?;
    if params.text("owner").is_some() {
        params.fault("owner", Text::new("地址中已有单位", "the party stands in the address"));
    }
    let mut filter = item::filter(&mut params, Plane::default(), &layer, &reader);
    params.finish()?;
    let none = || Error::NotFound(text!("没有单位 {code}", "there is no party {code}"));
    let party = {
        let memory = app.index.read();
        let found = memory.parties.values().find(|p| p.code == code || p.name == code);
        found.cloned().ok_or_else(none)?
    };
    filter.owner = vec![party.code.clone()];
    reader.reads_layer(&app, &layer, "confirmation");
    let what = format!("confirmation of {}", party.code);
    app.audit.note(Act::Export, reader.name(), &reader.peer(), &what);
    let shared = app.clone();
    let order = Order {
        limit: MAX_ROWS + 1,
        ..Order::default()
    };
    let make = move || {
        let memory = shared.index.read();
        let page = list(&memory, &shared.matchers, &layer, &filter, &order)?;
        if page.ids.len() > MAX_ROWS {
            let n = page.matched;
            let detail = text!(
                "共 {n} 个部件，一份至多 {MAX_ROWS} 个；请以 class、within-area、road 等分份",
                "{n} components, and at most {MAX_ROWS} on one sheet; divide them by class, within-area, road …"
            );
            return Err(Error::syntax("layer", detail));
        }
        Ok(sheet(
            &memory,
            &ask,
            &party.name,
            &party.code,
            &page.ids,
            &uri.to_string(),
        ))
    };
    app.work.run(make).await?
}

/// 权属确认单.
fn sheet(memory: &Memory, ask: &Ask, name: &str, code: &str, ids: &[i64], path: &str) -> Response {
    let lang = ask.lang;
    let pick = |zh: &'static str, en: &'static str| lang.pick(zh, en);
    let number = format!("{code}-{}", today().format("%Y%m%d"));
    let found: Vec<_> = ids
        .iter()
        .filter_map(|id| memory.components.get(id.unsigned_abs()))
        .collect();
    let confirmed = found
        .iter()
        .filter(|f| f.ownership() == OwnershipStatus::Confirmed)
        .count();
    let title = format!("{} {name}", pick("权属确认单", "Confirmation of ownership"));
    let body = html! {
        h1 { (pick("权属确认单", "Confirmation of ownership")) }
        div.head {
            table { tbody {
                tr { th { (pick("权属单位", "Owner")) } td { (name) } }
                tr { th { (pick("单位代码", "Code")) } td { (code) } }
                tr { th { (pick("编号", "Number")) } td { (number) } }
                tr { th { (pick("部件数", "Components")) } td { (found.len()) } }
                tr { th { (pick("其中已确权", "Confirmed of these")) } td { (confirmed) } }
                tr { th { (pick("截至", "As of")) } td { (today()) } }
            } }
            div.qr { (qr(&format!("{}{path}", ask.base))) (number) }
        }
        p { (pick(
            "下列部件经本单位核对，权属属实，自盖章之日起按规定承担管理与养护责任。有异议的，请在相应行注明。",
            "The party has checked the components listed below and confirms that it owns them. What it does not is noted in the row."
        )) }
        table {
            thead { tr {
                th { (pick("序号", "No.")) } th { (pick("标识码", "Code")) } th { (pick("小类", "Class")) } th { (pick("道路", "Road")) }
                th { (pick("单元网格", "Cell")) } th { (pick("经度, 纬度", "Lon, lat")) } th { (pick("确权状态", "Ownership")) } th { (pick("异议", "Objection")) }
            } }
            tbody {
                @for (i, f) in found.iter().enumerate() {
                    tr {
                        td { (i + 1) }
                        td { @match f.code() { Some(code) => { (code) } None => { "#" (f.id) } } }
                        td { @if let Some(class) = memory.classes.get(&i32::from(f.class)) { (class.name(lang)) } }
                        td { @if let Some(road) = i32::try_from(f.road).ok().and_then(|r| memory.roads.what(r)) { (road.name.as_deref().unwrap_or_default()) } }
                        td { @if let Some(cell) = i32::try_from(f.cell).ok().and_then(|c| memory.cells.what(c)) { (cell.code) } }
                        td { (format!("{:.6}, {:.6}", f.lon, f.lat)) }
                        td { (f.ownership().name(lang)) }
                        td {}
                    }
                }
            }
        }
        div.seal {
            div { (pick("权属单位（盖章）", "Owner (seal)")) p { (pick("经办人：　　　　　　　日期：", "Signed by:                     Date:")) } }
            div { (pick("主管部门（盖章）", "Authority (seal)")) p { (pick("经办人：　　　　　　　日期：", "Signed by:                     Date:")) } }
        }
        p.small { (pick("盖章后的扫描件以本单编号为文号，作为确权材料交回（POST /evidence）。", "Handed in sealed, its scan is evidence under the number above (POST /evidence).")) }
    };
    page(lang, &title, &body)
}
