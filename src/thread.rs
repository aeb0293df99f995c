//! Work that does not belong on the async threads.

pub mod workshop;

use crate::error::{Error, Result};

/// Does something that takes long, or waits for a disk, on a thread of its own.
pub async fn blocking<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(f).await.map_err(Error::internal)
}
