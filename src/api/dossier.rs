//! `/components/{id}/file`: the whole file of one component, to be printed (一井一档案).

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use chrono::{DateTime, Duration, Utc};
use maud::{Markup, html};
use serde_json::Value;

use super::Shared;
use super::evidence::readable;
use super::extract::{Ask, Params};
use super::print::{drawn, page, qr};
use super::reader::Reader;
use super::resource::{find, no_component, visible};
use crate::audit::Act;
use crate::calendar::{HOURS_EAST, today};
use crate::domain::claim::holding::timeline;
use crate::domain::word::Role;
use crate::error::Result;
use crate::index::Memory;
use crate::query::feature::Names;
use crate::query::sketch::{Sketch, sketch};
use crate::spatial::plane::Plane;
use crate::store::claim::Page;
use crate::store::evidence::{Document, Documents};
use crate::store::page::{Detail, Version};

/// The routes of what is printed.
pub(super) fn router() -> Router<Shared> {
    Router::new().route("/components/{id}/file", get(dossier))
}

/// Versions and photos of one file.
const MAX_VERSIONS: i64 = 200;
const MAX_PHOTOS: usize = 12;
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
