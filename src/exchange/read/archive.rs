//! Archives: a .zip is unpacked into a directory of its own, within limits, and read as all of its files of one format.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

use encoding_rs::GB18030;
use tempfile::TempDir;
use zip::ZipArchive;

use super::{Format, source};
use crate::domain::text::Text;
use crate::error::{Error, Result};
use crate::text;

/// The most files of an archive, and the most bytes of all of them unpacked.
const MAX_FILES: usize = 100_000;
const MAX_BYTES: u64 = 16 << 30;
/// The most bytes of a workbook's parts that are held in memory: its texts, styles and list of sheets.
const MAX_HELD: u64 = 512 << 20;

/// What an archive was unpacked into.
pub(super) struct Archive {
    pub(super) format: Format,
    /// The name of each in the archive, and where it lies.
    pub(super) files: Vec<(Option<String>, PathBuf)>,
    pub(super) dir: TempDir,
}

/// The extension in lower case.
pub(super) fn extension(path: &Path) -> String {
    path.extension()
        .unwrap_or_default()
        .to_string_lossy()
        .to_ascii_lowercase()
}

fn open(path: &Path) -> Result<ZipArchive<BufReader<File>>> {
    let file = File::open(path).map_err(|e| source::cannot(path, &e))?;
    ZipArchive::new(BufReader::new(file)).map_err(|e| source::cannot(path, &e))
}

/// Whether a .zip is a workbook. One that could not be held in memory is refused here.
pub(super) fn is_workbook(path: &Path) -> Result<bool> {
    let mut zip = open(path)?;
    if !zip.file_names().flatten().any(|n| n == "xl/workbook.xml") {
        return Ok(false);
    }
    let held: Vec<usize> = (0..zip.len())
        .filter(|i| {
            let name = zip.name_for_index(*i).and_then(Result::ok);
            name.is_some_and(|n| !n.starts_with("xl/worksheets/") && n.ends_with(".xml"))
        })
        .collect();
    let mut left = MAX_HELD;
    for i in held {
        let entry = zip.by_index(i).map_err(|e| source::cannot(path, &e))?;
        // Counted, not believed: an entry may unpack to more than it says.
        let n = std::io::copy(&mut entry.take(left + 1), &mut std::io::sink()).map_err(|e| source::cannot(path, &e))?;
        left = left.checked_sub(n).ok_or_else(|| {
            let mb = MAX_HELD >> 20;
            Error::TooLarge(text!(
                "工作簿中的文本解压后超过 {mb} MB；请分成几个文件",
                "the texts of the workbook are larger than {mb} MB unpacked; divide it"
            ))
        })?;
    }
    Ok(true)
}

/// Unpacks what can be read.
pub(super) fn unpack(path: &Path) -> Result<Archive> {
    let fault = |e: &dyn std::fmt::Display| source::cannot(path, e);
    let mut zip = open(path)?;
    if zip.len() > MAX_FILES {
        let n = zip.len();
        return Err(Error::TooLarge(text!(
            "压缩包有 {n} 个文件，最多 {MAX_FILES} 个",
            "the archive has {n} files; at most {MAX_FILES} are read"
        )));
    }
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for i in 0..zip.len() {
        let Ok(entry) = zip.by_index_raw(i) else { continue };
        if entry.encrypted() {
            let detail = Text::new(
                "压缩包已加密；请去掉密码",
                "the archive is encrypted; take the password away",
            );
            return Err(Error::syntax("file", detail));
        }
        let raw = entry.name_raw();
        let name = std::str::from_utf8(raw).map_or_else(|_| GB18030.decode(raw).0.into_owned(), str::to_owned);
        let own = name.rsplit('/').next().unwrap_or_default();
        if entry.is_file() && !name.starts_with("__MACOSX/") && !own.starts_with('.') {
            names.insert(name, i);
        }
    }
    let (format, main) = choose(&names)?;
    let dir = tempfile::Builder::new()
        .prefix("lamppost-")
        .tempdir()
        .map_err(|e| fault(&e))?;
    let (mut files, mut left) = (Vec::new(), MAX_BYTES);
    for (n, name) in main.iter().enumerate() {
        // Named by number: what stands in an archive chooses no path.
        let stem = stem_of(name);
        let wanted = |other: &&String| {
            *other == name || format == Format::Shapefile && stem_of(other) == stem && is_companion(other)
        };
        for other in names.keys().filter(wanted) {
            let to = dir.path().join(format!("{n}.{}", extension(Path::new(other))));
            let entry = zip.by_index(names[other]).map_err(|e| fault(&e))?;
            let mut out = File::create(&to).map_err(|e| fault(&e))?;
            let bytes = std::io::copy(&mut entry.take(left + 1), &mut out).map_err(|e| fault(&e))?;
            out.flush().map_err(|e| fault(&e))?;
            left = left.checked_sub(bytes).ok_or_else(|| {
                let gb = MAX_BYTES >> 30;
                Error::TooLarge(text!(
                    "压缩包解压后超过 {gb} GB",
                    "the archive is larger than {gb} GB unpacked"
                ))
            })?;
            if other == name {
                files.push((Some(name.clone()), to));
            }
        }
    }
    // One file is a delivery of that file, and its name in the archive says nothing more.
    if let [(name, _)] = files.as_mut_slice() {
        *name = None;
    }
    Ok(Archive { format, files, dir })
}

fn stem_of(name: &str) -> String {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    stem.to_lowercase()
}

fn is_companion(name: &str) -> bool {
    matches!(extension(Path::new(name)).as_str(), "dbf" | "prj" | "cpg")
}

/// The one format that an archive has, and its files.
fn choose(names: &BTreeMap<String, usize>) -> Result<(Format, Vec<String>)> {
    let of = |endings: &[&str]| -> Vec<String> {
        names
            .keys()
            .filter(|n| endings.contains(&extension(Path::new(n)).as_str()))
            .cloned()
            .collect()
    };
    let mut kinds = vec![
        (Format::Shapefile, of(&["shp"])),
        (Format::Json, of(&["geojson", "json", "geojsonl", "ndjson"])),
        (Format::Csv, of(&["csv", "tsv"])),
        (Format::Xlsx, of(&["xlsx"])),
        (Format::GeoPackage, of(&["gpkg"])),
        (Format::FlatGeobuf, of(&["fgb"])),
    ];
    kinds.retain(|(_, files)| !files.is_empty());
    if kinds.is_empty() {
        // A table without shapes, or text by another name.
        kinds = vec![(Format::Shapefile, of(&["dbf"])), (Format::Csv, of(&["txt"]))];
        kinds.retain(|(_, files)| !files.is_empty());
    }
    let list = |files: &[String]| files.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
    match kinds.len() {
        1 => Ok(kinds.remove(0)),
        0 => {
            let held = list(&names.keys().cloned().collect::<Vec<_>>());
            Err(Error::syntax(
                "file",
                text!(
                    "压缩包内没有可读的文件（{held}）",
                    "the archive holds nothing that can be read ({held})"
                ),
            ))
        }
        _ => {
            let held = kinds
                .iter()
                .map(|(f, files)| format!("{}: {}", f.name(), list(files)))
                .collect::<Vec<_>>()
                .join("; ");
            Err(Error::syntax(
                "file",
                text!(
                    "压缩包内有几种格式（{held}）；一次交付一种",
                    "the archive holds several formats ({held}); deliver one at a time"
                ),
            ))
        }
    }
}
