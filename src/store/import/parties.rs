//! Delivered parties and classes.

use std::collections::HashMap;

use sqlx::PgConnection;

use super::{Outcome, close, sign};
use crate::domain::delivery::{ClassRow, PartyRow, Reason, RowFault};
use crate::domain::text::{Fault, Text};
use crate::error::{Error, Result};
use crate::store::Store;
use crate::text;

impl Store {
    /// Every party's number by name, alias and code; a name goes before an alias, an alias before a code.
    pub async fn party_names(&self) -> Result<HashMap<String, i32>> {
        let rows: Vec<(String, i32)> = sqlx::query_as(
            "select word, id from (
               select name as word, id, 1 as rank from party
               union all select a, id, 2 from party, unnest(aliases) a
               union all select code, id, 3 from party
             ) t order by rank desc, id desc",
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().collect())
    }

    /// Keeps other names with their parties. Every party that there is not, and every name that is another party's, is a fault.
    pub async fn confirm_aliases(&self, aliases: &[(String, String)], dry_run: bool) -> Result<()> {
        let known = self.party_names().await?;
        let mut faults = Vec::new();
        let mut tx = self.pool.begin().await?;
        sign(&mut tx, "alias").await?;
        for (alias, party) in aliases {
            let Some(id) = known.get(party) else {
                let detail = text!("登记册没有单位“{party}”", "the register has no party \"{party}\"");
                faults.push(Fault::new("alias", detail));
                continue;
            };
            match known.get(alias) {
                Some(own) if own == id => {}
                Some(_) => {
                    let detail = text!("“{alias}”是另一单位的名称", "\"{alias}\" is a name of another party");
                    faults.push(Fault::new("alias", detail));
                }
                None => {
                    sqlx::query("update party set aliases = aliases || $2 where id = $1 and $2 <> all (aliases)")
                        .bind(id)
                        .bind(alias)
                        .execute(&mut *tx)
                        .await?;
                }
            }
        }
        if !faults.is_empty() {
            return Err(Error::Syntax(faults));
        }
        close(&self.pool, tx, dry_run).await?;
        Ok(())
    }

    /// Takes delivered parties: found by code where the row has one, otherwise by name.
    pub async fn import_parties(&self, rows: &[PartyRow], reason: &str, dry_run: bool) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let mut tx = self.pool.begin().await?;
        sign(&mut tx, reason).await?;
        for row in rows {
            // A row at a time, each under its own savepoint: parties are few, and a clash of names costs only its row.
            sqlx::query("savepoint party").execute(&mut *tx).await?;
            match put_party(&mut tx, row).await {
                Ok(Some(true)) => outcome.tally.added += 1,
                Ok(Some(false)) => outcome.tally.changed += 1,
                Ok(None) => outcome.tally.unchanged += 1,
                Err(e) if e.as_database_error().is_some_and(|d| d.is_unique_violation()) => {
                    sqlx::query("rollback to savepoint party").execute(&mut *tx).await?;
                    let (name, code) = (&row.name, row.code.as_deref().unwrap_or_default());
                    let detail = text!(
                        "名称“{name}”或代码“{code}”属于另一单位",
                        "name \"{name}\" or code \"{code}\" belongs to another party"
                    );
                    let expected = Text::new("不与其他单位重复", "one that no other party has");
                    outcome
                        .rejects
                        .push((row.row, RowFault::new(Reason::CodeTaken, "name", detail, expected)));
                }
                Err(e) => return Err(e.into()),
            }
        }
        outcome.revision = close(&self.pool, tx, dry_run).await?;
        Ok(outcome)
    }

    /// Takes delivered classes, with their dictionaries.
    pub async fn import_classes(&self, rows: &[ClassRow], reason: &str, dry_run: bool) -> Result<Outcome> {
        let mut tx = self.pool.begin().await?;
        sign(&mut tx, reason).await?;
        let mut outcome = put_classes(&mut tx, rows, true).await?;
        outcome.revision = close(&self.pool, tx, dry_run).await?;
        Ok(outcome)
    }
}

/// Whether the party was added (true), changed (false) or neither.
async fn put_party(conn: &mut PgConnection, row: &PartyRow) -> Result<Option<bool>, sqlx::Error> {
    let found: Option<i32> =
        sqlx::query_scalar("select id from party where code = $1 or ($1 is null and name = $2) for update")
            .bind(&row.code)
            .bind(&row.name)
            .fetch_optional(&mut *conn)
            .await?;
    let Some(id) = found else {
        // `default` cannot be bound; the code is drawn only where the row has none.
        let sql = match row.code {
            Some(_) => "insert into party (code, name, aliases) values ($1, $2, $3)",
            None => "insert into party (name, aliases) select $2, $3 where $1::text is null",
        };
        sqlx::query(sql)
            .bind(&row.code)
            .bind(&row.name)
            .bind(&row.aliases)
            .execute(&mut *conn)
            .await?;
        return Ok(Some(true));
    };
    let done = sqlx::query(
        "update party set name = $2, aliases = $3 where id = $1 and (name, aliases) is distinct from ($2, $3::text[])",
    )
    .bind(id)
    .bind(&row.name)
    .bind(&row.aliases)
    .execute(&mut *conn)
    .await?;
    Ok((done.rows_affected() > 0).then_some(false))
}

/// Inserts classes that are missing and, with `update`, brings the others up to date. Rows that name a base come after those that
/// do not, so that a dictionary may map to itself.
pub(in crate::store) async fn put_classes(conn: &mut PgConnection, rows: &[ClassRow], update: bool) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    for based in [false, true] {
        let rows: Vec<&ClassRow> = rows.iter().filter(|r| r.base.is_some() == based).collect();
        let text = |f: fn(&ClassRow) -> String| rows.iter().map(|r| f(r)).collect::<Vec<_>>();
        let kinds = |r: &ClassRow| r.class.geometry.iter().map(|k| k.key()).collect::<Vec<_>>().join(" ");
        let attributes = rows
            .iter()
            .map(|r| serde_json::to_string(&r.class.attributes))
            .collect::<Result<Vec<_>, _>>()
            .map_err(Error::internal)?;
        let done: Vec<(i64, Option<bool>)> = sqlx::query_as(
            "with given as (
               select g.no, g.scheme, g.code, g.name_zh, g.name_en, g.major, string_to_array(g.geometry, ' ') as geometry,
                 nullif(g.accuracy, '') as accuracy, g.attributes::jsonb as attributes, g.restricted, b.id as base,
                 g.base_scheme is not null and b.id is null as lost
               from unnest($1::int8[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
                 $10::bool[], $11::text[], $12::text[])
                 as g (no, scheme, code, name_zh, name_en, major, geometry, accuracy, attributes, restricted, base_scheme, base_code)
               left join class b on b.scheme = g.base_scheme and b.code = g.base_code
             ), schemes as (
               insert into scheme (name, title) select distinct scheme, scheme from given where not lost
               on conflict on constraint scheme_pkey do nothing
             ), added as (
               insert into class (scheme, code, name_zh, name_en, major, geometry, accuracy, attributes, restricted, base)
               select scheme, code, name_zh, name_en, major, geometry, accuracy, attributes, restricted, base from given where not lost
               on conflict on constraint class_code_key do nothing
               returning scheme, code
             ), changed as (
               update class c set name_zh = g.name_zh, name_en = g.name_en, major = g.major, geometry = g.geometry,
                 accuracy = g.accuracy, attributes = g.attributes, restricted = g.restricted, base = g.base
               from given g
               where $13 and not g.lost and c.scheme = g.scheme and c.code = g.code
                 and (c.name_zh, c.name_en, c.major, c.geometry, c.accuracy, c.attributes, c.restricted, c.base) is distinct from
                     (g.name_zh, g.name_en, g.major, g.geometry, g.accuracy, g.attributes, g.restricted, g.base)
               returning c.scheme, c.code
             )
             select g.no, case when g.lost then null
               else exists (select from added a where a.scheme = g.scheme and a.code = g.code) end
             from given g
             where g.lost or exists (select from added a where a.scheme = g.scheme and a.code = g.code)
               or exists (select from changed a where a.scheme = g.scheme and a.code = g.code)",
        )
        .bind(rows.iter().map(|r| r.row as i64).collect::<Vec<_>>())
        .bind(text(|r| r.class.scheme.clone()))
        .bind(text(|r| r.class.code.clone()))
        .bind(text(|r| r.class.name_zh.clone()))
        .bind(text(|r| r.class.name_en.clone()))
        .bind(text(|r| r.class.major.clone()))
        .bind(text(kinds))
        .bind(text(|r| r.class.accuracy.map_or(String::new(), |a| a.key().to_owned())))
        .bind(attributes)
        .bind(rows.iter().map(|r| r.class.restricted).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| r.base.as_ref().map(|b| b.0.as_str())).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| r.base.as_ref().map(|b| b.1.as_str())).collect::<Vec<_>>())
        .bind(update)
        .fetch_all(&mut *conn)
        .await?;
        outcome.tally.unchanged += (rows.len() - done.len()) as u64;
        for (no, added) in done {
            match added {
                Some(true) => outcome.tally.added += 1,
                Some(false) => outcome.tally.changed += 1,
                None => {
                    let detail = Text::new("所映射的小类不存在", "the class that it maps to does not exist");
                    let expected = Text::new(
                        "登记册中的 base_scheme 与 base_code",
                        "a base_scheme and base_code that the register has",
                    );
                    outcome
                        .rejects
                        .push((no as u64, RowFault::new(Reason::Class, "base_code", detail, expected)));
                }
            }
        }
    }
    Ok(outcome)
}
