//! The bytes of one finished tile, in each encoding that somebody has asked for.

use std::io::Write;
use std::sync::OnceLock;

use axum::http::HeaderValue;
use bytes::Bytes;

/// How a tile's bytes are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As they are.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// Levels by measurement on tiles of the demo city (a z14 tile has 103 KB on the mean): beyond them the CPU time doubles for
/// bodies that are 3 to 5 % smaller. gzip 3: ratio 2.86, 5.8 ms a megabyte; 5: 2.93, 8.8 ms. zstd 3: 2.85, 2.9 ms; 6: 3.01, 8.5 ms.
/// Brotli 5 has 3.36, but takes 22 ms, and at the time of zstd 3 it has only 2.55: left out.
const GZIP_LEVEL: u32 = 3;
const ZSTD_LEVEL: i32 = 3;

/// A body below this is sent as it is: compressing saves less than the headers weigh.
const TINY: usize = 200;

impl Encoding {
    /// Its name in `Content-Encoding`, and its place in a tile's ETag.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Identity => "identity",
            Encoding::Gzip => "gzip",
            Encoding::Zstd => "zstd",
        }
    }

    fn encode(self, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        match self {
            Encoding::Identity => Ok(bytes.to_vec()),
            Encoding::Gzip => {
                let out = Vec::with_capacity(bytes.len() / 2);
                let mut gzip = flate2::write::GzEncoder::new(out, flate2::Compression::new(GZIP_LEVEL));
                gzip.write_all(bytes)?;
                gzip.finish()
            }
            Encoding::Zstd => zstd::bulk::compress(bytes, ZSTD_LEVEL),
        }
    }
}

/// A tile's bytes in one encoding, as they go on the wire.
#[derive(Debug)]
pub struct Form {
    /// The encoding.
    pub encoding: Encoding,
    /// The bytes in it.
    pub bytes: Bytes,
    /// Their strong ETag: the hash of the plain content and the encoding. The same content has the same one on every node.
    pub etag: HeaderValue,
}

impl Form {
    fn new(encoding: Encoding, bytes: Vec<u8>, hash: u64) -> Form {
        let etag = match encoding {
            Encoding::Identity => format!("\"{hash:016x}\""),
            other => format!("\"{hash:016x}-{}\"", other.name()),
        };
        Form {
            encoding,
            bytes: bytes.into(),
            // Hexadecimal digits and names of encodings are always a header value.
            etag: HeaderValue::try_from(etag).unwrap_or(HeaderValue::from_static("\"\"")),
        }
    }
}

/// A finished tile. Each encoding is made once, by the first who asks for it, for as long as the tile lives.
#[derive(Debug)]
pub struct Body {
    hash: u64,
    identity: Form,
    /// `None` inside where compressing does not make it smaller.
    gzip: OnceLock<Option<Form>>,
    zstd: OnceLock<Option<Form>>,
}

impl Body {
    /// A tile's plain bytes.
    pub fn new(bytes: Vec<u8>) -> Body {
        let hash = xxhash_rust::xxh3::xxh3_64(&bytes);
        Body {
            hash,
            identity: Form::new(Encoding::Identity, bytes, hash),
            gzip: OnceLock::new(),
            zstd: OnceLock::new(),
        }
    }

    /// What to send to a reader who takes an encoding, if it is made already: the plain bytes where they are not worth packing.
    pub fn made(&self, encoding: Encoding) -> Option<&Form> {
        match self.packed(encoding) {
            None => Some(&self.identity),
            Some(packed) => packed.get().map(|form| form.as_ref().unwrap_or(&self.identity)),
        }
    }

    /// What to send to a reader who takes an encoding. The first time it is made here, about 3 to 6 ms a megabyte, and whoever asks
    /// for the same meanwhile waits for it: so call it on a blocking thread unless [`Body::made`] has it.
    pub fn make(&self, encoding: Encoding) -> &Form {
        let pack = || {
            // Writing to memory does not fail; were it to, the plain bytes are right for everyone.
            let packed = encoding.encode(&self.identity.bytes).ok()?;
            (packed.len() < self.identity.bytes.len()).then(|| Form::new(encoding, packed, self.hash))
        };
        self.packed(encoding)
            .and_then(|packed| packed.get_or_init(pack).as_ref())
            .unwrap_or(&self.identity)
    }

    fn packed(&self, encoding: Encoding) -> Option<&OnceLock<Option<Form>>> {
        match encoding {
            _ if self.identity.bytes.len() < TINY => None,
            Encoding::Identity => None,
            Encoding::Gzip => Some(&self.gzip),
            Encoding::Zstd => Some(&self.zstd),
        }
    }

    /// What the cache counts for it, in bytes. The cache weighs a body when it is put in, before any encoding is made, so this
    /// is what it weighs with all of them: each is about half as large as the plain bytes (35 % at z14, 51 % at z18), both
    /// together as large as those. Most tiles are asked for in one encoding only and weigh up to a quarter less.
    pub fn weight(&self) -> u64 {
        let packed = if self.identity.bytes.len() < TINY { 1 } else { 2 };
        OVERHEAD + self.identity.bytes.len() as u64 * packed
    }
}

/// A body without its bytes: itself, three ETags, and its place in the cache.
const OVERHEAD: u64 = size_of::<Body>() as u64 + 256;

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    const ALL: [Encoding; 3] = [Encoding::Identity, Encoding::Gzip, Encoding::Zstd];

    fn plain(form: &Form) -> Vec<u8> {
        let mut out = Vec::new();
        match form.encoding {
            Encoding::Identity => out.extend_from_slice(&form.bytes),
            Encoding::Gzip => {
                flate2::read::GzDecoder::new(&form.bytes[..])
                    .read_to_end(&mut out)
                    .unwrap();
            }
            Encoding::Zstd => out = zstd::decode_all(&form.bytes[..]).unwrap(),
        }
        out
    }

    #[test]
    fn every_encoding_holds_the_same_bytes_under_an_etag_of_its_own() {
        let bytes: Vec<u8> = (0..5000u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        let body = Body::new(bytes.clone());
        for encoding in ALL {
            assert_eq!(body.made(encoding).is_some(), encoding == Encoding::Identity);
            let form = body.make(encoding);
            assert_eq!((form.encoding, plain(form)), (encoding, bytes.clone()));
            assert!(std::ptr::eq(form, body.make(encoding)) && std::ptr::eq(form, body.made(encoding).unwrap()));
        }
        let mut tags: Vec<_> = ALL.iter().map(|e| body.make(*e).etag.to_str().unwrap()).collect();
        assert!(
            tags.iter()
                .all(|t| t.starts_with('"') && t.ends_with('"') && t.len() > 17)
        );
        tags.dedup();
        assert_eq!(tags.len(), 3);
        let held: usize = ALL.iter().map(|e| body.make(*e).bytes.len()).sum();
        assert!(body.weight() >= held as u64);
    }

    #[test]
    fn what_does_not_shrink_is_sent_as_it_is() {
        // Too small, and random.
        let mut n = 1u64;
        let mut random = || {
            n = n
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (n >> 56) as u8
        };
        for bytes in [Vec::new(), vec![7; TINY - 1], (0..4000).map(|_| random()).collect()] {
            let body = Body::new(bytes);
            for encoding in ALL {
                assert_eq!(body.make(encoding).encoding, Encoding::Identity);
                assert_eq!(body.make(encoding).etag, body.make(Encoding::Identity).etag);
            }
        }
    }

    #[test]
    fn an_encoding_is_made_once_however_many_ask() {
        let body = Body::new(vec![1; 2_000_000]);
        let forms: Vec<usize> = std::thread::scope(|scope| {
            let ask = || std::ptr::from_ref(body.make(Encoding::Zstd)) as usize;
            let asking: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            asking.into_iter().map(|a| a.join().unwrap()).collect()
        });
        assert!(forms.iter().all(|f| *f == forms[0]));
    }
}
