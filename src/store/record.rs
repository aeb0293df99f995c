//! What memory holds, read from the database: all of it in one snapshot, or what some transactions changed.

use std::num::NonZeroI32;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt};
use geo::Geometry;
use geozero::ToGeo;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::copy::{Fields, Reader};
use crate::domain::class::Class;
use crate::domain::record::{Area, Cell, Component, Land, Party, Record, Road};
use crate::domain::text::Text;
use crate::domain::word::{AreaLevel, GeometryKind, ManagementKind, OwnershipStatus, PropertyKind, RoadClass, State};
use crate::error::{Error, Result};
use crate::spatial::packed::Packed;

/// The columns of a component (alias `v`) that memory holds.
macro_rules! component_columns {
    () => {
        "v.id, v.version, v.scheme, v.code, v.class, v.name,
         st_x(p.at) as lon, st_y(p.at) as lat,
         case when geometrytype(v.geom) <> 'POINT' then st_asbinary(v.geom) end as shape,
         v.state, v.ownership_status, v.property_kind, v.management_kind,
         v.cell, v.authority, v.owner, v.maintainer, v.road"
    };
}
pub(super) use component_columns;

/// The point, or the point on surface, of a component (alias `v`) as `p.at`.
macro_rules! component_at {
    () => {
        "cross join lateral (
           select case when geometrytype(v.geom) = 'POINT' then v.geom else st_pointonsurface(v.geom) end as at
         ) p"
    };
}
pub(super) use component_at;

/// The columns that [`Copied`] reads, in its order.
const ALL_COMPONENTS: &str = "copy (
    select id, version, scheme, code, class, name, geom,
           case when st_dimension(geom) > 0 then st_pointonsurface(geom) end,
           state, ownership_status, property_kind, management_kind,
           cell, authority, owner, maintainer, road
    from component
  ) to stdout (format binary)";

const CHANGED_COMPONENTS: &str = concat!(
    "select ",
    component_columns!(),
    " from change c
      join component_version v on v.id = c.id and v.version = c.version ",
    component_at!(),
    " where c.txn = any($1) and c.entity = 'component'"
);

const COMPONENT_VERSION: &str = concat!(
    "select ",
    component_columns!(),
    " from component_version v ",
    component_at!(),
    " where v.id = $1 and v.version = $2"
);

const AREAS: &str =
    "select 'area' as entity, id, code, level, name, case when valid then st_asbinary(geom) end as shape,
    st_x(st_pointonsurface(geom)) as lon, st_y(st_pointonsurface(geom)) as lat
  from area where $1::int[] is null or id = any($1)";
const CELLS: &str =
    "select 'cell' as entity, id, scheme, code, name, area, case when valid then st_asbinary(geom) end as shape
  from cell where $1::int[] is null or id = any($1)";
const ROADS: &str = "select 'road' as entity, id, name, class, st_asbinary(geom) as shape
  from road where $1::int[] is null or id = any($1)";
const LANDS: &str = "select 'land' as entity, id, kind, code, name, population, st_asbinary(geom) as shape
  from land where $1::int[] is null or id = any($1)";
const PARTIES: &str = "select 'party' as entity, id, code, name from party where $1::int[] is null or id = any($1)";
const CLASSES: &str =
    "select 'class' as entity, id, scheme, code, name_zh, name_en, major, geometry, accuracy, attributes,
    restricted, base
  from class where $1::int[] is null or id = any($1)";

const CHANGED_ENTITIES: &str = "select entity, array_agg(distinct id::int) as ids
  from change where txn = any($1) and entity not in ('component', 'motion') group by entity";

/// How many components there are, roughly and at once.
pub async fn count_components(tx: &mut PgConnection) -> Result<i64> {
    let estimate = "select greatest(reltuples, 0)::bigint from pg_class where oid = 'component'::regclass";
    Ok(sqlx::query_scalar(estimate).fetch_one(tx).await?)
}

/// Every component in the binary COPY format, for [`Copied`] to read. Run it in a snapshot together with the revision.
pub async fn copy_components(tx: &mut PgConnection) -> Result<impl Stream<Item = Result<Bytes>> + '_> {
    Ok(tx.copy_out_raw(ALL_COMPONENTS).await?.map_err(Error::from))
}

/// Reads what [`copy_components`] sends. Cost: about 0.5 µs a component.
#[derive(Debug, Default)]
pub struct Copied {
    reader: Reader,
}

impl Copied {
    /// Hands every component that the bytes so far complete to `each`.
    pub fn read(&mut self, bytes: &[u8], mut each: impl FnMut(Component)) -> Result<()> {
        self.reader.read(bytes, &mut |row| {
            each(copied(row)?);
            Ok(())
        })
    }

    /// Checks that the bytes ended where they should.
    pub fn finish(self) -> Result<()> {
        self.reader.finish()
    }
}

fn copied(row: &mut Fields<'_>) -> Result<Component> {
    let (id, version) = (row.need(Fields::int8)?, row.need(Fields::int8)?);
    let (scheme, code) = (row.text()?.map(str::to_owned), row.text()?.map(str::to_owned));
    let (class, name) = (row.need(Fields::int4)?, row.text()?.map(str::to_owned));
    let geom = row.need(Fields::ewkb)?;
    let surface = row.ewkb()?;
    let (at, shape) = match (geom, surface) {
        (Geometry::Point(p), _) => (p, None),
        (shape, Some(Geometry::Point(p))) => (p, Some(Packed::new(&shape))),
        _ => return Err(Error::internal("a component has no point on surface")),
    };
    Ok(Component {
        id,
        version,
        code: scheme.zip(code),
        class,
        name,
        at: (at.x(), at.y()),
        shape,
        state: word(State::parse(row.need(Fields::text)?))?,
        ownership_status: word(OwnershipStatus::parse(row.need(Fields::text)?))?,
        property_kind: row.text()?.map(|s| word(PropertyKind::parse(s))).transpose()?,
        management_kind: row.text()?.map(|s| word(ManagementKind::parse(s))).transpose()?,
        cell: row.int4()?,
        authority: row.int4()?,
        owner: row.int4()?,
        maintainer: row.int4()?,
        road: row.int4()?,
    })
}

/// A version of a component, as the database sends it: [`Version::read`] it where there is time.
#[derive(Debug)]
pub struct Version(PgRow);

impl Version {
    /// The component. Cost: about 5 µs.
    pub fn read(&self) -> Result<Component> {
        component(&self.0)
    }
}

/// The versions of components that some transactions made, in no order: a later version supersedes an earlier one.
pub fn changed_components<'a>(tx: &'a mut PgConnection, txns: &'a [i64]) -> impl Stream<Item = Result<Version>> + 'a {
    let rows = sqlx::query(CHANGED_COMPONENTS).bind(txns).fetch(tx);
    rows.map_ok(Version).map_err(Error::from)
}

/// One version of a component.
pub async fn component_version(tx: &mut PgConnection, id: i64, version: i64) -> Result<Option<Component>> {
    let row = sqlx::query(COMPONENT_VERSION)
        .bind(id)
        .bind(version)
        .fetch_optional(tx)
        .await?;
    row.as_ref().map(component).transpose()
}

/// A thing that is no component, as the database sends it: [`Sent::read`] it where there is time.
#[derive(Debug)]
pub struct Sent(PgRow);

impl Sent {
    /// The thing. Cost: about 1 µs.
    pub fn read(&self) -> Result<Record> {
        entity(&self.0)
    }
}

/// Hands everything that is not a component to `each`, about so many at a time; it answers whether it wants more.
pub async fn all_entities<F: Future<Output = bool>>(
    tx: &mut PgConnection,
    at_once: usize,
    mut each: impl FnMut(Vec<Sent>) -> F,
) -> Result<()> {
    for sql in [CLASSES, PARTIES, AREAS, CELLS, ROADS, LANDS] {
        let mut rows = sqlx::query(sql)
            .bind(None::<Vec<i32>>)
            .fetch(&mut *tx)
            .ready_chunks(at_once);
        while let Some(rows) = rows.next().await {
            let rows = rows.into_iter().map(|r| Ok(Sent(r?)));
            if !each(rows.collect::<Result<_>>()?).await {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The newest state of everything but components that some transactions touched.
pub async fn changed_entities(tx: &mut PgConnection, txns: &[i64]) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    let touched = sqlx::query(CHANGED_ENTITIES).bind(txns).fetch_all(&mut *tx).await?;
    for touch in touched {
        let sql = match touch.try_get::<&str, _>("entity")? {
            "class" => CLASSES,
            "party" => PARTIES,
            "area" => AREAS,
            "cell" => CELLS,
            "road" => ROADS,
            "land" => LANDS,
            "grant" => {
                records.push(Record::Grants);
                continue;
            }
            other => {
                return Err(Error::internal(format!("a change of the unknown entity {other}")));
            }
        };
        let ids: Vec<i32> = touch.try_get("ids")?;
        for row in sqlx::query(sql).bind(ids).fetch_all(&mut *tx).await? {
            records.push(entity(&row)?);
        }
    }
    Ok(records)
}

/// A geometry from well-known binary.
pub fn from_wkb(wkb: &[u8]) -> Result<Geometry<f64>> {
    geozero::wkb::Wkb(wkb).to_geo().map_err(Error::internal)
}

fn word<T>(read: Result<T, Text>) -> Result<T> {
    read.map_err(|t| Error::internal(t.en))
}

fn maybe<T>(row: &PgRow, column: &str, parse: fn(&str) -> Result<T, Text>) -> Result<Option<T>> {
    row.try_get::<Option<&str>, _>(column)?
        .map(|s| word(parse(s)))
        .transpose()
}

/// The outline; an empty one where there is none.
fn shape(row: &PgRow) -> Result<Packed> {
    let wkb: Option<&[u8]> = row.try_get("shape")?;
    Ok(wkb
        .map(from_wkb)
        .transpose()?
        .as_ref()
        .map_or_else(Packed::default, Packed::new))
}

pub(super) fn component(row: &PgRow) -> Result<Component> {
    let code = match (row.try_get("scheme")?, row.try_get("code")?) {
        (Some(scheme), Some(code)) => Some((scheme, code)),
        _ => None,
    };
    let wkb: Option<&[u8]> = row.try_get("shape")?;
    Ok(Component {
        id: row.try_get("id")?,
        version: row.try_get("version")?,
        code,
        class: row.try_get("class")?,
        name: row.try_get("name")?,
        at: (row.try_get("lon")?, row.try_get("lat")?),
        shape: wkb.map(from_wkb).transpose()?.as_ref().map(Packed::new),
        state: word(State::parse(row.try_get("state")?))?,
        ownership_status: word(OwnershipStatus::parse(row.try_get("ownership_status")?))?,
        property_kind: maybe(row, "property_kind", PropertyKind::parse)?,
        management_kind: maybe(row, "management_kind", ManagementKind::parse)?,
        cell: row.try_get("cell")?,
        authority: row.try_get("authority")?,
        owner: row.try_get("owner")?,
        maintainer: row.try_get("maintainer")?,
        road: row.try_get("road")?,
    })
}

fn entity(row: &PgRow) -> Result<Record> {
    let id = row.try_get("id")?;
    Ok(match row.try_get::<&str, _>("entity")? {
        "class" => Record::Class(Arc::new(class(row)?)),
        "party" => Record::Party(Party {
            id,
            code: row.try_get("code")?,
            name: row.try_get("name")?,
        }),
        "area" => Record::Area(
            Area {
                id,
                code: row.try_get("code")?,
                level: word(AreaLevel::parse(row.try_get("level")?))?,
                name: row.try_get("name")?,
                at: (row.try_get("lon")?, row.try_get("lat")?),
            },
            shape(row)?,
        ),
        "cell" => Record::Cell(
            Cell {
                id,
                scheme: row.try_get::<&str, _>("scheme")?.into(),
                code: row.try_get::<&str, _>("code")?.into(),
                name: row.try_get::<Option<&str>, _>("name")?.map(Into::into),
                area: row.try_get::<Option<i32>, _>("area")?.and_then(NonZeroI32::new),
            },
            shape(row)?,
        ),
        "road" => Record::Road(
            Road {
                id,
                name: row.try_get::<Option<&str>, _>("name")?.map(Into::into),
                class: word(RoadClass::parse(row.try_get("class")?))?,
            },
            shape(row)?,
        ),
        _ => Record::Land(
            Land {
                id,
                kind: row.try_get::<&str, _>("kind")?.into(),
                code: row.try_get::<Option<&str>, _>("code")?.map(Into::into),
                name: row.try_get::<Option<&str>, _>("name")?.map(Into::into),
                population: row.try_get("population")?,
            },
            shape(row)?,
        ),
    })
}

fn class(row: &PgRow) -> Result<Class> {
    let geometry: Vec<String> = row.try_get("geometry")?;
    let sqlx::types::Json(attributes) = row.try_get("attributes")?;
    Ok(Class {
        id: row.try_get("id")?,
        scheme: row.try_get("scheme")?,
        code: row.try_get("code")?,
        name_zh: row.try_get("name_zh")?,
        name_en: row.try_get("name_en")?,
        major: row.try_get("major")?,
        geometry: geometry
            .iter()
            .map(|g| word(GeometryKind::parse(g)))
            .collect::<Result<_>>()?,
        accuracy: maybe(row, "accuracy", crate::domain::word::Accuracy::parse)?,
        attributes,
        restricted: row.try_get("restricted")?,
        base: row.try_get("base")?,
    })
}
