//! One transaction of edits, with who makes it and why.

use geo::Geometry;
use geozero::{CoordDimensions, ToWkb};
use serde_json::{Map, Value};
use sqlx::{PgConnection, Postgres, Transaction};

use super::Store;
use super::page::{DETAILS, DETAILS_OF_VERSIONS, Detail, VERSIONS, Version};
use crate::domain::component::Draft;
use crate::domain::record::Component;
use crate::domain::text::{Fault, Text};
use crate::domain::word::State;
use crate::error::{Error, Result};
use crate::text;

/// A transaction that edits the register. Dropped without [`Edit::commit`], it never happened.
#[derive(Debug)]
pub struct Edit {
    tx: Transaction<'static, Postgres>,
}

/// What an edit of one component sets; what is none stays.
#[derive(Clone, Debug, Default)]
pub struct Patch {
    /// A new position or shape, lon,lat degrees.
    pub geometry: Option<Geometry<f64>>,
    /// A new state.
    pub state: Option<State>,
    /// All attributes, as they shall be.
    pub attributes: Option<Map<String, Value>>,
}

impl Store {
    /// Begins an edit by `actor` for `reason`.
    pub async fn edit(&self, actor: &str, reason: Option<&str>) -> Result<Edit> {
        let mut tx = self.pool.begin().await?;
        sqlx::query("select set_config('lamppost.actor', $1, true), set_config('lamppost.reason', $2, true), set_config('lock_timeout', '2s', true)")
            .bind(actor)
            .bind(reason.unwrap_or(""))
            .execute(&mut *tx)
            .await?;
        Ok(Edit { tx })
    }
}

fn wkb(geometry: &Geometry<f64>) -> Result<Vec<u8>> {
    geometry.to_wkb(CoordDimensions::xy()).map_err(Error::internal)
}

/// Waits until no division into cells is under way and keeps the next one out until the transaction ends. A division takes this lock
/// before the rows of components, and so must everyone who takes both.
pub(super) async fn hold_cells(tx: &mut PgConnection) -> Result<()> {
    sqlx::query("select pg_advisory_xact_lock_shared(7261001)")
        .execute(tx)
        .await?;
    Ok(())
}

impl Edit {
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// The number of this transaction, which its revision will carry; none if it has changed nothing.
    pub async fn txn(&mut self) -> Result<Option<i64>> {
        let sql = "select txn from pending where xid = pg_current_xact_id_if_assigned()";
        Ok(sqlx::query_scalar(sql).fetch_optional(&mut *self.tx).await?)
    }

    /// Before [`Edit::lock`], where the edit moves something: see [`hold_cells`].
    pub async fn hold_cells(&mut self) -> Result<()> {
        hold_cells(&mut self.tx).await
    }

    /// A component as this edit leaves it.
    pub async fn detail(&mut self, id: i64) -> Result<Option<Detail>> {
        Ok(sqlx::query_as(DETAILS)
            .bind(vec![id])
            .fetch_optional(&mut *self.tx)
            .await?)
    }

    /// The version that a component has within this edit.
    pub async fn version(&mut self, id: i64) -> Result<i64> {
        let sql = "select version from component where id = $1";
        Ok(sqlx::query_scalar(sql).bind(id).fetch_one(&mut *self.tx).await?)
    }

    /// A version of a component.
    pub async fn detail_of_version(&mut self, id: i64, version: i64) -> Result<Option<Detail>> {
        Ok(sqlx::query_as(DETAILS_OF_VERSIONS)
            .bind(vec![id])
            .bind(vec![version])
            .fetch_optional(&mut *self.tx)
            .await?)
    }

    /// The newest `limit` versions of a component, newest first.
    pub async fn versions(&mut self, id: i64, limit: i64) -> Result<Vec<Version>> {
        Ok(sqlx::query_as(VERSIONS)
            .bind(id)
            .bind(limit)
            .fetch_all(&mut *self.tx)
            .await?)
    }

    /// Gives the edit up: what it has locked is free when this answers.
    pub async fn give_up(self) -> Result<()> {
        Ok(self.tx.rollback().await?)
    }

    /// Makes the edit durable.
    pub async fn commit(self) -> Result<()> {
        Ok(self.tx.commit().await?)
    }

    /// The current version of a component, locked against other edits until the end of this one.
    pub async fn lock(&mut self, id: i64) -> Result<Option<Component>> {
        let version: Option<i64> = sqlx::query_scalar("select version from component where id = $1 for update")
            .bind(id)
            .fetch_optional(&mut *self.tx)
            .await?;
        match version {
            Some(version) => super::record::component_version(&mut self.tx, id, version).await,
            None => Ok(None),
        }
    }

    /// Locks components in the order of their numbers, so that two edits of several never wait for each other.
    pub async fn lock_all(&mut self, ids: &[i64]) -> Result<()> {
        sqlx::query("select from component where id = any ($1) order by id for update")
            .bind(ids)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    /// Begins a part that can be given up by itself.
    pub async fn begin_part(&mut self) -> Result<()> {
        sqlx::query("savepoint part").execute(&mut *self.tx).await?;
        Ok(())
    }

    /// Ends the part, kept or given up.
    pub async fn end_part(&mut self, keep: bool) -> Result<()> {
        if !keep {
            sqlx::query("rollback to savepoint part").execute(&mut *self.tx).await?;
        }
        sqlx::query("release savepoint part").execute(&mut *self.tx).await?;
        Ok(())
    }

    /// Notes that this edit does not say which version it is of.
    pub async fn mark_unconditional(&mut self) -> Result<()> {
        let sql = "insert into unconditional (txn) values (current_txn()) on conflict do nothing";
        sqlx::query(sql).execute(&mut *self.tx).await?;
        Ok(())
    }

    /// Sets what the patch names. Answers the version that is current after it; an edit that changes nothing makes none.
    pub async fn patch(&mut self, id: i64, patch: &Patch) -> Result<i64> {
        let sql = "update component set
              geom = coalesce(st_geomfromwkb($2, 4326), geom),
              state = coalesce($3, state),
              attributes = coalesce($4, attributes)
            where id = $1";
        sqlx::query(sql)
            .bind(id)
            .bind(patch.geometry.as_ref().map(wkb).transpose()?)
            .bind(patch.state.map(State::key))
            .bind(patch.attributes.as_ref().map(sqlx::types::Json))
            .execute(&mut *self.tx)
            .await?;
        Ok(sqlx::query_scalar("select version from component where id = $1")
            .bind(id)
            .fetch_one(&mut *self.tx)
            .await?)
    }

    /// Makes of a component what a draft says, but for its parties and where it came from; with `moves` its place too.
    pub async fn replace(&mut self, id: i64, draft: &Draft, moves: bool) -> Result<()> {
        let sql = "update component set scheme = $2, code = $3, class = $4, name = $5, geom = coalesce(st_geomfromwkb($6, 4326), geom), state = $7,
              property_kind = $8, management_kind = $9, address = $10, part_of = $11, surveyed_on = $12, accuracy = $13, note = $14, attributes = $15
            where id = $1";
        let geometry = moves.then(|| wkb(&draft.geometry)).transpose()?;
        let done = sqlx::query(sql)
            .bind(id)
            .bind(draft.code.as_ref().map(|c| c.scheme().as_str()))
            .bind(draft.code.as_ref().map(|c| c.as_str()))
            .bind(draft.class)
            .bind(draft.name.as_deref())
            .bind(geometry)
            .bind(draft.state.key())
            .bind(draft.property_kind.map(|k| k.key()))
            .bind(draft.management_kind.map(|k| k.key()))
            .bind(draft.address.as_deref())
            .bind(draft.part_of)
            .bind(draft.surveyed_on)
            .bind(draft.accuracy.map(|a| a.key()))
            .bind(draft.note.as_deref())
            .bind(sqlx::types::Json(&draft.attributes))
            .execute(&mut *self.tx)
            .await;
        done.map(drop).map_err(|e| on_constraint(e, draft))
    }

    /// Adds a component. Answers its permanent id.
    pub async fn add(&mut self, draft: &Draft) -> Result<i64> {
        let sql = "insert into component (scheme, code, class, name, geom, state, authority, owner, maintainer, ownership_status,
              property_kind, management_kind, address, road, part_of, surveyed_on, source, source_key, accuracy, note, attributes)
            values ($1, $2, $3, $4, st_geomfromwkb($5, 4326), $6, $7, $8, $9, $10,
              $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
            returning id";
        let id = sqlx::query_scalar(sql)
            .bind(draft.code.as_ref().map(|c| c.scheme().as_str()))
            .bind(draft.code.as_ref().map(|c| c.as_str()))
            .bind(draft.class)
            .bind(draft.name.as_deref())
            .bind(wkb(&draft.geometry)?)
            .bind(draft.state.key())
            .bind(draft.authority)
            .bind(draft.owner)
            .bind(draft.maintainer)
            .bind(draft.ownership_status.key())
            .bind(draft.property_kind.map(|k| k.key()))
            .bind(draft.management_kind.map(|k| k.key()))
            .bind(draft.address.as_deref())
            .bind(draft.road)
            .bind(draft.part_of)
            .bind(draft.surveyed_on)
            .bind(draft.source.as_deref())
            .bind(draft.source_key.as_deref())
            .bind(draft.accuracy.map(|a| a.key()))
            .bind(draft.note.as_deref())
            .bind(sqlx::types::Json(&draft.attributes))
            .fetch_one(&mut *self.tx)
            .await;
        id.map_err(|e| on_constraint(e, draft))
    }
}

/// A named constraint says which field was wrong.
fn on_constraint(e: sqlx::Error, draft: &Draft) -> Error {
    let name = e.as_database_error().and_then(|d| d.constraint()).unwrap_or_default();
    let code = draft.code.as_ref().map_or("", |c| c.as_str());
    match name {
        "component_code_key" => Error::Conflict(text!(
            "标识码 {code} 已被另一部件使用",
            "code {code} belongs to another component"
        )),
        "component_code_former" => Error::Conflict(text!(
            "标识码 {code} 曾属于另一部件，不再使用",
            "another component had the code {code}, and codes are not used again"
        )),
        "component_source_key" => Error::Conflict(Text::new(
            "该来源的这一行已登记",
            "this row of the source is in the register already",
        )),
        "component_part_of_other" => Error::Invalid(vec![Fault::new(
            "/properties/part_of",
            Text::new("不可是自身的部分", "nothing is a part of itself"),
        )]),
        "component_code_scheme" => Error::Invalid(vec![Fault::new(
            "/properties/scheme",
            Text::new("标识码须与编码体系同时给出", "a code needs its scheme"),
        )]),
        _ => e.into(),
    }
}
