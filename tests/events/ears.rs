//! A client of `/events`.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderMap, Request, StatusCode};
use futures_util::StreamExt;
use serde_json::Value;
use tower::ServiceExt;

/// A stream of events, as a browser reads it.
pub struct Ears {
    pub status: StatusCode,
    pub headers: HeaderMap,
    body: BodyDataStream,
    heard: String,
}

/// One block of lines.
#[derive(Debug, Default, PartialEq)]
pub struct Heard {
    pub event: String,
    pub id: Option<i64>,
    pub retry: Option<u64>,
    pub data: Value,
}

impl Ears {
    pub async fn open(door: &Router, path: &str, last: Option<i64>) -> Ears {
        let mut request = Request::get(path);
        if let Some(last) = last {
            request = request.header("last-event-id", last.to_string());
        }
        let response = door
            .clone()
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        let (head, body) = response.into_parts();
        Ears {
            status: head.status,
            headers: head.headers,
            body: body.into_data_stream(),
            heard: String::new(),
        }
    }

    /// The next block, a sign of life as well; none at the end of the stream.
    pub async fn block(&mut self) -> Option<Heard> {
        let patience = Duration::from_secs(10);
        while !self.heard.contains("\n\n") {
            let more = tokio::time::timeout(patience, self.body.next()).await;
            let bytes = more.expect("nothing was heard in 10 s")?.unwrap();
            self.heard.push_str(std::str::from_utf8(&bytes).unwrap());
        }
        let (block, rest) = self.heard.split_once("\n\n").unwrap();
        let mut out = Heard::default();
        for line in block.lines() {
            match line.split_once(':').unwrap() {
                ("event", v) => out.event = v.trim().to_owned(),
                ("id", v) => out.id = Some(v.trim().parse().unwrap()),
                ("retry", v) => out.retry = Some(v.trim().parse().unwrap()),
                ("data", v) => out.data = serde_json::from_str(v).unwrap(),
                ("", _) => {}
                other => panic!("{other:?}"),
            }
        }
        self.heard = rest.to_owned();
        Some(out)
    }

    /// The next event.
    pub async fn next(&mut self) -> Heard {
        loop {
            let block = self.block().await.expect("the stream ended");
            if !block.event.is_empty() {
                return block;
            }
        }
    }

    pub async fn expect(&mut self, event: &str) -> Heard {
        let heard = self.next().await;
        assert_eq!(heard.event, event, "{heard:?}");
        heard
    }
}
