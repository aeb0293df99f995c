//! Pages to be printed: HTML with its own style, codes that a phone reads, sketches.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use qrcode::QrCode;
use qrcode::render::svg;

use crate::domain::text::Lang;
use crate::query::sketch::{REACH, Sketch};

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

/// A page that needs nothing else.
pub(super) fn page(lang: Lang, title: &str, body: &Markup) -> Response {
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
pub(super) fn qr(address: &str) -> Markup {
    let made = QrCode::new(address.as_bytes()).map(|code| {
        code.render::<svg::Color<'_>>()
            .quiet_zone(false)
            .build()
            .replace("<?xml version=\"1.0\" standalone=\"yes\"?>", "")
    });
    html! { @if let Ok(svg) = made { (PreEscaped(svg)) } }
}

/// A sketch as a drawing.
pub(super) fn drawn(sketch: &Sketch) -> Markup {
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
