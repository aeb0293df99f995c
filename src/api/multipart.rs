//! Bodies in parts, of a sender who goes on sending.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::Multipart;
use axum::extract::multipart::{Field, MultipartError, MultipartRejection};
use tokio::time::timeout;

use crate::domain::text::Text;
use crate::error::{Error, Result};
use crate::text;

/// How long a sender may be silent.
const SILENT: Duration = Duration::from_secs(30);
/// The largest part that is no file.
const MAX_PART: usize = 1 << 20;

/// The parts of a body, or an answer that says what is wanted.
pub(super) fn parts(parts: Result<Multipart, MultipartRejection>) -> Result<Multipart> {
    parts.map_err(|_| {
        let detail = Text::new(
            "应为 multipart/form-data，含 file",
            "should be multipart/form-data with a file",
        );
        Error::syntax("file", detail)
    })
}

/// What the next part or piece is.
pub(super) async fn next<T>(part: impl Future<Output = Result<Option<T>, MultipartError>>) -> Result<Option<T>> {
    let broken = || {
        let detail = Text::new("上传中断或格式不对", "the upload broke off or is malformed");
        Error::syntax("file", detail)
    };
    let part = timeout(SILENT, part).await.map_err(|_| broken())?;
    part.map_err(|_| broken())
}

/// All of a part that is no file.
pub(super) async fn small(part: &mut Field<'_>) -> Result<Bytes> {
    let name = part.name().unwrap_or_default().to_owned();
    let mut all = Vec::new();
    while let Some(bytes) = next(part.chunk()).await? {
        all.extend_from_slice(&bytes);
        if all.len() > MAX_PART {
            let detail = text!("{name} 超过 1 MB", "{name} is larger than 1 MB");
            return Err(Error::TooLarge(detail));
        }
    }
    Ok(all.into())
}

/// There is no part of that name.
pub(super) fn no_part(name: &str, known: &str) -> Error {
    let detail = text!(
        "没有“{name}”；可为 {known}",
        "there is no part \"{name}\"; there are {known}"
    );
    Error::syntax(name, detail)
}
