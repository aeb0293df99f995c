//! The built-in class dictionary.
use super::Store;
use crate::error::Result;

/// Installs the built-in schemes and classes where they are missing.
pub async fn install(_store: &Store) -> Result<()> {
    Ok(())
}
