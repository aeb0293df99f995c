//! The list of what became of each row of a batch.

use std::collections::HashMap;

use serde_json::Value;
use sqlx::PgConnection;

use super::sync::DIFFER;
use crate::domain::delivery::{Change, ComponentRow, RowFault, What};
use crate::error::Result;

/// Rows of a batch, by number; empty where no list is wanted.
#[derive(Debug, Default)]
pub(super) struct Listed {
    changes: HashMap<i64, Change>,
}

impl Listed {
    /// Every row that has not been refused, with what the register and the source say where they differ.
    pub(super) async fn begin(
        conn: &mut PgConnection,
        rows: &[ComponentRow],
        refused: &[(u64, RowFault)],
        differ: bool,
    ) -> Result<Listed> {
        let change = |r: &ComponentRow| Change {
            what: What::Unchanged,
            row: Some(r.row),
            id: None,
            key: r.draft.source_key.clone().unwrap_or_default(),
            diff: Value::Null,
        };
        let mut changes: HashMap<i64, Change> = rows.iter().map(|r| (r.row as i64, change(r))).collect();
        for (row, _) in refused {
            changes.remove(&(*row as i64));
        }
        if differ {
            let found: Vec<(i64, i64, Option<Value>)> = sqlx::query_as(DIFFER).fetch_all(conn).await?;
            for (no, id, diff) in found {
                if let Some(c) = changes.get_mut(&no) {
                    c.what = What::Changed;
                    c.id = Some(id);
                    c.diff = diff.unwrap_or_default();
                }
            }
        }
        Ok(Listed { changes })
    }

    /// A row that was refused after all.
    pub(super) fn drop(&mut self, no: i64) {
        self.changes.remove(&no);
    }

    /// A row whose component is left as somebody edited it.
    pub(super) fn keep(&mut self, no: i64) {
        if let Some(c) = self.changes.get_mut(&no) {
            c.what = What::Kept;
        }
    }

    /// The list in the order of the file; `new` are the components that were added.
    pub(super) fn finish(self, new: Vec<(i64, String)>) -> Vec<Change> {
        if self.changes.is_empty() {
            return Vec::new();
        }
        let new: HashMap<String, i64> = new.into_iter().map(|(id, key)| (key, id)).collect();
        let mut all: Vec<Change> = self.changes.into_values().collect();
        for c in &mut all {
            if let Some(id) = new.get(&c.key) {
                c.what = What::Added;
                c.id = Some(*id);
            }
        }
        all.sort_by_key(|c| c.row);
        all
    }
}
