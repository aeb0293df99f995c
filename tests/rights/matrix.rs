//! Every route and what it takes: the table that a new route has to be entered in.

use axum::http::Method;
use lamppost::domain::word::Access;

/// One route.
pub struct Route {
    pub path: &'static str,
    pub method: Method,
    /// What it takes where everybody may read: none of nobody.
    pub takes: Option<Access>,
    /// Whether somebody who is not signed in gets in where that is asked for: as the page, or layer by layer.
    pub closed: Closed,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// Nobody gets in.
    Shut,
    /// Those layers are shown that are public.
    Layered,
    /// It is for everybody.
    Open,
}

use Access::{Clerk, Reader};
use Closed::{Layered, Open, Shut};

pub fn all() -> Vec<Route> {
    let r = |method, path, takes, closed| Route {
        path,
        method,
        takes,
        closed,
    };
    let (get, post, patch, delete) = (|| Method::GET, || Method::POST, || Method::PATCH, || Method::DELETE);
    let put = || Method::PUT;
    vec![
        r(put(), "/collections/{layer}/items/{id}", Some(Clerk), Layered),
        r(get(), "/", None, Open),
        r(get(), "/assets/{*path}", None, Open),
        r(get(), "/healthz", None, Open),
        r(get(), "/readyz", None, Open),
        r(get(), "/metrics", None, Shut),
        r(get(), "/problems/{code}", None, Open),
        r(get(), "/session", None, Open),
        r(post(), "/session", None, Open),
        r(delete(), "/session", None, Open),
        r(post(), "/session/password", None, Open),
        r(get(), "/collections", None, Layered),
        r(get(), "/collections/{layer}", None, Layered),
        r(get(), "/collections/{layer}/items", None, Layered),
        r(post(), "/collections/{layer}/items", Some(Clerk), Layered),
        r(get(), "/collections/{layer}/items/{id}", None, Layered),
        r(patch(), "/collections/{layer}/items/{id}", Some(Clerk), Layered),
        r(delete(), "/collections/{layer}/items/{id}", Some(Clerk), Layered),
        r(get(), "/collections/{layer}/nearest", None, Layered),
        r(get(), "/tiles/{layers}", None, Layered),
        r(get(), "/tiles/{layers}/{*tile}", None, Layered),
        r(get(), "/styles/{id}", None, Layered),
        r(get(), "/events", None, Layered),
        r(get(), "/components/{id}/history", None, Shut),
        r(get(), "/components/{id}/claims", None, Shut),
        r(post(), "/components/{id}/claims", Some(Clerk), Shut),
        r(post(), "/claims/batches", Some(Clerk), Shut),
        r(post(), "/claims/batches/{id}/undo", Some(Clerk), Shut),
        r(post(), "/evidence", Some(Clerk), Shut),
        r(get(), "/evidence/{id}", Some(Reader), Shut),
        r(get(), "/evidence/{id}/file", Some(Reader), Shut),
        r(get(), "/components/{id}/responsible", None, Shut),
        r(post(), "/claims/{id}", Some(Clerk), Shut),
        r(get(), "/statistics", None, Shut),
        r(get(), "/coverage", None, Shut),
        r(get(), "/coverage/{rule}", None, Shut),
        r(get(), "/coverage/{rule}/blind", None, Shut),
        r(get(), "/coverage/{rule}/change", None, Shut),
        r(get(), "/coverage/{rule}/report", None, Shut),
        r(get(), "/gaps/{layer}", None, Shut),
        r(get(), "/indicators", None, Shut),
        r(get(), "/indicators/{table}", None, Shut),
        r(get(), "/processes", None, Shut),
        r(get(), "/processes/{id}", None, Shut),
        r(post(), "/processes/{id}/execution", None, Shut),
        r(get(), "/jobs", None, Shut),
        r(get(), "/jobs/{id}", None, Shut),
        r(delete(), "/jobs/{id}", None, Shut),
        r(get(), "/jobs/{id}/results", None, Shut),
        r(get(), "/scenarios", None, Shut),
        r(post(), "/scenarios", Some(Clerk), Shut),
        r(get(), "/scenarios/{id}", None, Shut),
        r(delete(), "/scenarios/{id}", Some(Clerk), Shut),
        r(get(), "/siting/{rule}", None, Shut),
        r(get(), "/claims", None, Shut),
        r(get(), "/components/{id}/file", None, Shut),
        r(get(), "/parties/{code}/confirmation", None, Shut),
        r(post(), "/edits", Some(Clerk), Shut),
        r(get(), "/proposals", Some(Clerk), Shut),
        r(get(), "/proposals/{id}", Some(Clerk), Shut),
        r(post(), "/proposals/{id}", Some(Clerk), Shut),
        r(post(), "/components/{id}/restore", Some(Clerk), Shut),
        r(post(), "/components/{id}/dispute", Some(Clerk), Shut),
        r(get(), "/responsible", None, Shut),
        r(get(), "/codes/{code}", None, Shut),
        r(post(), "/imports", Some(Clerk), Shut),
        r(get(), "/imports", Some(Clerk), Shut),
        r(get(), "/imports/{id}", Some(Clerk), Shut),
        r(patch(), "/imports/{id}", Some(Clerk), Shut),
        r(delete(), "/imports/{id}", Some(Clerk), Shut),
        r(post(), "/imports/{id}/runs", Some(Clerk), Shut),
        r(post(), "/imports/{id}/undo", Some(Clerk), Shut),
        r(get(), "/imports/{id}/events", Some(Clerk), Shut),
        r(get(), "/imports/{id}/{list}", Some(Clerk), Shut),
    ]
}

/// The routes as the source declares them: `.route(PATTERN, get(…).post(…))`.
fn declared() -> Vec<(Method, String)> {
    let mut out = Vec::new();
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/api")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for at in text.match_indices(".route(").map(|(i, m)| i + m.len()) {
            let mut depth = 1;
            let end = text[at..].find(|c| {
                depth += i32::from(c == '(') - i32::from(c == ')');
                depth == 0
            });
            let (path, methods) = text[at..at + end.unwrap()].split_once(',').unwrap();
            let path = path
                .trim()
                .trim_matches('"')
                .replace("UPLOAD", lamppost::api::frame::UPLOAD)
                .replace("EVIDENCE", lamppost::api::frame::EVIDENCE);
            for (word, method) in [
                ("get(", Method::GET),
                ("post(", Method::POST),
                ("put(", Method::PUT),
                ("patch(", Method::PATCH),
                ("delete(", Method::DELETE),
            ] {
                let named = methods.match_indices(word).any(|(i, _)| {
                    let before = methods[..i].chars().next_back();
                    before.is_none_or(|c| !c.is_alphanumeric() && c != ':' && c != '_')
                });
                if named {
                    out.push((method, path.clone()));
                }
            }
        }
    }
    out
}

#[test]
fn every_route_stands_in_the_matrix() {
    let mut declared = declared();
    let known = all();
    for route in &known {
        let found = declared.iter().position(|(m, p)| *m == route.method && p == route.path);
        let found = found.unwrap_or_else(|| panic!("{} {} is no route any more", route.method, route.path));
        declared.remove(found);
    }
    assert!(
        declared.is_empty(),
        "enter these routes in tests/rights/matrix.rs: {declared:?}"
    );
}
