//! The text of a file: gzip or not, its encoding, and how far it has been read.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use encoding_rs::{CoderResult, Decoder, Encoding, GB18030, UTF_8};
use flate2::bufread::MultiGzDecoder;

use crate::domain::text::Text;
use crate::error::{Error, Result};
use crate::text;

/// The encoding of a text and how it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The encoding.
    pub encoding: &'static Encoding,
    /// `BOM`, `stated`, `detected` …
    pub how: How,
}

/// How an encoding was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// A byte order mark says so.
    Mark,
    /// The mapping says so.
    Stated,
    /// The file beside it (.cpg) or its own header says so.
    File,
    /// Every byte of it is UTF-8.
    Utf8,
    /// It is not UTF-8.
    NotUtf8,
}

impl Found {
    /// For the report: `GB18030 (detected: not UTF-8)`.
    pub fn name(self) -> String {
        let how = match self.how {
            How::Mark => "BOM",
            How::Stated => "stated",
            How::File => "file",
            How::Utf8 => "detected",
            How::NotUtf8 => "detected: not UTF-8",
        };
        format!("{} ({how})", self.encoding.name().to_uppercase())
    }

    /// Whether a U+FFFD in a row stands for bytes that could not be read: everything but UTF-8 that has been read through.
    pub fn lossy(self) -> bool {
        self.how != How::Utf8
    }
}

/// How far a file has been read, in its own bytes.
pub type Done = Arc<AtomicU64>;

/// A fault of opening or reading a file.
pub fn cannot(path: &Path, e: &dyn std::fmt::Display) -> Error {
    let path = path.file_name().unwrap_or_default().to_string_lossy();
    Error::Setup(text!("无法读取文件 {path}：{e}", "the file {path} cannot be read: {e}"))
}

/// The first bytes of a file, unpacked when it is gzip.
pub fn head(path: &Path) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    plain(path, &Arc::default())
        .and_then(|r| r.take(4096).read_to_end(&mut head))
        .map_err(|e| cannot(path, &e))?;
    Ok(head)
}

/// Finds the encoding: stated, marked by a BOM, or else told from UTF-8 by reading the file through once.
pub fn encoding(path: &Path, stated: Option<&'static Encoding>) -> Result<Found> {
    let fault = |e: std::io::Error| cannot(path, &e);
    Ok(match (stated, Encoding::for_bom(&head(path)?)) {
        (_, Some((encoding, _))) => Found {
            encoding,
            how: How::Mark,
        },
        (Some(encoding), None) => Found {
            encoding,
            how: How::Stated,
        },
        (None, None) => {
            if is_utf8(plain(path, &Arc::default()).map_err(fault)?).map_err(fault)? {
                Found {
                    encoding: UTF_8,
                    how: How::Utf8,
                }
            } else {
                Found {
                    encoding: GB18030,
                    how: How::NotUtf8,
                }
            }
        }
    })
}

/// The text of a file, decoded to UTF-8 as it is read, without its BOM.
pub fn text(path: &Path, encoding: &'static Encoding, done: &Done) -> Result<Box<dyn BufRead + Send>> {
    let decoded = Decoded {
        bytes: plain(path, done).map_err(|e| cannot(path, &e))?,
        decoder: encoding.new_decoder_with_bom_removal(),
        ended: false,
    };
    Ok(Box::new(BufReader::with_capacity(1 << 16, decoded)))
}

/// The file's bytes, unpacked when it is gzip.
fn plain(path: &Path, done: &Done) -> std::io::Result<Box<dyn BufRead + Send>> {
    let mut file = BufReader::with_capacity(1 << 16, Counted::open(path, done)?);
    if file.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
        Ok(Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(file))))
    } else {
        Ok(Box::new(file))
    }
}

fn is_utf8(mut bytes: impl BufRead) -> std::io::Result<bool> {
    let mut carry: Vec<u8> = Vec::new();
    loop {
        let chunk = bytes.fill_buf()?;
        if chunk.is_empty() {
            return Ok(carry.is_empty());
        }
        let n = chunk.len();
        carry.extend_from_slice(chunk);
        bytes.consume(n);
        match std::str::from_utf8(&carry) {
            Ok(_) => carry.clear(),
            // A character may be cut by the end of the chunk.
            Err(e) if e.error_len().is_none() => drop(carry.drain(..e.valid_up_to())),
            Err(_) => return Ok(false),
        }
    }
}

/// A file that counts what is read of it.
#[derive(Debug)]
pub struct Counted {
    file: File,
    done: Done,
}

impl Counted {
    /// Opens it.
    pub fn open(path: &Path, done: &Done) -> std::io::Result<Counted> {
        Ok(Counted {
            file: File::open(path)?,
            done: Arc::clone(done),
        })
    }
}

impl Read for Counted {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.file.read(buf)?;
        self.done.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

impl Seek for Counted {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.file.seek(to)
    }
}

struct Decoded {
    bytes: Box<dyn BufRead + Send>,
    decoder: Decoder,
    ended: bool,
}

impl Read for Decoded {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let chunk = self.bytes.fill_buf()?;
            let last = chunk.is_empty();
            if last && self.ended {
                return Ok(0);
            }
            let (result, read, written, _) = self.decoder.decode_to_utf8(chunk, buf, last);
            self.bytes.consume(read);
            self.ended = last && result == CoderResult::InputEmpty;
            if written > 0 {
                return Ok(written);
            }
        }
    }
}

/// The encoding of a label such as `936`, `GBK`, `UTF-8`; GBK is read as GB18030, which holds it.
pub fn by_label(label: &str) -> Option<&'static Encoding> {
    let plain = label
        .trim()
        .trim_start_matches("ANSI ")
        .trim_start_matches("CP")
        .trim_start_matches("cp");
    let label = match plain {
        "936" | "54936" => "gb18030",
        "950" => "big5",
        "65001" => "utf-8",
        "1252" => "windows-1252",
        "932" => "shift_jis",
        "949" => "euc-kr",
        _ => plain,
    };
    let known = Encoding::for_label(label.as_bytes())?;
    Some(if known == encoding_rs::GBK { GB18030 } else { known })
}

/// The fault of an encoding that there is not.
pub fn unknown_encoding(label: &str) -> Text {
    text!(
        "没有编码“{label}”，例如 utf-8、gb18030",
        "there is no encoding \"{label}\"; utf-8 and gb18030 are two"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf8_is_told_from_gb18030_across_chunk_borders() {
        let text = "路灯".repeat(1000);
        let gb = GB18030.encode(&text).0.into_owned();
        for size in [1, 2, 3, 5, 4096] {
            assert!(is_utf8(BufReader::with_capacity(size, text.as_bytes())).unwrap());
            assert!(!is_utf8(BufReader::with_capacity(size, gb.as_slice())).unwrap());
        }
        assert!(!is_utf8(&text.as_bytes()[..4]).unwrap(), "cut short");
    }

    #[test]
    fn labels_as_code_page_files_write_them() {
        for label in ["936", "CP936", "GBK", "ANSI 936", "gb2312", "GB18030"] {
            assert_eq!(by_label(label), Some(GB18030), "{label}");
        }
        assert_eq!(by_label("UTF-8"), Some(UTF_8));
        assert_eq!(by_label("Klingon"), None);
    }
}
