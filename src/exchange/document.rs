//! What a document is, by its bytes, and where a photo says that it was taken.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use zip::ZipArchive;

use crate::domain::text::Text;
use crate::spatial::position::LonLat;
use crate::text;

/// A kind of file that documents come as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// PDF.
    Pdf,
    /// A JPEG photo or scan.
    Jpeg,
    /// A PNG photo or scan.
    Png,
    /// 版式文档 GB/T 33190.
    Ofd,
    /// A document of Word.
    Docx,
    /// A workbook of Excel.
    Xlsx,
    /// A drawing of AutoCAD.
    Dwg,
}

/// Kind, media type, and the endings of names.
const FORMS: [(Form, &str, &[&str]); 7] = [
    (Form::Pdf, "application/pdf", &["pdf"]),
    (Form::Jpeg, "image/jpeg", &["jpg", "jpeg"]),
    (Form::Png, "image/png", &["png"]),
    (Form::Ofd, "application/ofd", &["ofd"]),
    (
        Form::Docx,
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        &["docx"],
    ),
    (
        Form::Xlsx,
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        &["xlsx"],
    ),
    (Form::Dwg, "image/vnd.dwg", &["dwg"]),
];

/// The most entries of a zip whose names are read.
const MAX_ENTRIES: usize = 10_000;

impl Form {
    /// The media type.
    pub fn media(self) -> &'static str {
        FORMS.iter().find(|f| f.0 == self).map_or("", |f| f.1)
    }

    /// Whether a browser may show a file of this media type; all others are kept for download.
    pub fn shown(media: &str) -> bool {
        ["application/pdf", "image/jpeg", "image/png"].contains(&media)
    }

    /// What a file is by its bytes, which its name must agree with. The fault says what would be right.
    pub fn of(path: &Path, name: &str) -> Result<Form, Text> {
        let known: Vec<&str> = FORMS.iter().flat_map(|f| f.2.iter().copied()).collect();
        let known = known.join(", ");
        let found = recognise(path).ok().flatten();
        let Some(form) = found else {
            return Err(text!(
                "无法识别“{name}”的内容；可用 {known}",
                "the content of \"{name}\" is not of a known kind; there are {known}"
            ));
        };
        let ending = name.rsplit_once('.').map_or("", |(_, e)| e).to_ascii_lowercase();
        let fits = FORMS.iter().any(|f| f.0 == form && f.2.contains(&ending.as_str()));
        if fits {
            return Ok(form);
        }
        let right = FORMS.iter().find(|f| f.0 == form).map_or("", |f| f.2[0]);
        Err(text!(
            "“{name}”的内容是 {right}，与文件名不符",
            "the content of \"{name}\" is {right}, which its name does not say"
        ))
    }
}

fn recognise(path: &Path) -> std::io::Result<Option<Form>> {
    let mut head = Vec::with_capacity(16);
    File::open(path)?.take(16).read_to_end(&mut head)?;
    let begins = |magic: &[u8]| head.starts_with(magic);
    Ok(if begins(b"%PDF-") {
        Some(Form::Pdf)
    } else if begins(&[0xFF, 0xD8, 0xFF]) {
        Some(Form::Jpeg)
    } else if begins(b"\x89PNG\r\n\x1a\n") {
        Some(Form::Png)
    } else if begins(b"AC10") {
        Some(Form::Dwg)
    } else if begins(b"PK\x03\x04") {
        packed(path)
    } else {
        None
    })
}

/// What a zip is the packing of.
fn packed(path: &Path) -> Option<Form> {
    let zip = ZipArchive::new(BufReader::new(File::open(path).ok()?)).ok()?;
    let names: Vec<_> = zip.file_names().take(MAX_ENTRIES).flatten().collect();
    let has = |name: &str| names.iter().any(|n| *n == name);
    if has("OFD.xml") {
        Some(Form::Ofd)
    } else if has("word/document.xml") {
        Some(Form::Docx)
    } else if has("xl/workbook.xml") {
        Some(Form::Xlsx)
    } else {
        None
    }
}

/// Where a photo says that it was taken, as its camera wrote it down; none where it says nothing that can be a place.
pub fn taken_at(path: &Path) -> Option<LonLat> {
    let mut file = BufReader::new(File::open(path).ok()?);
    let exif = exif::Reader::new().read_from_container(&mut file).ok()?;
    let degrees = |value: exif::Tag, side: exif::Tag, negative: u8| {
        let field = exif.get_field(value, exif::In::PRIMARY)?;
        let exif::Value::Rational(parts) = &field.value else {
            return None;
        };
        let part = |i: usize| parts.get(i).filter(|r| r.denom != 0).map(exif::Rational::to_f64);
        let size = part(0)? + part(1).unwrap_or(0.0) / 60.0 + part(2).unwrap_or(0.0) / 3600.0;
        let side = match &exif.get_field(side, exif::In::PRIMARY)?.value {
            exif::Value::Ascii(texts) => texts.first()?.first().copied()?,
            _ => return None,
        };
        Some(if side == negative { -size } else { size })
    };
    let lon = degrees(exif::Tag::GPSLongitude, exif::Tag::GPSLongitudeRef, b'W')?;
    let lat = degrees(exif::Tag::GPSLatitude, exif::Tag::GPSLatitudeRef, b'S')?;
    // A camera without a fix writes zeros.
    LonLat::new(lon, lat).ok().filter(|_| lon != 0.0 || lat != 0.0)
}
