//! Files of every format, damaged at random: rows or a clear error, never a panic, never more memory than the file is worth.
//!
//! `LAMPPOST_FUZZ_SECONDS=600 cargo test --test it fuzz:: -- --nocapture` goes on for so long with each, or with
//! `LAMPPOST_FUZZ_ONLY='xlsx gpkg'` with each of these.

use std::io::{Cursor, Read as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use lamppost::exchange::read::{Hints, Table};
use zip::write::SimpleFileOptions;

use super::Scratch;
use super::formats::{archive, csv, ogr};
use crate::support::Dice;

/// Reads a file to its end.
fn read(path: &std::path::Path) -> usize {
    let Ok(table) = Table::open(path, Hints::default()) else {
        return 0;
    };
    let mut rows = 0;
    let _ = table.rows(&mut |_| {
        rows += 1;
        rows < 100_000
    });
    rows
}

/// Some bytes changed, cut, doubled, or made to claim the most.
fn damage(bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for _ in 0..=dice.below(8) {
        if out.is_empty() {
            break;
        }
        let at = dice.below(out.len());
        match dice.below(6) {
            0 => out[at] ^= 1 << dice.below(8),
            1 => out[at] = dice.below(256) as u8,
            2 => out.iter_mut().skip(at).take(4).for_each(|b| *b = 0xff),
            3 => out.truncate(at.max(16)),
            4 => {
                let piece: Vec<u8> = out.iter().skip(at).take(dice.below(64)).copied().collect();
                out.splice(at..at, piece);
            }
            _ => out.iter_mut().skip(at).take(dice.below(32)).for_each(|b| *b = 0),
        }
    }
    out
}

/// One file of an archive damaged, and the archive made anew around it.
fn inside(bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let victim = dice.below(zip::ZipArchive::new(Cursor::new(bytes)).unwrap().len());
    repacked(bytes, |i, text| if i == victim { damage(&text, dice) } else { text })
}

/// An archive made anew, each of its files changed.
fn repacked(bytes: &[u8], mut change: impl FnMut(usize, Vec<u8>) -> Vec<u8>) -> Vec<u8> {
    let mut old = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut new = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for i in 0..old.len() {
        let mut file = old.by_index(i).unwrap();
        let mut text = Vec::new();
        file.read_to_end(&mut text).unwrap();
        let name = file.name().unwrap().into_owned();
        new.start_file(name, SimpleFileOptions::default()).unwrap();
        new.write_all(&change(i, text)).unwrap();
    }
    new.finish().unwrap().into_inner()
}

/// The most memory that this process has held, in megabytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix("VmHWM:"))
        .unwrap_or_default();
    line.trim()
        .trim_end_matches("kB")
        .trim()
        .parse::<u64>()
        .unwrap_or_default()
        >> 10
}

#[test]
fn damaged_files_of_every_format_give_rows_or_an_error() {
    let seconds = std::env::var("LAMPPOST_FUZZ_SECONDS")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(1);
    let scratch = Scratch::new("fuzz");
    let plain = scratch.file("lamps.csv", csv().as_bytes());
    let shp = ogr(&scratch, &plain, "a.shp", &["-t_srs", "EPSG:4527"]);
    let zip = scratch.0.join("a.zip");
    archive(&zip, &[("lamps.csv", &csv())]);
    let files: Vec<PathBuf> = vec![
        plain.clone(),
        ogr(&scratch, &plain, "a.geojson", &[]),
        ogr(&scratch, &plain, "a.xlsx", &[]),
        ogr(&scratch, &plain, "a.gpkg", &[]),
        ogr(&scratch, &plain, "a.fgb", &[]),
        shp.clone(),
        shp.with_extension("dbf"),
        zip,
    ];
    let only = std::env::var("LAMPPOST_FUZZ_ONLY").unwrap_or_default();
    let wanted = |file: &std::path::Path| {
        only.is_empty() || only.split(' ').any(|own| file.extension().is_some_and(|e| e == own))
    };
    let mut wrong = Vec::new();
    for (seed, file) in files.iter().enumerate().filter(|(_, file)| wanted(file)) {
        assert!(read(file) > 0, "{}", file.display());
        let (bytes, mut dice) = (std::fs::read(file).unwrap(), Dice::new(seed as u64 + 1));
        let (begun, mut tried, mut longest) = (Instant::now(), 0, Duration::ZERO);
        while begun.elapsed() < Duration::from_secs(seconds) {
            tried += 1;
            // Of an archive either the whole or what is in it: damaged deflate hides its XML.
            let own = match bytes.starts_with(b"PK") && dice.below(2) == 0 {
                true => inside(&bytes, &mut dice),
                false => damage(&bytes, &mut dice),
            };
            let before = Instant::now();
            std::fs::write(file, &own).unwrap();
            if catch_unwind(AssertUnwindSafe(|| read(file))).is_err() {
                let name = file.file_name().unwrap().to_string_lossy();
                let kept = std::env::temp_dir().join(format!("lamppost-fuzz-{tried}-{name}"));
                std::fs::write(&kept, &own).unwrap();
                wrong.push(kept.display().to_string());
                if wrong.len() > 5 {
                    break;
                }
            }
            longest = longest.max(before.elapsed());
        }
        // The shapefile is read with its table.
        std::fs::write(file, &bytes).unwrap();
        let (name, peak) = (file.display(), peak());
        println!("{name}: {tried} damaged files, the longest took {longest:?}, memory at most {peak} MB");
        assert!(longest < Duration::from_secs(30), "{name}");
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// Found by the test above: the library multiplied the row in a cell's name without looking whether it fits; a build with checks stopped,
/// one without went on with any row.
#[test]
fn a_sheet_whose_rows_are_out_of_range_or_order_ends_there() {
    let scratch = Scratch::new("rows");
    for (name, third, rows) in [
        ("fits.xlsx", "A3", 2),
        ("huge.xlsx", "A99999999999", 1),
        ("back.xlsx", "A1", 1),
        ("last.xlsx", "A1048577", 1),
    ] {
        let path = scratch.0.join(name);
        let mut book = rust_xlsxwriter::Workbook::new();
        let sheet = book.add_worksheet();
        for (row, text) in ["code", "x1", "x2"].into_iter().enumerate() {
            sheet.write_string(row as u32, 0, text).unwrap();
        }
        let renamed = |text: Vec<u8>| {
            let text = String::from_utf8(text).unwrap();
            text.replace("r=\"A3\"", &format!("r=\"{third}\"")).into_bytes()
        };
        let damaged = repacked(&book.save_to_buffer().unwrap(), |_, text| renamed(text));
        std::fs::write(&path, damaged).unwrap();
        let table = Table::open(&path, Hints::default()).unwrap();
        let (mut good, mut bad) = (0, 0);
        table
            .rows(&mut |row| {
                match row {
                    Ok(_) => good += 1,
                    Err(_) => bad += 1,
                }
                true
            })
            .unwrap();
        assert_eq!((good, bad), (rows, 2 - rows), "{name}");
    }
}

/// Found by the test above: the SQLite library stops on such a name.
#[test]
fn a_geopackage_whose_column_is_named_by_no_text_is_read() {
    let scratch = Scratch::new("fuzz-name");
    let plain = scratch.file("lamps.csv", csv().as_bytes());
    let file = ogr(&scratch, &plain, "a.gpkg", &[]);
    let mut bytes = std::fs::read(&file).unwrap();
    let at: Vec<usize> = bytes
        .windows(6)
        .enumerate()
        .filter(|(_, w)| *w == b"\"watt\"")
        .map(|(i, _)| i)
        .collect();
    assert!(!at.is_empty());
    for i in at {
        bytes[i + 1..i + 5].fill(0xff);
    }
    std::fs::write(&file, bytes).unwrap();
    assert_eq!(read(&file), 40);
}
