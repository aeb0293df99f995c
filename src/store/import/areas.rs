//! Checks of areas and cells against each other: overlaps, gaps, prefixes.

use sqlx::PgConnection;

use super::shapes::ShapeTable;
use crate::domain::area::check_prefix;
use crate::domain::code::{AreaCode, CellCode, Scheme};
use crate::domain::delivery::Finding;
use crate::error::Result;
use crate::text;

/// What overlaps or is missing by less than this is the noise of digitising, in square metres.
const NOISE_M2: f64 = 1.0;

/// Gives every valid cell the community that contains its point on surface.
pub(super) async fn place_cells(conn: &mut PgConnection) -> Result<()> {
    sqlx::query(
        "with placed as (
           select c.id, (select a.id from area a
                         where a.valid and a.level = 'community' and st_covers(a.geom, st_pointonsurface(c.geom))
                         order by a.code limit 1) as area
           from cell c where c.valid
         )
         update cell c set area = p.area from placed p where c.id = p.id and c.area is distinct from p.area",
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Overlaps and gaps of what was delivered, and cells whose code does not begin with their community's.
pub(super) async fn findings(conn: &mut PgConnection, table: ShapeTable) -> Result<Vec<Finding>> {
    let (overlap_sql, gap_sql) = match table {
        ShapeTable::Cell => (CELL_OVERLAPS, CELL_GAPS),
        _ => (AREA_OVERLAPS, AREA_GAPS),
    };
    let overlaps: Vec<(String, String, f64)> = sqlx::query_as(overlap_sql).bind(NOISE_M2).fetch_all(&mut *conn).await?;
    let mut found: Vec<Finding> = overlaps
        .into_iter()
        .map(|(a, b, m2)| Finding {
            kind: "overlap",
            detail: text!("{a} 与 {b} 重叠 {m2:.1} 平方米", "{a} and {b} overlap by {m2:.1} m2"),
            codes: vec![a, b],
            area_m2: Some(m2),
        })
        .collect();
    let gaps: Vec<(Option<String>, f64, f64, f64)> =
        sqlx::query_as(gap_sql).bind(NOISE_M2).fetch_all(&mut *conn).await?;
    found.extend(gaps.into_iter().map(|(code, m2, lon, lat)| {
        let place = code.clone().unwrap_or_default();
        Finding {
            kind: "gap",
            detail: text!(
                "{place} 内有 {m2:.1} 平方米未覆盖，位于 {lon:.6},{lat:.6}",
                "{m2:.1} m2 of {place} are not covered, at {lon:.6},{lat:.6}"
            ),
            codes: code.into_iter().collect(),
            area_m2: Some(m2),
        }
    }));
    if table == ShapeTable::Cell {
        found.extend(prefixes(conn).await?);
    }
    Ok(found)
}

async fn prefixes(conn: &mut PgConnection) -> Result<Vec<Finding>> {
    let cells: Vec<(String, String, String)> = sqlx::query_as(
        "select c.scheme, c.code, a.code from cell c join area a on a.id = c.area where c.valid order by c.code",
    )
    .fetch_all(conn)
    .await?;
    let wrong = |(scheme, cell, community): (String, String, String)| {
        // What does not parse is an older row by other rules; it is not compared.
        let code = CellCode::parse(Scheme::parse(&scheme).ok()?, &cell).ok()?;
        let area = AreaCode::parse(&community).ok()?;
        let detail = check_prefix(&code, &area).err()?;
        Some(Finding {
            kind: "prefix",
            codes: vec![cell, community],
            area_m2: None,
            detail,
        })
    };
    Ok(cells.into_iter().filter_map(wrong).collect())
}

const CELL_OVERLAPS: &str = "
select * from (
  select a.code, b.code, st_area(st_collectionextract(st_intersection(a.geom, b.geom), 3)::geography) as m2
  from cell a join cell b on a.id < b.id and a.scheme = b.scheme and a.geom && b.geom and st_intersects(a.geom, b.geom)
  where a.valid and b.valid and (a.scheme, a.code) in (select kind, key from import_shape)
) t where m2 > $1 order by 1, 2 limit 10000";

const AREA_OVERLAPS: &str = "
select * from (
  select a.code, b.code, st_area(st_collectionextract(st_intersection(a.geom, b.geom), 3)::geography) as m2
  from area a join area b on a.id < b.id and a.level = b.level and a.geom && b.geom and st_intersects(a.geom, b.geom)
  where a.valid and b.valid and a.level in (select kind from import_shape)
) t where m2 > $1 order by 1, 2 limit 10000";

/// What the finest areas cover and no cell of the delivered scheme does.
const CELL_GAPS: &str = "
with finest as (
  select code, geom from area
  where valid and level = (select level from area where valid
                           order by case level when 'community' then 1 when 'street' then 2 else 3 end limit 1)
), piece as (
  select f.code, d.geom
  from finest f
  -- Only where this delivery has been: the rest of the city is not its affair.
  join lateral (select from import_shape s where st_intersects(s.geom, f.geom) limit 1) here on true
  cross join lateral (
    select st_union(c.geom) as geom from cell c
    where c.valid and c.geom && f.geom and c.scheme in (select kind from import_shape)
  ) c
  cross join lateral st_dump(coalesce(st_collectionextract(st_difference(f.geom, c.geom), 3), f.geom)) d
)
select code, st_area(geom::geography) as m2, st_x(st_pointonsurface(geom)), st_y(st_pointonsurface(geom))
from piece where st_area(geom::geography) > $1 order by 2 desc, 1 limit 10000";

/// What areas of the next higher level cover and none of the delivered level does.
const AREA_GAPS: &str = "
with delivered as (select distinct kind as level from import_shape),
pair as (
  select 'community' as lower, case when exists (select from area where valid and level = 'street') then 'street' else 'district' end as upper
  where exists (select from delivered where level in ('community', 'street'))
  union
  select 'street', 'district' where exists (select from delivered where level in ('street', 'district'))
), piece as (
  select u.code, d.geom
  from pair p
  join area u on u.valid and u.level = p.upper
    and exists (select from import_shape s where st_intersects(s.geom, u.geom))
  cross join lateral (select st_union(a.geom) as geom from area a where a.valid and a.level = p.lower and a.geom && u.geom) c
  -- Where none of the lower level has come yet there is nothing to compare.
  cross join lateral st_dump(st_collectionextract(st_difference(u.geom, c.geom), 3)) d
)
select code, st_area(geom::geography) as m2, st_x(st_pointonsurface(geom)), st_y(st_pointonsurface(geom))
from piece where st_area(geom::geography) > $1 order by 2 desc, 1 limit 10000";
