//! Accounts of people, and who is signed in.

use chrono::{DateTime, Utc};

use super::Store;
use super::edit::Edit;
use super::token::Credential;
use crate::domain::grant::Grant;
use crate::error::{Error, Result};
use crate::text;

/// Wrong passwords in a row after which an account is locked.
pub const MAX_FAILURES: i32 = 5;
/// How long it is locked then, in minutes.
pub const LOCKED_MINUTES: i32 = 15;
/// Days after which a session that has ended is forgotten.
const FORGOTTEN_DAYS: i32 = 30;

/// What signing in needs to know of an account.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Lock {
    /// Its number.
    pub id: i32,
    /// argon2id, as a PHC string.
    pub password: String,
    /// Whether nobody can sign in: it is disabled, or locked for a while.
    pub shut: bool,
}

/// An account as it is listed.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// What it allows.
    pub access: String,
    /// The party that the person works for.
    pub party: Option<String>,
    /// The code of the area that bounds their edits.
    pub area: Option<String>,
    /// How many restricted classes they may see.
    pub classes: i32,
    /// When they last signed in.
    pub signed_in: Option<DateTime<Utc>>,
    /// Until when it is locked.
    pub locked_until: Option<DateTime<Utc>>,
    /// Whether it is disabled.
    pub disabled: bool,
}

impl Store {
    /// What signing in needs to know; none where there is no such account.
    pub async fn account_lock(&self, name: &str) -> Result<Option<Lock>> {
        let sql = "select id, password, disabled or coalesce(locked_until > now(), false) as shut from account where name = $1";
        Ok(sqlx::query_as(sql).bind(name).fetch_optional(&self.pool).await?)
    }

    /// A wrong password was given: the last of several locks the account for a while. Whether it did.
    pub async fn sign_in_failed(&self, account: i32) -> Result<bool> {
        let sql = "update account set
              failures = case when failures + 1 >= $2 then 0 else failures + 1 end,
              locked_until = case when failures + 1 >= $2 then now() + make_interval(mins => $3) else locked_until end
            where id = $1 returning coalesce(locked_until > now(), false)";
        Ok(sqlx::query_scalar(sql)
            .bind(account)
            .bind(MAX_FAILURES)
            .bind(LOCKED_MINUTES)
            .fetch_one(&self.pool)
            .await?)
    }

    /// The right password was given: begins a session, and forgets those that ended long ago.
    pub async fn begin_session(&self, account: i32, credential: &Credential) -> Result<()> {
        let mut tx = self.pool.begin().await?;
        sqlx::query("update account set failures = 0, locked_until = null, signed_in = now() where id = $1")
            .bind(account)
            .execute(&mut *tx)
            .await?;
        sqlx::query("delete from session where account = $1 and used < now() - make_interval(days => $2)")
            .bind(account)
            .bind(FORGOTTEN_DAYS)
            .execute(&mut *tx)
            .await?;
        sqlx::query("insert into session (hash, account) values ($1, $2)")
            .bind(&credential.hash[..])
            .bind(account)
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }

    /// Every account, by name.
    pub async fn accounts(&self) -> Result<Vec<Listed>> {
        let sql =
            "select a.name, a.access, p.name as party, r.code as area, cardinality(a.classes) as classes, a.signed_in,
              case when a.locked_until > now() then a.locked_until end as locked_until, a.disabled
            from account a left join party p on p.id = a.party left join area r on r.id = a.area
            order by a.name";
        Ok(sqlx::query_as(sql).fetch_all(&self.pool).await?)
    }

    /// The number of the valid area of a code.
    pub async fn area_id(&self, code: &str) -> Result<Option<i32>> {
        let sql = "select id from area where code = $1 and valid";
        Ok(sqlx::query_scalar(sql).bind(code).fetch_optional(&self.pool).await?)
    }
}

impl Edit {
    /// Adds an account whose password must be changed at the first sign-in.
    pub async fn add_account(&mut self, grant: &Grant, password: &str) -> Result<()> {
        let name = &grant.name;
        let taken: bool = sqlx::query_scalar(
            "select exists (select from account where name = $1) or exists (select from token where label = $1)",
        )
        .bind(name)
        .fetch_one(self.connection())
        .await?;
        if taken {
            return Err(Error::Conflict(text!(
                "“{name}”已有账号或令牌使用；历史中须分得清是谁",
                "\"{name}\" is an account or a token already; the history must tell who is who"
            )));
        }
        let sql = "insert into account (name, password, access, party, own_party_only, area, classes) values ($1, $2, $3, $4, $5, $6, $7)";
        sqlx::query(sql)
            .bind(name)
            .bind(password)
            .bind(grant.access.key())
            .bind(grant.party)
            .bind(grant.own_party_only)
            .bind(grant.area)
            .bind(grant.rights.classes())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Changes what an account may do. Whether there is one.
    pub async fn set_account(&mut self, grant: &Grant, disabled: bool) -> Result<bool> {
        let sql =
            "update account set access = $2, party = $3, own_party_only = $4, area = $5, classes = $6, disabled = $7
                   where name = $1";
        let done = sqlx::query(sql)
            .bind(&grant.name)
            .bind(grant.access.key())
            .bind(grant.party)
            .bind(grant.own_party_only)
            .bind(grant.area)
            .bind(grant.rights.classes())
            .bind(disabled)
            .execute(self.connection())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// What an account may do now, and whether it is disabled; none where there is none.
    pub async fn account(&mut self, name: &str) -> Result<Option<(Grant, bool)>> {
        type Row = (String, Option<i32>, bool, Option<i32>, Vec<i32>, bool);
        let sql =
            "select access, party, own_party_only, area, classes, disabled from account where name = $1 for update";
        let row: Option<Row> = sqlx::query_as(sql).bind(name).fetch_optional(self.connection()).await?;
        let Some((access, party, own_party_only, area, classes, disabled)) = row else {
            return Ok(None);
        };
        let access = crate::domain::word::Access::parse(&access).map_err(|t| Error::internal(t.en))?;
        let grant = Grant {
            party,
            own_party_only,
            area,
            rights: crate::domain::grant::Rights::to(classes),
            ..Grant::of(name, access)
        };
        Ok(Some((grant, disabled)))
    }

    /// Sets a password, unlocks the account and ends its sessions but one. Whether there is such an account.
    pub async fn set_password(
        &mut self,
        name: &str,
        password: &str,
        must_change: bool,
        but: Option<&Credential>,
    ) -> Result<bool> {
        let sql =
            "update account set password = $2, must_change = $3, failures = 0, locked_until = null where name = $1";
        let done = sqlx::query(sql)
            .bind(name)
            .bind(password)
            .bind(must_change)
            .execute(self.connection())
            .await?;
        sqlx::query(
            "update session s set ended = true from account a
             where a.name = $1 and s.account = a.id and not s.ended and s.hash is distinct from $2",
        )
        .bind(name)
        .bind(but.map(|c| &c.hash[..]))
        .execute(self.connection())
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Ends a session.
    pub async fn end_session(&mut self, credential: &Credential) -> Result<()> {
        sqlx::query("update session set ended = true where hash = $1 and not ended")
            .bind(&credential.hash[..])
            .execute(self.connection())
            .await?;
        Ok(())
    }
}
