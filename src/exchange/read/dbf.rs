//! dBASE tables into rows, with numbers as they stand in the file: a sixteen-digit code is not sent through a float.

use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use chrono::{Days, NaiveDate};
use encoding_rs::{Encoding, GB18030, UTF_8};
use serde_json::{Number, Value};

use super::check_header;
use super::source::{Counted, Done, Found, How, by_label, cannot};
use crate::domain::text::Text;
use crate::error::{Error, Result};
use crate::text;

/// The day before the first of the Julian day numbers that FoxPro counts, as chrono knows it: day 2,440,588 is 1970-01-01.
const JULIAN_1970: i64 = 2_440_588;

/// One column.
#[derive(Clone, Debug)]
struct Field {
    kind: u8,
    len: usize,
}

/// The rows of a .dbf file.
pub(super) struct Table {
    reader: BufReader<Counted>,
    /// The names of its columns.
    pub(super) header: Arc<[String]>,
    /// The encoding of its texts.
    pub(super) encoding: Found,
    /// What people should know of it.
    pub(super) notes: Vec<Text>,
    fields: Vec<Field>,
    row_len: usize,
    left: u64,
}

/// A row, one that is marked as deleted, or the end.
pub(super) enum Next {
    /// The values of a row.
    Values(Vec<Value>),
    /// It keeps its place among the shapes.
    Deleted,
    /// There are no more.
    End,
    /// The file ends before it should.
    Short,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table")
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

impl Table {
    /// Reads the header. The encoding is the stated one, that of the .cpg file (`label`) or of the header's mark, or whichever of
    /// UTF-8 and GB18030 the first rows are in. A .cpg that the bytes contradict is not believed.
    pub(super) fn open(
        path: &Path,
        stated: Option<&'static Encoding>,
        label: Option<&str>,
        done: &Done,
    ) -> Result<Table> {
        let fault = |e: std::io::Error| cannot(path, &e);
        let mut reader = BufReader::with_capacity(1 << 16, Counted::open(path, done).map_err(fault)?);
        let mut head = [0; 32];
        reader.read_exact(&mut head).map_err(fault)?;
        let rows = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        let header_len = u64::from(u16::from_le_bytes([head[8], head[9]]));
        let mut row_len = usize::from(u16::from_le_bytes([head[10], head[11]]));
        let mut fields = Vec::new();
        let mut names: Vec<Vec<u8>> = Vec::new();
        let mut at = 32;
        while at + 32 <= header_len {
            let mut first = [0];
            reader.read_exact(&mut first).map_err(fault)?;
            if first[0] == 0x0d {
                break;
            }
            let mut rest = [0; 31];
            reader.read_exact(&mut rest).map_err(fault)?;
            let raw: Vec<u8> = first
                .iter()
                .chain(&rest[..10])
                .copied()
                .take_while(|b| *b != 0)
                .collect();
            let kind = rest[10];
            // A text may be longer than a byte says: Clipper keeps its upper half where numbers have their decimals.
            let len = match kind {
                b'C' => usize::from(u16::from_le_bytes([rest[15], rest[16]])),
                _ => usize::from(rest[15]),
            };
            fields.push(Field { kind, len });
            names.push(raw);
            at += 32;
        }
        if fields.is_empty() || fields.iter().any(|f| f.len == 0) && row_len <= 1 {
            return Err(broken(path, Text::new("没有字段", "it has no fields")));
        }
        let mut wide: usize = 1 + fields.iter().map(|f| f.len).sum::<usize>();
        if wide != row_len {
            // Then the second byte of a text's length is something else.
            for field in fields.iter_mut().filter(|f| f.kind == b'C') {
                field.len &= 0xff;
            }
            wide = 1 + fields.iter().map(|f| f.len).sum::<usize>();
        }
        // Some writers do not count the mark of deletion.
        if wide == row_len + 1 {
            row_len = wide;
        }
        if wide > row_len {
            let detail = text!(
                "各字段共 {wide} 字节，而每行只有 {row_len} 字节",
                "its fields take {wide} bytes, but a row has {row_len}"
            );
            return Err(broken(path, detail));
        }
        let start = header_len.max(at + 1);
        reader.seek(SeekFrom::Start(start)).map_err(fault)?;
        let mut table = Table {
            reader,
            header: Arc::from([]),
            encoding: Found {
                encoding: UTF_8,
                how: How::Utf8,
            },
            notes: Vec::new(),
            fields,
            row_len,
            left: u64::from(rows),
        };
        table.find_encoding(path, stated, label, head[29], &names)?;
        table.reader.seek(SeekFrom::Start(start)).map_err(fault)?;
        let header: Vec<String> = names.iter().map(|raw| table.text(raw).trim().to_owned()).collect();
        check_header(&header)?;
        table.header = header.into();
        Ok(table)
    }

    fn find_encoding(
        &mut self,
        path: &Path,
        stated: Option<&'static Encoding>,
        label: Option<&str>,
        mark: u8,
        names: &[Vec<u8>],
    ) -> Result<()> {
        if let Some(encoding) = stated {
            self.encoding = Found {
                encoding,
                how: How::Stated,
            };
            return Ok(());
        }
        // Names and the texts of the first rows; a character cut off by the width of its field says nothing.
        let mut utf8 = names.iter().all(|n| is_utf8(n));
        let mut row = vec![0; self.row_len];
        for _ in 0..10_000.min(self.left) {
            if self.reader.read_exact(&mut row).is_err() {
                break;
            }
            utf8 &= self
                .cells(&row)
                .all(|(field, cell)| field.kind != b'C' || is_utf8(cell));
        }
        let label = label.map(str::trim).filter(|l| !l.is_empty());
        if let Some(name) = label
            && by_label(name).is_none()
        {
            self.notes.push(text!(
                ".cpg 文件所写的编码“{name}”不存在，已按内容判断",
                "the .cpg file names the encoding \"{name}\", which there is not; the bytes were asked instead"
            ));
        }
        let own = label.and_then(by_label).or(match mark {
            0x4d | 0x7a => Some(GB18030),
            0x78 => Some(encoding_rs::BIG5),
            0x03 | 0x57 => Some(encoding_rs::WINDOWS_1252),
            _ => None,
        });
        self.encoding = match own {
            Some(encoding) if encoding == UTF_8 && !utf8 => {
                let path = path.file_name().unwrap_or_default().to_string_lossy();
                self.notes.push(text!(
                    "{path} 标明 UTF-8，内容却是 GB18030；已按 GB18030 读取",
                    "{path} is said to be UTF-8 but is GB18030, and was read as that"
                ));
                Found {
                    encoding: GB18030,
                    how: How::NotUtf8,
                }
            }
            // A mark of Latin 1 is what programs write that know of no other.
            Some(encoding) if encoding == encoding_rs::WINDOWS_1252 && utf8 => Found {
                encoding: UTF_8,
                how: How::Utf8,
            },
            Some(encoding) => Found {
                encoding,
                how: How::File,
            },
            None if utf8 => Found {
                encoding: UTF_8,
                how: How::Utf8,
            },
            None => Found {
                encoding: GB18030,
                how: How::NotUtf8,
            },
        };
        Ok(())
    }

    /// The next row.
    pub(super) fn row(&mut self) -> Next {
        if self.left == 0 {
            return Next::End;
        }
        self.left -= 1;
        let mut row = vec![0; self.row_len];
        let mut have = 0;
        while have < row.len() {
            match self.reader.read(&mut row[have..]) {
                Ok(0) => break,
                Ok(n) => have += n,
                Err(_) => return self.short(),
            }
        }
        match row.first() {
            // The mark of the end, or none at all: the header counted more rows than there are.
            _ if have == 0 => return self.short(),
            Some(0x1a) if have < row.len() => return self.short(),
            _ if have < row.len() => return self.short(),
            Some(b'*') => return Next::Deleted,
            _ => {}
        }
        Next::Values(self.cells(&row).map(|(field, cell)| self.value(field, cell)).collect())
    }

    fn short(&mut self) -> Next {
        self.left = 0;
        Next::Short
    }

    fn cells<'a>(&'a self, row: &'a [u8]) -> impl Iterator<Item = (&'a Field, &'a [u8])> {
        let mut at = 1;
        self.fields.iter().map(move |field| {
            let cell = row.get(at..at + field.len).unwrap_or_default();
            at += field.len;
            (field, cell)
        })
    }

    fn text(&self, cell: &[u8]) -> String {
        let cell = cell
            .strip_suffix(b"\0")
            .map_or(cell, |_| cell.split(|b| *b == 0).next().unwrap_or_default());
        let encoding = self.encoding.encoding;
        let (text, _) = encoding.decode_without_bom_handling(cell);
        // The width of the field may have cut the last character.
        match text.strip_suffix('\u{fffd}') {
            Some(whole) if !whole.contains('\u{fffd}') => whole.to_owned(),
            _ => text.into_owned(),
        }
    }

    fn value(&self, field: &Field, cell: &[u8]) -> Value {
        let number = |n: f64| Number::from_f64(n).map_or(Value::Null, Value::Number);
        let four = || cell.try_into().map(i32::from_le_bytes);
        let eight = || cell.try_into().map(f64::from_le_bytes);
        match field.kind {
            b'I' | b'+' if cell.len() == 4 => four().map_or(Value::Null, Value::from),
            b'B' | b'O' if cell.len() == 8 => eight().map_or(Value::Null, number),
            b'Y' if cell.len() == 8 => {
                let cents: Result<[u8; 8], _> = cell.try_into();
                cents.map_or(Value::Null, |c| number(i64::from_le_bytes(c) as f64 / 1e4))
            }
            b'T' | b'@' if cell.len() == 8 => moment(cell),
            // Memos stand in a file of their own.
            b'M' | b'G' | b'P' | b'0' => Value::Null,
            kind => {
                let text = self.text(cell);
                let text = text.trim();
                match kind {
                    _ if text.is_empty() => Value::Null,
                    b'N' | b'F' => numeric(text),
                    b'L' => match text {
                        "T" | "t" | "Y" | "y" => Value::Bool(true),
                        "F" | "f" | "N" | "n" => Value::Bool(false),
                        _ => Value::Null,
                    },
                    b'D' => match NaiveDate::parse_from_str(text, "%Y%m%d") {
                        Ok(day) => Value::from(day.to_string()),
                        Err(_) if text.bytes().all(|b| b == b'0') => Value::Null,
                        Err(_) => Value::from(text),
                    },
                    _ => Value::from(text),
                }
            }
        }
    }
}

/// A number as it stands, unless it is one that a float holds exactly.
fn numeric(text: &str) -> Value {
    if let Ok(n) = text.parse::<i64>() {
        return Value::from(n);
    }
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let plain = text
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+'));
    match text.parse::<f64>().ok().and_then(Number::from_f64) {
        Some(n) if plain && digits <= 15 => Value::Number(n),
        _ if text.bytes().all(|b| matches!(b, b'*' | b'\0' | b'-')) => Value::Null,
        // `1.20103010100e+15`: whoever reads it must see how it was written.
        _ => Value::from(text),
    }
}

/// A Julian day number and milliseconds.
fn moment(cell: &[u8]) -> Value {
    let (day, ms) = cell.split_at(4);
    let read = |b: &[u8]| b.try_into().map(i32::from_le_bytes).map(i64::from).unwrap_or_default();
    let (day, ms) = (read(day), read(ms));
    let days = u64::try_from(day - JULIAN_1970 + 719_162).ok();
    match days.and_then(|d| NaiveDate::from_ymd_opt(1, 1, 1)?.checked_add_days(Days::new(d))) {
        Some(date) if day != 0 && (0..86_400_000).contains(&ms) => {
            let (h, m, s) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
            Value::from(format!("{date}T{h:02}:{m:02}:{s:02}"))
        }
        _ => Value::Null,
    }
}

/// Whether bytes are UTF-8, but for a character that is cut off at the end.
fn is_utf8(cell: &[u8]) -> bool {
    let cell = cell.trim_ascii_end();
    std::str::from_utf8(cell).map_or_else(|e| e.error_len().is_none(), |_| true)
}

fn broken(path: &Path, detail: Text) -> Error {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (zh, en) = (detail.zh, detail.en);
    Error::syntax(
        "file",
        text!("{name} 不是有效的 dBASE 表：{zh}", "{name} is not a dBASE table: {en}"),
    )
}
