//! What the register knows that a delivery is checked against.

use std::sync::Arc;

use geo::{Geometry, MultiPolygon};
use geozero::ToGeo;

use crate::error::{Error, Result};
use crate::spatial::ground::{Ground, Piece};
use crate::store::Store;

impl Store {
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
