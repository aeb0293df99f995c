//! Whole components for people to read: one page by id, and the history of one.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Map, Value};
use sqlx::FromRow;
use sqlx::types::Json;

use super::Store;
use crate::error::Result;

/// Everything that the register keeps of one version of a component; numbers stand for class, parties, road and cell.
#[derive(Clone, Debug, FromRow)]
pub struct Detail {
    /// Permanent number.
    pub id: i64,
    /// Version.
    pub version: i64,
    /// Scheme of the code.
    pub scheme: Option<String>,
    /// 标识码.
    pub code: Option<String>,
    /// Class.
    pub class: i32,
    /// Name.
    pub name: Option<String>,
    /// The geometry as GeoJSON, lon,lat degrees with 9 decimals (0.1 mm).
    pub geometry: Json<Value>,
    /// State key.
    pub state: String,
    /// Ownership status key.
    pub ownership_status: String,
    /// Property kind key.
    pub property_kind: Option<String>,
    /// Management kind key.
    pub management_kind: Option<String>,
    /// Cell.
    pub cell: Option<i32>,
    /// 主管单位.
    pub authority: Option<i32>,
    /// 权属单位.
    pub owner: Option<i32>,
    /// 养护单位.
    pub maintainer: Option<i32>,
    /// Address.
    pub address: Option<String>,
    /// Road.
    pub road: Option<i32>,
    /// The component it is a part of.
    pub part_of: Option<i64>,
    /// Day of the survey.
    pub surveyed_on: Option<NaiveDate>,
    /// Delivery or system it comes from.
    pub source: Option<String>,
    /// Accuracy class.
    pub accuracy: Option<String>,
    /// Note.
    pub note: Option<String>,
    /// Declared and other attributes.
    pub attributes: Json<Map<String, Value>>,
}

/// A version with the revision that made it; number and moment are none until it is numbered.
#[derive(Clone, Debug, FromRow)]
pub struct Version {
    /// What it says.
    #[sqlx(flatten)]
    pub detail: Detail,
    /// Revision number.
    pub revision: Option<i64>,
    /// When it was recorded.
    pub recorded: Option<DateTime<Utc>>,
    /// Who made it.
    pub actor: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Whether it did not say which version it was of.
    pub unconditional: bool,
}

macro_rules! detail_columns {
    () => {
        "v.id, v.version, v.scheme, v.code, v.class, v.name, st_asgeojson(v.geom, 9)::jsonb as geometry,
         v.state, v.ownership_status, v.property_kind, v.management_kind, v.cell, v.authority, v.owner, v.maintainer,
         v.address, v.road, v.part_of, v.surveyed_on, v.source, v.accuracy, v.note, v.attributes"
    };
}

pub(super) const DETAILS: &str = concat!(
    "select ",
    detail_columns!(),
    " from component v join unnest($1::bigint[]) with ordinality as wanted (id, place) on wanted.id = v.id
     order by wanted.place"
);

pub(super) const DETAILS_OF_VERSIONS: &str = concat!(
    "select ",
    detail_columns!(),
    " from unnest($1::bigint[], $2::bigint[]) with ordinality as wanted (id, version, place)
      join component_version v on v.id = wanted.id and v.version = wanted.version
     order by wanted.place"
);

pub(super) const VERSIONS: &str = concat!(
    "select ",
    detail_columns!(),
    ", r.number as revision, r.recorded, coalesce(r.actor, p.actor) as actor, coalesce(r.reason, p.reason) as reason,
       exists (select from unconditional u where u.txn = v.txn) as unconditional
     from component_version v
     left join revision r on r.txn = v.txn
     left join pending p on p.txn = v.txn
     where v.id = $1 order by v.version desc limit $2"
);

impl Store {
    /// The components of some ids, in that order; ids that are not there are left out. One index look-up each.
    pub async fn details(&self, ids: &[i64]) -> Result<Vec<Detail>> {
        Ok(sqlx::query_as(DETAILS).bind(ids).fetch_all(&self.pool).await?)
    }

    /// One attribute of each of some versions, as text; none where it has none. One index look-up each.
    pub async fn attribute_of_versions(
        &self,
        versions: &[(i64, i64)],
        name: &str,
    ) -> Result<Vec<(i64, Option<String>)>> {
        let (ids, versions): (Vec<i64>, Vec<i64>) = versions.iter().copied().unzip();
        let sql = "select v.id, v.attributes ->> $3 from unnest($1::bigint[], $2::bigint[]) as wanted (id, version)
                   join component_version v on v.id = wanted.id and v.version = wanted.version";
        let query = sqlx::query_as(sql).bind(ids).bind(versions).bind(name);
        Ok(query.fetch_all(&self.pool).await?)
    }

    /// The names of all attributes that components of some classes have, in the order of the alphabet. Reads those components once.
    pub async fn attribute_names(&self, classes: &[i32]) -> Result<Vec<String>> {
        let sql = "select distinct k from component, jsonb_object_keys(attributes) k where class = any ($1) order by k";
        Ok(sqlx::query_scalar(sql).bind(classes).fetch_all(&self.pool).await?)
    }

    /// The newest `limit` versions of a component, newest first.
    pub async fn versions(&self, id: i64, limit: i64) -> Result<Vec<Version>> {
        Ok(sqlx::query_as(VERSIONS)
            .bind(id)
            .bind(limit)
            .fetch_all(&self.pool)
            .await?)
    }
}
