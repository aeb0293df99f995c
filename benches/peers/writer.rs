//! Edits through HTTP, as a surveyor makes them, and whether a tile shows them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use sqlx::Row;

use crate::http::Connection;
use crate::mvt::Feature;
use crate::node::City;
use crate::tiles::TileId;
use crate::{Result, Settings};

/// A component that can be edited once.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    id: i64,
    version: i64,
    state: String,
    lon: f64,
    lat: f64,
}

/// An edit that was acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    id: u64,
    state: String,
    lon: f64,
    lat: f64,
    /// Where it stood before.
    was: (f64, f64),
    /// Before the request; the commit came later.
    pub(crate) sent: Instant,
    /// After the answer.
    pub(crate) acknowledged: Instant,
    pub(crate) revision: i64,
    /// Whether the node said that it does not show the edit yet.
    pub(crate) lagging: bool,
}

/// Different components of the layer in a random order.
pub(crate) async fn targets(settings: &Settings, city: &City, most: i64) -> Result<Vec<Target>> {
    let sql = "select v.id, v.version, v.state, st_x(v.geom) as lon, st_y(v.geom) as lat
      from component v join class c on c.id = v.class
      where c.scheme || '/' || c.code = any($1) and v.state <> 'retired' order by random() limit $2";
    let rows = sqlx::query(sql)
        .bind(&settings.layer.classes)
        .bind(most)
        .fetch_all(&city.pool)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Target {
                id: row.try_get("id")?,
                version: row.try_get("version")?,
                state: row.try_get("state")?,
                lon: row.try_get("lon")?,
                lat: row.try_get("lat")?,
            })
        })
        .collect()
}

/// A token that may edit.
pub(crate) fn token(settings: &Settings, dir: &Path) -> Result<String> {
    let out = Command::new(&settings.lamppost)
        .env_remove("DATABASE_URL")
        .args(["token", "new", "--label", "bench", "--data-dir"])
        .arg(dir)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    match out.status.success() {
        true => Ok(String::from_utf8(out.stdout)?.trim().to_owned()),
        false => Err("lamppost token failed".into()),
    }
}

/// Changes the state; where `far` is given, also the place, by so many degrees.
pub(crate) async fn edit(
    connection: &mut Connection,
    (to, token, layer): (SocketAddr, &str, &str),
    target: &Target,
    far: Option<(f64, f64)>,
) -> Result<Done> {
    let state = if target.state == "damaged" { "intact" } else { "damaged" };
    // What the register keeps of a coordinate is more than these digits.
    let round = |v: f64| (v * 1e7).round() / 1e7;
    let (lon, lat) = match far {
        Some((dx, dy)) => (round(target.lon + dx), round(target.lat + dy)),
        None => (target.lon, target.lat),
    };
    let place = match far {
        Some(_) => format!(r#","geometry":{{"type":"Point","coordinates":[{lon},{lat}]}}"#),
        None => String::new(),
    };
    let body = format!(r#"{{"properties":{{"state":"{state}"}}{place},"reason":"bench"}}"#);
    let (id, version, length) = (target.id, target.version, body.len());
    let request = format!(
        "PATCH /collections/{layer}/items/{id} HTTP/1.1\r\nHost: {to}\r\nAuthorization: Bearer {token}\r\n\
         If-Match: \"{version}\"\r\nContent-Type: application/merge-patch+json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let sent = Instant::now();
    let status = connection.ask(request.as_bytes()).await?;
    let acknowledged = Instant::now();
    if status != 200 {
        let said = String::from_utf8_lossy(connection.body()).into_owned();
        return Err(format!("an edit of {id} answered {status}: {said}").into());
    }
    Ok(Done {
        id: u64::try_from(target.id)?,
        state: state.to_owned(),
        lon,
        lat,
        was: (target.lon, target.lat),
        sent,
        acknowledged,
        revision: connection.revision().unwrap_or(0),
        lagging: connection.header("lamppost-lagging").is_some(),
    })
}

/// Steps of 2^-32 of the Web Mercator square from its north-west corner.
fn steps(lon: f64, lat: f64) -> (i64, i64) {
    let sin = lat.to_radians().sin();
    let y = 0.5 - ((1.0 + sin) / (1.0 - sin)).ln() / (4.0 * std::f64::consts::PI);
    let whole = 4_294_967_296.0;
    (((lon / 360.0 + 0.5) * whole) as i64, (y * whole) as i64)
}

fn tile(z: u8, (x, y): (i64, i64)) -> TileId {
    (z, (x >> (32 - z)) as i32, (y >> (32 - z)) as i32)
}

impl Done {
    /// The tiles of a zoom that the edit touches most: where the component stands, and where it stood if that is another.
    pub(crate) fn tiles(&self, z: u8) -> Vec<TileId> {
        let mut tiles = vec![
            tile(z, steps(self.lon, self.lat)),
            tile(z, steps(self.was.0, self.was.1)),
        ];
        tiles.dedup();
        tiles
    }

    /// Whether a tile in which components are drawn one by one is as it must be after the edit.
    pub(crate) fn shown(&self, id: TileId, features: &[Feature]) -> bool {
        let (z, x, y) = id;
        let at = steps(self.lon, self.lat);
        let pixel = (
            ((at.0 >> (20 - z)) - i64::from(x) * 4096) as i32,
            ((at.1 >> (20 - z)) - i64::from(y) * 4096) as i32,
        );
        let near = |f: &Feature| (f.at.0 - pixel.0).abs() <= 1 && (f.at.1 - pixel.1).abs() <= 1;
        let found: HashMap<bool, usize> = features
            .iter()
            .filter(|f| f.id == Some(self.id))
            .map(|f| near(f) && f.tags.get("state") == Some(&self.state))
            .fold(HashMap::new(), |mut n, right| {
                *n.entry(right).or_default() += 1;
                n
            });
        let must = tile(z, at) == id;
        !found.contains_key(&false) && (!must || found.get(&true) == Some(&1))
    }
}
