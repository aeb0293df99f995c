//! What the register knows that a delivery is checked against.

use std::sync::Arc;

use futures_util::TryStreamExt;
use geo::{Geometry, MultiPolygon};
use geozero::ToGeo;

use crate::error::{Error, Result};
use crate::spatial::ground::{Ground, Piece};
use crate::spatial::near::Near;
use crate::spatial::position::LonLat;
use crate::store::Store;

impl Store {
    /// Where its points stand. Those of a source are marked by their keys and settled; with `follow` they are only that, as the
    /// source may have given them other keys. About a microsecond each.
    pub async fn near(&self, source: &str, follow: bool) -> Result<Near> {
        let mut rows = sqlx::query_as::<_, (i64, i32, f64, f64, Option<String>)>(
            "select id, class, st_x(geom), st_y(geom), case when source = $1 then source_key end
             from component
             where state <> 'retired' and geometrytype(geom) = 'POINT'",
        )
        .bind(source)
        .fetch(&self.pool);
        let mut near = Near::default();
        while let Some((id, class, lon, lat, key)) = rows.try_next().await? {
            let mark = key.as_deref().map_or(0, Near::mark);
            if mark != 0 {
                near.settle(mark);
            }
            if let Ok(at) = LonLat::new(lon, lat)
                && !(follow && mark != 0)
            {
                near.add(class, at, id, mark);
            }
        }
        Ok(near)
    }

    /// Its valid areas and cells. Some microseconds each.
    pub async fn ground(&self) -> Result<Arc<Ground>> {
        let rows: Vec<(bool, String, Vec<u8>)> = sqlx::query_as(
            "select false, code, st_asbinary(geom) from area where valid
             union all select true, code, st_asbinary(geom) from cell where valid",
        )
        .fetch_all(&self.pool)
        .await?;
        let build = move || {
            let shapes: Result<Vec<(Piece, MultiPolygon<f64>)>> = rows.into_iter().map(piece).collect();
            Ok(Arc::new(Ground::new(shapes?)))
        };
        tokio::task::spawn_blocking(build).await.map_err(Error::internal)?
    }
}

fn piece((cell, code, wkb): (bool, String, Vec<u8>)) -> Result<(Piece, MultiPolygon<f64>)> {
    let shape = match geozero::wkb::Wkb(wkb).to_geo().map_err(Error::internal)? {
        Geometry::MultiPolygon(shape) => shape,
        Geometry::Polygon(polygon) => MultiPolygon(vec![polygon]),
        _ => return Err(Error::internal("an area or cell that is no polygon")),
    };
    let piece = if cell { Piece::Cell(code) } else { Piece::Area(code) };
    Ok((piece, shape))
}
