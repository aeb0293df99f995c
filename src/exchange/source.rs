//! Opening a delivery: gzip or not, its encoding, CSV or GeoJSON, and how far it has been read.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use encoding_rs::{CoderResult, Decoder, Encoding, GB18030, UTF_8};
use flate2::bufread::MultiGzDecoder;

use crate::domain::text::Text;
use crate::error::{Error, Result};
use crate::text;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Rows and columns, the first row naming the columns.
    Csv,
    /// A feature collection, or one feature a line.
    GeoJson,
}

/// An opened delivery, decoded to UTF-8 as it is read.
pub struct Source {
    /// The text.
    pub reader: Box<dyn BufRead + Send>,
    /// What it holds.
    pub format: Format,
    /// The encoding and how it was found, for the report.
    pub encoding: String,
    /// Whether the encoding was only assumed: a U+FFFD in a row then stands for bytes that could not be read.
    pub lossy: bool,
    /// Bytes of the file, compressed as it is.
    pub size: u64,
    /// Bytes of the file read so far.
    pub done: Arc<AtomicU64>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source")
            .field("format", &self.format)
            .field("encoding", &self.encoding)
            .finish_non_exhaustive()
    }
}

/// Opens a file. Reads it through once to tell UTF-8 from GB18030 unless the encoding is stated or marked by a BOM.
pub fn open(path: &Path, stated: Option<&'static Encoding>) -> Result<Source> {
    let cannot = |e: std::io::Error| {
        let path = path.display();
        Error::Setup(text!(
            "无法打开文件 {path}:{e}",
            "the file {path} cannot be opened: {e}"
        ))
    };
    let size = std::fs::metadata(path).map_err(cannot)?.len();
    let mut head = Vec::new();
    plain(path, &Arc::default())
        .map_err(cannot)?
        .take(4096)
        .read_to_end(&mut head)
        .map_err(cannot)?;
    let (encoding, how, lossy) = match (stated, Encoding::for_bom(&head)) {
        (_, Some((found, _))) => (found, format!("{} (BOM)", found.name()), true),
        (Some(stated), None) => (stated, format!("{} (stated)", stated.name()), true),
        (None, None) => {
            if is_utf8(plain(path, &Arc::default()).map_err(cannot)?).map_err(cannot)? {
                (UTF_8, "UTF-8 (detected)".to_owned(), false)
            } else {
                (GB18030, "GB18030 (detected: not UTF-8)".to_owned(), true)
            }
        }
    };
    let done = Arc::new(AtomicU64::new(0));
    let bytes = plain(path, &done).map_err(cannot)?;
    // The decoder also takes the BOM away.
    let decoder = encoding.new_decoder_with_bom_removal();
    let mut reader = BufReader::with_capacity(
        1 << 16,
        Decoded {
            bytes,
            decoder,
            ended: false,
        },
    );
    let start = reader.fill_buf().map_err(cannot)?;
    let first = start.iter().find(|b| !b.is_ascii_whitespace() && **b != 0x1e);
    if first == Some(&b'[') {
        let detail = Text::new(
            "JSON 数组不是 GeoJSON，应为要素集合或每行一个要素",
            "a JSON array is no GeoJSON; it should be a feature collection or one feature a line",
        );
        return Err(Error::syntax("file", detail));
    }
    let format = if first == Some(&b'{') {
        Format::GeoJson
    } else {
        Format::Csv
    };
    Ok(Source {
        reader: Box::new(reader),
        format,
        encoding: how,
        lossy,
        size,
        done,
    })
}

/// The file's bytes, unpacked when it is gzip.
fn plain(path: &Path, done: &Arc<AtomicU64>) -> std::io::Result<Box<dyn BufRead + Send>> {
    let counted = Counted {
        file: File::open(path)?,
        done: Arc::clone(done),
    };
    let mut file = BufReader::with_capacity(1 << 16, counted);
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

struct Counted {
    file: File,
    done: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.file.read(buf)?;
        self.done.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
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
}
