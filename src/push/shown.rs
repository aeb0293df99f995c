//! Which tiles show the windows that edits touched.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::{Batch, Window};
use crate::domain::grant::Rights;
use crate::spatial::tile_id::{BUFFER, TileId, touched};
use crate::tile::layer::Layer;

/// Tiles of one layer that are named one by one; more are all of them.
pub const MAX_TILES: usize = 1000;

/// The tiles of one layer that have changed.
#[derive(Debug, PartialEq, Eq)]
pub enum Shown {
    /// These, in order, each once.
    Tiles(BTreeSet<TileId>),
    /// So many that each is to be asked for again.
    All,
}

/// The tiles that have changed for a reader at some zooms, for each of some layers where any has. Exact: a tile is named if and only if its
/// square with the buffer shows a window. Cost: O(windows × zooms) and at most about [`MAX_TILES`] tiles for each.
pub fn shown(
    batches: &[Arc<Batch>],
    layers: &[Arc<Layer>],
    zooms: RangeInclusive<u8>,
    rights: &Rights,
) -> Vec<(Arc<Layer>, Shown)> {
    let of = |layer: &Arc<Layer>| {
        let sets = batches.iter().flat_map(|b| &b.touched);
        let mut windows: Vec<Window> = sets
            .filter(|(a, _)| a.layers & layer.bit != 0 && a.restricted.is_none_or(|class| rights.has(class)))
            .flat_map(|(_, windows)| windows.iter().copied())
            .collect();
        windows.sort_unstable();
        windows.dedup();
        (!windows.is_empty()).then(|| (layer.clone(), tiles(&windows, zooms.clone())))
    };
    layers.iter().filter_map(of).collect()
}

fn tiles(windows: &[Window], zooms: RangeInclusive<u8>) -> Shown {
    let mut out = BTreeSet::new();
    for z in zooms {
        for window in windows {
            let [x0, y0, x1, y1] = touched(z, *window, BUFFER);
            if u64::from(x1 - x0 + 1) * u64::from(y1 - y0 + 1) > MAX_TILES as u64 {
                return Shown::All;
            }
            out.extend((x0..=x1).flat_map(|x| (y0..=y1).filter_map(move |y| TileId::new(z, x, y))));
            if out.len() > MAX_TILES {
                return Shown::All;
            }
        }
    }
    Shown::Tiles(out)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Instant;

    use proptest::prelude::*;

    use super::*;
    use crate::push::Audience;
    use crate::tile::layer;

    fn batch(bit: u64, windows: &[Window]) -> Arc<Batch> {
        let touched = BTreeMap::from([(Audience::of(bit), windows.to_vec())]);
        Arc::new(Batch {
            revision: 1,
            at: Instant::now(),
            touched,
        })
    }

    proptest! {
        #[test]
        fn exactly_the_tiles_whose_buffered_square_shows_a_window_are_named(
            x in 0..u32::MAX - 4000, y in 0..u32::MAX - 4000, w in 0..4000u32, h in 0..4000u32, z in 18..=22u8,
        ) {
            let window = [x, y, x + w, y + h];
            let lamps = layer::get("lamps").unwrap();
            let said = shown(&[batch(lamps.bit, &[window])], layer::all(), z..=z, &Rights::default());
            let at = |v: u32| v >> (32 - z);
            let near = (at(x).saturating_sub(2)..=at(x + w) + 2)
                .flat_map(|cx| (at(y).saturating_sub(2)..=at(y + h) + 2).filter_map(move |cy| TileId::new(z, cx, cy)));
            let naive = near.filter(|t| {
                let t = t.window(BUFFER);
                t[0] <= window[2] && window[0] <= t[2] && t[1] <= window[3] && window[1] <= t[3]
            });
            prop_assert_eq!(said.len(), 1, "another layer was not touched");
            prop_assert_eq!(&said[0].1, &Shown::Tiles(naive.collect()));
        }
    }

    #[test]
    fn more_than_a_thousand_tiles_are_all_of_them() {
        let lamps = layer::get("lamps").unwrap();
        let said = |n: u32| {
            let windows: Vec<Window> = (0..n).map(|i| [(i << 16) + (1 << 15); 4]).collect();
            shown(
                &[batch(lamps.bit, &windows)],
                std::slice::from_ref(lamps),
                16..=16,
                &Rights::default(),
            )
            .remove(0)
            .1
        };
        assert!(matches!(said(1000), Shown::Tiles(t) if t.len() == 1000));
        assert_eq!(said(1001), Shown::All);
        let everything = [batch(u64::MAX, &[super::super::EVERYWHERE])];
        assert_eq!(
            shown(&everything, layer::all(), 14..=14, &Rights::default()).len(),
            layer::all().len()
        );
        assert_eq!(
            shown(&everything, std::slice::from_ref(lamps), 14..=14, &Rights::default())[0].1,
            Shown::All
        );
    }
}
