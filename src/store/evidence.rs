//! Documents that back claims: what each is, and the file that it may have.

use std::collections::HashMap;

use chrono::NaiveDate;
use sqlx::{FromRow, PgConnection, Row};

use super::Store;
use super::edit::Edit;
use crate::domain::evidence::{Described, Kept, Paper};
use crate::domain::word::Role;
use crate::error::Result;

/// A document of the register.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct Document {
    /// Its number.
    pub id: i64,
    /// 竣工验收资料, 移交协议, 会议纪要 …
    pub kind: String,
    /// 文号.
    pub number: Option<String>,
    /// Who issued it.
    pub issuer: Option<String>,
    /// Its day.
    pub dated: Option<NaiveDate>,
    /// SHA-256 of its file; none where it is only described.
    pub hash: Option<Vec<u8>>,
    /// Bytes of its file.
    pub bytes: Option<i64>,
    /// Media type of its file.
    pub media: Option<String>,
    /// The name that its file came with.
    pub name: Option<String>,
    /// Degrees of longitude at which a photo was taken, as its camera wrote it down.
    pub lon: Option<f64>,
    /// The same of latitude.
    pub lat: Option<f64>,
    /// Who handed it in.
    pub handed_in_by: Option<String>,
}

macro_rules! document_columns {
    () => {
        "e.id, e.kind, e.number, e.issuer, e.dated, e.hash, e.bytes, e.media, e.name, e.lon, e.lat, e.handed_in_by"
    };
}

const ONE: &str = concat!("select ", document_columns!(), " from evidence e where e.id = $1");

/// Of one role of a component, by the motion that each backs.
const OF_ROLE: &str = concat!(
    "select m.id as motion, ",
    document_columns!(),
    " from motion m join evidence e on e.id = any (m.evidence) where m.component = $1 and m.role = $2 order by e.id"
);

/// The classes of the components whose claims it backs, each once.
const CLASSES: &str = "select distinct c.class from motion m join component c on c.id = m.component where m.evidence @> array[$1::bigint]";

async fn one(conn: &mut PgConnection, id: i64) -> Result<Option<(Document, Vec<i32>)>> {
    let found: Option<Document> = sqlx::query_as(ONE).bind(id).fetch_optional(&mut *conn).await?;
    let Some(document) = found else {
        return Ok(None);
    };
    let classes = sqlx::query_scalar(CLASSES).bind(id).fetch_all(conn).await?;
    Ok(Some((document, classes)))
}

/// Documents by the number of the motion that they back.
pub type Documents = HashMap<i64, Vec<Document>>;

async fn of_role(conn: &mut PgConnection, component: i64, role: Role) -> Result<Documents> {
    let rows = sqlx::query(OF_ROLE)
        .bind(component)
        .bind(role.key())
        .fetch_all(conn)
        .await?;
    let mut all = Documents::new();
    for row in rows {
        all.entry(row.try_get("motion")?)
            .or_default()
            .push(Document::from_row(&row)?);
    }
    Ok(all)
}

impl Store {
    /// The documents behind each motion of a role.
    pub async fn documents(&self, component: i64, role: Role) -> Result<Documents> {
        of_role(&mut *self.pool.acquire().await?, component, role).await
    }

    /// A document, and the classes of the components whose claims it backs.
    pub async fn document(&self, id: i64) -> Result<Option<(Document, Vec<i32>)>> {
        one(&mut *self.pool.acquire().await?, id).await
    }

    /// The newest document of a number 文号, and the classes of the components whose claims it backs.
    pub async fn document_of_number(&self, number: &str) -> Result<Option<(Document, Vec<i32>)>> {
        let sql = "select max(id) from evidence where number = $1";
        let id: Option<i64> = sqlx::query_scalar(sql).bind(number).fetch_one(&self.pool).await?;
        match id {
            Some(id) => self.document(id).await,
            None => Ok(None),
        }
    }

    /// SHA-256 and size of every file that a row names, each once.
    pub async fn document_files(&self) -> Result<Vec<(Vec<u8>, i64)>> {
        let sql = "select distinct hash, bytes from evidence where hash is not null order by hash";
        Ok(sqlx::query_as(sql).fetch_all(&self.pool).await?)
    }
}

impl Edit {
    /// The documents behind each motion of a role, as this edit leaves them.
    pub async fn documents(&mut self, component: i64, role: Role) -> Result<Documents> {
        of_role(self.connection(), component, role).await
    }

    /// A document as this edit sees it, and the classes of the components whose claims it backs.
    pub async fn document(&mut self, id: i64) -> Result<Option<(Document, Vec<i32>)>> {
        one(self.connection(), id).await
    }

    /// Keeps the documents of which only something is said; the numbers of all.
    pub async fn keep_papers(&mut self, papers: &[Paper], by: &str) -> Result<Vec<i64>> {
        let mut ids = Vec::with_capacity(papers.len());
        for paper in papers {
            ids.push(match paper {
                Paper::Known(id) => *id,
                Paper::Described(d) => self.keep_document(d, None, by).await?,
            });
        }
        Ok(ids)
    }

    /// Keeps a document; its number.
    pub async fn keep_document(&mut self, d: &Described, file: Option<&Kept>, by: &str) -> Result<i64> {
        let sql = "insert into evidence (kind, number, issuer, dated, hash, bytes, media, name, lon, lat, handed_in_by)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) returning id";
        let query = sqlx::query_scalar(sql)
            .bind(&d.kind)
            .bind(&d.number)
            .bind(&d.issuer)
            .bind(d.dated)
            .bind(file.map(|f| &f.hash[..]))
            .bind(file.map(|f| i64::try_from(f.bytes).unwrap_or(i64::MAX)))
            .bind(file.map(|f| f.media))
            .bind(file.map(|f| f.name.as_str()))
            .bind(file.and_then(|f| f.taken_at).map(|p| p.lon()))
            .bind(file.and_then(|f| f.taken_at).map(|p| p.lat()))
            .bind(by);
        Ok(query.fetch_one(self.connection()).await?)
    }
}
