//! A delivery as districts make them: the demo city's lamps as a GB18030 shapefile and its wells as a workbook, with national headings,
//! EPSG:4527 with the northing as X, aliases, every spelling of days and digits, and two rows in a hundred with each fault.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use calamine::{Data, Reader as _};
use chrono::NaiveDate;
use lamppost::cli::import::{Args, take};
use lamppost::domain::delivery::Reason;
use lamppost::exchange::report::Report;
use lamppost::spatial::crs::Crs;
use lamppost::spatial::datum::Datum;
use lamppost::spatial::position::LonLat;
use rust_xlsxwriter::{Format, Workbook};
use serde_json::{Value, json};
use sqlx::{PgPool, Row as _};

use super::{Scratch, store};
use lamppost::store::Store;

/// A component as it is in the register.
#[derive(Clone, Debug)]
struct Truth {
    code: String,
    class: String,
    at: LonLat,
    state: &'static str,
    parties: [Option<String>; 3],
    cell: String,
    surveyed: NaiveDate,
    address: Option<String>,
    attributes: BTreeMap<String, Value>,
}

/// What is wrong with a row, as a report must name it.
const FAULTS: [Reason; 13] = [
    Reason::CodeRounded,
    Reason::CodeWrong,
    Reason::KeyRepeated,
    Reason::AxesSwapped,
    Reason::WrongZone,
    Reason::ShiftedDatum,
    Reason::OutsideCell,
    Reason::PositionWrong,
    Reason::Class,
    Reason::Party,
    Reason::Dates,
    Reason::Value,
    Reason::Duplicate,
];

const COLUMNS: usize = 17;

/// Headings in use, in the order of a row's values.
const HEADINGS: [&str; COLUMNS] = [
    "标识码",
    "部件名称",
    "X",
    "Y",
    "状态",
    "主管部门",
    "权属单位",
    "养护单位",
    "所在单元网格",
    "初始日期",
    "变更日期",
    "数据来源",
    "位置描述",
    "井深",
    "功率",
    "备注",
    "精度等级",
];
const NATIONAL: [&str; COLUMNS] = [
    "ObjID",
    "ObjName",
    "X",
    "Y",
    "ObjState",
    "DeptName1",
    "DeptName2",
    "DeptName3",
    "BGID",
    "ORDate",
    "CHDate",
    "DataSource",
    "LocateDSC",
    "井深",
    "功率",
    "Note",
    "精度等级",
];

/// A row with what is wrong with it.
fn row(
    t: &Truth,
    i: usize,
    alias: &BTreeMap<String, String>,
    other_cell: &str,
    before: Option<&Truth>,
) -> (Option<Reason>, Vec<Value>) {
    // Each fault twice in a hundred rows, none of them next to one another.
    let fault = (i % 100 < 2 * FAULTS.len() && i > 200)
        .then(|| FAULTS[i % 100 / 2])
        .filter(|f| !matches!(f, Reason::KeyRepeated | Reason::Duplicate) || before.is_some());
    let crs = Crs::Epsg(4527);
    let plane = |p: (f64, f64), crs: Crs| crs.from_lonlat(LonLat::new(p.0, p.1).unwrap()).unwrap();
    let at = (t.at.lon(), t.at.lat());
    let (mut east, mut north) = plane(at, crs);
    let mut cell = t.cell.clone();
    let mut code = json!(t.code);
    let mut class = t.class.clone();
    let mut state = match (t.state, i % 3) {
        ("intact", 0) => "完好".to_owned(),
        ("intact", 1) => "正常".into(),
        ("intact", _) => " 良好".into(),
        ("damaged", 0) => "破損".into(),
        ("damaged", _) => "损坏".into(),
        ("missing", _) => "丢失".into(),
        (_, 1) => "廢棄".into(),
        _ => "废弃".into(),
    };
    let spelt = |day: NaiveDate, n: usize| match n % 6 {
        0 => day.format("%Y/%-m/%-d").to_string(),
        1 => day.format("%Y%m%d").to_string(),
        2 => day.format("%Y年%-m月%-d日").to_string(),
        3 => (day - NaiveDate::from_ymd_opt(1899, 12, 30).unwrap())
            .num_days()
            .to_string(),
        4 => day.format("%Y-%m-%d").to_string().chars().map(wide).collect(),
        _ => day.format("'%Y.%m.%d").to_string(),
    };
    let mut changed = t.surveyed + chrono::Days::new(3);
    let mut parties = t.parties.clone();
    match fault {
        None if i.is_multiple_of(7) => code = json!(format!("'{}", t.code)),
        None if i.is_multiple_of(11) => code = json!(t.code.chars().map(wide).collect::<String>()),
        None if i.is_multiple_of(13) => cell = format!("\t{cell}"),
        None => {}
        Some(Reason::CodeRounded) if i.is_multiple_of(2) => code = json!("1.20103E+15"),
        Some(Reason::CodeRounded) => code = json!(t.code.parse::<f64>().unwrap()),
        Some(Reason::CodeWrong) if i.is_multiple_of(2) => code = json!(format!("330102{}", &t.code[6..])),
        Some(Reason::CodeWrong) => code = json!(&t.code[..15]),
        Some(Reason::KeyRepeated) => code = json!(before.unwrap().code),
        Some(Reason::Duplicate) => {
            let other = before.unwrap();
            (east, north) = plane((other.at.lon(), other.at.lat()), crs);
            east += 0.3;
            cell = other.cell.clone();
        }
        Some(Reason::AxesSwapped) => (east, north) = (north, east),
        Some(Reason::WrongZone) => (east, north) = plane(at, Crs::Epsg(if i.is_multiple_of(2) { 4548 } else { 4528 })),
        Some(Reason::ShiftedDatum) => {
            let datum = if i.is_multiple_of(2) { Datum::Gcj02 } else { Datum::Bd09 };
            (east, north) = plane(datum.from_wgs84(at.0, at.1), crs);
        }
        Some(Reason::OutsideCell) => cell = other_cell.to_owned(),
        Some(Reason::PositionWrong) => (east, north) = (39_000_000.0, 1_000_000.0),
        Some(Reason::Class) => class = "路燈灯".to_owned() + "甲乙丙丁",
        Some(Reason::Party) => parties[0] = Some("无此单位".into()),
        Some(Reason::Dates) => changed = t.surveyed - chrono::Days::new(30),
        Some(Reason::Value) => state = "不清楚".into(),
        Some(other) => panic!("{other:?}"),
    }
    if fault.is_none() && i.is_multiple_of(5) {
        for p in &mut parties {
            *p = p.as_ref().map(|n| alias.get(n).unwrap_or(n).clone());
        }
    }
    let named = |p: &Option<String>| p.as_ref().map_or(Value::Null, |n| json!(n));
    let attribute = |name: &str| t.attributes.get(name).cloned().unwrap_or(Value::Null);
    let metres = |n: f64| json!((n * 1e4).round() / 1e4);
    let values = vec![
        code,
        json!(class),
        metres(north),
        metres(east),
        json!(state),
        named(&parties[0]),
        named(&parties[1]),
        named(&parties[2]),
        json!(cell),
        json!(spelt(t.surveyed, i)),
        json!(spelt(changed, i / 6)),
        json!("实测"),
        t.address.as_ref().map_or(Value::Null, |a| json!(a)),
        attribute("depth"),
        attribute("wattage"),
        Value::Null,
        json!("A"),
    ];
    (fault, values)
}

fn wide(c: char) -> char {
    if c.is_ascii_graphic() {
        char::from_u32(c as u32 + 0xfee0).unwrap()
    } else {
        c
    }
}

/// Every row, and how many of each fault there are.
struct Delivery {
    rows: Vec<Vec<Value>>,
    right: Vec<Vec<Value>>,
    faults: BTreeMap<Reason, u64>,
}

fn make(truth: &[Truth], alias: &BTreeMap<String, String>) -> Delivery {
    let mut own = Delivery {
        rows: Vec::new(),
        right: Vec::new(),
        faults: BTreeMap::new(),
    };
    for (i, t) in truth.iter().enumerate() {
        let other = truth.iter().map(|o| &o.cell).find(|c| **c != t.cell).unwrap();
        let before = i
            .checked_sub(50)
            .filter(|n| truth[*n].class == t.class)
            .map(|n| &truth[n]);
        let (fault, values) = row(t, i, alias, other, before);
        if let Some(fault) = fault {
            *own.faults.entry(fault).or_default() += 1;
        }
        own.rows.push(values);
        // What the clerk writes: row 0 has no fault and no variant.
        own.right.push(row(t, 3, alias, other, before).1);
    }
    own
}

fn workbook(path: &Path, headings: &[&str], rows: &[Vec<Value>]) {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    let text = Format::new().set_num_format("@");
    sheet
        .merge_range(0, 0, 0, COLUMNS as u16 - 1, "某区检查井普查成果表", &Format::new())
        .unwrap();
    for (c, name) in headings.iter().enumerate() {
        sheet.write_string(1, c as u16, *name).unwrap();
    }
    for (r, row) in rows.iter().enumerate() {
        for (c, value) in row.iter().enumerate() {
            let (r, c) = (r as u32 + 2, c as u16);
            match value {
                Value::Null => {}
                Value::Number(n) => drop(sheet.write_number(r, c, n.as_f64().unwrap()).unwrap()),
                Value::String(s) => drop(sheet.write_string_with_format(r, c, s, &text).unwrap()),
                other => panic!("{other}"),
            }
        }
    }
    sheet.write_string(rows.len() as u32 + 2, 0, "合计").unwrap();
    sheet.write_number(rows.len() as u32 + 2, 1, rows.len() as f64).unwrap();
    book.save(path).unwrap();
}

/// By GDAL, from GeoJSON in the plane's own coordinates; zipped, with neither .cpg nor a mark of the encoding.
fn shapefile(scratch: &Scratch, rows: &[Vec<Value>]) -> PathBuf {
    let features: Vec<Value> = rows
        .iter()
        .map(|row| {
            let own = NATIONAL.iter().zip(row).filter(|(n, _)| !matches!(**n, "X" | "Y"));
            // A shapefile's numbers are as its writer formats them.
            let text = |v: &Value| v.as_f64().filter(|n| *n > 1e14).map_or(v.clone(), |n| json!(format!("{n:.11e}").replace('e', "E+")));
            let properties: serde_json::Map<String, Value> = own.map(|(n, v)| ((*n).to_owned(), text(v))).collect();
            json!({"type": "Feature", "properties": properties, "geometry": {"type": "Point", "coordinates": [row[3], row[2]]}})
        })
        .collect();
    let json = scratch.file(
        "lamps.geojson",
        json!({"type": "FeatureCollection", "features": features})
            .to_string()
            .as_bytes(),
    );
    let dir = scratch.0.join("shp");
    std::fs::create_dir_all(&dir).unwrap();
    let done = Command::new("ogr2ogr")
        .args(["-a_srs", "EPSG:4527", "-lco", "ENCODING=GBK"])
        .arg(dir.join("路灯.shp"))
        .arg(json)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let path = scratch.0.join("lamps.zip");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    for ending in ["shp", "shx", "dbf", "prj"] {
        let mut bytes = std::fs::read(dir.join(format!("路灯.{ending}"))).unwrap();
        if ending == "dbf" {
            bytes[29] = 0;
        }
        zip.start_file(format!("路灯.{ending}"), zip::write::SimpleFileOptions::default())
            .unwrap();
        std::io::Write::write_all(&mut zip, &bytes).unwrap();
    }
    zip.finish().unwrap();
    path
}

async fn truth(pool: &PgPool, classes: &str) -> Vec<Truth> {
    let rows = sqlx::query(
        "select c.code, k.name_zh, st_x(c.geom) x, st_y(c.geom) y, c.state, a.name an, o.name own, m.name mn, l.code cell,
           c.surveyed_on, c.address, c.attributes
         from expected c join class k on k.id = c.class left join party a on a.id = c.authority left join party o on o.id = c.owner
         left join party m on m.id = c.maintainer left join cell l on l.id = c.cell
         where k.code = any (string_to_array($1, ',')) order by c.code",
    )
    .bind(classes)
    .fetch_all(pool)
    .await
    .unwrap();
    let state = |s: String| {
        ["intact", "damaged", "missing", "abandoned"]
            .into_iter()
            .find(|k| *k == s)
            .unwrap()
    };
    rows.iter()
        .map(|r| Truth {
            code: r.get("code"),
            class: r.get("name_zh"),
            at: LonLat::new(r.get("x"), r.get("y")).unwrap(),
            state: state(r.get("state")),
            parties: [r.get("an"), r.get("own"), r.get("mn")],
            cell: r.get("cell"),
            surveyed: r.get("surveyed_on"),
            address: r.get("address"),
            attributes: serde_json::from_value(r.get("attributes")).unwrap(),
        })
        .collect()
}

fn reasons(report: &Report) -> BTreeMap<Reason, u64> {
    report.reasons.iter().map(|(r, (n, _))| (*r, *n)).collect()
}

async fn deliver(store: &Store, file: &Path, mapping: Option<PathBuf>) -> Report {
    let suggest = mapping.is_none();
    let args = Args {
        mapping,
        suggest,
        ..Args::default()
    };
    take(store, file, &args).await.unwrap()
}

#[sqlx::test]
async fn a_delivery_goes_in_by_suggestion_alone_and_its_corrected_rejects_make_it_whole(pool: PgPool) {
    let (store, scratch) = (store(&pool).await, Scratch::new("district"));
    lamppost::cli::demo::run(&store, &lamppost::cli::demo::Args { seed: 1, scale: 1 })
        .await
        .unwrap();
    // The city as it should become; then its components go, as no register of this program ever lets them.
    for sql in [
        "create table expected as select c.* from component c join cell l on l.id = c.cell
         where c.scheme = 'CJT214-2007' and c.state <> 'retired' and geometrytype(c.geom) = 'POINT'",
        "alter table component disable trigger user",
        "delete from component",
        "alter table component enable trigger user",
    ] {
        sqlx::query(sql).execute(&pool).await.unwrap();
    }
    let mut alias = BTreeMap::new();
    let names: Vec<(i32, String)> = sqlx::query_as("select id, name from party")
        .fetch_all(&pool)
        .await
        .unwrap();
    for (id, name) in names {
        let short = format!("{}{id}", name.chars().step_by(3).collect::<String>());
        sqlx::query("update party set aliases = aliases || $2 where id = $1")
            .bind(id)
            .bind(&short)
            .execute(&pool)
            .await
            .unwrap();
        alias.insert(name, short);
    }

    let wells = truth(&pool, "0102,0103").await;
    let own = make(&wells, &alias);
    let file = scratch.0.join("检查井2026.xlsx");
    workbook(&file, &HEADINGS, &own.rows);
    let report = deliver(&store, &file, None).await;
    assert_eq!(
        reasons(&report),
        own.faults,
        "{}",
        report.summary(lamppost::domain::text::Lang::En)
    );
    assert_eq!(
        (report.read, report.tally.added),
        (wells.len() as u64, wells.len() as u64 - report.rejected)
    );
    assert_eq!(report.unknown_parties.len(), 1);
    // The clerk corrects what stands in the reject file, and the same mapping takes it.
    let rejects = PathBuf::from(report.rejects.clone().unwrap());
    let mut book = calamine::open_workbook_auto(&rejects).unwrap();
    let range = book.worksheet_range_at(0).unwrap().unwrap();
    let heading: Vec<String> = range.rows().next().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(heading[..COLUMNS], HEADINGS);
    assert_eq!(heading[COLUMNS..], ["_row", "_column", "_reason", "_expected"]);
    let corrected: Vec<Vec<Value>> = range
        .rows()
        .skip(1)
        .map(|r| {
            let n: usize = r[COLUMNS].to_string().parse().unwrap();
            let told = r[COLUMNS..].iter().map(|c: &Data| json!(c.to_string()));
            own.right[n - 3].iter().cloned().chain(told).collect()
        })
        .collect();
    assert_eq!(corrected.len() as u64, report.rejected);
    let again = scratch.0.join("corrected.xlsx");
    workbook(
        &again,
        &heading.iter().map(String::as_str).collect::<Vec<_>>(),
        &corrected,
    );
    let mapping = PathBuf::from(format!("{}.mapping.toml", file.display()));
    let second = deliver(&store, &again, Some(mapping)).await;
    assert_eq!(
        (second.tally.added, second.rejected),
        (report.rejected, 0),
        "{:?}",
        second.reasons
    );

    let lamps = truth(&pool, "0118").await;
    let own = make(&lamps, &alias);
    let file = shapefile(&scratch, &own.rows);
    let report = deliver(&store, &file, None).await;
    assert_eq!(
        reasons(&report),
        own.faults,
        "{}",
        report.summary(lamppost::domain::text::Lang::En)
    );
    assert!(report.encoding.starts_with("GB18030"), "{}", report.encoding);
    let rejects = PathBuf::from(report.rejects.clone().unwrap());
    let mut json: Value = serde_json::from_slice(&std::fs::read(rejects).unwrap()).unwrap();
    for feature in json["features"].as_array_mut().unwrap() {
        let n: usize = feature["properties"]["_row"].as_str().unwrap().parse().unwrap();
        let right = &own.right[n - 1];
        for (name, value) in NATIONAL.iter().zip(right).filter(|(n, _)| !matches!(**n, "X" | "Y")) {
            feature["properties"][*name] = value.clone();
        }
        feature["geometry"] = json!({"type": "Point", "coordinates": [right[3], right[2]]});
    }
    let again = scratch.file("corrected.geojson", json.to_string().as_bytes());
    let mapping = PathBuf::from(format!("{}.mapping.toml", file.display()));
    let second = deliver(&store, &again, Some(mapping)).await;
    assert_eq!(
        (second.tally.added, second.rejected),
        (report.rejected, 0),
        "{:?}",
        second.reasons
    );

    let differ: Vec<(String,)> = sqlx::query_as(
        "select e.code from expected e join class k on k.id = e.class left join component c on c.scheme = e.scheme and c.code = e.code
         where k.code in ('0118', '0102', '0103') and (
           (c.class, c.state, c.authority, c.owner, c.maintainer, c.cell, c.surveyed_on, c.address)
             is distinct from (e.class, e.state, e.authority, e.owner, e.maintainer, e.cell, e.surveyed_on, e.address)
           or c.attributes -> 'depth' is distinct from e.attributes -> 'depth'
           or c.attributes -> 'wattage' is distinct from e.attributes -> 'wattage'
           or st_distance(c.geom::geography, e.geom::geography) > 0.001)
         limit 5",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert_eq!(differ, []);
    let counts: (i64, i64) = sqlx::query_as(
        "select (select count(*) from component), (select count(*) from expected e join class k on k.id = e.class
           where k.code in ('0118', '0102', '0103'))",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(counts.0, counts.1);
}
