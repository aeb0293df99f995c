//! Tiles and items in the shifted coordinates of Chinese internet maps, against a second implementation of the shift.

use std::f64::consts::PI;

use lamppost::domain::component::Draft;
use lamppost::spatial::tile_id::{TileId, World};
use sqlx::PgPool;

use crate::support::{Dice, Town, rectangle, town};
use crate::tiles::decode;

/// The shift as the map vendors' clients write it: two polynomials with waves, in metres on Krassowsky's ellipsoid.
fn gcj(lon: f64, lat: f64) -> (f64, f64) {
    let (x, y) = (lon - 105.0, lat - 35.0);
    let sin = |v: f64| (v * PI).sin();
    let mut north = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * x.abs().sqrt();
    north += (20.0 * sin(6.0 * x) + 20.0 * sin(2.0 * x)) * 2.0 / 3.0;
    north += (20.0 * sin(y) + 40.0 * sin(y / 3.0)) * 2.0 / 3.0;
    north += (160.0 * sin(y / 12.0) + 320.0 * sin(y / 30.0)) * 2.0 / 3.0;
    let mut east = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * x.abs().sqrt();
    east += (20.0 * sin(6.0 * x) + 20.0 * sin(2.0 * x)) * 2.0 / 3.0;
    east += (20.0 * sin(x) + 40.0 * sin(x / 3.0)) * 2.0 / 3.0;
    east += (150.0 * sin(x / 12.0) + 300.0 * sin(x / 30.0)) * 2.0 / 3.0;
    let (a, e2) = (6_378_245.0, 0.006_693_421_622_965_943);
    let w = 1.0 - e2 * lat.to_radians().sin().powi(2);
    let meridian = a * (1.0 - e2) / (w * w.sqrt());
    let parallel = a / w.sqrt() * lat.to_radians().cos();
    (
        lon + (east / parallel).to_degrees(),
        lat + (north / meridian).to_degrees(),
    )
}

fn bd(lon: f64, lat: f64) -> (f64, f64) {
    let (x, y) = gcj(lon, lat);
    let k = PI * 3000.0 / 180.0;
    let (r, angle) = (
        (x * x + y * y).sqrt() + 2e-5 * (y * k).sin(),
        y.atan2(x) + 3e-6 * (x * k).cos(),
    );
    (r * angle.cos() + 0.0065, r * angle.sin() + 0.006)
}

/// A position in units of a tile, by the formula of the Web Mercator square.
fn units(tile: TileId, (lon, lat): (f64, f64)) -> (f64, f64) {
    let n = f64::from(1u32 << tile.z());
    let y = (1.0 - (lat.to_radians().tan() + 1.0 / lat.to_radians().cos()).ln() / PI) / 2.0;
    (
        ((lon + 180.0) / 360.0 * n - f64::from(tile.x())) * 4096.0,
        (y * n - f64::from(tile.y())) * 4096.0,
    )
}

/// Every tile of a zoom that a shifted lamp touches holds it where the reference puts it, within a unit, and no other lamp.
async fn check(town: &Town, coords: &str, shift: fn(f64, f64) -> (f64, f64), lamps: &[(i64, f64, f64)], z: u8) {
    let mut tiles: Vec<TileId> = Vec::new();
    for (_, lon, lat) in lamps {
        let (x, y) = shift(*lon, *lat);
        let home = World::at(x, y).tile(z);
        for (dx, dy) in [(-1, 0), (0, 0), (1, 0), (0, -1), (0, 1)] {
            tiles.extend(TileId::new(
                z,
                home.x().wrapping_add_signed(dx),
                home.y().wrapping_add_signed(dy),
            ));
        }
    }
    tiles.sort_unstable();
    tiles.dedup();
    for tile in tiles {
        let path = format!("/tiles/lamps/{z}/{}/{}?coords={coords}", tile.x(), tile.y());
        let mut drawn: Vec<(u64, f64, f64)> = decode(&town.get(&path).await.bytes, "lamps")
            .into_iter()
            .map(|(id, _, geometry)| match geometry {
                geo::Geometry::Point(p) => (id.unwrap(), f64::from(p.x()), f64::from(p.y())),
                other => panic!("{other:?}"),
            })
            .collect();
        drawn.sort_by_key(|d| d.0);
        let mut expected = Vec::new();
        for (id, lon, lat) in lamps {
            let (x, y) = units(tile, shift(*lon, *lat));
            // A lamp within a unit of the buffer's edge may be on either side of it.
            let near_edge = [x, y]
                .iter()
                .any(|v| (v + 64.0).abs() < 1.0 || (v - 4160.0).abs() < 1.0);
            if near_edge {
                drawn.retain(|d| d.0 != *id as u64);
            } else if (-64.0..4160.0).contains(&x) && (-64.0..4160.0).contains(&y) {
                expected.push((*id as u64, x, y));
            }
        }
        expected.sort_by_key(|e| e.0);
        let ids = |list: &[(u64, f64, f64)]| list.iter().map(|d| d.0).collect::<Vec<_>>();
        assert_eq!(ids(&drawn), ids(&expected), "{path}");
        for (d, e) in drawn.iter().zip(&expected) {
            // The tile floors.
            let (dx, dy) = (e.1 - d.1, e.2 - d.2);
            assert!(
                (-0.1..1.1).contains(&dx) && (-0.1..1.1).contains(&dy),
                "{path}: {d:?} {e:?}"
            );
        }
    }
}

#[sqlx::test]
async fn a_shifted_tile_is_the_reference_shifted_by_other_code_before_and_after_edits(pool: PgPool) {
    let town = town(pool).await;
    let mut dice = Dice::new(5);
    let spots: Vec<_> = (0..120).map(|_| dice.spot()).collect();
    let ids = town.lamps(&spots).await;
    let mut lamps: Vec<(i64, f64, f64)> = ids.iter().zip(&spots).map(|(id, s)| (*id, s.0, s.1)).collect();
    for round in 0..4 {
        for z in [14, 17, 19] {
            check(&town, "gcj02", gcj, &lamps, z).await;
            check(&town, "bd09", bd, &lamps, z).await;
        }
        for _ in 0..6 {
            let n = dice.below(lamps.len());
            let (lon, lat) = match round {
                // Onto the edge of a shifted tile: its neighbour shows the lamp in its buffer.
                0 => {
                    let t = World::at(gcj(lamps[n].1, lamps[n].2).0, lamps[n].2).tile(17).bounds(0);
                    lamppost::spatial::datum::Datum::Gcj02.to_wgs84(t[0] + 1e-7, lamps[n].2)
                }
                _ => dice.spot(),
            };
            town.move_to(lamps[n].0, lon, lat).await;
            (lamps[n].1, lamps[n].2) = (lon, lat);
        }
    }
}

#[sqlx::test]
async fn bins_of_a_shifted_tile_are_the_registers_bins_shifted_and_conserve_the_stock(pool: PgPool) {
    let town = town(pool).await;
    let mut dice = Dice::new(9);
    let mut spots: Vec<_> = (0..600).map(|_| dice.spot()).collect();
    let ids = town.lamps(&spots).await;
    for round in 0..3 {
        for z in [6u8, 9, 11, 13] {
            let (mut plain, mut shifted) = (Vec::new(), Vec::new());
            let mut homes: Vec<TileId> = Vec::new();
            for (lon, lat) in &spots {
                for (x, y) in [(*lon, *lat), gcj(*lon, *lat)] {
                    homes.push(World::at(x, y).tile(z));
                }
            }
            homes.sort_unstable();
            homes.dedup();
            for tile in homes {
                for (coords, out) in [("wgs84", &mut plain), ("gcj02", &mut shifted)] {
                    let path = format!("/tiles/lamps/{z}/{}/{}?coords={coords}", tile.x(), tile.y());
                    for (_, properties, geometry) in decode(&town.get(&path).await.bytes, "lamps") {
                        let geo::Geometry::Point(p) = geometry else { panic!() };
                        let count: u64 = properties.get("point_count").map_or(1, |n| n.parse().unwrap());
                        let place = |v: f32, t: u32| f64::from(t) * 4096.0 + f64::from(v);
                        out.push((place(p.x(), tile.x()), place(p.y(), tile.y()), count));
                    }
                }
            }
            let sum = |bins: &[(f64, f64, u64)]| bins.iter().map(|b| b.2).sum::<u64>();
            assert_eq!((sum(&plain), sum(&shifted)), (600, 600), "zoom {z}, round {round}");
            // Each of the register's bins, shifted by other code, stands in a shifted tile within a unit and a half: half a unit
            // is what flooring the plain one loses.
            let scale = 4096.0 * f64::from(1u32 << z);
            for (x, y, n) in plain {
                let lon = (x + 0.5) / scale * 360.0 - 180.0;
                let lat = (PI * (1.0 - 2.0 * (y + 0.5) / scale)).sinh().atan().to_degrees();
                let (u, v) = units(TileId::new(0, 0, 0).unwrap(), gcj(lon, lat));
                let (u, v) = (u * f64::from(1u32 << z), v * f64::from(1u32 << z));
                let there =
                    |b: &&(f64, f64, u64)| (b.0 + 0.5 - u).abs() < 1.5 && (b.1 + 0.5 - v).abs() < 1.5 && b.2 == n;
                assert!(shifted.iter().any(|b| there(&b)), "zoom {z}: {n} at {u},{v}");
            }
        }
        for _ in 0..15 {
            let n = dice.below(ids.len());
            spots[n] = dice.spot();
            town.move_to(ids[n], spots[n].0, spots[n].1).await;
        }
    }
}

#[sqlx::test]
async fn items_and_what_is_asked_of_them_are_in_the_coordinates_asked_for(pool: PgPool) {
    let town = town(pool).await;
    let (lon, lat) = (117.2172, 39.1096);
    let lamp = town.lamps(&[(lon, lat), (117.25, 39.2)]).await[0];
    let (x, y) = gcj(lon, lat);
    let close = |v: &serde_json::Value, (x, y): (f64, f64)| {
        let c = &v["geometry"]["coordinates"];
        (c[0].as_f64().unwrap() - x).abs() < 2e-9 && (c[1].as_f64().unwrap() - y).abs() < 2e-9
    };
    let item = town
        .json(&format!("/collections/lamps/items/{lamp}?coords=gcj02"))
        .await;
    assert!(close(&item, (x, y)), "{item}");
    let item = town
        .json(&format!("/collections/lamps/items/{lamp}?coords=BD-09"))
        .await;
    assert!(close(&item, bd(lon, lat)), "{item}");
    // A box of 2 m around the shifted place, which is 500 m off the place itself.
    let b = 1e-5;
    let bbox = format!("bbox={},{},{},{}", x - b, y - b, x + b, y + b);
    let found = town
        .json(&format!("/collections/lamps/items?coords=gcj02&{bbox}"))
        .await;
    assert_eq!(found["numberMatched"], 1);
    assert!(close(&found["features"][0], (x, y)));
    assert_eq!(
        town.json(&format!("/collections/lamps/items?{bbox}")).await["numberMatched"],
        0
    );
    let near = town
        .json(&format!(
            "/collections/lamps/items?coords=gcj02&near={x},{y}&within=0.001"
        ))
        .await;
    assert_eq!(near["numberMatched"], 1);
    let nearest = town
        .json(&format!("/collections/lamps/nearest?coords=gcj02&point={x},{y}&k=1"))
        .await;
    assert!(close(&nearest["features"][0], (x, y)));
    assert!(
        nearest["features"][0]["properties"]["distance_m"].as_f64().unwrap() <= 0.0001,
        "the inverse is exact"
    );
    // A shape moves vertex by vertex.
    let class = town.class("CJT214-2007", "0405").await;
    let park = town
        .add(&[Draft::new(class, rectangle(117.20, 39.10, 117.21, 39.11))])
        .await[0];
    let park = town
        .json(&format!("/collections/parks/items/{park}?coords=gcj02"))
        .await;
    let ring = park["geometry"]["coordinates"].to_string();
    let corner = gcj(117.20, 39.10);
    assert!(
        ring.contains(&format!("{:.6}", corner.0)[..9]) && ring.contains(&format!("{:.6}", corner.1)[..8]),
        "{ring}"
    );
    // TileJSON leads to the shifted tiles.
    let json = town.json("/tiles/lamps?coords=gcj02").await;
    assert!(
        json["tiles"][0]
            .as_str()
            .unwrap()
            .ends_with("/tiles/lamps/{z}/{x}/{y}?coords=gcj02"),
        "{json}"
    );
    let wrong = town.get("/tiles/lamps/14/13526/6255?coords=mars").await;
    assert_eq!(wrong.status, 400);
    assert_eq!(wrong.json()["errors"][0]["parameter"], "coords");
}
