//! How long an edit takes from its commit until tiles and lists show it here.

use std::sync::OnceLock;
use std::time::Duration;

use chrono::{DateTime, Utc};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

/// Whose edits.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Whose {
    edits: &'static str,
}

const OWN: Whose = Whose { edits: "own" };
const OTHERS: Whose = Whose { edits: "others" };

/// Histograms by whose edits they count.
pub type Histograms = Family<Whose, Histogram, fn() -> Histogram>;

/// 1 ms to 10 s.
const BUCKETS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// 1 µs to 16 ms.
const REPLACING: [f64; 8] = [1e-6, 4e-6, 16e-6, 64e-6, 0.25e-3, 1e-3, 4e-3, 16e-3];

/// The figures of one node.
#[derive(Debug)]
pub struct Visible {
    histograms: Histograms,
    replacing: Histogram,
    ready: OnceLock<DateTime<Utc>>,
}

impl Default for Visible {
    fn default() -> Visible {
        let histograms = Histograms::new_with_constructor(|| Histogram::new(BUCKETS));
        for whose in [OWN, OTHERS] {
            drop(histograms.get_or_create(&whose));
        }
        Visible {
            histograms,
            replacing: Histogram::new(REPLACING),
            ready: OnceLock::new(),
        }
    }
}

impl Visible {
    /// The figures, for Prometheus.
    pub fn histograms(&self) -> Histograms {
        self.histograms.clone()
    }

    /// How long it took to put changed memories in place: all that an edit could ever keep a reader waiting.
    pub fn replacing(&self) -> Histogram {
        self.replacing.clone()
    }

    /// A changed memory was put in place.
    pub fn replaced(&self, took: Duration) {
        self.replacing.observe(took.as_secs_f64());
    }

    /// Memory is loaded: what others have recorded before this is not news but history.
    pub fn loaded(&self) {
        self.ready.get_or_init(Utc::now);
    }

    /// An edit of this node, since just before its commit.
    pub fn own(&self, took: Duration) {
        self.histograms.get_or_create(&OWN).observe(took.as_secs_f64());
    }

    /// An edit of another node or program, since its revision was recorded by the clock of the database.
    pub fn others(&self, recorded: DateTime<Utc>) {
        if self.ready.get().is_some_and(|ready| recorded >= *ready) {
            let took = (Utc::now() - recorded).to_std().unwrap_or_default();
            self.histograms.get_or_create(&OTHERS).observe(took.as_secs_f64());
        }
    }
}
