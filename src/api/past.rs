//! `datetime`: the register as it was recorded at a moment, a day standing for its end.

use std::sync::Arc;

use axum::http::HeaderValue;
use chrono::{DateTime, Days, Duration, NaiveDate, NaiveTime, Utc};

use super::Shared;
use super::reader::Reader;
use crate::calendar::HOURS_EAST;
use crate::domain::text::Text;
use crate::error::Result;
use crate::index::Memory;
use crate::text;
use crate::tile::layer::{Layer, Source};

/// A day of the calendar.
pub(super) fn day(s: &str) -> Result<NaiveDate, Text> {
    s.parse::<NaiveDate>().map_err(|_| {
        text!(
            "“{s}”应为日期，如 2026-03-01",
            "\"{s}\" should be a day such as 2026-03-01"
        )
    })
}

/// A moment, or the end of a day.
pub(super) fn moment(s: &str) -> Result<DateTime<Utc>, Text> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(s) {
        return Ok(moment.to_utc());
    }
    let next = day(s)?
        .checked_add_days(Days::new(1))
        .ok_or_else(|| Text::new("日期过大", "the day is too late"))?;
    Ok(next.and_time(NaiveTime::MIN).and_utc() - Duration::hours(HOURS_EAST) - Duration::microseconds(1))
}

/// The revision that is asked for; none where that is the newest.
pub(super) async fn revision(app: &Shared, moment: Option<DateTime<Utc>>) -> Result<Option<i64>> {
    match moment {
        None => Ok(None),
        Some(moment) => app.past.revision(moment).await,
    }
}

/// A memory of a revision, or of now, wherever one of some boxes of degrees is; everywhere, without boxes.
pub(super) async fn memory(
    app: &Shared,
    revision: Option<i64>,
    boxes: impl FnOnce(&Memory) -> Option<Vec<[f64; 4]>>,
) -> Result<Arc<Memory>> {
    let now = app.index.read();
    match revision {
        None => Ok(now),
        Some(revision) => app.past.memory(revision, boxes(&now).as_deref()).await,
    }
}

/// How long a past answer may be kept: for good, unless it shows what has no past, and by nobody else where not all may see it.
pub(super) fn kept(reader: &Reader, layers: &[Arc<Layer>]) -> HeaderValue {
    let lasting = layers.iter().all(|l| l.source == Source::Component);
    HeaderValue::from_static(match (lasting, reader.grant().is_some()) {
        (true, false) => "public, max-age=31536000, immutable",
        (true, true) => "private, max-age=31536000, immutable",
        (false, _) => "no-cache",
    })
}
