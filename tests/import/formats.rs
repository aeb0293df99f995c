//! Every format in: what GDAL writes, what LibreOffice and clerks write, what is broken.

use std::path::Path;
use std::process::Command;

use lamppost::delivery::{Options, deliver};
use lamppost::error::Error;
use lamppost::exchange::read::{Format, Hints, Table};
use lamppost::exchange::report::Report;
use lamppost::spatial::crs::Crs;
use sqlx::PgPool;

use super::{LAMPS, Scratch, counts, one, options, store};

/// Forty lamps with names of every length, in GDAL's own text format.
pub(super) fn csv() -> String {
    let name = |i: u32| {
        "路灯管理所一二三四五六七八九"
            .chars()
            .take(1 + i as usize % 13)
            .collect::<String>()
    };
    (0..40).fold("no,kind,lon,lat,state,owner,name,code,watt\n".to_owned(), |s, i| {
        let (lon, lat) = (117.2 + f64::from(i) * 1e-4, 39.1 + f64::from(i) * 1e-5);
        s + &format!(
            "K{i},路灯,{lon:.6},{lat:.6},好,区市政局,{},L-{i},{}\n",
            name(i),
            100 + i
        )
    })
}

/// Runs ogr2ogr on `from`; it is installed with the tests.
pub(super) fn ogr(scratch: &Scratch, from: &Path, to: &str, more: &[&str]) -> std::path::PathBuf {
    let to = scratch.0.join(to);
    let done = Command::new("ogr2ogr")
        .args([
            "-oo",
            "X_POSSIBLE_NAMES=lon",
            "-oo",
            "Y_POSSIBLE_NAMES=lat",
            "-oo",
            "KEEP_GEOM_COLUMNS=YES",
        ])
        .args(
            ["-a_srs", "EPSG:4326"]
                .iter()
                .take(if more.contains(&"-t_srs") { 0 } else { 2 }),
        )
        .args(
            ["-s_srs", "EPSG:4326"]
                .iter()
                .take(if more.contains(&"-t_srs") { 2 } else { 0 }),
        )
        .args(more)
        .arg(&to)
        .arg(from)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    to
}

async fn load(store: &lamppost::store::Store, scratch: &Scratch, file: &Path, mapping: &str) -> Result<Report, Error> {
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    deliver(store, file, &options(scratch, mapping, &name), &|_, _| {}).await
}

#[sqlx::test]
async fn what_gdal_writes_in_every_format_reads_alike(pool: PgPool) {
    let (store, scratch) = (store(&pool).await, Scratch::new("formats"));
    let plain = scratch.file("lamps.csv", csv().as_bytes());
    let shapes = LAMPS.replace("x = 'lon'\ny = 'lat'\n", "");
    let files = [
        ("a.csv", plain.clone()),
        ("a.gpkg", ogr(&scratch, &plain, "a.gpkg", &["-t_srs", "EPSG:4527"])),
        ("a.fgb", ogr(&scratch, &plain, "a.fgb", &["-t_srs", "EPSG:4548"])),
        (
            "a.geojson",
            ogr(&scratch, &plain, "a.geojson", &["-t_srs", "EPSG:4326"]),
        ),
        ("a.xlsx", ogr(&scratch, &plain, "a.xlsx", &[])),
        (
            "utf8.shp",
            ogr(
                &scratch,
                &plain,
                "utf8.shp",
                &["-t_srs", "EPSG:4527", "-lco", "ENCODING=UTF-8"],
            ),
        ),
        (
            "gbk.shp",
            ogr(
                &scratch,
                &plain,
                "gbk.shp",
                &["-t_srs", "EPSG:4490", "-lco", "ENCODING=GBK"],
            ),
        ),
    ];
    // Without its .cpg, and without the mark in its header, only the bytes tell.
    std::fs::remove_file(scratch.0.join("gbk.cpg")).unwrap();
    let dbf = scratch.0.join("gbk.dbf");
    let mut bytes = std::fs::read(&dbf).unwrap();
    bytes[29] = 0;
    std::fs::write(&dbf, bytes).unwrap();
    for (name, file) in &files {
        let own = if name.ends_with("csv") || name.ends_with("xlsx") {
            LAMPS
        } else {
            &shapes
        };
        let mapping = own
            .replace("source = 'lamps'", &format!("source = '{name}'"))
            .replace("column = 'code', ", "column = 'no', ")
            .replace(
                "scheme = 'LOCAL-TEST'",
                &format!("scheme = 'LOCAL-{}'", name.to_uppercase().replace('_', "-")),
            );
        let report = load(&store, &scratch, file, &mapping).await.unwrap();
        assert_eq!(counts(&report), (40, 40, 0, 0, 0), "{name}: {:?}", report.reasons);
        if *name == "gbk.shp" {
            assert_eq!(report.encoding, "GB18030 (detected: not UTF-8)");
        }
        let again = load(&store, &scratch, file, &mapping).await.unwrap();
        assert_eq!(counts(&again), (40, 0, 0, 40, 0), "{name}");
    }
    let differ: String = one(
        &pool,
        "select coalesce(string_agg(distinct c.source || ' ' || c.source_key, ', '), '') from component c
         join component o on o.source = 'a.csv' and o.source_key = c.source_key
         where (c.name, c.state, c.owner, c.attributes, c.code) is distinct from (o.name, o.state, o.owner, o.attributes, o.code)
            or st_distance(c.geom::geography, o.geom::geography) > 0.001",
    )
    .await;
    assert_eq!(differ, "");
}

#[sqlx::test]
async fn an_archive_is_read_as_all_its_files_and_keeps_their_names(pool: PgPool) {
    let (store, scratch) = (store(&pool).await, Scratch::new("archive"));
    let text = csv();
    let (head, rows) = text.split_once('\n').unwrap();
    let (first, second) = rows.split_at(rows.find("K20,").unwrap());
    let zip = scratch.0.join("towns.zip");
    archive(
        &zip,
        &[
            ("甲/lamps.csv", &format!("{head}\n{first}")),
            ("乙/lamps.csv", &format!("{head}\n{second}")),
            ("__MACOSX/x.csv", "?"),
        ],
    );
    let mapping = format!("{LAMPS}\ntown = '_file'\n");
    let report = load(&store, &scratch, &zip, &mapping).await.unwrap();
    assert_eq!(counts(&report), (40, 40, 0, 0, 0), "{:?}", report.reasons);
    let towns: String = one(&pool, "select string_agg(t || n, ' ' order by t) from (select attributes ->> 'town' t, count(*) n from component group by 1) x").await;
    assert_eq!(towns, "乙/lamps.csv20 甲/lamps.csv20");
    // Rows are numbered through, so that what the register refuses is the row that it is.
    let clash = second
        .replace("L-25,", "L-3,")
        .replace("K", "N")
        .replace("L-", "LN-")
        .replace("LN-3,", "L-3,");
    archive(
        &zip,
        &[
            ("甲/lamps.csv", &format!("{head}\n{first}")),
            ("乙/lamps.csv", &format!("{head}\n{clash}")),
        ],
    );
    let report = load(&store, &scratch, &zip, &mapping).await.unwrap();
    assert_eq!(counts(&report), (40, 19, 0, 20, 1), "{:?}", report.reasons);
    let rejected = std::fs::read_to_string(report.rejects.unwrap()).unwrap();
    assert!(
        rejected.contains("N25,") && rejected.contains("L-3") && rejected.lines().count() == 2,
        "{rejected}"
    );
    archive(&zip, &[("a.csv", "a\n"), ("b.geojson", "{}")]);
    let told = load(&store, &scratch, &zip, &mapping).await.unwrap_err().to_string();
    assert!(told.contains("several formats"), "{told}");
}

pub(super) fn archive(path: &Path, files: &[(&str, &str)]) {
    use std::io::Write as _;
    let mut zip = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
    for (name, text) in files {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap();
}

#[sqlx::test]
async fn a_shapefile_without_prj_needs_a_stated_system(pool: PgPool) {
    let (store, scratch) = (store(&pool).await, Scratch::new("noprj"));
    let plain = scratch.file("lamps.csv", csv().as_bytes());
    let shp = ogr(
        &scratch,
        &plain,
        "a.shp",
        &["-t_srs", "EPSG:4548", "-lco", "ENCODING=UTF-8"],
    );
    std::fs::remove_file(scratch.0.join("a.prj")).unwrap();
    let shapes = LAMPS.replace("x = 'lon'\ny = 'lat'\n", "");
    let told = load(&store, &scratch, &shp, &shapes).await.unwrap_err().to_string();
    assert!(told.contains("--crs"), "{told}");
    let stated = Options {
        crs: Some(Crs::parse("EPSG:4548").unwrap()),
        ..options(&scratch, &shapes, "a.shp")
    };
    let report = deliver(&store, &shp, &stated, &|_, _| {}).await.unwrap();
    assert_eq!(counts(&report), (40, 40, 0, 0, 0), "{:?}", report.reasons);
    // Refused rows go back with their coordinate system, so that the corrected file needs nothing more.
    let strict = shapes
        .replace("create = true", "")
        .replace("source = 'lamps'", "source = 'again'")
        .replace("LOCAL-TEST", "LOCAL-AGAIN");
    sqlx::query("update party set name = '另一个局'")
        .execute(&pool)
        .await
        .unwrap();
    let report = deliver(
        &store,
        &shp,
        &Options {
            mapping: Some(strict.clone()),
            ..stated
        },
        &|_, _| {},
    )
    .await
    .unwrap();
    assert_eq!(report.rejected, 40);
    let rejects = std::path::PathBuf::from(report.rejects.unwrap());
    let corrected = std::fs::read_to_string(&rejects)
        .unwrap()
        .replace("区市政局", "另一个局");
    let file = scratch.file("corrected.geojson", corrected.as_bytes());
    let report = load(&store, &scratch, &file, &strict).await.unwrap();
    assert_eq!(
        (counts(&report), report.crs.as_str()),
        ((40, 40, 0, 0, 0), "EPSG:4548 (file)"),
        "{:?}",
        report.reasons
    );
    let worst: f64 = one(
        &pool,
        "select max(st_distance(a.geom::geography, b.geom::geography)) from component a
         join component b on a.source_key = b.source_key and a.source = 'lamps' and b.source = 'again'",
    )
    .await;
    assert!(worst < 1e-6, "{worst} m");
}

#[test]
fn tables_of_other_projects_give_rows_or_a_clear_error() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/fixtures");
    if !root.exists() {
        println!("SKIPPED tables_of_other_projects: ../shared/data is absent");
        return;
    }
    let mut dirs = vec![root.join("shapefile-dbf"), root.join("geozero-testdata")];
    let (mut read, mut refused) = (Vec::new(), Vec::new());
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
            let as_dbf = ending == "bin";
            if !as_dbf && !["dbf", "shp", "zip", "gpkg", "fgb"].contains(&ending.as_str()) {
                continue;
            }
            let scratch = Scratch::new(&format!("other-{name}"));
            let path = if as_dbf {
                scratch.file("x.dbf", &std::fs::read(&path).unwrap())
            } else {
                path
            };
            match Table::open(&path, Hints::default()) {
                Ok(table) => {
                    let (mut good, mut bad) = (0, 0);
                    table
                        .rows(&mut |row| {
                            if row.is_ok() {
                                good += 1
                            } else {
                                bad += 1
                            }
                            true
                        })
                        .unwrap();
                    read.push((name, table, good, bad));
                }
                Err(Error::Internal(e)) => panic!("{name}: {e}"),
                Err(e) => refused.push((name, e.to_string())),
            }
        }
    }
    println!(
        "read {:?}",
        read.iter()
            .map(|(n, _, g, b)| format!("{n} {g}/{b}"))
            .collect::<Vec<_>>()
    );
    println!("refused {refused:?}");
    let of = |name: &str| {
        read.iter()
            .find(|r| r.0 == name)
            .unwrap_or_else(|| panic!("{name} was not read"))
    };
    let (_, table, good, bad) = of("cp936.dbf");
    assert_eq!((table.encoding.unwrap().encoding.name(), *bad), ("gb18030", 0));
    assert!(
        *good > 0
            && table.sample.iter().any(|r| r
                .columns()
                .iter()
                .any(|(_, v)| v.to_string().contains(|c: char| c > '\u{4e00}')))
    );
    assert_eq!((of("countries.fgb").2, of("countries.fgb").3), (179, 0));
    assert_eq!(
        (of("blockgroups.zip").1.format, of("blockgroups.zip").3),
        (Format::Shapefile, 0)
    );
    assert_eq!(of("stations_with_deleted.dbf").3, 0);
}
