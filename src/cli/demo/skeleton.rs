//! The lines that a district is built around: its border, the river, an avenue, the arterials.

use rand::Rng;

use super::layout::{Cutter, Slot, Street, Zone};
use super::mesh::{Loop, Mesh};
use super::plane::{HEIGHT, P, RIVER, WIDTH, middle, norm, rng, unit};
use crate::domain::word::RoadClass;

/// Distance between the fixed nodes on a district's border, metres.
const BORDER_STEP: f64 = 25.0;
/// Half the river's width, a multiple of the border step.
const RIVER_HALF: f64 = 50.0;
/// From the bank to the street along it.
const BELT: f64 = 50.0;

/// Cuts every piece that the line from `a` to `b` crosses, as long as the cut's middle lies between the two.
fn cut_all(mesh: &mut Mesh, pieces: &mut Vec<(Loop, Zone)>, a: P, b: P, snap: f64) -> Vec<(u32, u32)> {
    let dir = unit(b - a);
    let mut chords = Vec::new();
    for (face, zone) in std::mem::take(pieces) {
        let at = middle(&mesh.ring_uv(&face));
        let along = (at - a).x * dir.x + (at - a).y * dir.y;
        let within = along > 0.0 && along < norm(b - a);
        match mesh.cut(&face, a, dir, snap).filter(|_| within) {
            Some(cut) => {
                chords.push(cut.chord);
                pieces.push((cut.left, zone));
                pieces.push((cut.right, zone));
            }
            None => pieces.push((face, zone)),
        }
    }
    chords
}

impl Cutter {
    /// The district's border, with nodes that its neighbours have too.
    pub(super) fn frame(&mut self, o: P) -> Loop {
        let (nx, ny) = ((WIDTH / BORDER_STEP) as usize, (HEIGHT / BORDER_STEP) as usize);
        let at = |i: usize, j: usize| P {
            x: o.x + i as f64 * BORDER_STEP,
            y: o.y + j as f64 * BORDER_STEP,
        };
        let south = (0..nx).map(|i| at(i, 0));
        let east = (0..ny).map(|j| at(nx, j));
        let north = (1..=nx).rev().map(|i| at(i, ny));
        let west = (1..=ny).rev().map(|j| at(0, j));
        let corners: Vec<P> = south.chain(east).chain(north).chain(west).collect();
        corners.into_iter().map(|p| self.mesh.add(p, true)).collect()
    }

    /// A district owns the streets on its north and west border; those at the edge of the city it owns all around.
    pub(super) fn border_streets(&mut self, frame: &Loop, slot: Slot) {
        let (nx, ny) = ((WIDTH / BORDER_STEP) as usize, (HEIGHT / BORDER_STEP) as usize);
        let sides = [
            (0, nx, slot.last_row),
            (nx, ny, slot.last_column),
            (nx + ny, nx, true),
            (2 * nx + ny, ny, true),
        ];
        for (from, n, own) in sides {
            if own {
                let at = |i: usize| frame[(from + i) % frame.len()];
                self.streets.push(Street {
                    class: RoadClass::Arterial,
                    chords: (0..n).map(|i| (at(i), at(i + 1))).collect(),
                    bank: false,
                });
            }
        }
    }

    /// The river with a green belt and a street on each side; gives its two banks.
    pub(super) fn river(&mut self, pieces: &mut Vec<(Loop, Zone)>, o: P) -> [Vec<(u32, u32)>; 2] {
        let mut chords = Vec::new();
        for shift in [-RIVER_HALF - BELT, -RIVER_HALF, RIVER_HALF, RIVER_HALF + BELT] {
            let a = P {
                x: o.x + RIVER + shift,
                y: o.y,
            };
            let b = P {
                x: a.x,
                y: o.y + HEIGHT,
            };
            let cut = cut_all(&mut self.mesh, pieces, a, b, 5.0);
            for &(a, b) in &cut {
                self.mesh.soften(a, b, 60.0);
            }
            chords.push(cut);
        }
        for (face, zone) in pieces.iter_mut() {
            let away = (middle(&self.mesh.ring_uv(face)).x - o.x - RIVER).abs();
            if away < RIVER_HALF {
                *zone = Zone::River;
            } else if away < RIVER_HALF + BELT {
                *zone = Zone::Belt;
            }
        }
        for i in [0, 3] {
            self.streets.push(Street {
                class: RoadClass::Secondary,
                chords: chords[i].clone(),
                bank: true,
            });
        }
        [std::mem::take(&mut chords[1]), std::mem::take(&mut chords[2])]
    }

    /// One old avenue runs askew through the grid.
    pub(super) fn avenue(&mut self, pieces: &mut Vec<(Loop, Zone)>, o: P) {
        let y = self.rng.random_range(0.62..0.78);
        let a = P {
            x: o.x,
            y: o.y + y * HEIGHT,
        };
        let b = P {
            x: o.x + RIVER - RIVER_HALF - BELT,
            y: o.y + (y - 0.58) * HEIGHT,
        };
        let chords = cut_all(&mut self.mesh, pieces, a, b, 12.0);
        for &(a, b) in &chords {
            self.mesh.soften(a, b, 90.0);
        }
        self.streets.push(Street {
            class: RoadClass::Arterial,
            chords,
            bank: false,
        });
    }

    /// Arterials meet their continuation in the neighbour: both sides draw the place from the border's own generator.
    pub(super) fn arterials(&mut self, pieces: &mut Vec<(Loop, Zone)>, seed: u64, slot: Slot, o: P) {
        let places = |part: &str, a: i64, b: i64, marks: &[f64]| -> Vec<f64> {
            let mut r = rng(seed, part, a, b);
            marks
                .iter()
                .map(|m| ((m + r.random_range(-75.0..75.0)) / BORDER_STEP).round() * BORDER_STEP)
                .collect()
        };
        let across = [620.0, 1450.0, 2200.0, 3080.0, 3900.0, 5560.0, 6220.0];
        let north = places("north", slot.column, slot.row, &across);
        let south = places("north", slot.column, slot.row + 1, &across);
        for (n, s) in north.iter().zip(&south) {
            let (a, b) = (
                P { x: o.x + s, y: o.y },
                P {
                    x: o.x + n,
                    y: o.y + HEIGHT,
                },
            );
            self.arterial(pieces, a, b);
        }
        let up = [700.0, 1480.0, 2420.0, 3160.0, 4080.0, 4760.0, 5500.0];
        let west = places("west", slot.column, slot.row, &up);
        let east = places("west", slot.column + 1, slot.row, &up);
        for (w, e) in west.iter().zip(&east) {
            let (a, b) = (
                P { x: o.x, y: o.y + w },
                P {
                    x: o.x + WIDTH,
                    y: o.y + e,
                },
            );
            self.arterial(pieces, a, b);
        }
    }

    fn arterial(&mut self, pieces: &mut Vec<(Loop, Zone)>, a: P, b: P) {
        let chords = cut_all(&mut self.mesh, pieces, a, b, 14.0);
        for &(a, b) in &chords {
            self.mesh.soften(a, b, 120.0);
        }
        self.streets.push(Street {
            class: RoadClass::Arterial,
            chords,
            bank: false,
        });
    }
}
