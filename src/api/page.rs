//! `/`: the map page for people, the landing page for programs.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rust_embed::{EmbeddedFile, RustEmbed};
use serde_json::json;

use super::Shared;
use super::extract::Ask;
use super::resource::matches_etag;
use crate::domain::text::Text;
use crate::error::{Error, Result};

#[derive(RustEmbed)]
#[folder = "web/dist/"]
#[allow_missing = true]
struct Dist;

/// The routes of the page.
pub fn router() -> Router<Shared> {
    Router::new().route("/", get(home)).route("/assets/{*path}", get(asset))
}

const UNBUILT: &str = "<!doctype html><meta charset=utf-8><title>Lamppost</title>
<p>地图页面尚未构建:请在 <code>web/</code> 中运行 <code>npm ci && npm run build</code>,再重新编译。
<p>The map page has not been built: run <code>npm ci && npm run build</code> in <code>web/</code>, then build Lamppost again.";

async fn home(State(app): State<Shared>, ask: Ask, headers: HeaderMap) -> Response {
    let accepts = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or("");
    if accepts.contains("text/html") {
        let vary = [(header::VARY, "accept")];
        let csp = policy(&app);
        return match Dist::get("index.html") {
            Some(file) => (
                vary,
                [(header::CONTENT_SECURITY_POLICY, csp)],
                file_answer(file, &headers, "no-cache"),
            )
                .into_response(),
            None => (vary, axum::response::Html(UNBUILT)).into_response(),
        };
    }
    let link =
        |rel: &str, path: &str, title: &str| json!({"rel": rel, "href": format!("{}{path}", ask.base), "title": title});
    let (title, about) = (
        ask.lang.pick("路灯柱 Lamppost", "Lamppost"),
        ask.lang
            .pick("城市部件空间登记", "The spatial register of a city's street facilities"),
    );
    let body = json!({
        "title": title,
        "description": about,
        "links": [
            link("self", "/", title),
            link("data", "/collections", ask.lang.pick("图层", "Layers")),
            link("style", "/styles/onemap", ask.lang.pick("一张图样式", "The one-map style")),
            link("http://www.opengis.net/def/rel/ogc/1.0/processes", "/processes", ask.lang.pick("分析", "Analyses")),
            link("monitor", "/events", ask.lang.pick("修改推送", "Edits as they come")),
            link("status", "/readyz", ask.lang.pick("就绪状态", "Readiness")),
        ],
    });
    ([(header::VARY, "accept, accept-language")], axum::Json(body)).into_response()
}

/// Nothing but this service, and the base maps that its operator has set.
fn policy(app: &Shared) -> String {
    let mut hosts: Vec<String> = Vec::new();
    for template in app.basemaps.iter().flat_map(|b| &b.tiles) {
        let origin: Vec<&str> = template.splitn(4, '/').take(3).collect();
        let origin = origin.join("/");
        if !hosts.contains(&origin) {
            hosts.push(origin);
        }
    }
    let hosts: String = hosts.iter().map(|h| format!(" {h}")).collect();
    format!(
        "default-src 'self'; img-src 'self' data: blob:{hosts}; connect-src 'self'{hosts}; worker-src blob:; \
         object-src 'none'; base-uri 'none'; frame-ancestors 'self'"
    )
}

async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Result<Response> {
    let file = Dist::get(&format!("assets/{path}"));
    let file = file.ok_or_else(|| Error::NotFound(Text::new("没有此文件", "there is no such file")))?;
    Ok(file_answer(file, &headers, "public, max-age=31536000, immutable"))
}

fn file_answer(file: EmbeddedFile, headers: &HeaderMap, cache: &'static str) -> Response {
    let hash: String = file.metadata.sha256_hash()[..8]
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let etag = format!("\"{hash}\"");
    if matches_etag(headers, &etag) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response();
    }
    let kind = file.metadata.mimetype().to_owned();
    let fixed = [
        (header::CONTENT_TYPE, kind),
        (header::ETAG, etag),
        (header::CACHE_CONTROL, cache.to_owned()),
    ];
    (
        fixed,
        [(header::X_CONTENT_TYPE_OPTIONS, "nosniff")],
        file.data.into_owned(),
    )
        .into_response()
}
