//! The class dictionary: the built-in schemes and classes, and reading all of them.

use serde_json::Value;
use sqlx::types::Json;

use super::Store;
use super::import::parties::put_classes;
use crate::domain::class::{Attribute, Class};
use crate::domain::code::{CJT213, CJT214, GBT30428_1, GBT30428_2, LOCAL};
use crate::domain::delivery::ClassRow;
use crate::domain::word::{Accuracy, GeometryKind};
use crate::error::{Error, Result};

const SCHEMES: [(&str, &str); 5] = [
    (CJT213, "城市市政综合监管信息系统 单元网格划分与编码规则 CJ/T 213-2005"),
    (
        CJT214,
        "城市市政综合监管信息系统 管理部件和事件分类、编码及数据要求 CJ/T 214-2007",
    ),
    (GBT30428_1, "数字化城市管理信息系统 第1部分：单元网格 GB/T 30428.1-2013"),
    (
        GBT30428_2,
        "数字化城市管理信息系统 第2部分：管理部件和事件 GB/T 30428.2-2013",
    ),
    (LOCAL, "Lamppost 自带的扩展小类"),
];

const DICTIONARIES: [&str; 2] = [
    include_str!("../../fixtures/classes/cjt214-2007.csv"),
    include_str!("../../fixtures/classes/local-lamppost.csv"),
];

/// The built-in classes, as their files have them.
pub fn built_in() -> Result<Vec<ClassRow>> {
    let mut rows = Vec::new();
    for file in DICTIONARIES {
        let mut reader = csv::Reader::from_reader(file.as_bytes());
        let header = reader.headers().map_err(Error::internal)?.clone();
        for record in reader.records() {
            let record = record.map_err(Error::internal)?;
            let get = |name: &str| {
                header
                    .iter()
                    .position(|h| h == name)
                    .and_then(|i| record.get(i))
                    .unwrap_or_default()
            };
            let faulty = |faults: Vec<_>| Error::internal(format!("built-in dictionary: {faults:?}"));
            rows.push(ClassRow::read(rows.len() as u64 + 1, get).map_err(faulty)?);
        }
    }
    Ok(rows)
}

/// Installs the built-in schemes and classes where they are missing; leaves those that are there as they are. Safe to call by
/// several processes at once; writes nothing and draws no revision when nothing is missing.
pub async fn install(store: &Store) -> Result<()> {
    let mut tx = store.pool.begin().await?;
    sqlx::query("select set_config('lamppost.actor', 'lamppost', true), set_config('lamppost.reason', 'built-in dictionary', true)")
        .execute(&mut *tx)
        .await?;
    let (names, titles): (Vec<&str>, Vec<&str>) = SCHEMES.into_iter().unzip();
    sqlx::query(
        "insert into scheme (name, title) select n, t from unnest($1::text[], $2::text[]) as s (n, t)
         where not exists (select from scheme where name = n) order by n on conflict do nothing",
    )
    .bind(names)
    .bind(titles)
    .execute(&mut *tx)
    .await?;
    let known: Vec<(String, String)> = sqlx::query_as("select scheme, code from class")
        .fetch_all(&mut *tx)
        .await?;
    let has = |r: &ClassRow| known.iter().any(|(s, c)| *s == r.class.scheme && *c == r.class.code);
    let missing: Vec<ClassRow> = built_in()?.into_iter().filter(|r| !has(r)).collect();
    if missing.is_empty() {
        tx.commit().await?;
        return Ok(());
    }
    put_classes(&mut tx, &missing, false).await?;
    tx.commit().await?;
    store.number_revisions().await?;
    Ok(())
}

type ClassRecord = (
    i32,
    String,
    String,
    String,
    String,
    String,
    Vec<String>,
    Option<String>,
    Json<Value>,
    bool,
    Option<i32>,
);

/// Every class of every dictionary, by scheme and code.
pub async fn classes(store: &Store) -> Result<Vec<Class>> {
    let rows: Vec<ClassRecord> = sqlx::query_as(
        "select id, scheme, code, name_zh, name_en, major, geometry, accuracy, attributes, restricted, base
         from class order by scheme, code",
    )
    .fetch_all(&store.pool)
    .await?;
    rows.into_iter().map(class).collect()
}

fn class(row: ClassRecord) -> Result<Class> {
    let (id, scheme, code, name_zh, name_en, major, geometry, accuracy, Json(attributes), restricted, base) = row;
    let attributes: Vec<Attribute> = serde_json::from_value(attributes).map_err(Error::internal)?;
    let unread = |e: crate::domain::text::Text| Error::internal(e.en);
    let geometry = geometry
        .iter()
        .map(|g| GeometryKind::parse(g))
        .collect::<Result<_, _>>()
        .map_err(unread)?;
    let accuracy = accuracy.as_deref().map(Accuracy::parse).transpose().map_err(unread)?;
    Ok(Class {
        id,
        scheme,
        code,
        name_zh,
        name_en,
        major,
        geometry,
        accuracy,
        attributes,
        restricted,
        base,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_dictionary_reads_and_has_85_national_minors_in_6_majors() {
        let rows = built_in().unwrap();
        let national: Vec<_> = rows.iter().filter(|r| r.class.scheme == CJT214).collect();
        let of = |major: &str| national.iter().filter(|r| r.class.major == major).count();
        assert_eq!(["01", "02", "03", "04", "05", "06"].map(of), [38, 17, 11, 10, 3, 6]);
        assert!(
            national
                .iter()
                .all(|r| r.class.code.starts_with(&r.class.major) && r.class.accuracy.is_none())
        );
        assert_eq!(rows.iter().filter(|r| r.class.scheme == LOCAL).count(), 9);
        let berth = rows.iter().find(|r| r.class.code == "berth").unwrap();
        assert_eq!(berth.class.geometry, [GeometryKind::Point, GeometryKind::Polygon]);
    }
}
