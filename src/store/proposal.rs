//! Edits that could not be made, kept for somebody to look at; and what was answered to several edits under one key.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::FromRow;
use sqlx::types::Json;

use super::Store;
use super::edit::Edit;
use crate::error::Result;

/// A proposal.
#[derive(Clone, Debug, FromRow)]
pub struct Proposal {
    /// Its number.
    pub id: i64,
    /// The component.
    pub component: i64,
    /// The class that the component has now.
    pub class: i32,
    /// The version that the component has now.
    pub version: i64,
    /// The layer through which it was made.
    pub layer: String,
    /// The merge patch.
    pub body: Json<Map<String, Value>>,
    /// The fields on which it met another edit, as JSON pointers.
    pub clashes: Vec<String>,
    /// Who made it.
    pub made_by: String,
    /// When.
    pub made: DateTime<Utc>,
    /// `open`, `applied` or `rejected`.
    pub state: String,
    /// Who decided.
    pub decided_by: Option<String>,
    /// When.
    pub decided: Option<DateTime<Utc>>,
    /// Why.
    pub note: Option<String>,
}

macro_rules! proposals {
    ($rest:literal) => {
        concat!(
            "select p.id, p.component, c.class, c.version, p.layer, p.body, p.clashes, p.made_by, p.made, p.state, p.decided_by, p.decided, p.note
             from proposal p join component c on c.id = p.component ",
            $rest
        )
    };
}

/// Which proposals.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// In this state.
    pub state: Option<&'static str>,
    /// Of this component.
    pub component: Option<i64>,
    /// Classes that are not shown.
    pub hidden: Vec<i32>,
    /// Numbers greater than this.
    pub after: i64,
    /// How many at most.
    pub limit: i64,
}

impl Store {
    /// Proposals in the order in which they were made.
    pub async fn proposals(&self, wanted: &Wanted) -> Result<Vec<Proposal>> {
        let sql = proposals!(
            "where p.id > $1 and c.class <> all ($2) and ($3::text is null or p.state = $3) and ($4::bigint is null or p.component = $4)
             order by p.id limit $5"
        );
        let query = sqlx::query_as(sql)
            .bind(wanted.after)
            .bind(&wanted.hidden)
            .bind(wanted.state)
            .bind(wanted.component)
            .bind(wanted.limit);
        Ok(query.fetch_all(&self.pool).await?)
    }

    /// One proposal.
    pub async fn proposal(&self, id: i64) -> Result<Option<Proposal>> {
        let query = sqlx::query_as(proposals!("where p.id = $1")).bind(id);
        Ok(query.fetch_optional(&self.pool).await?)
    }
}

/// Days for which the answer to several edits is kept.
const KEPT_DAYS: i32 = 30;

impl Edit {
    /// Keeps a merge patch that met another edit. Its number.
    pub async fn propose(
        &mut self,
        component: i64,
        layer: &str,
        body: &Map<String, Value>,
        clashes: &[String],
        by: &str,
    ) -> Result<i64> {
        let sql =
            "insert into proposal (component, layer, body, clashes, made_by) values ($1, $2, $3, $4, $5) returning id";
        let query = sqlx::query_scalar(sql)
            .bind(component)
            .bind(layer)
            .bind(Json(body))
            .bind(clashes)
            .bind(by);
        Ok(query.fetch_one(self.connection()).await?)
    }

    /// Decides a proposal, unless somebody has. Whether it was open.
    pub async fn decide_proposal(&mut self, id: i64, state: &str, by: &str, note: Option<&str>) -> Result<bool> {
        let sql = "update proposal set state = $2, decided_by = $3, decided = clock_timestamp(), note = $4 where id = $1 and state = 'open'";
        let query = sqlx::query(sql).bind(id).bind(state).bind(by).bind(note);
        Ok(query.execute(self.connection()).await?.rows_affected() == 1)
    }

    /// Takes a key of the client's for several edits; waits for one under way. Where it was used before, what it was used for and what was
    /// answered.
    pub async fn take_key(&mut self, by: &str, key: &str, digest: &[u8]) -> Result<Option<(Vec<u8>, Option<Value>)>> {
        sqlx::query("delete from edit_batch where made < now() - $1 * interval '1 day'")
            .bind(KEPT_DAYS)
            .execute(self.connection())
            .await?;
        let sql = "insert into edit_batch (made_by, key, digest) values ($1, $2, $3) on conflict on constraint edit_batch_pkey do nothing";
        let taken = sqlx::query(sql)
            .bind(by)
            .bind(key)
            .bind(digest)
            .execute(self.connection())
            .await?;
        if taken.rows_affected() == 1 {
            return Ok(None);
        }
        let sql = "select digest, answer from edit_batch where made_by = $1 and key = $2";
        let query = sqlx::query_as(sql).bind(by).bind(key);
        let (digest, answer): (Vec<u8>, Option<Json<Value>>) = query.fetch_one(self.connection()).await?;
        Ok(Some((digest, answer.map(|a| a.0))))
    }

    /// Notes what is answered to the edits under a key.
    pub async fn note_answer(&mut self, by: &str, key: &str, answer: &Value) -> Result<()> {
        let sql = "update edit_batch set answer = $3 where made_by = $1 and key = $2";
        let query = sqlx::query(sql).bind(by).bind(key).bind(Json(answer));
        query.execute(self.connection()).await?;
        Ok(())
    }
}
