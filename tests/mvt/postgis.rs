//! What our tiles show beside what PostGIS makes of the same rows with `ST_AsMVT` and `ST_AsMVTGeom`.
//!
//! Both agree on which features there are and what they say. Their geometry differs by rule: we floor to tile units, so that each
//! point lies in exactly one tile, and PostGIS rounds; so a coordinate of ours is PostGIS's or one less. We draw points 64 units
//! around the tile and shapes 256, and so PostGIS is asked to.

use std::collections::BTreeMap;

use geo::{BoundingRect, Coord, Geometry, MapCoords};
use geozero::ToWkt;
use lamppost::domain::component::Draft;
use lamppost::domain::word::State;
use lamppost::spatial::tile_id::{TileId, World};
use sqlx::{PgPool, Row};

use crate::support::{Dice, Town, point, town};
use crate::tiles::decode;

const POINTS: i32 = 64;
const SHAPES: i32 = 256;

/// Components of a class as a layer.
const COMPONENTS: &str = "
    with r as (
      select c.id, k.code as class, c.state, c.ownership_status, p.code as owner,
             st_asmvtgeom(st_transform(c.geom, 3857), st_tileenvelope($1, $2, $3), 4096, $4, true) as geom
        from component c join class k on k.id = c.class left join party p on p.id = c.owner
       where k.code = $5 and c.state <> 'retired')
    select st_asmvt(r, $6, 4096, 'geom', 'id') from r where geom is not null";

const ROADS: &str = "
    with r as (
      select c.id, c.class, c.name,
             st_asmvtgeom(st_transform(c.geom, 3857), st_tileenvelope($1, $2, $3), 4096, $4, true) as geom
        from road c where $5 = '')
    select st_asmvt(r, $6, 4096, 'geom', 'id') from r where geom is not null";

/// Where a component lies in a tile, not yet made whole.
const EXACT: &str = "
    select (st_x(g) - st_xmin(e)) / (st_xmax(e) - st_xmin(e)) * 4096, (st_ymax(e) - st_y(g)) / (st_ymax(e) - st_ymin(e)) * 4096
      from component, st_transform(geom, 3857) g, st_tileenvelope($1, $2, $3) e where id = $4";

type Shown = BTreeMap<u64, (BTreeMap<String, String>, Geometry<f64>)>;

fn by_id(bytes: &[u8], layer: &str) -> Shown {
    let wide = |c: Coord<f32>| Coord {
        x: f64::from(c.x),
        y: f64::from(c.y),
    };
    let features = decode(bytes, layer).into_iter();
    features
        .map(|(id, words, shape)| (id.unwrap(), (words, shape.map_coords(wide))))
        .collect()
}

async fn ours(town: &Town, layer: &str, t: TileId) -> Shown {
    // Several layers in one tile; the others must not disturb.
    let path = format!("/tiles/parks,lamps,roads/{}/{}/{}", t.z(), t.x(), t.y());
    by_id(&town.get(&path).await.bytes, layer)
}

async fn theirs(town: &Town, sql: &'static str, t: TileId, buffer: i32, class: &str, layer: &str) -> Shown {
    let query = sqlx::query_scalar(sql)
        .bind(i32::from(t.z()))
        .bind(t.x() as i32)
        .bind(t.y() as i32);
    let bytes: Vec<u8> = query
        .bind(buffer)
        .bind(class)
        .bind(layer)
        .fetch_one(&town.pool)
        .await
        .unwrap();
    by_id(&bytes, layer)
}

async fn exact(town: &Town, t: TileId, id: u64) -> (f64, f64) {
    let query = sqlx::query(EXACT)
        .bind(i32::from(t.z()))
        .bind(t.x() as i32)
        .bind(t.y() as i32);
    let row = query.bind(id as i64).fetch_one(&town.pool).await.unwrap();
    (row.get(0), row.get(1))
}

/// The tiles of some zooms that hold any of the positions.
fn tiles(zooms: &[u8], spots: &[(f64, f64)]) -> Vec<TileId> {
    let mut out: Vec<_> = zooms
        .iter()
        .flat_map(|z| spots.iter().map(|(x, y)| World::at(*x, *y).tile(*z)))
        .collect();
    out.sort_unstable();
    out.dedup();
    out
}

#[sqlx::test]
async fn points_are_those_of_postgis_with_floor_for_round(pool: PgPool) {
    let town = town(pool).await;
    town.sql("insert into party (code, name) values ('HX01', '河西区照明所'), ('HX02', '河西区养护所')")
        .await;
    let mut dice = Dice::new(41);
    let mut spots: Vec<_> = (0..500).map(|_| dice.spot()).collect();
    spots.extend((0..60).map(|_| (117.2172 + dice.roll() * 1e-4, 39.1096 + dice.roll() * 1e-4)));
    let ids = town.lamps(&spots).await;
    for id in &ids[..60] {
        town.set_state(*id, State::ALL[dice.below(5)]).await;
    }
    town.sql(
        "update component set ownership_status = (array['unsurveyed', 'proposed', 'confirmed', 'disputed'])[id % 4 + 1],
           owner = (select min(id) from party) + id % 2 where id % 3 = 0",
    )
    .await;
    let mut compared = 0;
    let mut tiles = tiles(&[14, 15, 16, 18], &spots[..40]);
    tiles.extend(self::tiles(&[19, 20, 21, 22], &spots[498..520]));
    for t in tiles {
        let (ours, theirs) = (
            ours(&town, "lamps", t).await,
            theirs(&town, COMPONENTS, t, POINTS, "0118", "lamps").await,
        );
        // Only on the buffer's own edge may one of the two see what the other does not.
        for id in ours
            .keys()
            .chain(theirs.keys())
            .filter(|id| ours.contains_key(id) != theirs.contains_key(id))
        {
            let (x, y) = exact(&town, t, *id).await;
            let edge = |v: f64| (v + 64.0).abs() < 4.0 || (v - 4160.0).abs() < 4.0;
            assert!(edge(x) || edge(y), "{t:?}: {id} at {x} {y} is in one tile only");
        }
        // Positions are whole steps of 2^-32 of the world: one tile unit at zoom 20, four at 22.
        let step = f64::from(1u32 << t.z().saturating_sub(20));
        for (id, (words, geometry)) in &ours {
            let Some((their_words, their_geometry)) = theirs.get(id) else {
                continue;
            };
            assert_eq!(words, their_words, "{t:?}: {id}");
            let (Geometry::Point(p), Geometry::Point(q)) = (geometry, their_geometry) else {
                panic!("{t:?}: {geometry:?} {their_geometry:?}")
            };
            let (x, y) = exact(&town, t, *id).await;
            for (ours, theirs, exact) in [(p.x(), q.x(), x), (p.y(), q.y(), y)] {
                // A position on the border of two units may fall to either, by the last bit of a projection.
                let floors = [(exact - 1e-3) / step, (exact + 1e-3) / step].map(|v| v.floor() * step);
                assert!(floors.contains(&ours), "{t:?}: {id} at {ours}, exactly {exact}");
                assert!(
                    (theirs - exact).abs() <= 0.501,
                    "{t:?}: {id}: PostGIS has {theirs}, exactly {exact}"
                );
                compared += 1;
            }
        }
    }
    assert!(compared > 3000, "{compared}");
}

/// A star of many points around a position, with a hole now and then: rings that no clipping makes simple.
fn star(dice: &mut Dice, at: (f64, f64)) -> Geometry<f64> {
    let ring = |dice: &mut Dice, n: usize, from: f64, to: f64| -> geo::LineString<f64> {
        let angle = |i: usize| i as f64 / n as f64 * std::f64::consts::TAU;
        let points = (0..n).map(|i| {
            let r = from + dice.roll() * (to - from);
            (at.0 + r * angle(i).cos(), at.1 + r * angle(i).sin())
        });
        let mut points: Vec<_> = points.collect();
        points.push(points[0]);
        points.into()
    };
    let size = 0.001 + dice.roll() * 0.006;
    let n = 5 + dice.below(30);
    let exterior = ring(dice, n, size * 0.6, size);
    let holes = if dice.below(2) == 0 {
        vec![ring(dice, 7, size * 0.2, size * 0.4)]
    } else {
        Vec::new()
    };
    geo::Polygon::new(exterior, holes).into()
}

/// A walk of many short steps.
fn walk(dice: &mut Dice) -> Geometry<f64> {
    let (mut x, mut y) = dice.spot();
    let step = |_| {
        x += (dice.roll() - 0.5) * 0.004;
        y += (dice.roll() - 0.5) * 0.004;
        (x, y)
    };
    geo::MultiLineString::new(vec![(0..40).map(step).collect()]).into()
}

/// How far two shapes of a tile lie apart, in tile units. Polygons: the area between them, over the length of the longer border.
/// Lines: the largest distance of a place on one from the other, away from the edge of the buffer, where PostGIS cuts what it
/// has rounded, and a flat line's end moves along the edge.
const APART: &str = "
    select case when st_dimension(a) = 2
           then st_area(st_symdifference(st_makevalid(a, 'method=structure'), st_makevalid(b, 'method=structure')))
                / greatest(st_perimeter(a), st_perimeter(b), 1)
           else (select coalesce(max(st_distance(place.geom, other)), 0)
                   from (values (a, b), (b, a)) v (one, other), st_dumppoints(st_segmentize(one, 16)) place
                  where place.geom && st_makeenvelope(-240, -240, 4336, 4336)) end
      from st_geomfromtext($1) a, st_geomfromtext($2) b";

async fn same_shapes(town: &Town, t: TileId, ours: &Shown, theirs: &Shown) -> usize {
    for (id, (_, shape)) in ours.iter().chain(theirs) {
        if ours.contains_key(id) && theirs.contains_key(id) {
            continue;
        }
        // One of the two has only a sliver of it left, at the edge of the buffer.
        let b = shape.bounding_rect().unwrap();
        let (min, max) = (-f64::from(SHAPES), f64::from(4096 + SHAPES));
        let inside = [b.max().x - min, b.max().y - min, max - b.min().x, max - b.min().y];
        assert!(
            inside.iter().any(|d| *d < 3.0),
            "{t:?}: {id} is in one tile only: {shape:?}"
        );
    }
    let mut compared = 0;
    for (id, (words, shape)) in ours {
        let Some((their_words, their_shape)) = theirs.get(id) else {
            continue;
        };
        assert_eq!(words, their_words, "{t:?}: {id}");
        let [a, b] = [shape, their_shape].map(|g| g.to_wkt().unwrap());
        let apart: f64 = sqlx::query_scalar(APART)
            .bind(&a)
            .bind(&b)
            .fetch_one(&town.pool)
            .await
            .unwrap();
        // Floor and round of the same point are up to 1 apart in each direction, 1.42 in all, and PostGIS rounds what it cuts
        // once more, 0.71.
        assert!(apart <= 2.13, "{t:?}: {id} is {apart} apart\n{a}\n{b}");
        compared += 1;
    }
    compared
}

#[sqlx::test]
async fn lines_and_polygons_are_those_of_postgis(pool: PgPool) {
    let town = town(pool).await;
    let mut dice = Dice::new(43);
    let spots: Vec<_> = (0..50).map(|_| dice.spot()).collect();
    let park = town.class("CJT214-2007", "0405").await;
    let mut drafts: Vec<_> = spots.iter().map(|at| Draft::new(park, star(&mut dice, *at))).collect();
    // Two of one component, and one that is larger than any tile compared.
    let (Geometry::Polygon(a), Geometry::Polygon(b)) =
        (star(&mut dice, (117.19, 39.1)), star(&mut dice, (117.27, 39.1)))
    else {
        panic!("stars are polygons")
    };
    drafts.push(Draft::new(park, geo::MultiPolygon::new(vec![a, b]).into()));
    drafts.push(Draft::new(park, crate::support::rectangle(117.0, 39.0, 117.5, 39.3)));
    town.add(&drafts).await;
    town.add(&[Draft::new(town.lamp_class().await, point(117.22, 39.1))])
        .await;
    for n in 0..30 {
        sqlx::query("insert into road (name, class, geom) values ($1, 'local', st_geomfromtext($2, 4326))")
            .bind((n % 3 > 0).then(|| format!("{n}号路")))
            .bind(walk(&mut dice).to_wkt().unwrap())
            .execute(&town.pool)
            .await
            .unwrap();
    }
    town.settle().await;
    let mut compared = [0; 2];
    for t in tiles(&[13, 14, 15, 16, 18], &spots[..12]) {
        let parks = theirs(&town, COMPONENTS, t, SHAPES, "0405", "parks").await;
        compared[0] += same_shapes(&town, t, &ours(&town, "parks", t).await, &parks).await;
        let roads = theirs(&town, ROADS, t, SHAPES, "", "roads").await;
        compared[1] += same_shapes(&town, t, &ours(&town, "roads", t).await, &roads).await;
    }
    assert!(compared.iter().all(|n| *n > 150), "{compared:?}");
}
