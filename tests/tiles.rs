//! Tiles as clients decode them, with another crate as the reader.

use std::collections::BTreeMap;
use std::io::Read;

use axum::http::Method;
use lamppost::domain::component::Draft;
use lamppost::domain::word::State;
use lamppost::spatial::tile_id::World;
use lamppost::store::edit::Patch;
use mvt_reader::Reader;
use mvt_reader::feature::Value;
use sqlx::PgPool;

use crate::support::{Dice, Town, rectangle, town};

/// Every feature of a layer: id, properties, geometry in tile units.
pub type Feature = (Option<u64>, BTreeMap<String, String>, geo::Geometry<f32>);

pub fn decode(bytes: &[u8], layer: &str) -> Vec<Feature> {
    let reader = Reader::new(bytes.to_vec()).unwrap();
    let names = reader.get_layer_names().unwrap();
    let Some(at) = names.iter().position(|n| n == layer) else {
        return Vec::new();
    };
    let text = |v: &Value| match v {
        Value::String(s) => s.clone(),
        Value::UInt(n) => n.to_string(),
        other => panic!("a value that we do not write: {other:?}"),
    };
    let read = |f: mvt_reader::feature::Feature<f32>| {
        let properties = f
            .properties
            .unwrap_or_default()
            .iter()
            .map(|(k, v)| (k.clone(), text(v)))
            .collect();
        // The reader gives every point as a multipoint.
        let geometry = match f.geometry {
            geo::Geometry::MultiPoint(points) if points.0.len() == 1 => points.0[0].into(),
            other => other,
        };
        (f.id, properties, geometry)
    };
    reader.get_features(at).unwrap().into_iter().map(read).collect()
}

async fn tile(town: &Town, layers: &str, z: u8, x: u32, y: u32) -> Vec<u8> {
    let answer = town.get(&format!("/tiles/{layers}/{z}/{x}/{y}")).await;
    assert!(answer.status == 200 || answer.status == 204, "{}", answer.status);
    answer.bytes
}

/// The sum of `point_count` over all tiles of a zoom that hold any of the positions; a feature without it counts one.
async fn count(town: &Town, layer: &str, z: u8, spots: &[(f64, f64)]) -> u64 {
    let mut tiles: Vec<_> = spots.iter().map(|(x, y)| World::at(*x, *y).tile(z)).collect();
    tiles.sort_unstable();
    tiles.dedup();
    let mut sum = 0;
    for t in tiles {
        for (_, properties, geometry) in decode(&tile(town, layer, z, t.x(), t.y()).await, layer) {
            let geo::Geometry::Point(p) = geometry else {
                panic!("not a point: {geometry:?}")
            };
            if (0.0..4096.0).contains(&p.x()) && (0.0..4096.0).contains(&p.y()) {
                sum += properties.get("point_count").map_or(1, |n| n.parse().unwrap());
            }
        }
    }
    sum
}

#[sqlx::test]
async fn point_counts_of_a_zoom_sum_to_the_stock_after_any_edits(pool: PgPool) {
    let town = town(pool).await;
    let mut dice = Dice::new(11);
    let mut spots: Vec<_> = (0..700).map(|_| dice.spot()).collect();
    // On tile corners and edges of every zoom: the middle of the map, and lines through it.
    spots.extend([(0.0, 0.0), (0.0, 45.0), (180.0, 0.0), (-180.0, 0.0), (117.0, 85.5)]);
    let ids = town.lamps(&spots).await;
    for round in 0..3 {
        let stock = town.json("/collections/lamps/items?limit=0").await["numberMatched"]
            .as_u64()
            .unwrap();
        for z in [0, 3, 6, 10, 13, 14, 15, 18, 22] {
            assert_eq!(count(&town, "lamps", z, &spots).await, stock, "zoom {z}, round {round}");
        }
        for _ in 0..20 {
            let n = dice.below(ids.len());
            if dice.below(2) == 0 {
                town.set_state(ids[n], State::ALL[dice.below(5)]).await;
            } else {
                spots[n] = dice.spot();
                town.move_to(ids[n], spots[n].0, spots[n].1).await;
            }
        }
    }
}

#[sqlx::test]
async fn a_tile_from_the_cache_is_the_tile_made_afresh_after_any_edit(pool: PgPool) {
    let town = town(pool).await;
    let mut dice = Dice::new(3);
    let park = town.class("CJT214-2007", "0405").await;
    let spots: Vec<_> = (0..80).map(|_| dice.spot()).collect();
    let mut ids = town.lamps(&spots).await;
    let park = Draft::new(park, rectangle(117.21, 39.09, 117.215, 39.095));
    let park = town.add(&[park]).await[0];
    town.sql("insert into road (name, class, geom) values ('甲路', 'arterial', st_geomfromtext('MULTILINESTRING((117.2 39.1, 117.25 39.1))', 4326))").await;
    let mut tiles = Vec::new();
    for z in [0u8, 9, 12, 14, 15, 17] {
        for (x, y) in spots.iter().take(25) {
            let t = World::at(*x, *y).tile(z);
            tiles.push((z, t.x(), t.y()));
        }
    }
    tiles.sort_unstable();
    tiles.dedup();
    let mut kept = 0;
    for turn in 0..40 {
        for (z, x, y) in &tiles {
            tile(&town, "lamps,parks,roads", *z, *x, *y).await;
        }
        let n = dice.below(ids.len());
        match turn % 5 {
            0 => {
                town.set_state(ids[n], State::Damaged).await;
            }
            1 => {
                town.move_to(ids[n], dice.spot().0, dice.spot().1).await;
            }
            2 => {
                let w = dice.roll() * 0.02;
                town.set(
                    park,
                    Patch {
                        geometry: Some(rectangle(117.21, 39.09, 117.211 + w, 39.095)),
                        ..Patch::default()
                    },
                )
                .await;
            }
            3 => ids.extend(town.lamps(&[dice.spot()]).await),
            _ => {
                town.set(
                    ids[n],
                    Patch {
                        attributes: serde_json::json!({"turn": turn}).as_object().cloned(),
                        ..Patch::default()
                    },
                )
                .await;
            }
        }
        let hits = town.state.cache.hits.load(std::sync::atomic::Ordering::Relaxed);
        let rebuilt = lamppost::feed::load(&town.state.store).await.unwrap();
        for (z, x, y) in &tiles {
            let id = lamppost::spatial::tile_id::TileId::new(*z, *x, *y).unwrap();
            let mut fresh = dump(&built(&rebuilt, &["lamps", "parks", "roads"], id));
            let mut served = dump(&tile(&town, "lamps,parks,roads", *z, *x, *y).await);
            fresh.sort();
            served.sort();
            assert_eq!(served, fresh, "turn {turn}, tile {z}/{x}/{y}");
        }
        kept += town.state.cache.hits.load(std::sync::atomic::Ordering::Relaxed) - hits;
    }
    let share = kept as f64 / (40 * tiles.len()) as f64;
    assert!(
        share > 0.5,
        "edits dropped tiles that do not show them: only {share:.2} of the tiles were kept"
    );
}

/// A tile made afresh from a memory.
fn built(memory: &lamppost::index::Memory, layers: &[&str], tile: lamppost::spatial::tile_id::TileId) -> Vec<u8> {
    let selection = lamppost::tile::cache::Selection {
        layers: layers
            .iter()
            .map(|l| lamppost::tile::layer::get(l).unwrap().clone())
            .collect(),
        filter: None,
        plane: lamppost::spatial::plane::Plane::default(),
        rights: lamppost::domain::grant::Rights::default(),
        figures: false,
    };
    lamppost::query::tile::build(memory, &lamppost::query::matcher::Matchers::default(), &selection, tile)
}

fn dump(bytes: &[u8]) -> Vec<String> {
    let mut out = Vec::new();
    for layer in ["lamps", "parks", "roads"] {
        out.extend(decode(bytes, layer).iter().map(|f| format!("{layer} {f:?}")));
    }
    out
}

#[sqlx::test]
async fn a_tile_built_during_edits_is_never_kept_stale(pool: PgPool) {
    let town = town(pool).await;
    let id = town.lamps(&[(117.2172, 39.1096)]).await[0];
    let state = town.state.clone();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut readers = Vec::new();
    for _ in 0..4 {
        let (door, stop) = (town.door.clone(), stop.clone());
        readers.push(tokio::spawn(async move {
            use tower::ServiceExt;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let request = axum::http::Request::get("/tiles/lamps/14/13526/6255")
                    .body(axum::body::Body::empty())
                    .unwrap();
                door.clone().oneshot(request).await.unwrap();
                // A cached answer never waits, and this runtime has one thread.
                tokio::task::yield_now().await;
            }
        }));
    }
    for turn in 0..60u64 {
        let wanted = State::ALL[1 + (turn % 3) as usize];
        town.set_state(id, wanted).await;
        let seen = decode(&tile(&town, "lamps", 14, 13526, 6255).await, "lamps");
        assert_eq!(
            seen[0].1["state"],
            wanted.key(),
            "a tile asked for after the acknowledgement is older than it"
        );
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    assert!(
        state.cache.hits.load(std::sync::atomic::Ordering::Relaxed) > 0,
        "the cache was never used"
    );
}

#[sqlx::test]
async fn a_feature_has_its_id_its_words_and_its_place(pool: PgPool) {
    let town = town(pool).await;
    town.sql("insert into party (code, name) values ('HX01', '河西区照明所')")
        .await;
    let ids = town.lamps(&[(117.2172, 39.1096)]).await;
    town.sql("update component set owner = (select id from party where code = 'HX01'), ownership_status = 'confirmed'")
        .await;
    let world = World::at(117.2172, 39.1096);
    let t = world.tile(16);
    let features = decode(&tile(&town, "lamps", 16, t.x(), t.y()).await, "lamps");
    let (x, y) = t.pixel(world);
    let words = [
        ("class", "0118"),
        ("state", "intact"),
        ("ownership_status", "confirmed"),
        ("owner", "HX01"),
    ];
    let words = words.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    assert_eq!(
        features,
        [(Some(ids[0] as u64), words, geo::Point::new(x as f32, y as f32).into())]
    );
    // Retired, it is in no tile.
    town.set_state(ids[0], State::Retired).await;
    assert_eq!(
        town.get(&format!("/tiles/lamps/16/{}/{}", t.x(), t.y())).await.status,
        204
    );
}

#[sqlx::test]
async fn bins_say_how_many_of_each_state_and_a_polygon_under_a_pixel_is_a_point(pool: PgPool) {
    let town = town(pool).await;
    let ids = town
        .lamps(&[(117.2172, 39.1096), (117.21721, 39.10961), (117.21722, 39.10962)])
        .await;
    town.set_state(ids[1], State::Damaged).await;
    let t = World::at(117.2172, 39.1096).tile(10);
    let bins = decode(&tile(&town, "lamps", 10, t.x(), t.y()).await, "lamps");
    assert_eq!(bins.len(), 1);
    let said: Vec<_> = bins[0].1.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(said, ["damaged=1", "intact=2", "point_count=3", "unsurveyed=3"]);

    let park = town.class("CJT214-2007", "0405").await;
    town.add(&[Draft::new(park, rectangle(117.21, 39.10, 117.2101, 39.1001))])
        .await;
    let far = decode(&tile(&town, "parks", 8, t.x() >> 2, t.y() >> 2).await, "parks");
    assert!(matches!(far[0].2, geo::Geometry::Point(_)), "{far:?}");
    let t = World::at(117.21, 39.10).tile(16);
    let near = decode(&tile(&town, "parks", 16, t.x(), t.y()).await, "parks");
    assert!(
        matches!(near[0].2, geo::Geometry::MultiPolygon(_) | geo::Geometry::Polygon(_)),
        "{near:?}"
    );
}

#[sqlx::test]
async fn a_tile_has_a_strong_etag_per_encoding_and_compresses(pool: PgPool) {
    let town = town(pool).await;
    let mut dice = Dice::new(5);
    let spots: Vec<_> = (0..300)
        .map(|_| (117.2172 + dice.roll() * 0.01, 39.1000 + dice.roll() * 0.005))
        .collect();
    town.lamps(&spots).await;
    let path = "/tiles/lamps/14/13526/6255.pbf";
    let plain = town.get(path).await;
    let mut tags = vec![plain.header("etag").to_owned()];
    for (accepted, encoding) in [
        ("br, gzip", "gzip"),
        ("gzip, br, zstd", "zstd"),
        ("identity;q=0, br", ""),
    ] {
        let headers = [("accept-encoding", accepted)];
        let packed = town.send(Method::GET, path, &headers, "").await;
        assert_eq!(packed.header("content-type"), "application/vnd.mapbox-vector-tile");
        assert_eq!(
            (packed.header("content-encoding"), packed.header("vary")),
            (encoding, "accept-encoding")
        );
        let bytes = match encoding {
            "gzip" => {
                let mut out = Vec::new();
                flate2::read::GzDecoder::new(&packed.bytes[..])
                    .read_to_end(&mut out)
                    .unwrap();
                out
            }
            "zstd" => zstd::decode_all(&packed.bytes[..]).unwrap(),
            _ => packed.bytes.clone(),
        };
        assert_eq!(bytes, plain.bytes);
        assert_eq!(packed.bytes.len() < plain.bytes.len(), !encoding.is_empty());
        tags.push(packed.header("etag").to_owned());
        // Once more, from the cache; without the body; and not again to one who has it.
        assert_eq!(town.send(Method::GET, path, &headers, "").await.bytes, packed.bytes);
        let head = town.send(Method::HEAD, path, &headers, "").await;
        assert_eq!(head.bytes.len(), 0);
        for name in ["etag", "content-encoding", "content-length", "vary"] {
            assert_eq!(head.header(name), packed.header(name), "{name}");
        }
    }
    assert_eq!(tags[3], tags[0]);
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 3, "{tags:?}");
}

#[sqlx::test]
async fn a_reader_who_has_the_tile_is_told_so(pool: PgPool) {
    let town = town(pool).await;
    let spots: Vec<_> = (0..20).map(|n| (117.2172 + f64::from(n) * 1e-4, 39.1096)).collect();
    town.lamps(&spots).await;
    let path = "/tiles/lamps/14/13526/6255";
    let tag = town.send(Method::GET, path, &[("accept-encoding", "gzip")], "").await;
    let tag = tag.header("etag");
    for (has, encoding, status) in [
        (tag.to_owned(), "gzip", 304),
        (format!("W/{tag}"), "gzip", 304),
        (format!("\"other\", {tag}"), "gzip", 304),
        ("*".to_owned(), "gzip", 304),
        ("\"other\"".to_owned(), "gzip", 200),
        (tag.to_owned(), "zstd", 200),
        (tag.to_owned(), "identity", 200),
    ] {
        let headers = [("if-none-match", has.as_str()), ("accept-encoding", encoding)];
        let answer = town.send(Method::GET, path, &headers, "").await;
        assert_eq!(
            (answer.status.as_u16(), answer.bytes.is_empty()),
            (status, status == 304),
            "{has} {encoding}"
        );
        assert_eq!(
            (answer.header("vary"), answer.header("cache-control")),
            ("accept-encoding", "no-cache")
        );
        assert!(answer.header("etag").starts_with('"'));
    }
    // One lamp is too little to be worth packing.
    let t = World::at(117.2172, 39.1096).tile(22);
    let path = format!("/tiles/lamps/22/{}/{}", t.x(), t.y());
    let tiny = town
        .send(Method::GET, &path, &[("accept-encoding", "gzip, zstd")], "")
        .await;
    assert_eq!(
        (tiny.header("content-encoding"), tiny.header("vary")),
        ("", "accept-encoding")
    );
    assert_eq!(tiny.header("etag"), town.get(&path).await.header("etag"));
}

#[sqlx::test]
async fn tilejson_names_its_layers_and_follows_the_proxy(pool: PgPool) {
    let town = town(pool).await;
    let headers = [
        ("host", "map.example.cn"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-prefix", "/lamppost/"),
    ];
    let json = town
        .send(Method::GET, "/tiles/lamps,wells?lang=en", &headers, "")
        .await
        .json();
    assert_eq!(
        json["tiles"][0],
        "https://map.example.cn/lamppost/tiles/lamps,wells/{z}/{x}/{y}"
    );
    assert_eq!(json["name"], "Street lamps · Manhole covers");
    assert_eq!(json["vector_layers"][1]["id"], "wells");
    assert_eq!(json["tilejson"], "3.0.0");
    for bad in [
        "/tiles/lampposts",
        "/tiles/lamps/23/0/0",
        "/tiles/lamps/3/8/0",
        "/tiles/lamps/-1/0/0",
        "/tiles/lamps/1/0/x.pbf",
    ] {
        assert_eq!(town.get(bad).await.status, 404, "{bad}");
    }
    assert_eq!(town.get("/tiles/lamps/0/0/0?colour=red").await.status, 400);
}
