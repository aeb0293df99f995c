//! `/parties/{code}/confirmation`: what a party holds, to be checked and sealed (权属确认单).

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use maud::html;

use super::Shared;
use super::extract::{Ask, Params};
use super::item;
use super::print::{page, qr};
use super::reader::Reader;
use super::resource::find;
use crate::audit::Act;
use crate::calendar::today;
use crate::domain::text::Text;
use crate::domain::word::OwnershipStatus;
use crate::error::{Error, Result};
use crate::index::Memory;
use crate::query::list::{Order, list};
use crate::spatial::plane::Plane;
use crate::text;

/// The routes of confirmations.
pub(super) fn router() -> Router<Shared> {
    Router::new().route("/parties/{code}/confirmation", get(confirmation))
}

/// Components on one sheet.
const MAX_ROWS: usize = 50_000;

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
