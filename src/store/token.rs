//! What proves who asks: bearer tokens of machines, keys that stand in addresses, and the cookies of those who are signed in. Each is
//! 256 random bits, shown once and kept as SHA-256.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::Store;
use super::edit::Edit;
use crate::domain::grant::{Grant, Rights};
use crate::domain::word::Access;
use crate::error::{Error, Result};
use crate::text;

/// What a secret is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A bearer token of a machine.
    Token,
    /// A key in an address, which opens some layers.
    Key,
    /// The cookie of somebody who is signed in.
    Session,
}

/// A secret as the register knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Credential {
    /// What it is.
    pub kind: Kind,
    /// Its SHA-256.
    pub hash: [u8; 32],
}

impl Credential {
    /// Of a secret as it was sent.
    pub fn of(kind: Kind, secret: &str) -> Credential {
        let hash = Sha256::digest(secret.as_bytes()).into();
        Credential { kind, hash }
    }
}

/// A grant that is in force.
#[derive(Clone, Debug)]
pub struct Held {
    /// The number of the token, the key or the session.
    pub id: i32,
    /// What it allows.
    pub grant: Grant,
    /// When it was last used, as far as is noted.
    pub used: DateTime<Utc>,
}

/// A token or a key as it is listed.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Listed {
    /// Its number.
    pub id: i32,
    /// The name under which its edits are recorded.
    pub label: String,
    /// What it allows.
    pub access: String,
    /// Of a key: its layers.
    pub layers: Option<Vec<String>>,
    /// When it was made.
    pub issued: DateTime<Utc>,
    /// When it ends by itself.
    pub expires: Option<DateTime<Utc>>,
    /// When it was last used, to about a minute.
    pub used: Option<DateTime<Utc>>,
    /// When it was taken back.
    pub revoked: Option<DateTime<Utc>>,
}

/// 256 random bits with a prefix that says what they are.
pub fn secret(kind: Kind) -> Result<String> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(Error::internal)?;
    let prefix = match kind {
        Kind::Token => "lp_",
        Kind::Key => "lpk_",
        Kind::Session => "lps_",
    };
    Ok(prefix.chars().chain(bytes.iter().flat_map(|b| hex(*b))).collect())
}

const TOKEN: &str =
    "select id, label, access, party, own_party_only, area, classes, layers, origins, false as must_change, expires,
    coalesce(used, issued) as used
  from token
  where hash = $1 and (layers is not null) = $2 and revoked is null and (expires is null or expires > now())";

const SESSION: &str =
    "select s.id, a.name as label, a.access, a.party, a.own_party_only, a.area, a.classes, null::text[] as layers,
    '{}'::text[] as origins, a.must_change, null::timestamptz as expires, s.used
  from session s join account a on a.id = s.account
  where s.hash = $1 and not s.ended and not a.disabled";

#[derive(sqlx::FromRow)]
struct Row {
    id: i32,
    label: String,
    access: String,
    party: Option<i32>,
    own_party_only: bool,
    area: Option<i32>,
    classes: Vec<i32>,
    layers: Option<Vec<String>>,
    origins: Vec<String>,
    must_change: bool,
    expires: Option<DateTime<Utc>>,
    used: DateTime<Utc>,
}

impl Row {
    fn read(self) -> Result<Held> {
        Ok(Held {
            id: self.id,
            used: self.used,
            grant: Grant {
                name: self.label,
                access: Access::parse(&self.access).map_err(|t| Error::internal(t.en))?,
                party: self.party,
                own_party_only: self.own_party_only,
                area: self.area,
                rights: Rights::to(self.classes),
                layers: self.layers,
                origins: self.origins,
                must_change: self.must_change,
                expires: self.expires,
            },
        })
    }
}

impl Store {
    /// Makes a token without bounds and answers its text, which is nowhere else.
    pub async fn add_token(&self, label: &str, access: Access) -> Result<String> {
        self.issue(&Grant::of(label, access)).await
    }

    /// Makes a token, or a key where the grant names layers, and answers its text, which is nowhere else.
    pub async fn issue(&self, grant: &Grant) -> Result<String> {
        let kind = if grant.layers.is_some() { Kind::Key } else { Kind::Token };
        let taken: Option<i32> = sqlx::query_scalar("select id from account where name = $1")
            .bind(&grant.name)
            .fetch_optional(&self.pool)
            .await?;
        if taken.is_some() {
            let name = &grant.name;
            return Err(Error::Conflict(text!(
                "“{name}”是一个账号；令牌须另取名称，以便分清是谁",
                "\"{name}\" is an account; a token needs a name of its own, so that it stays clear who did what"
            )));
        }
        let secret = secret(kind)?;
        let sql =
            "insert into token (hash, label, access, party, own_party_only, area, classes, layers, origins, expires)
                   values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        sqlx::query(sql)
            .bind(&Credential::of(kind, &secret).hash[..])
            .bind(&grant.name)
            .bind(grant.access.key())
            .bind(grant.party)
            .bind(grant.own_party_only)
            .bind(grant.area)
            .bind(grant.rights.classes())
            .bind(&grant.layers)
            .bind(&grant.origins)
            .bind(grant.expires)
            .execute(&self.pool)
            .await?;
        Ok(secret)
    }

    /// What a secret allows; none if it is unknown, has ended or was taken back. Whether a session has been idle for too long is for
    /// the caller to say.
    pub async fn held(&self, credential: &Credential) -> Result<Option<Held>> {
        let query = match credential.kind {
            Kind::Session => sqlx::query_as::<_, Row>(SESSION).bind(&credential.hash[..]),
            kind => sqlx::query_as::<_, Row>(TOKEN)
                .bind(&credential.hash[..])
                .bind(kind == Kind::Key),
        };
        query.fetch_optional(&self.pool).await?.map(Row::read).transpose()
    }

    /// Notes that a secret was used.
    pub async fn note_use(&self, kind: Kind, id: i32) -> Result<()> {
        let sql = match kind {
            Kind::Session => "update session set used = now() where id = $1",
            _ => "update token set used = now() where id = $1",
        };
        sqlx::query(sql).bind(id).execute(&self.pool).await?;
        Ok(())
    }

    /// Every token and key, newest first.
    pub async fn tokens(&self) -> Result<Vec<Listed>> {
        let sql = "select id, label, access, layers, issued, expires, used, revoked from token order by id desc";
        Ok(sqlx::query_as(sql).fetch_all(&self.pool).await?)
    }
}

impl Edit {
    /// Takes a token or a key back. Whether there was one in force.
    pub async fn revoke_token(&mut self, id: i32) -> Result<bool> {
        let sql = "update token set revoked = now() where id = $1 and revoked is null";
        let done = sqlx::query(sql).bind(id).execute(self.connection()).await?;
        Ok(done.rows_affected() > 0)
    }
}

fn hex(b: u8) -> impl Iterator<Item = char> {
    [b >> 4, b & 15]
        .into_iter()
        .filter_map(|n| char::from_digit(u32::from(n), 16))
}
