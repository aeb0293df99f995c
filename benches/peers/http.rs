//! A client of HTTP/1.1 that costs as little as it can: the machine under test is also the machine that asks.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Result;

/// One kept-alive connection and the last answer that came over it.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
    head: usize,
    body: std::ops::Range<usize>,
    chunked: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(to: SocketAddr) -> Result<Connection> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Connection {
            stream,
            buffer: vec![0; 1 << 18],
            filled: 0,
            head: 0,
            body: 0..0,
            chunked: Vec::new(),
        })
    }

    /// Sends a whole request and reads the whole answer; its status.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Result<u16> {
        self.stream.write_all(request).await?;
        (self.filled, self.head) = (0, 0);
        self.chunked.clear();
        while self.head == 0 {
            let from = self.filled.saturating_sub(3);
            self.more().await?;
            let seen = self.buffer.get(from..self.filled).unwrap_or_default();
            if let Some(at) = seen.windows(4).position(|w| w == b"\r\n\r\n") {
                self.head = from + at + 4;
            }
        }
        let status = self.buffer.get(9..12).and_then(|s| std::str::from_utf8(s).ok());
        let status: u16 = status.and_then(|s| s.parse().ok()).ok_or("not an HTTP answer")?;
        if self.header("transfer-encoding").is_some() {
            self.chunks().await?;
            return Ok(status);
        }
        let length: usize = match self.header("content-length") {
            Some(length) => length.parse()?,
            None => 0,
        };
        while self.filled < self.head + length {
            self.more().await?;
        }
        self.body = self.head..self.head + length;
        Ok(status)
    }

    /// A header of the last answer.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let head = std::str::from_utf8(self.buffer.get(..self.head)?).ok()?;
        head.split("\r\n").skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The revision that the last answer says it holds.
    pub(crate) fn revision(&self) -> Option<i64> {
        self.header("lamppost-revision")?.parse().ok()
    }

    /// The body of the last answer, as it came.
    pub(crate) fn body(&self) -> &[u8] {
        if self.chunked.is_empty() {
            self.buffer.get(self.body.clone()).unwrap_or_default()
        } else {
            &self.chunked
        }
    }

    /// The body of the last answer, unpacked.
    pub(crate) fn plain(&self) -> Result<Vec<u8>> {
        if self.header("content-encoding") != Some("gzip") {
            return Ok(self.body().to_vec());
        }
        let mut plain = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(self.body()), &mut plain)?;
        Ok(plain)
    }

    async fn more(&mut self) -> Result<()> {
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.filled * 2, 0);
        }
        let rest = self.buffer.get_mut(self.filled..).unwrap_or_default();
        match self.stream.read(rest).await? {
            0 => Err("the server hung up".into()),
            n => {
                self.filled += n;
                Ok(())
            }
        }
    }

    /// Reads a body in chunks to its end.
    async fn chunks(&mut self) -> Result<()> {
        self.body = 0..0;
        let mut at = self.head;
        loop {
            let line = loop {
                let seen = self.buffer.get(at..self.filled).unwrap_or_default();
                if let Some(end) = seen.windows(2).position(|w| w == b"\r\n") {
                    break end;
                }
                self.more().await?;
            };
            let size = self.buffer.get(at..at + line).unwrap_or_default();
            let size = usize::from_str_radix(std::str::from_utf8(size)?.trim(), 16)?;
            at += line + 2;
            while self.filled < at + size + 2 {
                self.more().await?;
            }
            self.chunked
                .extend_from_slice(self.buffer.get(at..at + size).unwrap_or_default());
            at += size + 2;
            if size == 0 {
                return Ok(());
            }
        }
    }
}

/// A GET as it goes over the wire.
pub(crate) fn get(to: SocketAddr, path: &str, gzip: bool) -> Vec<u8> {
    let accept = if gzip { "gzip" } else { "identity" };
    format!("GET {path} HTTP/1.1\r\nHost: {to}\r\nAccept-Encoding: {accept}\r\n\r\n").into_bytes()
}

/// A GET in one go; the body of a 200, unpacked.
pub(crate) async fn fetch(to: SocketAddr, path: &str) -> Result<Vec<u8>> {
    let mut connection = Connection::open(to).await?;
    match connection.ask(&get(to, path, false)).await? {
        200 => connection.plain(),
        status => Err(format!("{path} answered {status}").into()),
    }
}
