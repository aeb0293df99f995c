//! The ceiling: axum with a fixed body from memory and nothing of ours around it. It runs as a process of its own, which is this
//! executable with `--bare FILE PORT`.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use crate::Result;

/// Bodies by path, identity and gzip.
type Bodies = HashMap<String, [Bytes; 2]>;

async fn answer(State(bodies): State<&'static Bodies>, uri: Uri, headers: HeaderMap) -> Response {
    let Some([identity, gzip]) = bodies.get(uri.path()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let kind = [(header::CONTENT_TYPE, "application/vnd.mapbox-vector-tile")];
    match headers.get(header::ACCEPT_ENCODING).map(|v| v.as_bytes()) {
        Some(b"gzip") => (kind, [(header::CONTENT_ENCODING, "gzip")], gzip.clone()).into_response(),
        _ => (kind, identity.clone()).into_response(),
    }
}

/// Serves the bodies of a file.
pub(crate) fn serve(file: &str, port: u16) -> Result<()> {
    let bodies: &'static Bodies = Box::leak(Box::new(read(Path::new(file))?));
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
            let app = Router::new().fallback(answer).with_state(bodies);
            axum::serve(listener, app).await?;
            Ok(())
        })
}

/// One body: a line of path, encoding and length, then the bytes.
pub(crate) fn write(file: &mut impl Write, path: &str, gzip: bool, body: &[u8]) -> Result<()> {
    writeln!(file, "{path} {} {}", u8::from(gzip), body.len())?;
    Ok(file.write_all(body)?)
}

fn read(file: &Path) -> Result<Bodies> {
    let mut bodies = Bodies::new();
    let mut file = BufReader::new(std::fs::File::open(file)?);
    let mut line = String::new();
    while file.read_line(&mut line)? > 0 {
        let mut fields = line.split_whitespace();
        let mut field = || fields.next().ok_or("a body without a head");
        let (path, gzip, length) = (field()?.to_owned(), field()? == "1", field()?.parse()?);
        let mut body = vec![0; length];
        file.read_exact(&mut body)?;
        let [identity, packed] = bodies.entry(path).or_default();
        *(if gzip { packed } else { identity }) = body.into();
        line.clear();
    }
    Ok(bodies)
}
