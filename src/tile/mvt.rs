//! A writer of Mapbox Vector Tiles 2.1 for the shapes that our tiles have.
//!
//! Source: the Mapbox Vector Tile specification 2.1 (protobuf fields by number in the comments).

use hashbrown::HashMap;

use crate::spatial::tile_id::EXTENT;

/// A value of a feature's property.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Value<'a> {
    /// Text.
    Text(&'a str),
    /// A whole number ≥ 0.
    Number(u64),
}

impl Value<'_> {
    /// Bytes of what [`Value::write`] writes.
    fn inner_len(self) -> usize {
        match self {
            Value::Text(s) => 1 + varint_len(s.len() as u64) + s.len(),
            Value::Number(n) => 1 + varint_len(n),
        }
    }

    /// Bytes of it in a layer.
    fn len(self) -> usize {
        let inner = self.inner_len();
        1 + varint_len(inner as u64) + inner
    }

    fn write(self, out: &mut Vec<u8>) {
        out.push(4 << 3 | 2);
        varint(out, self.inner_len() as u64);
        match self {
            Value::Text(s) => field(out, 1, s.as_bytes()),
            Value::Number(n) => {
                out.push(5 << 3);
                varint(out, n);
            }
        }
    }
}

/// What a feature's geometry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One point.
    Point = 1,
    /// One or more lines.
    Line = 2,
    /// One or more polygons: each an exterior ring (positive area, y down) and its holes.
    Polygon = 3,
}

/// A layer under construction.
#[derive(Debug)]
pub struct Layer<'a> {
    name: &'a str,
    features: Vec<u8>,
    keys: Vec<&'a str>,
    values: Vec<Value<'a>>,
    /// Bytes of all but the features.
    others_len: usize,
    rewinds: u32,
    value_numbers: HashMap<Value<'a>, u32>,
    small_numbers: Vec<u32>,
    tags: Vec<u8>,
    geometry: Vec<u32>,
    cursor: (i32, i32),
}

/// What frames a layer and its name at most, in bytes: five fields and their lengths.
const FRAME: usize = 24;
/// What frames a key, whose name is short.
const KEY: usize = 2;

/// Whole numbers below this are looked up in a table.
const SMALL: usize = 2048;

/// A place in a layer under construction.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    features: usize,
    keys: usize,
    values: usize,
}

#[inline]
fn each_of_varint(mut n: u64, mut push: impl FnMut(u8)) {
    while n >= 0x80 {
        push(n as u8 | 0x80);
        n >>= 7;
    }
    push(n as u8);
}

fn varint(out: &mut Vec<u8>, n: u64) {
    each_of_varint(n, |byte| out.push(byte));
}

/// A point's feature, written without a look at the room that is left: its tags and at most 40 bytes around them.
struct Short {
    bytes: [u8; SHORT_TAGS + 40],
    len: usize,
}

/// The longest tags of a [`Short`].
const SHORT_TAGS: usize = 88;

impl Default for Short {
    fn default() -> Short {
        Short {
            bytes: [0; SHORT_TAGS + 40],
            len: 0,
        }
    }
}

impl Short {
    #[inline]
    fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    #[inline]
    fn varint(&mut self, n: u64) {
        each_of_varint(n, |byte| self.push(byte));
    }

    #[inline]
    fn extend(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }
}

fn varint_len(n: u64) -> usize {
    (70 - (n | 1).leading_zeros() as usize) / 7
}

fn field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn packed(out: &mut Vec<u8>, number: u8, numbers: &[u32], len: usize) {
    out.push(number << 3 | 2);
    varint(out, len as u64);
    numbers.iter().for_each(|n| varint(out, u64::from(*n)));
}

fn zigzag(n: i32) -> u32 {
    ((n << 1) ^ (n >> 31)) as u32
}

impl<'a> Layer<'a> {
    /// An empty layer.
    pub fn new(name: &'a str) -> Layer<'a> {
        Layer {
            name,
            // Room for a layer of a hundred points: growing would cost a tenth of writing them.
            features: Vec::with_capacity(4096),
            keys: Vec::with_capacity(8),
            values: Vec::with_capacity(32),
            others_len: FRAME + name.len(),
            rewinds: 0,
            value_numbers: HashMap::with_capacity(28),
            small_numbers: Vec::new(),
            tags: Vec::new(),
            geometry: Vec::new(),
            cursor: (0, 0),
        }
    }

    /// The layer as it stands in a tile, which is nothing but its layers one after the other; nothing if it has no features, as
    /// the specification asks.
    pub fn finish(self) -> Vec<u8> {
        if self.features.is_empty() {
            return Vec::new();
        }
        let (mut head, mut tail) = (Vec::new(), Vec::with_capacity(self.others_len));
        field(&mut head, 1, self.name.as_bytes());
        self.keys.iter().for_each(|k| field(&mut tail, 3, k.as_bytes()));
        self.values.iter().for_each(|v| v.write(&mut tail));
        tail.push(5 << 3);
        varint(&mut tail, u64::from(EXTENT));
        tail.push(15 << 3);
        varint(&mut tail, 2);
        let len = head.len() + self.features.len() + tail.len();
        let mut out = Vec::with_capacity(1 + varint_len(len as u64) + len);
        out.push(3 << 3 | 2);
        varint(&mut out, len as u64);
        for part in [&head, &self.features, &tail] {
            out.extend_from_slice(part);
        }
        out
    }

    /// Its bytes so far, a few more than it will have.
    pub fn len(&self) -> usize {
        self.features.len() + self.others_len
    }

    /// Whether it has no feature.
    pub fn is_empty(&self) -> bool {
        self.features.is_empty()
    }

    /// Sets a property of the feature that is being built.
    pub fn tag(&mut self, key: &'a str, value: Value<'a>) {
        let (k, v) = (self.key(key), self.value(value));
        self.tag_numbers(k, v);
    }

    /// The number of a key in this layer.
    pub fn key(&mut self, key: &'a str) -> u32 {
        let at = self.keys.iter().position(|k| *k == key).unwrap_or_else(|| {
            self.others_len += KEY + key.len();
            self.keys.push(key);
            self.keys.len() - 1
        });
        at as u32
    }

    /// The number of a value in this layer. Small whole numbers, of which bins are full, are found without hashing.
    pub fn value(&mut self, value: Value<'a>) -> u32 {
        let (values, others_len) = (&mut self.values, &mut self.others_len);
        let mut add = || {
            *others_len += value.len();
            values.push(value);
            values.len() as u32 - 1
        };
        match value {
            Value::Number(n) if n < SMALL as u64 => {
                if self.small_numbers.is_empty() {
                    self.small_numbers = vec![u32::MAX; SMALL];
                }
                let known = &mut self.small_numbers[n as usize];
                if *known == u32::MAX {
                    *known = add();
                }
                *known
            }
            _ => *self.value_numbers.entry(value).or_insert_with(add),
        }
    }

    /// [`Layer::tag`] for a caller that remembers the numbers.
    pub fn tag_numbers(&mut self, key: u32, value: u32) {
        varint(&mut self.tags, u64::from(key));
        varint(&mut self.tags, u64::from(value));
    }

    /// Appends the properties that have been set since the last feature, encoded, to `out`: for [`Layer::tagged_point`].
    pub fn move_tags(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.tags);
    }

    /// Sets the properties of the feature that is being built to some that were encoded before.
    pub fn tag_encoded(&mut self, tags: &[u8]) {
        self.tags.extend_from_slice(tags);
    }

    /// A point in tile units whose properties were encoded before. Cost: about 15 ns.
    pub fn tagged_point(&mut self, id: Option<u64>, tags: &[u8], p: (i32, i32)) {
        let (x, y) = (zigzag(p.0), zigzag(p.1));
        if tags.len() > SHORT_TAGS {
            self.tags.clear();
            self.tags.extend_from_slice(tags);
            self.geometry.extend([1 << 3 | 1, x, y]);
            return self.end(id, Kind::Point);
        }
        let geometry_len = 1 + varint_len(u64::from(x)) + varint_len(u64::from(y));
        let tags_len = match tags.len() {
            0 => 0,
            len => 1 + varint_len(len as u64) + len,
        };
        let len = id.map_or(0, |id| 1 + varint_len(id)) + tags_len + 2 + 2 + geometry_len;
        let mut short = Short::default();
        short.push(2 << 3 | 2);
        short.varint(len as u64);
        if let Some(id) = id {
            short.push(1 << 3);
            short.varint(id);
        }
        if !tags.is_empty() {
            short.push(2 << 3 | 2);
            short.varint(tags.len() as u64);
            short.extend(tags);
        }
        // A point's geometry is at most 11 bytes, so that its length is one.
        for byte in [3 << 3, Kind::Point as u8, 4 << 3 | 2, geometry_len as u8, 1 << 3 | 1] {
            short.push(byte);
        }
        short.varint(u64::from(x));
        short.varint(u64::from(y));
        self.features.extend_from_slice(&short.bytes[..short.len]);
    }

    /// Where the layer stands, to come back to with [`Layer::rewind`].
    pub fn mark(&self) -> Mark {
        Mark {
            features: self.features.len(),
            keys: self.keys.len(),
            values: self.values.len(),
        }
    }

    /// Forgets every feature since a mark, with the keys and values that only they had.
    pub fn rewind(&mut self, mark: Mark) {
        self.rewinds += 1;
        self.features.truncate(mark.features);
        for key in self.keys.drain(mark.keys.min(self.keys.len())..) {
            self.others_len -= KEY + key.len();
        }
        for value in self.values.drain(mark.values.min(self.values.len())..) {
            self.others_len -= value.len();
            match value {
                Value::Number(n) if n < SMALL as u64 => self.small_numbers[n as usize] = u32::MAX,
                _ => {
                    self.value_numbers.remove(&value);
                }
            }
        }
        self.tags.clear();
        self.geometry.clear();
    }

    /// How often it was rewound, for whoever remembers numbers of values.
    pub fn rewinds(&self) -> u32 {
        self.rewinds
    }

    fn step(&mut self, p: (i32, i32)) {
        self.geometry.push(zigzag(p.0.wrapping_sub(self.cursor.0)));
        self.geometry.push(zigzag(p.1.wrapping_sub(self.cursor.1)));
        self.cursor = p;
    }

    fn run(&mut self, points: &[(i32, i32)]) {
        let Some((first, rest)) = points.split_first() else {
            return;
        };
        self.geometry.push(1 << 3 | 1);
        self.step(*first);
        self.geometry.push((rest.len() as u32) << 3 | 2);
        rest.iter().for_each(|p| self.step(*p));
    }

    /// Ends the feature as a point in tile units.
    pub fn point(&mut self, id: Option<u64>, p: (i32, i32)) {
        let tags = std::mem::take(&mut self.tags);
        self.tagged_point(id, &tags, p);
        self.tags = tags;
        self.tags.clear();
    }

    /// Ends the feature as lines of two or more points each; a feature without any is dropped.
    pub fn lines(&mut self, id: Option<u64>, lines: &[Vec<(i32, i32)>]) {
        lines.iter().filter(|l| l.len() > 1).for_each(|l| self.run(l));
        self.end(id, Kind::Line);
    }

    /// Ends the feature as rings of three or more points each, not repeating the first; a feature without any is dropped.
    pub fn rings(&mut self, id: Option<u64>, rings: &[Vec<(i32, i32)>]) {
        for ring in rings.iter().filter(|r| r.len() > 2) {
            self.run(ring);
            self.geometry.push(1 << 3 | 7);
        }
        self.end(id, Kind::Polygon);
    }

    fn end(&mut self, id: Option<u64>, kind: Kind) {
        let (tags, geometry) = (std::mem::take(&mut self.tags), std::mem::take(&mut self.geometry));
        self.cursor = (0, 0);
        if !geometry.is_empty() {
            let geometry_len: usize = geometry.iter().map(|n| varint_len(u64::from(*n))).sum();
            let field_len = |n: usize| 1 + varint_len(n as u64) + n;
            let tags_len = if tags.is_empty() { 0 } else { field_len(tags.len()) };
            let len = id.map_or(0, |id| 1 + varint_len(id)) + tags_len + 2 + field_len(geometry_len);
            self.features.push(2 << 3 | 2);
            varint(&mut self.features, len as u64);
            if let Some(id) = id {
                self.features.push(1 << 3);
                varint(&mut self.features, id);
            }
            if !tags.is_empty() {
                field(&mut self.features, 2, &tags);
            }
            self.features.extend([3 << 3, kind as u8]);
            packed(&mut self.features, 4, &geometry, geometry_len);
        }
        (self.tags, self.geometry) = (tags, geometry);
        self.tags.clear();
        self.geometry.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_varint_is_known_before_it_is_written() {
        for n in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), 1 << 53, u64::MAX] {
            let mut out = Vec::new();
            varint(&mut out, n);
            assert_eq!(out.len(), varint_len(n), "{n}");
        }
    }

    #[test]
    fn a_layer_knows_its_length_before_it_is_finished() {
        let mut layer = Layer::new("lamps");
        layer.tag("class", Value::Text("0118"));
        layer.tag("point_count", Value::Number(3000));
        layer.point(Some(1), (1, 2));
        let mark = layer.mark();
        layer.tag("owner", Value::Text("taken back"));
        layer.point(Some(2), (3, 4));
        layer.rewind(mark);
        let (len, bytes) = (layer.len(), layer.finish());
        assert!(
            (bytes.len()..bytes.len() + FRAME).contains(&len),
            "{len} {}",
            bytes.len()
        );
    }

    #[test]
    fn a_point_of_many_properties_is_written_like_one_of_few() {
        for numbers in [0, 1, 5, 20, 21, 22, 23, 60] {
            let mut layer = Layer::new("l");
            let tags: Vec<u8> = (0..numbers).flat_map(|n| [n, n | 0x80, 1]).collect();
            layer.tagged_point(Some(300), &tags, (25, 17));
            layer.tagged_point(Some(300), &tags, (25, 17));
            let feature = layer.features[..layer.features.len() / 2].to_vec();
            let mut expected = vec![1 << 3, 0xac, 2];
            if numbers > 0 {
                field(&mut expected, 2, &tags);
            }
            expected.extend([3 << 3, 1, 4 << 3 | 2, 3, 9, 50, 34]);
            let mut framed = Vec::new();
            field(&mut framed, 2, &expected);
            assert_eq!(feature, framed, "{numbers}");
            assert_eq!(feature, layer.features[feature.len()..]);
        }
    }

    #[test]
    fn the_specification_s_own_examples_come_out() {
        let geometry = |build: &dyn Fn(&mut Layer<'_>)| {
            let mut layer = Layer::new("l");
            build(&mut layer);
            let at = layer.features.iter().position(|b| *b == 4 << 3 | 2).unwrap();
            layer.features[at + 2..].to_vec()
        };
        assert_eq!(geometry(&|l| l.point(None, (25, 17))), [9, 50, 34]);
        assert_eq!(
            geometry(&|l| l.lines(None, &[vec![(2, 2), (2, 10), (10, 10)]])),
            [9, 4, 4, 18, 0, 16, 16, 0]
        );
        assert_eq!(
            geometry(&|l| l.rings(None, &[vec![(3, 6), (8, 12), (20, 34)]])),
            [9, 6, 12, 18, 10, 12, 24, 44, 15]
        );
    }
}
