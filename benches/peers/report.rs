//! What is printed: tables and verdicts, as Markdown, so that a run can be kept as it is.

use std::fmt::Display;

/// Prints a table. Columns are as wide as their widest cell, for people at a terminal.
pub(crate) fn table(title: &str, head: &[String], rows: &[Vec<String>]) {
    let widths: Vec<usize> = (0..head.len())
        .map(|n| {
            let cells = rows
                .iter()
                .map(Vec::as_slice)
                .chain([head])
                .filter_map(|r| r.get(n))
                .map(width);
            cells.max().unwrap_or(0)
        })
        .collect();
    let line = |cells: &[String]| {
        let padded = cells.iter().zip(&widths).map(|(cell, &w)| {
            let gap = w.saturating_sub(width(cell));
            format!(" {cell}{} ", " ".repeat(gap))
        });
        println!("|{}|", padded.collect::<Vec<_>>().join("|"));
    };
    println!("\n### {title}\n");
    line(head);
    line(&widths.iter().map(|w| "-".repeat(*w)).collect::<Vec<_>>());
    rows.iter().for_each(|row| line(row));
}

fn width(cell: impl AsRef<str>) -> usize {
    cell.as_ref().chars().count()
}

/// Says on stderr what is going on.
pub(crate) fn doing(what: impl Display) {
    eprintln!("    {what}");
}

/// Prints a figure that has no target.
pub(crate) fn figure(what: impl Display, value: impl Display) {
    println!("- {what}: {value}");
}

/// Prints a figure against its target.
pub(crate) fn target(what: impl Display, value: impl Display, wanted: impl Display, met: bool) {
    println!(
        "- {} {what}: {value} (wanted: {wanted})",
        if met { "pass" } else { "MISS" }
    );
}

/// The median; 0 of nothing.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    quantile(values, 0.5)
}

/// A quantile, by the nearest rank; 0 of nothing.
pub(crate) fn quantile(values: impl IntoIterator<Item = f64>, q: f64) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let rank = (q * values.len() as f64).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

/// Half of the distance from the least to the greatest, as a part of the median.
pub(crate) fn spread(values: &[f64]) -> f64 {
    let (low, high) = (
        quantile(values.iter().copied(), 0.0),
        quantile(values.iter().copied(), 1.0),
    );
    match median(values.iter().copied()) {
        m if m > 0.0 => (high - low) / 2.0 / m,
        _ => 0.0,
    }
}

/// Three digits that count.
pub(crate) fn short(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v if v >= 1.0 => format!("{v:.2}"),
        v => format!("{v:.3}"),
    }
}
