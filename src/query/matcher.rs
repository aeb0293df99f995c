//! Which components and other things a layer and a filter let through, looked up once for as long as words mean the same.
//!
//! A filter over class, state and ownership status becomes a table by mark, which the pyramid's counters are asked by, and one over
//! the owner a table that points are asked by. Any other test of a word, a party, a cell or a road becomes a table by that thing's number; only codes, names, ids and versions are
//! looked at one by one.

use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashMap;

use super::roll::Rolls;
use super::word::{Column, words_of};
use crate::domain::class::Class;
use crate::domain::filter::{Field, Filter, Test, Value};
use crate::domain::grant::Rights;
use crate::domain::word::{OwnershipStatus, State};
use crate::index::Memory;
use crate::index::points::Point;
use crate::index::pyramid::Mark;
use crate::index::row::Found;
use crate::tile::layer::{self, Layer, LayerSet, Source};

/// What of a layer is shown.
#[derive(Debug)]
pub struct Matcher {
    /// By class, whether any of its marks may be shown; none if marks do not matter.
    classes: Option<Vec<bool>>,
    /// By [`Mark::number`]; none if marks do not matter.
    marks: Option<Vec<bool>>,
    /// By number of the owner, 0 is none; none if owners do not matter.
    owners: Option<Vec<bool>>,
    /// What else a component has to pass.
    rest: Option<Node>,
    /// By id, of things that are no components; none if a filter does not matter.
    entities: Option<Vec<bool>>,
}

/// What a matcher asks of points, which know their mark and their owner.
#[derive(Clone, Copy, Debug)]
pub struct OfPoints<'m> {
    marks: Option<&'m [bool]>,
    owners: Option<&'m [bool]>,
}

impl OfPoints<'_> {
    /// Whether a point may be shown.
    #[inline]
    pub fn may_show(self, point: &Point) -> bool {
        self.marks.is_none_or(|marks| shown(marks, point.mark.number()))
            && self.owners.is_none_or(|owners| shown(owners, point.owner as usize))
    }
}

/// What a table says of a number; of those behind its end, no.
#[inline]
fn shown(table: &[bool], number: usize) -> bool {
    table.get(number).copied().unwrap_or(false)
}

/// A filter of components, ready to be asked. Unknown counts as no, which is the same where nothing is negated above a test.
#[derive(Debug)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Number(Column, Vec<bool>),
    Each(Field, Test),
}

/// What pyramids tell apart.
const OF_MARKS: &[Field] = &[Field::Class, Field::State, Field::OwnershipStatus];

/// The mark numbers that all things of a class have.
fn of_class(class: u16) -> std::ops::Range<usize> {
    let first = |class| {
        Mark {
            class,
            ..Mark::default()
        }
        .number()
    };
    first(class)..first(class.saturating_add(1))
}

impl Matcher {
    /// What a layer shows to a reader of what a filter lets through. Cost: O(classes), and for a filter O(parties, cells or roads).
    pub fn new(memory: &Memory, layer: &Layer, filter: Option<&Filter>, rights: &Rights) -> Matcher {
        let shown: Option<Vec<u16>> = match layer.source {
            Source::Area | Source::Cell | Source::Road => None,
            Source::Component => Some(classes(memory, layer, rights).collect()),
            Source::Land => {
                let of_layer = |kind: &str| layer.kinds.iter().any(|k| k == kind);
                let kinds = (0u16..).zip(memory.land_kinds.iter());
                Some(kinds.filter(|(_, kind)| of_layer(kind)).map(|(n, _)| n).collect())
            }
        };
        let mut marks = shown.map(|shown| {
            let mut marks = vec![false; shown.iter().max().map_or(0, |c| of_class(*c).end)];
            shown.into_iter().for_each(|c| marks[of_class(c)].fill(true));
            marks
        });
        let (mut owners, mut rest, mut entities) = (None, None, None);
        if let Some(filter) = filter {
            if layer.source == Source::Component {
                let (by_mark, others): (Vec<_>, Vec<_>) = parts(filter).iter().partition(|p| p.only(OF_MARKS));
                let (by_owner, others): (Vec<_>, Vec<_>) = others.into_iter().partition(|p| p.only(&[Field::Owner]));
                for (n, shown) in marks.iter_mut().flatten().enumerate().filter(|(_, shown)| **shown) {
                    let of_mark = |field| mark_value(memory, Mark::from_number(n), field);
                    *shown = by_mark.iter().all(|part| part.holds(&of_mark) == Some(true));
                }
                owners = (!by_owner.is_empty()).then(|| owners_of(memory, &by_owner));
                let all = || Filter::all(others.iter().copied().cloned().collect());
                rest = (!others.is_empty()).then(|| node(memory, &all()));
            } else {
                entities = Some(super::word::entities(memory, layer.source, filter));
            }
        }
        let of_marks = |marks: &Vec<bool>| marks.chunks(of_class(0).len()).map(|c| c.contains(&true)).collect();
        Matcher {
            classes: marks.as_ref().map(of_marks),
            marks,
            owners,
            rest,
            entities,
        }
    }

    /// Whether things of a class may be shown.
    pub fn class(&self, class: u16) -> bool {
        let classes = self.classes.as_deref();
        classes.is_none_or(|classes| shown(classes, usize::from(class)))
    }

    /// Whether things of a mark may be shown.
    pub fn mark(&self, mark: Mark) -> bool {
        self.marks.as_deref().is_none_or(|marks| shown(marks, mark.number()))
    }

    /// Whether [`Matcher::mark`] says it all.
    pub fn by_mark(&self) -> bool {
        self.by_point() && self.owners.is_none()
    }

    /// Whether [`Matcher::points`] say it all.
    pub fn by_point(&self) -> bool {
        self.rest.is_none() && self.entities.is_none()
    }

    /// What is asked of points.
    pub fn points(&self) -> OfPoints<'_> {
        OfPoints {
            marks: self.marks.as_deref(),
            owners: self.owners.as_deref(),
        }
    }

    /// Whether a component is let through, retired or not.
    pub fn passes(&self, found: &Found<'_>) -> bool {
        self.mark(Mark::of(found.row())) && self.rest(found)
    }

    /// Whether a component whose mark may be shown is let through.
    pub fn rest(&self, found: &Found<'_>) -> bool {
        let owner = |owners: &[bool]| shown(owners, found.parties().owner as usize);
        self.owners.as_deref().is_none_or(owner) && self.rest.as_ref().is_none_or(|node| node.holds(found))
    }

    /// Whether a component is shown.
    pub fn shows(&self, found: &Found<'_>) -> bool {
        found.state() != State::Retired && self.passes(found)
    }

    /// Whether something that is no component is let through, besides its mark.
    pub fn entity(&self, id: u64) -> bool {
        let place = usize::try_from(id).unwrap_or(usize::MAX);
        self.entities.as_deref().is_none_or(|all| shown(all, place))
    }
}

/// The parts of a filter, all of which must hold.
fn parts(filter: &Filter) -> &[Filter] {
    match filter {
        Filter::All(parts) => parts,
        filter => std::slice::from_ref(filter),
    }
}

/// Which owners pass all of some parts, by number.
fn owners_of(memory: &Memory, parts: &[&Filter]) -> Vec<bool> {
    let passes = |code: Option<&str>| parts.iter().all(|p| p.holds(&|_| code.map(Value::Text)) == Some(true));
    let parties = || {
        memory
            .parties
            .iter()
            .map(|(id, p)| (usize::try_from(*id).unwrap_or(0), p.code.as_str()))
    };
    let mut owners = vec![passes(None); parties().map(|(n, _)| n + 1).max().unwrap_or(1)];
    parties().for_each(|(n, code)| owners[n] = passes(Some(code)));
    owners
}

fn mark_value(memory: &Memory, mark: Mark, field: Field) -> Option<Value<'_>> {
    match field {
        Field::Class => memory.classes.get(&i32::from(mark.class)).map(|c| c.code.as_str()),
        Field::State => State::from_number(mark.state).map(State::key),
        _ => OwnershipStatus::from_number(mark.ownership).map(OwnershipStatus::key),
    }
    .map(Value::Text)
}

fn node(memory: &Memory, filter: &Filter) -> Node {
    match filter {
        Filter::All(parts) => Node::All(parts.iter().map(|f| node(memory, f)).collect()),
        Filter::Any(parts) => Node::Any(parts.iter().map(|f| node(memory, f)).collect()),
        Filter::Test { field, test } => match words_of(memory, *field) {
            None => Node::Each(*field, test.clone()),
            Some((number, words)) => {
                let holds = |word: Option<&str>| test.holds(word.map(Value::Text)) == Some(true);
                let last = words.iter().map(|(n, _)| *n).max().unwrap_or(0);
                let mut table = vec![holds(None); last + 1];
                words.into_iter().for_each(|(n, word)| table[n] = holds(word));
                Node::Number(number, table)
            }
        },
    }
}

impl Node {
    fn holds(&self, found: &Found<'_>) -> bool {
        match self {
            Node::All(parts) => parts.iter().all(|p| p.holds(found)),
            Node::Any(parts) => parts.iter().any(|p| p.holds(found)),
            Node::Number(number, table) => table.get(number(found)).copied().unwrap_or(false),
            Node::Each(field, test) => {
                let code = || found.code();
                let truth = match field {
                    Field::Code => test.holds(code().as_deref().map(Value::Text)),
                    Field::Name => test.holds(found.name().map(Value::Text)),
                    Field::Id => test.holds(Some(Value::Number(found.id as f64))),
                    Field::Version => test.holds(Some(Value::Number(f64::from(found.version)))),
                    _ => None,
                };
                truth == Some(true)
            }
        }
    }
}

/// Whether a layer shows components of a class to a reader.
pub fn shows(memory: &Memory, layer: &Layer, class: &Class, rights: &Rights) -> bool {
    rights.sees(class) && belongs(memory, layer, class)
}

fn belongs(memory: &Memory, layer: &Layer, class: &Class) -> bool {
    layer.shows(class, |id| memory.classes.get(&id).map(|c| &**c))
}

/// The classes that a layer shows to a reader, by number.
pub fn classes<'m>(memory: &'m Memory, layer: &'m Layer, rights: &'m Rights) -> impl Iterator<Item = u16> + 'm {
    let shown = memory
        .classes
        .iter()
        .filter(move |(_, c)| shows(memory, layer, c, rights));
    shown.filter_map(|(id, _)| u16::try_from(*id).ok())
}

/// Where the components of a class are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// In these layers.
    pub layers: LayerSet,
    /// Only to those who have the right to the class.
    pub restricted: bool,
}

/// Where the components of each class are shown, by its number. Cost: O(classes × layers).
pub fn shown_by_class(memory: &Memory) -> Vec<Shown> {
    let mut all = Vec::new();
    for (id, class) in &memory.classes {
        let place = usize::try_from(*id).unwrap_or(0);
        if all.len() <= place {
            all.resize(place + 1, Shown::default());
        }
        let layers = layer::all().iter().filter(|l| belongs(memory, l, class));
        all[place] = Shown {
            layers: layers.fold(0, |set, l| set | l.bit),
            restricted: class.restricted,
        };
    }
    all
}

/// Matchers that were made, for as long as words mean the same. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Matchers {
    known: Arc<Mutex<HashMap<Key, Known>>>,
    restricted: Arc<Mutex<(u64, Restricted)>>,
    /// Which areas cells lie in.
    pub rolls: Rolls,
}

type Key = (LayerSet, Option<Arc<Filter>>, Rights);

/// The restricted classes and the layers that they belong to.
#[derive(Clone, Debug, Default)]
pub struct Restricted(Arc<[(i32, LayerSet)]>);

impl Restricted {
    /// Whether some layers have a restricted class: then what they show depends on who asks.
    pub fn narrows(&self, set: LayerSet) -> bool {
        self.0.iter().any(|(_, layers)| layers & set != 0)
    }

    /// Those of a reader's rights that make a difference to some layers.
    pub fn rights(&self, own: &Rights, set: LayerSet) -> Rights {
        own.among(|class| self.0.iter().any(|(c, layers)| *c == class && layers & set != 0))
    }
}

#[derive(Debug)]
struct Known {
    wording: u64,
    matcher: Arc<Matcher>,
}

/// The most matchers that are kept; beyond, all are forgotten and made again as they are asked for.
const MOST: usize = 512;

impl Matchers {
    /// The matcher of a layer, a filter and a reader's rights.
    pub fn of(&self, memory: &Memory, layer: &Layer, filter: Option<&Arc<Filter>>, rights: &Rights) -> Arc<Matcher> {
        let (key, wording) = ((layer.bit, filter.cloned(), rights.clone()), memory.wording);
        let lock = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(&key).filter(|k| k.wording == wording) {
            return known.matcher.clone();
        }
        let matcher = Arc::new(Matcher::new(memory, layer, filter.map(|f| &**f), rights));
        let new = Known {
            wording,
            matcher: matcher.clone(),
        };
        let mut known = lock();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(key, new);
        matcher
    }

    /// The restricted classes and their layers.
    pub fn restricted(&self, memory: &Memory) -> Restricted {
        let mut known = self.restricted.lock().unwrap_or_else(PoisonError::into_inner);
        if known.0 != memory.wording {
            let all = (0i32..).zip(shown_by_class(memory));
            let narrowed = all.filter(|(_, s)| s.restricted).map(|(class, s)| (class, s.layers));
            *known = (memory.wording, Restricted(narrowed.collect()));
        }
        known.1.clone()
    }
}
