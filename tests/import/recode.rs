//! A merger of districts, as of 上城 and 江干 in 2021.

use lamppost::cli::recode::{Args, run};
use lamppost::cli::verify;
use lamppost::domain::delivery::Reason;
use lamppost::error::Error;
use sqlx::PgPool;

use super::{Scratch, counts, one, reason, take};
use crate::support::town;

/// Two districts side by side, one street and community each (江干 has two communities), and cells of half a community.
const CITY: &str = "
insert into scheme (name, title) values ('GBT30428.1-2013', '单元网格') on conflict do nothing;
insert into area (code, level, name, geom) values
  ('330102', 'district', '上城区', st_multi(st_makeenvelope(120.0, 30.0, 120.2, 30.2, 4326))),
  ('330104', 'district', '江干区', st_multi(st_makeenvelope(120.2, 30.0, 120.4, 30.2, 4326))),
  ('330102001', 'street', '清波街道', st_multi(st_makeenvelope(120.0, 30.0, 120.2, 30.2, 4326))),
  ('330104001', 'street', '凯旋街道', st_multi(st_makeenvelope(120.2, 30.0, 120.4, 30.2, 4326))),
  ('330102001001', 'community', '甲社区', st_multi(st_makeenvelope(120.0, 30.0, 120.2, 30.2, 4326))),
  ('330104001001', 'community', '乙社区', st_multi(st_makeenvelope(120.2, 30.0, 120.3, 30.2, 4326))),
  ('330104001002', 'community', '丙社区', st_multi(st_makeenvelope(120.3, 30.0, 120.4, 30.2, 4326)));
insert into cell (scheme, code, geom, area) values
  ('GBT30428.1-2013', '330102001001001', st_multi(st_makeenvelope(120.0, 30.0, 120.2, 30.2, 4326)), 5),
  ('GBT30428.1-2013', '330104001001001', st_multi(st_makeenvelope(120.2, 30.0, 120.3, 30.2, 4326)), 6),
  ('GBT30428.1-2013', '330104001002001', st_multi(st_makeenvelope(120.3, 30.0, 120.4, 30.2, 4326)), 7);";

const LAMPS: &str = "
source = 'lamps'
key = 'code'
x = 'lon'
y = 'lat'
class = { value = 'CJT214-2007/0118' }
[fields]
code = { column = 'code', scheme = 'CJT214-2007' }
note = 'note'
";

const FILE: &str = "code,lon,lat,note
3301020118000001,120.1,30.1,
3301020118000002,120.11,30.1,
3301040118000001,120.25,30.1,
3301040118000009,120.35,30.1,
3301040118000002,120.2,30.1,
";

#[sqlx::test]
async fn a_merger_recodes_all_at_once_and_old_codes_lead_to_the_new(pool: PgPool) {
    let town = town(pool).await;
    let (store, pool, scratch) = (&town.state.store, &town.pool, Scratch::new("recode"));
    sqlx::raw_sql(CITY).execute(pool).await.unwrap();
    let lamps = scratch.file("lamps.csv", FILE.as_bytes());
    take(store, &scratch, &lamps, LAMPS).await.unwrap();
    // On the border of both districts: the lowest code has it.
    let border = "select l.code from component c join cell l on l.id = c.cell where c.geom ~= st_setsrid(st_makepoint(120.2, 30.1), 4326)";
    assert_eq!(one::<String>(pool, border).await, "330102001001001");

    // The street keeps its number as 330102051, its second community joins the first, and the district has a name of its own.
    let rules = "旧代码,新代码,名称
330104,330102,
330102,330102,新上城区
330104001,330102051,凯旋新街道
330104001002,330102051001,
";
    let on = "2021-04-09".parse().unwrap();
    let args = |name: &str, text: &str, dry_run| Args {
        file: scratch.file(name, text.as_bytes()),
        on,
        dry_run,
        list: None,
    };
    let dry = run(store, &args("rules.csv", rules, true)).await.unwrap();
    assert_eq!(one::<i64>(pool, "select count(*) from former_code").await, 0);
    let done = run(store, &args("rules.csv", rules, false)).await.unwrap();
    assert_eq!(dry.codes, done.codes);
    assert_eq!(
        (done.merged, done.renamed, done.reserialed),
        (2, 2, 3),
        "{:?}",
        done.codes
    );
    let areas = "select string_agg(code || ' ' || name || ' ' || round(st_area(geom)::numeric, 2), ', ' order by code) from area where valid";
    assert_eq!(
        one::<String>(pool, areas).await,
        "330102 新上城区 0.08, 330102001 清波街道 0.04, 330102001001 甲社区 0.04, 330102051 凯旋新街道 0.04, 330102051001 乙社区 0.04"
    );
    let cells = "select string_agg(c.code || ' ' || a.code, ', ' order by c.code) from cell c join area a on a.id = c.area and a.valid";
    assert_eq!(
        one::<String>(pool, cells).await,
        "330102001001001 330102001001, 330102051001001 330102051001, 330102051001002 330102051001"
    );
    let codes = "select string_agg(code || ' ' || source_key || ' ' || version, ', ' order by id) from component";
    assert_eq!(
        one::<String>(pool, codes).await,
        "3301020118000001 3301020118000001 1, 3301020118000002 3301020118000002 1, 3301020118000010 3301020118000010 2, \
         3301020118000009 3301020118000009 2, 3301020118000011 3301020118000011 2"
    );
    let list = std::fs::read_to_string(scratch.0.join("rules.csv.codes.csv")).unwrap();
    assert!(
        list.contains("\t3301040118000001\",\"\t3301020118000010")
            || list.contains("\t3301040118000001,\t3301020118000010"),
        "{list}"
    );

    // Memory follows, old codes of everything resolve, and the database is sound.
    town.state.feed.reached(done.revision.unwrap()).await;
    for (old, entity, new) in [
        ("3301040118000001", "component", "3301020118000010"),
        ("330104", "area", "330102"),
        ("330104001", "area", "330102051"),
        ("330104001002", "area", "330102051001"),
        ("330104001002001", "cell", "330102051001002"),
    ] {
        let told = town.json(&format!("/codes/{old}")).await;
        let holder = &told["holders"][0];
        assert_eq!(
            (holder["entity"].as_str(), holder["code"].as_str()),
            (Some(entity), Some(new)),
            "{old}"
        );
        assert_eq!(holder["until"], "2021-04-09");
    }
    let found = town.json("/collections/components/items?q=3301040118000009").await;
    assert_eq!(found["features"][0]["properties"]["code"], "3301020118000009");
    verify::run(store, std::path::Path::new("/nowhere")).await.unwrap();

    // What still comes with old codes is refused and told the new one; what comes with new ones is known.
    let late = take(store, &scratch, &lamps, LAMPS).await.unwrap();
    assert_eq!((counts(&late), reason(&late, Reason::CodeWrong)), ((5, 0, 0, 2, 3), 3));
    let told = &late.reasons[&Reason::CodeWrong].1[0].1.detail.en;
    assert_eq!(
        told,
        "the district 330104 of code 3301040118000001 is 330102 since 2021-04-09"
    );
    let new = FILE.replace("3301040118000001", "3301020118000010");
    let new = new
        .replace("3301040118000009", "3301020118000009")
        .replace("3301040118000002", "3301020118000011");
    let next = take(store, &scratch, &scratch.file("next.csv", new.as_bytes()), LAMPS)
        .await
        .unwrap();
    assert_eq!(counts(&next), (5, 0, 0, 5, 0));

    // All faults at once.
    let wrong = args(
        "wrong.csv",
        "old,new\n3301,330102\n330102,330103\n330103,330105\n330102,330109001\n",
        false,
    );
    match run(store, &wrong).await {
        Err(Error::Syntax(faults)) => assert_eq!(faults.len(), 6, "{faults:?}"),
        other => panic!("{other:?}"),
    }
    let idle = args("idle.csv", "old,new\n440104,440103\n", false);
    assert!(matches!(run(store, &idle).await, Err(Error::Invalid(f)) if f[0].pointer == "440104"));
}
