//! Codes, parties, ownership and states of the stock.

use chrono::{Days, NaiveDate};
use rand::Rng;

use super::district::Note;
use super::kind::{CLASSES, Kind, ownership, party};
use super::layout::Layout;
use super::plane::rng;
use super::stock::Item;
use crate::domain::word::{ManagementKind, OwnershipStatus, PropertyKind, RoadClass, State};
use crate::store::bulk::{ComponentRow, District};

/// Codes, parties, ownership and state of every item.
pub(super) fn finish(
    seed: u64,
    d: i64,
    code: u32,
    layout: &Layout,
    items: Vec<Item>,
    rows: &mut District,
) -> Vec<Note> {
    let mut rng = rng(seed, "ownership", d, 0);
    let mut serials = vec![0_usize; Kind::ALL.len()];
    let mut notes = Vec::with_capacity(items.len());
    let offices = rows.parties.len() - party::OFFICES;
    for item in items {
        let k = item.kind.number();
        serials[k] += 1;
        let class = item.street.map(|s| layout.streets[s].class);
        let settled = match class {
            Some(RoadClass::Arterial) => 0.88,
            Some(RoadClass::Secondary) => 0.77,
            Some(RoadClass::Local) => 0.62,
            Some(RoadClass::Lane) => 0.36,
            None => 0.70,
        };
        // Ownership is settled street by street and estate by estate; here and there one thing differs.
        let mut place = super::plane::rng(seed, "cluster", d, item.cluster as i64);
        let together: f64 = place.random();
        let draw = if rng.random_bool(0.85) { together } else { rng.random() };
        let status = ownership(draw, settled);
        let estate = if class == Some(RoadClass::Lane) || class.is_none() {
            party::ESTATES + item.cluster % party::ESTATE_COUNT
        } else {
            party::OFFICES + item.cluster % offices.max(1)
        };
        let roles = item.kind.roles();
        let one = |p: usize| {
            if p == party::ADS {
                party::ADS + item.cluster % party::AD_COUNT
            } else {
                p
            }
        };
        let mut left = rng.random_range(0..100_u32);
        let mut owner = estate;
        for &(share, p) in roles.owners {
            if left < share {
                owner = one(p);
                break;
            }
            left -= share;
        }
        let known = match status {
            OwnershipStatus::Unclaimed => false,
            OwnershipStatus::Unsurveyed => rng.random_bool(0.25),
            _ => true,
        };
        let public = owner < party::ADS && !matches!(owner, party::CHARGING | party::BIKES | party::TELECOM)
            || owner >= party::OFFICES;
        let property = if public {
            PropertyKind::State
        } else {
            PropertyKind::Social
        };
        let professional = public && class != Some(RoadClass::Lane);
        let management = if professional {
            ManagementKind::Professional
        } else {
            ManagementKind::Social
        };
        let unsurveyed = status == OwnershipStatus::Unsurveyed;
        let state = match rng.random_range(0..1000) {
            0..22 => State::Damaged,
            22..30 if item.kind.can_vanish() => State::Missing,
            30..38 => State::Abandoned,
            _ => State::Intact,
        };
        let address = item
            .street
            .filter(|_| item.number > 0)
            .map(|s| format!("{}{}号", rows.roads[s].name, item.number));
        let address = address.or_else(|| item.street.map(|s| rows.roads[s].name.clone()));
        // Surveyed street by street over the summer before the register begins.
        let day = (item.cluster % 140) as u64 + rng.random_range(0..4);
        let surveyed_on = NaiveDate::from_ymd_opt(2025, 5, 26).unwrap_or_default() + Days::new(day);
        let maintainer = Some(one(roles.maintainer)).filter(|_| known || rng.random_bool(0.7));
        notes.push(Note {
            kind: item.kind,
            at: item.at,
            street: item.street,
        });
        rows.components.push(ComponentRow {
            scheme: CLASSES[k].0,
            code: item.kind.code(code, serials[k]),
            class: k,
            name: item.name,
            geom: item.geom,
            state,
            authority: Some(roles.authority),
            owner: known.then_some(owner),
            maintainer: if professional || !known {
                maintainer
            } else {
                Some(estate)
            },
            ownership_status: status,
            property_kind: known.then_some(property),
            management_kind: (!unsurveyed).then_some(management),
            address,
            road: item.street,
            part_of: item.part_of,
            surveyed_on,
            accuracy: item.kind.accuracy(),
            attributes: item.attributes,
            later: false,
        });
    }
    notes
}
