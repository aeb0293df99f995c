//! What it takes to undo a batch of claims.

use std::collections::{HashMap, HashSet};

use chrono::NaiveDate;

use super::Store;
use super::claim::Change;
use super::edit::Edit;
use crate::domain::claim::book::Motion;
use crate::domain::word::Role;
use crate::error::Result;

/// A batch as it was made.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Batch {
    /// Its number.
    pub id: i64,
    /// The role.
    pub role: String,
    /// What was done.
    pub act: String,
    /// By whom.
    pub made_by: String,
    /// Whether it was undone.
    pub undone: bool,
}

#[derive(sqlx::FromRow)]
struct Noted {
    component: i64,
    settled: String,
    party: Option<i32>,
    steps: i32,
    version: i64,
}

/// How one role stood before a batch.
#[derive(Clone, Debug)]
pub struct Before {
    /// The component.
    pub component: i64,
    /// What was settled.
    pub settled: String,
    /// Who held it by the component's own row.
    pub party: Option<i32>,
    /// Whether somebody has taken another step since.
    pub stepped: bool,
    /// Whether somebody has edited the component since.
    pub edited: bool,
}

/// How far a motion had come before a batch; no stage where the batch handed it in.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct BeforeMotion {
    /// The component.
    pub component: i64,
    /// The motion.
    pub motion: i64,
    /// Its stage.
    pub stage: Option<String>,
    /// 审核.
    pub reviewed_by: Option<String>,
    /// 审批.
    pub decided_by: Option<String>,
    /// 自认.
    pub own_party: bool,
    /// The last day of its announcement.
    pub announced_until: Option<NaiveDate>,
}

impl Store {
    /// The components of a batch.
    pub async fn batch_components(&self, id: i64) -> Result<Vec<i64>> {
        let sql = "select component from claim_batch_role where batch = $1 order by component";
        Ok(sqlx::query_scalar(sql).bind(id).fetch_all(&self.pool).await?)
    }
}

impl Edit {
    /// Notes a batch that this edit has written, so that it can be undone. Its number.
    pub async fn note_batch(&mut self, role: Role, act: &str, by: &str, changes: &[Change]) -> Result<i64> {
        let sql = "insert into claim_batch (role, act, made_by, txn) select $1, $2, $3, current_txn() returning id";
        let id: i64 = sqlx::query_scalar(sql)
            .bind(role.key())
            .bind(act)
            .bind(by)
            .fetch_one(self.connection())
            .await?;
        let sql = "insert into claim_batch_role (batch, component, settled, party, steps, version)
            select $1, c.id, g.settled, g.party, coalesce(n.steps, 0), c.version
            from unnest($3::bigint[], $4::text[], $5::int[]) as g (id, settled, party) join component c on c.id = g.id
            left join (select m.component, count(*)::int as steps from motion m join motion_step s on s.motion = m.id
                       where m.component = any ($3) and m.role = $2 and s.txn not in (select undone_txns()) group by 1) n on n.component = c.id";
        sqlx::query(sql)
            .bind(id)
            .bind(role.key())
            .bind(changes.iter().map(|c| c.component).collect::<Vec<_>>())
            .bind(
                changes
                    .iter()
                    .map(|c| c.before.book.state.settled().key())
                    .collect::<Vec<_>>(),
            )
            .bind(changes.iter().map(|c| c.before.party).collect::<Vec<_>>())
            .execute(self.connection())
            .await?;
        let changed = |c: &'_ Change| {
            let own = c.component;
            c.motions()
                .map(|(now, old)| (own, now.no, old.cloned()))
                .collect::<Vec<_>>()
        };
        let motions: Vec<(i64, i64, Option<Motion>)> = changes.iter().flat_map(changed).collect();
        let sql = "insert into claim_batch_motion (batch, component, motion, stage, reviewed_by, decided_by, own_party, announced_until)
            select $1, g.* from unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::bool[], $8::date[]) as g";
        let old =
            |get: fn(&Motion) -> Option<String>| motions.iter().map(|m| m.2.as_ref().and_then(get)).collect::<Vec<_>>();
        sqlx::query(sql)
            .bind(id)
            .bind(motions.iter().map(|m| m.0).collect::<Vec<_>>())
            .bind(motions.iter().map(|m| m.1).collect::<Vec<_>>())
            .bind(old(|m| Some(m.stage.key().to_owned())))
            .bind(old(|m| m.reviewed_by.clone()))
            .bind(old(|m| m.decided_by.clone()))
            .bind(
                motions
                    .iter()
                    .map(|m| m.2.as_ref().is_some_and(|o| o.own_party))
                    .collect::<Vec<_>>(),
            )
            .bind(
                motions
                    .iter()
                    .map(|m| m.2.as_ref().and_then(|o| o.announced_until))
                    .collect::<Vec<_>>(),
            )
            .execute(self.connection())
            .await?;
        Ok(id)
    }

    /// A batch, locked until the end of this edit; none where there is none.
    pub async fn batch(&mut self, id: i64) -> Result<Option<Batch>> {
        let sql =
            "select id, role, act, made_by, undone is not null as undone from claim_batch where id = $1 for update";
        Ok(sqlx::query_as(sql).bind(id).fetch_optional(self.connection()).await?)
    }

    /// How the roles and motions of a batch stood before it, by component.
    pub async fn before_batch(&mut self, batch: &Batch) -> Result<(Vec<Before>, Vec<BeforeMotion>)> {
        // Each look-up is told the components: what a subquery would find of them is not known to the planner.
        let noted: Vec<Noted> = sqlx::query_as(
            "select component, settled, party, steps, version from claim_batch_role where batch = $1 order by component",
        )
        .bind(batch.id)
        .fetch_all(self.connection())
        .await?;
        let ids: Vec<i64> = noted.iter().map(|n| n.component).collect();
        let versions: Vec<i64> = noted.iter().map(|n| n.version).collect();
        let undone: Vec<i64> = sqlx::query_scalar("select undone_txns()")
            .fetch_all(self.connection())
            .await?;
        let steps: Vec<(i64, i32)> = sqlx::query_as(
            "select m.component, count(*)::int from motion m join motion_step s on s.motion = m.id
             where m.component = any ($1) and m.role = $2 and s.txn <> all ($3) group by 1",
        )
        .bind(&ids)
        .bind(&batch.role)
        .bind(&undone)
        .fetch_all(self.connection())
        .await?;
        let steps: HashMap<i64, i32> = steps.into_iter().collect();
        let edited: Vec<i64> = sqlx::query_scalar(
            "select distinct v.id from unnest($1::bigint[], $2::bigint[]) as g (id, version)
             join component_version v on v.id = g.id and v.version > g.version where v.txn <> all ($3)",
        )
        .bind(&ids)
        .bind(versions)
        .bind(&undone)
        .fetch_all(self.connection())
        .await?;
        let edited: HashSet<i64> = edited.into_iter().collect();
        let roles = noted.into_iter().map(|n| Before {
            component: n.component,
            settled: n.settled,
            party: n.party,
            stepped: steps.get(&n.component).copied().unwrap_or(0) != n.steps,
            edited: edited.contains(&n.component),
        });
        let roles = roles.collect();
        let sql = "select component, motion, stage, reviewed_by, decided_by, own_party, announced_until
            from claim_batch_motion where batch = $1 order by component, motion";
        let motions = sqlx::query_as(sql).bind(batch.id).fetch_all(self.connection()).await?;
        Ok((roles, motions))
    }

    /// Notes that a batch was undone.
    pub async fn undo_batch(&mut self, id: i64) -> Result<()> {
        let sql = "update claim_batch set undone = current_txn() where id = $1";
        sqlx::query(sql).bind(id).execute(self.connection()).await?;
        Ok(())
    }
}
