//! What of a stock of components is counted for a report on its quality.

use chrono::NaiveDate;
use futures_util::TryStreamExt;
use sqlx::Connection;

use super::Store;
use crate::domain::text::Text;
use crate::domain::word::Accuracy;
use crate::error::{Error, Result};
use crate::spatial::near::Near;
use crate::spatial::position::LonLat;

/// A rule that every component should keep, and how many of some classes break it.
const RULES: [(&str, &str, &str); 11] = [
    (
        "不在任何单元网格内",
        "in no unit cell",
        "select count(*) from component where class = any ($1) and state <> 'retired' and cell is null",
    ),
    (
        "没有标识码",
        "without a code",
        "select count(*) from component where class = any ($1) and state <> 'retired' and code is null",
    ),
    (
        "标识码的区划与所在网格不符",
        "code of another district than that of the cell",
        "select count(*) from component c join cell l on l.id = c.cell
         where c.class = any ($1) and c.state <> 'retired' and c.scheme in ('CJT214-2007', 'GBT30428.2-2013')
           and l.code ~ '^[0-9]{14,15}$' and left(c.code, 6) <> left(l.code, 6)",
    ),
    (
        "标识码的小类与所登记小类不符",
        "code of another class than the registered one",
        "select count(*) from component c join class k on k.id = c.class
         where c.class = any ($1) and c.state <> 'retired' and c.scheme = k.scheme and k.scheme = 'CJT214-2007' and substr(c.code, 7, 4) <> k.code",
    ),
    (
        "几何无效",
        "geometry not valid",
        "select count(*) from component where class = any ($1) and state <> 'retired' and not st_isvalid(geom)",
    ),
    (
        "没有主管部门",
        "without an authority",
        "select count(*) from component where class = any ($1) and state <> 'retired' and authority is null",
    ),
    (
        "没有权属单位",
        "without an owner",
        "select count(*) from component where class = any ($1) and state <> 'retired' and owner is null",
    ),
    (
        "没有养护单位",
        "without a maintainer",
        "select count(*) from component where class = any ($1) and state <> 'retired' and maintainer is null",
    ),
    (
        "没有普查日期",
        "without a day of survey",
        "select count(*) from component where class = any ($1) and state <> 'retired' and surveyed_on is null",
    ),
    (
        "普查日期晚于今天",
        "surveyed after today",
        "select count(*) from component where class = any ($1) and state <> 'retired' and surveyed_on > current_date",
    ),
    (
        "没有精度等级",
        "without an accuracy class",
        "select count(*) from component c join class k on k.id = c.class
         where c.class = any ($1) and c.state <> 'retired' and coalesce(c.accuracy, k.accuracy) is null",
    ),
];

/// Polygons of one class that cover more than half a square metre of each other.
const OVERLAPS: &str = "
select count(*) from quality_polygon a join quality_polygon b on a.class = b.class and a.id < b.id and a.geom && b.geom
where st_intersects(a.geom, b.geom) and st_area(st_intersection(a.geom, b.geom)::geography) > 0.5";

impl Store {
    /// Components of each class, today.
    pub async fn class_counts(&self, classes: &[i32]) -> Result<Vec<(i32, i64)>> {
        let sql = "select class, count(*) from component where class = any ($1) and state <> 'retired' group by class";
        Ok(sqlx::query_as(sql).bind(classes).fetch_all(&self.pool).await?)
    }

    /// The same at the end of a day, as it was recorded then.
    pub async fn class_counts_on(&self, classes: &[i32], day: NaiveDate) -> Result<Vec<(i32, i64)>> {
        let sql = "select class, count(*) from (
              select distinct on (v.id) v.class, v.state
              from component_version v join revision r on r.txn = v.txn
              where r.recorded < $2::date + 1
              order by v.id, v.version desc) v
            where class = any ($1) and state <> 'retired' group by class";
        Ok(sqlx::query_as(sql)
            .bind(classes)
            .bind(day)
            .fetch_all(&self.pool)
            .await?)
    }

    /// How many components of some classes break each rule. Some seconds a million.
    pub async fn broken_rules(&self, classes: &[i32]) -> Result<Vec<(Text, i64)>> {
        let mut out = Vec::new();
        for (zh, en, sql) in RULES {
            let n: i64 = sqlx::query_scalar(sql).bind(classes).fetch_one(&self.pool).await?;
            out.push((Text::new(zh, en), n));
        }
        let near = Text::new(
            "同类点位间距小于精度等级",
            "nearer to another of the class than the accuracy class tells",
        );
        out.push((near, self.near_twins(classes).await?));
        let overlap = Text::new("同类面互相重叠", "polygons of a class that overlap");
        out.push((overlap, self.overlaps(classes).await?));
        Ok(out)
    }

    async fn near_twins(&self, classes: &[i32]) -> Result<i64> {
        let sql = "select c.id, c.class, st_x(c.geom), st_y(c.geom), coalesce(c.accuracy, k.accuracy)
            from component c join class k on k.id = c.class
            where c.class = any ($1) and c.state <> 'retired' and geometrytype(c.geom) = 'POINT' order by c.id";
        let mut rows = sqlx::query_as::<_, (i64, i32, f64, f64, Option<String>)>(sql)
            .bind(classes)
            .fetch(&self.pool);
        let (mut near, mut twins) = (Near::default(), 0);
        while let Some((id, class, lon, lat, accuracy)) = rows.try_next().await? {
            let Ok(at) = LonLat::new(lon, lat) else { continue };
            let known = accuracy.and_then(|a| Accuracy::parse(&a).ok());
            let known = known.filter(|a| *a != Accuracy::C);
            let twin = known.and_then(|a| near.nearest(class, at, a.metres(), 0));
            twins += i64::from(twin.is_some());
            near.add(class, at, id, 0);
        }
        Ok(twins)
    }

    async fn overlaps(&self, classes: &[i32]) -> Result<i64> {
        let mut conn = self.pool.acquire().await?;
        let mut tx = conn.begin().await?;
        sqlx::query("create temp table quality_polygon (id bigint, class int, geom geometry) on commit drop")
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "insert into quality_polygon select id, class, geom from component
             where class = any ($1) and state <> 'retired' and st_dimension(geom) = 2",
        )
        .bind(classes)
        .execute(&mut *tx)
        .await?;
        sqlx::raw_sql("create index on quality_polygon using gist (geom); analyze quality_polygon")
            .execute(&mut *tx)
            .await?;
        let n = sqlx::query_scalar(OVERLAPS).fetch_one(&mut *tx).await?;
        tx.rollback().await.map_err(Error::from)?;
        Ok(n)
    }
}
