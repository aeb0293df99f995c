//! Rows that are taken out of a batch, each with what is wrong and what would be right.

use sqlx::PgConnection;

use super::components::Failure;
use crate::domain::delivery::{Reason, RowFault};
use crate::domain::grant::Fence;
use crate::domain::text::Text;
use crate::text;

/// Takes out rows that whoever delivers could not edit one by one: of components of a class that they may not see, outside of their
/// area before or after, or without their party.
pub(super) async fn fenced(
    conn: &mut PgConnection,
    source: &str,
    fence: &Fence,
) -> Result<Vec<(u64, RowFault)>, Failure> {
    let out: Vec<(i64, bool, bool)> = sqlx::query_as(
        "with judged as (
           select s.no, c.id is not null and k.restricted and k.id <> all ($2) as hidden,
             $3::int is not null and not exists (
               select from area a
               where a.id = $3 and a.valid and st_intersects(a.geom, st_pointonsurface(s.geom))
                 and (c.id is null or st_intersects(a.geom, st_pointonsurface(c.geom)))) as outside,
             $4::int is not null and not coalesce(case
               when c.id is null then $4 in (s.authority, s.owner, s.maintainer)
               else $4 in (c.authority, c.owner, c.maintainer) end, false) as foreign_
           from import_component s
           left join lateral (select c.* from component c where c.source = $1 and c.source_key = s.key offset 0) c on true
           left join class k on k.id = c.class
         )
         delete from import_component s using judged j
         where s.no = j.no and (j.hidden or j.outside or j.foreign_)
         returning s.no, coalesce(j.hidden, false), j.outside",
    )
    .bind(source)
    .bind(&fence.classes)
    .bind(fence.area)
    .bind(fence.party)
    .fetch_all(&mut *conn)
    .await?;
    let fault = |(no, hidden, outside): (i64, bool, bool)| {
        let (column, detail) = match (hidden, outside) {
            (true, _) => ("key", Text::new("此主键不可由您使用", "the key is not yours to use")),
            (_, true) => (
                "",
                Text::new("不在您的编辑范围内", "it stands outside of the area that you may edit"),
            ),
            _ => ("", Text::new("与您的单位无关", "your party has no role in it")),
        };
        let expected = Text::new("由有权者交付", "let somebody deliver it who may");
        (no as u64, RowFault::new(Reason::NotYours, column, detail, expected))
    };
    Ok(out.into_iter().map(fault).collect())
}

/// Row, code, the component that has or had it, whether it had it before, and that component's code now, if it may be seen.
type Taken = (i64, String, Option<i64>, bool, Option<String>);

/// Takes out rows whose code another component or an earlier row has.
pub(super) async fn taken_codes(
    conn: &mut PgConnection,
    source: &str,
    fence: Option<&Fence>,
) -> Result<Vec<(u64, RowFault)>, Failure> {
    let taken: Vec<Taken> = sqlx::query_as(
        "with held as (
           select s.no, c.id from import_component s
           cross join lateral (
             select id, source, source_key from component c where c.scheme = s.scheme and c.code = s.code offset 0
           ) c
           where (c.source, c.source_key) is distinct from ($1, s.key)
         ), former as (
           select s.no, f.id from import_component s join former_code f on f.code = s.code and f.entity = 'component' and f.scheme = s.scheme
           where not exists (select from component c where c.id = f.id and (c.source, c.source_key) is not distinct from ($1, s.key))
         ), clash as (
           select no, id, false as before from held
           union all
           select no, id, true from former
           union all
           -- Whoever the code belongs to is not in the way of itself.
           select no, null, false from (select no, row_number() over (partition by scheme, code order by no) as nth
                                 from import_component s where code is not null and not exists (select from held h where h.no = s.no)) t
           where nth > 1
         )
         delete from import_component s using (select no, max(id) as id, bool_and(before) as before from clash group by no) c
         where s.no = c.no
         returning s.no, s.code, c.id, c.before, (
           select n.code from component n join class k on k.id = n.class
           where n.id = c.id and ($2::int[] is null or not k.restricted or k.id = any ($2)))",
    )
    .bind(source)
    .bind(fence.map(|f| &f.classes))
    .fetch_all(&mut *conn)
    .await?;
    let fault = |(no, code, id, before, now): Taken| {
        let detail = match id {
            Some(id) if before && now.is_some() => {
                let now = now.unwrap_or_default();
                text!(
                    "标识码 {code} 曾属于部件 {id}（现为 {now}），标识码不重复使用",
                    "code {code} was that of component {id}, now {now}; codes are not used again"
                )
            }
            Some(_) if now.is_none() => text!("标识码 {code} 已被使用", "code {code} belongs to another component"),
            Some(id) => text!("标识码 {code} 已属于部件 {id}", "code {code} belongs to component {id}"),
            None => text!("标识码 {code} 在文件内重复", "code {code} stands twice in the file"),
        };
        let expected = Text::new("尚未使用的标识码", "a code that no other component has");
        (no as u64, RowFault::new(Reason::CodeTaken, "code", detail, expected))
    };
    Ok(taken.into_iter().map(fault).collect())
}

/// Takes out rows of components that have been retired, unless the delivery itself says that they are.
pub(super) async fn retired(
    conn: &mut PgConnection,
    source: &str,
    columns: &[String],
) -> Result<Vec<(u64, RowFault)>, Failure> {
    let gone: Vec<(i64, i64)> = sqlx::query_as(
        "delete from import_component s using (
           select f.no, c.id from import_component f
           cross join lateral (select id, state, version from component c where c.source = $1 and c.source_key = f.key offset 0) c
           where c.state = 'retired' and not ('state' = any ($2) and f.state = 'retired')
             -- What a delivery or its undoing has retired, a delivery may bring back.
             and (select coalesce(r.actor, p.actor) from component_version v left join revision r on r.txn = v.txn
                    left join pending p on p.txn = v.txn where v.id = c.id and v.version = c.version) <> $3
         ) c
         where s.no = c.no
         returning s.no, c.id",
    )
    .bind(source)
    .bind(columns)
    .bind(super::ACTOR)
    .fetch_all(&mut *conn)
    .await?;
    let fault = |(no, id): (i64, i64)| {
        let detail = text!(
            "部件 {id} 已注销，交付不会使其恢复",
            "component {id} is retired, and a delivery does not bring it back"
        );
        let expected = Text::new(
            "先在登记册中恢复，或从来源中删除",
            "restore it in the register first, or drop it from the source",
        );
        (no as u64, RowFault::new(Reason::Retired, "", detail, expected))
    };
    Ok(gone.into_iter().map(fault).collect())
}

pub(super) fn edit_fault(settled: bool, actor: &str) -> RowFault {
    let detail = if settled {
        Text::new(
            "权属已确认或有争议，交付不改变权属单位",
            "the owner is confirmed or in dispute; a delivery does not change it",
        )
    } else {
        text!(
            "上次交付后，{actor} 已修改此部件，来源亦有变更",
            "{actor} has edited it since the last delivery, and the source changed too"
        )
    };
    let expected = Text::new(
        "核对后以 --overwrite 导入，或删除此行",
        "compare, then import with --overwrite, or drop the row",
    );
    RowFault::new(Reason::Edited, "", detail, expected)
}
