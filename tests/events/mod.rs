//! What clients of `/events` are told, by the real service.

pub mod ears;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::Request;
use axum::{Router, routing::get};
use lamppost::api::events::{Events, Limits};
use lamppost::api::{App, app};
use lamppost::domain::word::State;
use lamppost::spatial::tile_id::{BUFFER, MAX_ZOOM, TileId, World};
use serde_json::json;
use sqlx::PgPool;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::ServiceExt;

use self::ears::{Ears, Heard};
use crate::support::{Dice, Town, node, town, town_with};

/// Listens and takes the greeting.
async fn listen(town: &Town, path: &str) -> Ears {
    let mut ears = Ears::open(&town.door, path, None).await;
    ears.expect("hello").await;
    ears
}

fn tiles(heard: &Heard, layer: &str) -> BTreeSet<String> {
    let listed = heard.data["tiles"][layer].as_array();
    let names = listed.unwrap_or_else(|| panic!("{layer}: {}", heard.data)).iter();
    let set: BTreeSet<String> = names.clone().map(|t| t.as_str().unwrap().to_owned()).collect();
    assert_eq!(set.len(), names.len(), "each tile is named once");
    set
}

/// The slow and obvious way: every tile around the places, if its square with the buffer holds one.
fn naive(zooms: std::ops::RangeInclusive<u8>, places: &[(f64, f64)]) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for z in zooms {
        for (lon, lat) in places {
            let at = World::at(*lon, *lat);
            let middle = at.tile(z);
            for (dx, dy) in (-2i64..=2).flat_map(|dx| (-2i64..=2).map(move |dy| (dx, dy))) {
                let x = u32::try_from(i64::from(middle.x()) + dx).ok();
                let y = u32::try_from(i64::from(middle.y()) + dy).ok();
                let Some(tile) = x.zip(y).and_then(|(x, y)| TileId::new(z, x, y)) else {
                    continue;
                };
                let [x0, y0, x1, y1] = tile.window(BUFFER);
                if (x0..=x1).contains(&at.x) && (y0..=y1).contains(&at.y) {
                    out.insert(format!("{z}/{}/{}", tile.x(), tile.y()));
                }
            }
        }
    }
    out
}

fn limits(set: impl FnOnce(&mut Limits)) -> impl FnOnce(&mut App) {
    move |app| {
        let mut limits = Limits::default();
        set(&mut limits);
        app.events = Events::new(limits);
    }
}

#[sqlx::test]
async fn an_edit_names_exactly_the_tiles_that_show_its_old_or_its_new_place(pool: PgPool) {
    let town = town(pool).await;
    // The first stands near the corner of tiles of many zooms.
    let edge = TileId::new(14, 13526, 6255).unwrap().bounds(0);
    let old = (edge[0] + 1e-7, edge[1] + 1e-7);
    let new = (117.2172, 39.1096);
    let lamp = town.lamps(&[old]).await[0];
    let mut all = listen(&town, "/events").await;
    let mut some = listen(&town, "/events?layers=lamps,wells&zoom=10-16").await;
    let mut wells = listen(&town, "/events?layers=wells").await;
    let body = json!({"geometry": {"type": "Point", "coordinates": [new.0, new.1]}}).to_string();
    let answer = town.patch(lamp, 1, &body).await;
    let revision: i64 = answer.header("lamppost-revision").parse().unwrap();

    let heard = all.expect("tiles").await;
    assert_eq!((heard.id, &heard.data["revision"]), (Some(revision), &json!(revision)));
    let layers: Vec<&String> = heard.data["tiles"].as_object().unwrap().keys().collect();
    assert_eq!(layers.len(), 2, "{layers:?}");
    for layer in ["lamps", "components"] {
        assert_eq!(tiles(&heard, layer), naive(0..=MAX_ZOOM, &[old, new]), "{layer}");
    }
    assert!(
        tiles(&heard, "lamps").len() > 2 * (usize::from(MAX_ZOOM) + 1),
        "neighbours show the old place in their buffers"
    );
    let heard = some.expect("tiles").await;
    assert_eq!(tiles(&heard, "lamps"), naive(10..=16, &[old, new]));
    assert_eq!(heard.data["tiles"].as_object().unwrap().len(), 1);

    // The client of wells has heard nothing of the lamp, only of its own.
    let class = town.class("CJT214-2007", "0101").await;
    let well = lamppost::domain::component::Draft::new(class, crate::support::point(new.0, new.1));
    town.add(&[well]).await;
    let heard = wells.expect("tiles").await;
    assert_eq!(heard.id, Some(revision + 1));
    assert_eq!(tiles(&heard, "wells"), naive(0..=MAX_ZOOM, &[new]));
}

#[sqlx::test]
async fn edits_of_a_tenth_of_a_second_are_one_event(pool: PgPool) {
    let town = town_with(pool, limits(|l| l.pulse = Duration::from_millis(400))).await;
    let mut dice = Dice::new(5);
    let spots: Vec<_> = (0..30).map(|_| dice.spot()).collect();
    let ids = town.lamps(&spots).await;
    let mut ears = listen(&town, "/events?layers=lamps&zoom=15").await;
    let began = Instant::now();
    for id in &ids {
        town.set_state(*id, State::Damaged).await;
    }
    let newest = town.state.feed.position().revision;
    let (mut events, mut named) = (0, BTreeSet::new());
    loop {
        let heard = ears.expect("tiles").await;
        events += 1;
        named.append(&mut tiles(&heard, "lamps"));
        if heard.id == Some(newest) {
            break;
        }
    }
    let pulses = began.elapsed().as_millis() / 400 + 1;
    assert!(
        events < ids.len() && events as u128 <= pulses,
        "{events} events in {pulses} pulses"
    );
    assert_eq!(named, naive(15..=15, &spots));
}

#[sqlx::test]
async fn a_client_that_comes_back_hears_what_it_missed_or_that_it_must_start_afresh(pool: PgPool) {
    let town = town(pool).await;
    let spots = [(117.21, 39.10), (117.22, 39.11), (117.23, 39.12)];
    let ids = town.lamps(&spots).await;
    let path = "/events?layers=lamps&zoom=16";
    let mut first = Ears::open(&town.door, path, None).await;
    let hello = first.expect("hello").await;
    let known = hello.id.unwrap();
    assert_eq!(
        (hello.data["revision"].as_i64(), hello.retry),
        (Some(known), Some(1000))
    );
    drop(first);
    for id in &ids {
        town.set_state(*id, State::Damaged).await;
    }
    for since in [known, known + 2] {
        let asked = format!("{path}&since={since}");
        for (path, last) in [
            (path, Some(since)),
            (&asked, None),
            (&format!("{path}&since=0"), Some(since)),
        ] {
            let mut back = Ears::open(&town.door, path, last).await;
            let hello = back.expect("hello").await;
            // It has not got the rest yet, and would ask for it again if it were cut off here.
            assert_eq!((hello.id, &hello.data["revision"]), (Some(since), &json!(known + 3)));
            let heard = back.expect("tiles").await;
            assert_eq!(heard.id, Some(known + 3));
            assert_eq!(
                tiles(&heard, "lamps"),
                naive(16..=16, &spots[(since - known) as usize..])
            );
        }
    }
    // From before this node began, from another history, and not a number at all.
    for last in [0, known + 1000] {
        let mut lost = Ears::open(&town.door, path, Some(last)).await;
        assert_eq!(lost.expect("hello").await.id, None);
        assert_eq!(lost.expect("reset").await.id, Some(known + 3));
    }
    let request = Request::get(path)
        .header("last-event-id", "甲")
        .body(Body::empty())
        .unwrap();
    assert_eq!(town.door.clone().oneshot(request).await.unwrap().status(), 200);

    // The ring has gone on: what is no longer in it cannot be told.
    for _ in 0..65_537 {
        town.state.feed.hub().publish(known + 3);
    }
    let mut past = Ears::open(&town.door, path, Some(known + 2)).await;
    past.expect("hello").await;
    let reset = past.expect("reset").await;
    assert_eq!(
        (reset.id, &reset.data["revision"]),
        (Some(known + 3), &json!(known + 3))
    );
    // And it goes on from there.
    town.set_state(ids[0], State::Intact).await;
    assert_eq!(past.expect("tiles").await.id, Some(known + 4));
}

#[sqlx::test]
async fn when_memory_is_loaded_anew_every_client_is_told_to_start_afresh(pool: PgPool) {
    let town = town(pool).await;
    let id = town.lamps(&[(117.21, 39.10)]).await[0];
    let mut ears = listen(&town, "/events?layers=wells").await;
    town.state.feed.load().await.unwrap();
    let now = town.state.feed.position().revision;
    assert_eq!(ears.expect("reset").await.id, Some(now));
    town.sql("insert into party (name) values ('某单位')").await;
    town.sql("update party set name = '另一单位' where name = '某单位'")
        .await;
    let heard = ears.expect("tiles").await;
    assert_eq!(
        heard.data["tiles"],
        json!({"wells": "all"}),
        "any tile may show a party"
    );
    town.set_state(id, State::Damaged).await;
}

#[sqlx::test]
async fn more_tiles_than_a_client_can_use_are_all(pool: PgPool) {
    let town = town(pool).await;
    let mut dice = Dice::new(9);
    let spots: Vec<_> = (0..200).map(|_| dice.spot()).collect();
    let mut all = listen(&town, "/events?layers=lamps").await;
    let mut few = listen(&town, "/events?layers=lamps&zoom=12").await;
    town.lamps(&spots).await;
    assert_eq!(all.expect("tiles").await.data["tiles"], json!({"lamps": "all"}));
    assert_eq!(tiles(&few.expect("tiles").await, "lamps"), naive(12..=12, &spots));
}

#[sqlx::test]
async fn a_client_that_does_not_listen_is_cut_off_and_can_resume(pool: PgPool) {
    let town = town_with(pool, limits(|l| l.slow = Duration::from_secs(1))).await;
    let spot = (117.2172, 39.1096);
    let id = town.lamps(&[spot]).await[0];
    let path = "/events?layers=lamps&zoom=16";
    let mut slow = Ears::open(&town.door, path, None).await;
    let known = slow.expect("hello").await.id.unwrap();
    let gone = listen(&town, path).await;
    let mut quick = listen(&town, path).await;
    town.set_state(id, State::Damaged).await;
    quick.expect("tiles").await;
    tokio::time::sleep(Duration::from_millis(1300)).await;
    drop(gone);
    assert_eq!(town.state.events.cut_off(), 1, "one broke off with events untaken");
    let last = slow.expect("slow").await;
    assert_eq!(last.id, Some(known));
    assert_eq!(slow.block().await, None, "the stream has ended");
    assert_eq!(town.state.events.cut_off(), 2);
    // Whoever listens stays.
    town.set_state(id, State::Intact).await;
    quick.expect("tiles").await;
    let mut back = Ears::open(&town.door, path, last.id).await;
    back.expect("hello").await;
    let heard = back.expect("tiles").await;
    assert_eq!(
        (heard.id, tiles(&heard, "lamps")),
        (Some(known + 2), naive(16..=16, &[spot]))
    );
    drop((slow, quick, back));
    assert_eq!(town.state.events.cut_off(), 2, "to go is not to be slow");
    assert_eq!(town.state.events.clients(), 0);
    let metrics = String::from_utf8(town.get("/metrics").await.bytes).unwrap();
    assert!(
        metrics.contains("lamppost_event_clients_cut_off_total 2\n"),
        "{metrics}"
    );
    assert!(metrics.contains("lamppost_event_clients 0\n"), "{metrics}");
}

/// Says that it was dropped.
struct Dropped(tokio::sync::mpsc::UnboundedSender<()>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

#[tokio::test]
async fn a_connection_whose_other_side_takes_no_bytes_is_cut() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let endless = move || async move {
        let dropped = Dropped(tell);
        let bytes = futures_util::stream::repeat_with(move || {
            let _kept = &dropped;
            Ok::<_, std::convert::Infallible>(vec![b'x'; 4096])
        });
        Body::from_stream(bytes)
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let listener = lamppost::cli::serve::patient(listener, Duration::from_secs(1));
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/", get(endless))).await });
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut some = [0; 100];
    client.read_exact(&mut some).await.unwrap();
    // It is there but reads no more: no end of the connection will ever come from it.
    let cut = tokio::time::timeout(Duration::from_secs(20), told.recv()).await;
    assert!(cut.is_ok(), "the connection is still held");
    drop(client);
}

#[sqlx::test]
async fn every_fault_of_a_request_is_told_at_once_in_both_languages(pool: PgPool) {
    let town = town(pool).await;
    let path = "/events?layers=lamps,nope,nix&zoom=16-10&since=x&colour=red";
    for (lang, word) in [("zh", "没有图层“nope”"), ("en", "there is no layer \"nope\"")] {
        let answer = town.get(&format!("{path}&lang={lang}")).await;
        assert_eq!(answer.status, 400);
        let json = answer.json();
        let faults = json["errors"].as_array().unwrap();
        let of: Vec<&str> = faults.iter().map(|f| f["parameter"].as_str().unwrap()).collect();
        assert_eq!(of, ["layers", "layers", "zoom", "since", "colour"]);
        assert!(faults[0]["detail"].as_str().unwrap().starts_with(word), "{json}");
    }
    for bad in ["zoom=23", "zoom=-1", "zoom=1-", "zoom=a-b", "zoom=1-2-3", "since=-5"] {
        assert_eq!(town.get(&format!("/events?{bad}")).await.status, 400, "{bad}");
    }
    assert_eq!(town.state.events.clients(), 0);
}

#[sqlx::test]
async fn a_stream_outlives_the_limit_of_requests_and_gives_signs_of_life(pool: PgPool) {
    let set = |app: &mut App| {
        limits(|l| l.beat = Duration::from_millis(200))(app);
        app.max_time = Duration::from_millis(300);
    };
    let town = town_with(pool, set).await;
    let id = town.lamps(&[(117.21, 39.10)]).await[0];
    let mut ears = Ears::open(&town.door, "/events?zoom=14", None).await;
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-cache"),
        ("x-accel-buffering", "no"),
        ("access-control-allow-origin", "*"),
    ] {
        assert_eq!(ears.headers[name], value);
    }
    assert!(!ears.headers.contains_key("content-encoding"));
    let known = ears.expect("hello").await.id;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(1) {
        // It moves the place to resume from and is no event.
        let life = ears.block().await.unwrap();
        assert_eq!((life.event.as_str(), life.id), ("", known));
    }
    town.set_state(id, State::Damaged).await;
    ears.expect("tiles").await;
}

#[sqlx::test]
async fn clients_are_counted_and_those_beyond_the_limit_are_asked_to_come_back(pool: PgPool) {
    let town = town_with(pool, limits(|l| l.clients = 2)).await;
    let first = listen(&town, "/events").await;
    let _second = listen(&town, "/events").await;
    assert_eq!(town.state.events.clients(), 2);
    let third = Ears::open(&town.door, "/events", None).await;
    assert_eq!(
        (third.status.as_u16(), &third.headers["retry-after"]),
        (503, &"1".parse().unwrap())
    );
    drop(first);
    listen(&town, "/events").await;
}

#[sqlx::test]
async fn an_edit_on_one_node_reaches_a_client_of_the_other_and_both_say_how_long_it_took(pool: PgPool) {
    let town = town(pool.clone()).await;
    let spot = (117.2172, 39.1096);
    let id = town.lamps(&[spot]).await[0];
    let (other, follower) = node(&pool).await;
    let door = app(other.clone());
    let mut ears = Ears::open(&door, "/events?layers=lamps&zoom=14", None).await;
    ears.expect("hello").await;
    let began = Instant::now();
    assert_eq!(
        town.patch(id, 1, r#"{"properties":{"state":"damaged"}}"#).await.status,
        200
    );
    let heard = ears.expect("tiles").await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(tiles(&heard, "lamps"), naive(14..=14, &[spot]));
    // A client that moves to a node that is a little behind is not sent back to the start.
    let mut moved = Ears::open(&town.door, "/events?layers=lamps&zoom=14", heard.id).await;
    assert_eq!(moved.expect("hello").await.id, heard.id);

    let count = |text: &str, whose: &str| -> u64 {
        let name = format!("lamppost_commit_to_visible_seconds_count{{edits=\"{whose}\"}} ");
        let line = text.lines().find_map(|l| l.strip_prefix(&name));
        line.unwrap_or_else(|| panic!("{name}: {text}")).parse().unwrap()
    };
    let here = String::from_utf8(town.get("/metrics").await.bytes).unwrap();
    // Its own two edits; what was recorded before it was ready is not news.
    assert_eq!((count(&here, "own"), count(&here, "others")), (2, 0));
    let request = Request::get("/metrics").body(Body::empty()).unwrap();
    let there = door.oneshot(request).await.unwrap().into_body();
    let there = axum::body::to_bytes(there, usize::MAX).await.unwrap();
    let there = String::from_utf8(there.to_vec()).unwrap();
    assert_eq!((count(&there, "own"), count(&there, "others")), (0, 1));
    assert!(
        there.contains("lamppost_commit_to_visible_seconds_bucket{le=\"0.001\",edits=\"own\"} 0"),
        "{there}"
    );
    follower.abort();
}

#[sqlx::test]
async fn streams_end_when_the_service_stops(pool: PgPool) {
    let options = pool.connect_options();
    let database = options.get_database().unwrap();
    let given = std::env::var("DATABASE_URL").unwrap();
    let (server, query) = given.split_once('?').unwrap_or((&given, ""));
    let (server, _) = server.rsplit_once('/').unwrap();
    let url = format!("{server}/{database}?{query}");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = free.local_addr().unwrap().to_string();
    drop(free);
    let mut service = tokio::process::Command::new(env!("CARGO_BIN_EXE_lamppost"))
        .args(["serve", "--listen", &listen, "--database-url", &url])
        .env_remove("DATABASE_URL")
        .env_remove("LAMPPOST_DATA_DIR")
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let began = Instant::now();
    let mut heard = String::new();
    let mut stream = loop {
        assert!(began.elapsed() < Duration::from_secs(60), "it did not start: {heard}");
        tokio::time::sleep(Duration::from_millis(100)).await;
        // The port is taken before the service answers there.
        let Ok(mut stream) = tokio::net::TcpStream::connect(&listen).await else {
            continue;
        };
        stream
            .write_all(b"GET /events HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        break stream;
    };
    let mut bytes = [0; 4096];
    while !heard.contains("event: hello") {
        let n = tokio::time::timeout(Duration::from_secs(60), stream.read(&mut bytes))
            .await
            .unwrap()
            .unwrap();
        assert!(n > 0, "{heard}");
        heard.push_str(&String::from_utf8_lossy(&bytes[..n]));
    }
    let stopped = Instant::now();
    let pid = rustix::process::Pid::from_raw(i32::try_from(service.id().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert!(rest.ends_with("0\r\n\r\n"), "the stream ends as HTTP asks: {rest:?}");
    assert!(service.wait().await.unwrap().success());
    // Requests under way are given 10 s; a stream is not to use them up.
    assert!(stopped.elapsed() < Duration::from_secs(5), "{:?}", stopped.elapsed());
}
