//! What the calendar brings by itself: announcements that nobody objected to take effect, holdings begin and end. On the first look of
//! every day one node writes it down, as ordinary versions; after a standstill for all the days that were missed.

use std::time::Duration;

use chrono::{NaiveDate, Utc};

use crate::domain::claim::book::Moment;
use crate::error::{Error, Result};
use crate::store::Store;
use crate::store::claim::Change;

/// Who does it, in the history.
pub const ACTOR: &str = "lamppost";

/// Between two looks at the clock.
const LOOK: Duration = Duration::from_secs(30);

/// The city's day: China has one time, all the year round.
pub fn today() -> NaiveDate {
    (Utc::now() + chrono::Duration::hours(HOURS_EAST)).date_naive()
}

/// The city's clock, in hours before UTC.
pub const HOURS_EAST: i64 = 8;

/// Turns the calendar for as long as the service runs.
pub async fn follow(store: Store) {
    loop {
        match turn(&store, today()).await {
            Ok(0) => {}
            Ok(n) => tracing::info!(roles = n, "the calendar has turned"),
            Err(e) => tracing::warn!(error = ?e, "the calendar could not be turned; trying again"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Brings every role up to a day; how many were looked at. Each is a transaction of its own: whoever is interrupted goes on.
pub async fn turn(store: &Store, today: NaiveDate) -> Result<usize> {
    let Some(turn) = store.begin_turn(today).await? else {
        return Ok(0);
    };
    let reason = format!("{today} 起生效或到期");
    for (component, role) in &turn.due {
        let at = Moment {
            today,
            revision: i64::MAX,
        };
        let mut edit = store.edit(ACTOR, Some(&reason)).await?;
        let Some(page) = edit.book(*component, *role).await? else {
            continue;
        };
        let mut book = page.book.clone();
        book.turn(at).map_err(|e| Error::internal(e.en))?;
        let change = Change::of(*component, page, book);
        edit.write_books(*role, &[change], at).await?;
        edit.commit().await?;
    }
    store.number_revisions().await?;
    let n = turn.due.len();
    turn.finish(today).await?;
    Ok(n)
}
