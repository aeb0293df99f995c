//! Scenarios: sites that might be built, under a name.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::FromRow;
use sqlx::types::Json;

use super::Store;
use crate::error::{Error, Result};
use crate::text;

/// A scenario.
#[derive(Clone, Debug, FromRow)]
pub struct Scenario {
    /// Its number.
    pub id: i64,
    /// Its name; one that was withdrawn may share it.
    pub name: String,
    /// The rule of coverage that it was made for.
    pub rule: String,
    /// GeoJSON geometries; none in a list.
    pub sites: Json<Vec<Value>>,
    /// How many there are.
    pub count: i32,
    /// What else is to be known of it.
    pub note: Option<String>,
    /// Who made it.
    pub made_by: String,
    /// When.
    pub made: DateTime<Utc>,
    /// When it was withdrawn.
    pub withdrawn: Option<DateTime<Utc>>,
}

macro_rules! scenarios {
    ($sites:literal, $rest:literal) => {
        concat!(
            "select id, name, rule, ",
            $sites,
            " as sites, jsonb_array_length(sites) as count, note, made_by, made, withdrawn from scenario ",
            $rest
        )
    };
}

impl Store {
    /// Keeps a scenario. Its number.
    pub async fn add_scenario(
        &self,
        name: &str,
        rule: &str,
        sites: &[Value],
        note: Option<&str>,
        by: &str,
    ) -> Result<i64> {
        let sql = "insert into scenario (name, rule, sites, note, made_by) values ($1, $2, $3, $4, $5) returning id";
        let query = sqlx::query_scalar(sql)
            .bind(name)
            .bind(rule)
            .bind(Json(sites))
            .bind(note)
            .bind(by);
        query.fetch_one(&self.pool).await.map_err(|e| match &e {
            sqlx::Error::Database(d) if d.constraint() == Some("scenario_name_free") => Error::Conflict(text!(
                "已有名为“{name}”的方案；请换一个名称，或先撤回它",
                "there is a scenario \"{name}\" already; choose another name, or withdraw that one"
            )),
            _ => e.into(),
        })
    }

    /// One scenario, withdrawn or not.
    pub async fn scenario(&self, id: i64) -> Result<Option<Scenario>> {
        let query = sqlx::query_as(scenarios!("sites", "where id = $1")).bind(id);
        Ok(query.fetch_optional(&self.pool).await?)
    }

    /// Those of some rules that are not withdrawn, the newest first.
    pub async fn scenarios(&self, rules: &[String], before: i64, limit: i64) -> Result<Vec<Scenario>> {
        let sql = scenarios!(
            "'[]'::jsonb",
            "where withdrawn is null and rule = any ($1) and id < $2 order by id desc limit $3"
        );
        let query = sqlx::query_as(sql).bind(rules).bind(before).bind(limit);
        Ok(query.fetch_all(&self.pool).await?)
    }

    /// Withdraws a scenario. Whether it stood.
    pub async fn withdraw_scenario(&self, id: i64, by: &str) -> Result<bool> {
        let sql =
            "update scenario set withdrawn = clock_timestamp(), withdrawn_by = $2 where id = $1 and withdrawn is null";
        Ok(sqlx::query(sql)
            .bind(id)
            .bind(by)
            .execute(&self.pool)
            .await?
            .rows_affected()
            == 1)
    }
}
