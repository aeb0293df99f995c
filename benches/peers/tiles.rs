//! Which tiles are asked for, and the proof that all servers answer them alike.

use std::sync::Arc;

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use sqlx::{AssertSqlSafe, Row};

use crate::http::Connection;
use crate::mvt::{self, Feature};
use crate::node::{City, Node};
use crate::{Result, Settings, http};

/// Zoom, column, row.
pub(crate) type TileId = (u8, i32, i32);

/// Makes what Martin serves, afresh: `bench.point`, `bench.tile` and `bench.live`.
pub(crate) async fn prepare(settings: &Settings, city: &City) -> Result<()> {
    let layer = &settings.layer;
    let classes: String =
        sqlx::query_scalar("select array_agg(id)::text from class where scheme || '/' || code = any($1)")
            .bind(&layer.classes)
            .fetch_one(&city.pool)
            .await?;
    let sql = include_str!("city.sql")
        .replace("{layer}", &layer.id)
        .replace("{detail}", &layer.detail_zoom.to_string())
        .replace("{classes}", &format!("'{classes}'::int[]"));
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&city.pool).await?;
    // The visibility map spares index scans the heap, and hint bits are set for good.
    sqlx::raw_sql("vacuum bench.point").execute(&city.pool).await?;
    Ok(())
}

/// Takes away the index that the register has only for `bench.live`: it would slow edits down.
pub(crate) async fn tidy(city: &City) -> Result<()> {
    sqlx::raw_sql("drop index if exists component_bench_gist")
        .execute(&city.pool)
        .await?;
    Ok(())
}

/// The tiles of a zoom in which a component of the layer lies, with how many, shuffled by a fixed seed.
pub(crate) async fn filled(city: &City, z: u8) -> Result<Vec<(TileId, i64)>> {
    let sql = "select (wx >> (32 - $1))::int as x, (wy >> (32 - $1))::int as y, count(*) as n
      from bench.point group by 1, 2 order by 1, 2";
    let rows = sqlx::query(sql).bind(i32::from(z)).fetch_all(&city.pool).await?;
    let mut tiles = Vec::new();
    for row in rows {
        tiles.push(((z, row.try_get("x")?, row.try_get("y")?), row.try_get("n")?));
    }
    tiles.shuffle(&mut ChaCha8Rng::seed_from_u64(u64::from(z)));
    Ok(tiles)
}

/// The path of a tile at Lamppost.
pub(crate) fn ours(layer: &str, (z, x, y): TileId, query: &str) -> String {
    format!("/tiles/{layer}/{z}/{x}/{y}{query}")
}

/// The path of a tile at Martin, from the copy that was made for it or from the register itself.
pub(crate) fn theirs(layer: &str, (z, x, y): TileId, live: bool) -> String {
    format!("/{layer}{}/{z}/{x}/{y}", if live { "-live" } else { "" })
}

/// GETs of tiles, as they go over the wire.
pub(crate) fn requests(to: &Node, paths: impl Iterator<Item = String>, gzip: bool) -> Arc<Vec<Vec<u8>>> {
    Arc::new(paths.map(|p| http::get(to.at, &p, gzip)).collect())
}

/// The points of one answer; none for an empty tile.
pub(crate) async fn read(connection: &mut Connection, request: &[u8], layer: &str) -> Result<Vec<Feature>> {
    match connection.ask(request).await? {
        204 => Ok(Vec::new()),
        200 => mvt::points(connection.plain()?, layer),
        status => Err(format!("{} answered {status}", String::from_utf8_lossy(request)).into()),
    }
}

/// How two servers' answers compared.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    pub(crate) tiles: usize,
    /// Components in those tiles, each in every tile that shows it.
    pub(crate) components: u64,
    /// What differs between Lamppost and Martin on its copy: any feature's place, id or attributes.
    pub(crate) copy: Vec<String>,
    /// What differs on the live tables, where places are rounded in another way: ids and attributes.
    pub(crate) live: Vec<String>,
}

/// Asks Lamppost and Martin for the same tiles, also some around the city in which nothing may lie.
pub(crate) async fn compare(
    settings: &Settings,
    (lamppost, martin): (&Node, &Node),
    zoom: &[(TileId, i64)],
    most: usize,
) -> Result<Compared> {
    let layer = &settings.layer.id;
    let mut tiles: Vec<TileId> = zoom.iter().map(|(t, _)| *t).take(most).collect();
    let around: Vec<TileId> = tiles.iter().map(|&(z, x, y)| (z, x - 1, y + 1)).collect();
    tiles.extend(around.into_iter().filter(|t| t.1 >= 0 && t.2 < 1 << t.0));
    tiles.sort_unstable();
    tiles.dedup();
    let mut here = Connection::open(lamppost.at).await?;
    let mut there = Connection::open(martin.at).await?;
    let mut out = Compared::default();
    for (n, &tile) in tiles.iter().enumerate() {
        // Each way of packing in turn.
        let gzip = n % 2 == 1;
        let request = http::get(lamppost.at, &ours(layer, tile, ""), gzip);
        let a = read(&mut here, &request, layer).await?;
        for (live, said) in [(false, &mut out.copy), (true, &mut out.live)] {
            let request = http::get(martin.at, &theirs(layer, tile, live), gzip);
            let b = read(&mut there, &request, layer).await?;
            let differences = if live {
                mvt::roughly(&a, &b)
            } else {
                mvt::differences(&a, &b)
            };
            said.extend(differences.into_iter().map(|d| format!("{tile:?} {d}")));
        }
        out.tiles += 1;
        out.components += a.iter().map(Feature::count).sum::<u64>();
    }
    Ok(out)
}
