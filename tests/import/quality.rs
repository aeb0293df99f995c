//! A report on quality: its figures against a register whose faults are known, and a sample that is surveyed again.

use std::path::PathBuf;

use calamine::{Data, Reader as _};
use lamppost::cli::{export, quality};
use sqlx::PgPool;

use super::{Scratch, store, take};

const MAPPING: &str = "
source = 'a'
key = 'k'
x = 'lon'
y = 'lat'
class = { value = 'CJT214-2007/0118' }
owner = { column = 'owner', create = true }
[fields]
code = { column = 'code', scheme = 'CJT214-2007' }
accuracy = 'accuracy'
surveyed_on = 'day'
";

/// Ten lamps a cell in four cells, and one outside.
fn lamps() -> String {
    let mut out = "k,lon,lat,owner,code,accuracy,day\n".to_owned();
    for i in 0..40 {
        let lon = 117.0 + f64::from(i / 10) * 0.01 + f64::from(i % 10) * 1e-4 + 0.001;
        let owner = if i % 10 == 9 { "" } else { "某局" };
        let code = if i == 39 {
            String::new()
        } else {
            format!("12010301180{i:05}")
        };
        out += &format!(
            "{i},{lon:.6},39.005,{owner},{code},{},2026-03-01\n",
            if i % 2 == 0 { "A" } else { "B" }
        );
    }
    out + "99,118.0,39.005,某局,,,\n"
}

fn cells(path: &PathBuf, sheet: usize) -> Vec<Vec<String>> {
    let mut book = calamine::open_workbook_auto(path).unwrap();
    let range = book.worksheet_range_at(sheet).unwrap().unwrap();
    range.rows().map(|r| r.iter().map(Data::to_string).collect()).collect()
}

/// The row that begins so, in either language.
fn row<'a>(rows: &'a [Vec<String>], first: [&str; 2]) -> Vec<&'a str> {
    let row = rows
        .iter()
        .find(|r| first.contains(&r[0].as_str()))
        .unwrap_or_else(|| panic!("{first:?}: {rows:?}"));
    row.iter().map(String::as_str).collect()
}

#[sqlx::test]
async fn a_report_counts_what_is_missing_wrong_and_off(pool: PgPool) {
    let (store, scratch) = (store(&pool).await, Scratch::new("quality"));
    sqlx::raw_sql(
        "insert into scheme (name, title) values ('GBT30428.1-2013', '') on conflict do nothing;
         insert into cell (scheme, code, geom) select 'GBT30428.1-2013', '12010300100100' || i, st_multi(st_makeenvelope(117.0 + i * 0.01, 39.0, 117.01 + i * 0.01, 39.01, 4326)) from generate_series(0, 3) i",
    )
    .execute(&pool)
    .await
    .unwrap();
    let file = scratch.file("lamps.csv", lamps().as_bytes());
    assert_eq!(take(&store, &scratch, &file, MAPPING).await.unwrap().rejected, 0);

    // Half of the cells, whole, cell by cell.
    let list = scratch.0.join("sample.xlsx");
    let args = |sample, seed| export::Args {
        layer: "lamps".into(),
        output: list.clone(),
        sample: Some(sample),
        seed,
        ..export::Args::default()
    };
    assert_eq!(export::run(&store, &args(100.0, 1)).await.unwrap(), 41);
    let mut drawn = std::collections::BTreeSet::new();
    for seed in 0..8 {
        let n = export::run(&store, &args(40.0, seed)).await.unwrap();
        assert!([11, 20].contains(&n), "{n}");
        drawn.insert(cells(&list, 0)[1][0].clone());
        let again = cells(&list, 0);
        export::run(&store, &args(40.0, seed)).await.unwrap();
        assert_eq!(cells(&list, 0)[1..10], again[1..10]);
    }
    assert!(drawn.len() > 1, "every seed drew the same cells");

    // What the second survey found: CSV with the same columns.
    let whole = scratch.0.join("all.csv");
    let all = export::Args {
        output: whole.clone(),
        names: Some(lamppost::delivery::out::Names::Headings),
        ..args(100.0, 1)
    };
    export::run(&store, &all).await.unwrap();
    let text = std::fs::read_to_string(&whole).unwrap();
    let mut lines: Vec<Vec<String>> = text
        .trim_start_matches('\u{feff}')
        .lines()
        .map(|l| l.split(',').map(str::to_owned).collect())
        .collect();
    let column = |name: &[&str]| lines[0].iter().position(|h| name.contains(&h.as_str())).unwrap();
    let (id, owner, state, lon, check) = (
        column(&["编号", "No."]),
        column(&["权属单位", "Owner"]),
        column(&["状态", "State"]),
        column(&["经度", "Longitude"]),
        column(&["复核", "Check"]),
    );
    let shift = |lines: &mut Vec<Vec<String>>, row: usize, metres: f64| {
        let own: f64 = lines[row][lon].parse().unwrap();
        lines[row][lon] = format!("{:.9}", own + metres / 86_540.0);
    };
    lines.truncate(31);
    shift(&mut lines, 1, 0.4);
    shift(&mut lines, 3, 0.6);
    shift(&mut lines, 2, 0.9);
    lines[5][owner] = "别的局".into();
    lines[6][state] = "damaged".into();
    lines[7][check] = "不存在".into();
    let mut missing = lines[8].clone();
    missing[id] = String::new();
    lines.push(missing);
    let sheet = lines.iter().map(|l| l.join(",")).collect::<Vec<_>>().join("\n");
    let report = scratch.0.join("report.xlsx");
    let args = |output: PathBuf| quality::Args {
        layer: "lamps".into(),
        output,
        expect: Some(scratch.file("expect.csv", "小类,数量\n路灯,50\n".as_bytes())),
        earlier: Some("2020-01-01".parse().unwrap()),
        checked: Some(scratch.file("checked.csv", sheet.as_bytes())),
        crs: None,
    };
    quality::run(&store, &args(report.clone())).await.unwrap();
    assert_eq!(
        row(&cells(&report, 0), ["0118 路灯", "0118 street lamp"])[1..],
        ["41", "50", "0.82", "0", "41"]
    );
    let survey = cells(&report, 1);
    assert_eq!(row(&survey, ["复核行数", "rows"])[1], "31");
    assert_eq!(
        row(&survey, ["遗漏", "missing in the register"])[1..],
        ["1", "0.03333333333333333"]
    );
    assert_eq!(
        row(&survey, ["多余", "registered, not there"])[1..],
        ["1", "0.03333333333333333"]
    );
    let right = cells(&report, 2);
    let (owners, states) = (
        right
            .iter()
            .find(|r| ["权属单位", "Owner"].contains(&r[0].as_str()))
            .unwrap(),
        right
            .iter()
            .find(|r| ["状态", "State"].contains(&r[0].as_str()))
            .unwrap(),
    );
    assert_eq!((owners[1].as_str(), owners[2].as_str()), ("29", "28"));
    assert_eq!((states[1].as_str(), states[2].as_str()), ("29", "28"));
    let place = cells(&report, 3);
    // The first of the list stands in no cell; then even rows are of class A.
    let class = |name: &str| place.iter().find(|r| r[0] == name).unwrap()[1..4].to_vec();
    assert_eq!(
        (class("A"), class("B")),
        (
            vec!["0.5".into(), "15".into(), "14".into()],
            vec!["1".into(), "13".to_owned(), "13".into()]
        )
    );
    let worst: f64 = place.iter().find(|r| r[0] == "A").unwrap()[6].parse().unwrap();
    assert!((worst - 0.9).abs() < 0.01, "{worst}");
    let rules = cells(&report, 5);
    for (rule, n) in [
        (["不在任何单元网格内", "in no unit cell"], "1"),
        (["没有标识码", "without a code"], "2"),
        (["没有权属单位", "without an owner"], "4"),
        (["没有主管部门", "without an authority"], "41"),
        (["没有普查日期", "without a day of survey"], "1"),
        (["没有精度等级", "without an accuracy class"], "1"),
        (
            [
                "同类点位间距小于精度等级",
                "nearer to another of the class than the accuracy class tells",
            ],
            "0",
        ),
        (["几何无效", "geometry not valid"], "0"),
    ] {
        assert_eq!(row(&rules, rule)[1], n, "{rule:?}");
    }
    let page = scratch.0.join("report.html");
    quality::run(&store, &args(page.clone())).await.unwrap();
    let html = std::fs::read_to_string(page).unwrap();
    assert!(
        html.contains("82.00 %") && html.contains("<td class=\"n\">50</td>") && !html.contains("http"),
        "{html}"
    );
}
