//! What serves land: places with a radius, looked up by what they reach.

use std::sync::{Arc, OnceLock};

use imbl::HashMap;

use super::cover::{LARGE, middle, squares};
use super::overlay::{self, Dot, Ring, Window, clip, contains, grown, meet, twice};
use super::reach::{Circle, to_outline};

/// The side of the squares in which sites are looked up, as a power of two: 419 m.
const LOOKED_UP: u32 = 22;

/// Something that serves what lies within its radius.
#[derive(Debug)]
pub struct Site {
    /// Whose it is.
    pub id: u64,
    /// A point, a line there and back, or what polygons enclose.
    pub rings: Vec<Ring>,
    /// Square metres of the ground that it covers itself.
    pub size: f64,
    /// Steps of the plane.
    pub radius: f64,
    window: Window,
    encloses: bool,
    reach: OnceLock<Vec<(Window, Ring)>>,
}

impl Site {
    /// With a radius in steps of the plane; none without a place.
    pub fn new(id: u64, rings: Vec<Ring>, size: f64, radius: f64) -> Option<Site> {
        let window = overlay::window(&rings)?;
        let encloses = rings.iter().any(|r| twice(r) > 0);
        Some(Site {
            id,
            rings,
            size,
            radius,
            window,
            encloses,
            reach: OnceLock::new(),
        })
    }

    /// The same with another radius.
    pub fn with_radius(&self, radius: f64) -> Site {
        Site {
            id: self.id,
            rings: self.rings.clone(),
            size: self.size,
            radius,
            window: self.window,
            encloses: self.encloses,
            reach: OnceLock::new(),
        }
    }

    /// The middle of its box.
    pub fn middle(&self) -> Dot {
        middle(self.window)
    }

    /// The box of what it reaches.
    pub fn reached(&self) -> Window {
        grown(self.window, self.radius.ceil() as i32 + 10_000)
    }

    /// Steps from a position, 0 inside.
    pub fn away(&self, p: Dot) -> f64 {
        if self.encloses && contains(&self.rings, p) {
            return 0.0;
        }
        let each = self.rings.iter().map(|ring| to_outline(ring, p));
        each.fold(f64::INFINITY, f64::min)
    }

    /// A distance that [`Site::away`] is not smaller than.
    pub fn at_least(&self, p: Dot) -> f64 {
        let off = |v: i32, low: i32, high: i32| f64::from((low - v).max(v - high).max(0));
        let (x, y) = (
            off(p.x, self.window[0], self.window[2]),
            off(p.y, self.window[1], self.window[3]),
        );
        (x * x + y * y).sqrt()
    }

    /// What of its reach lies in a box, as rings.
    pub(super) fn reach_in(&self, w: Window, circles: &mut Circles, spare: &mut (Ring, Ring), out: &mut Vec<Ring>) {
        let mut put = |window: Window, ring: &Ring| {
            if meet(window, w) {
                clip(ring, w, &mut spare.0, &mut spare.1);
                if spare.0.len() > 2 {
                    out.push(spare.0.clone());
                }
            }
        };
        if let [only] = &*self.rings
            && only.len() == 1
        {
            // Cheaper to make than to keep.
            return put(self.reached(), &circles.of(self.radius).towards(only[0], w));
        }
        let made = || {
            let circle = circles.of(self.radius);
            let mut made: Vec<Ring> = Vec::new();
            let holes = self.rings.iter().any(|r| twice(r) < 0);
            if holes {
                made.extend(self.rings.iter().cloned());
            }
            for ring in &self.rings {
                if holes {
                    let edges = (0..ring.len()).map(|i| [ring[i], ring[(i + 1) % ring.len()]]);
                    made.extend(edges.map(|edge| circle.about(&edge)));
                } else {
                    made.push(circle.about(ring));
                }
            }
            let boxed = |ring: Ring| Some((overlay::window(std::slice::from_ref(&ring))?, ring));
            made.into_iter().filter_map(boxed).collect::<Vec<_>>()
        };
        for (window, ring) in self.reach.get_or_init(made) {
            put(*window, ring);
        }
    }
}

/// Circles by radius.
#[derive(Debug, Default)]
pub(super) struct Circles(Vec<Circle>);

impl Circles {
    fn of(&mut self, radius: f64) -> &Circle {
        let at = self.0.iter().position(|c| c.radius() == radius);
        let at = at.unwrap_or_else(|| {
            // Beyond a few, radii differ by where their sites stand in the zone.
            if self.0.len() >= 64 {
                self.0.clear();
            }
            self.0.push(Circle::new(radius));
            self.0.len() - 1
        });
        &self.0[at]
    }
}

type Near = Arc<Vec<Arc<Site>>>;

/// Sites, by number and by what they reach. A copy costs nothing.
#[derive(Clone, Debug, Default)]
pub struct Sites {
    by_id: HashMap<u64, Arc<Site>>,
    near: HashMap<(i32, i32), Near>,
}

impl Sites {
    /// Puts one in, in place of the one with its number.
    pub fn put(&mut self, site: Arc<Site>) {
        self.take(site.id);
        for square in site.squares() {
            Arc::make_mut(self.near.entry(square).or_default()).push(site.clone());
        }
        self.by_id.insert(site.id, site);
    }

    /// Takes one out.
    pub fn take(&mut self, id: u64) -> Option<Arc<Site>> {
        let old = self.by_id.remove(&id)?;
        for square in old.squares() {
            if let Some(near) = self.near.get_mut(&square) {
                Arc::make_mut(near).retain(|s| s.id != id);
            }
        }
        Some(old)
    }

    /// The site of a number.
    pub fn get(&self, id: u64) -> Option<&Arc<Site>> {
        self.by_id.get(&id)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Site>> {
        self.by_id.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(super) fn near(&self, p: Dot) -> &[Arc<Site>] {
        let near = self.near.get(&(p.x >> LOOKED_UP, p.y >> LOOKED_UP));
        near.map_or(&[], |near| &near[..])
    }
}

impl FromIterator<Arc<Site>> for Sites {
    fn from_iter<I: IntoIterator<Item = Arc<Site>>>(all: I) -> Sites {
        let mut near: std::collections::HashMap<(i32, i32), Vec<Arc<Site>>> = std::collections::HashMap::new();
        let mut by_id = HashMap::new();
        for site in all {
            for square in site.squares() {
                near.entry(square).or_default().push(site.clone());
            }
            by_id.insert(site.id, site);
        }
        let near = near
            .into_iter()
            .map(|(square, sites)| (square, Arc::new(sites)))
            .collect();
        Sites { by_id, near }
    }
}

impl Site {
    /// The squares in which it is looked up: those with the middle of a piece that it may reach.
    fn squares(&self) -> impl Iterator<Item = (i32, i32)> + use<> {
        squares(grown(self.reached(), LARGE), LOOKED_UP)
    }
}
