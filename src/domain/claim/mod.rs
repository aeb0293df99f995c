//! Who holds a role of a component, and how that comes about. Each component has three roles, and each (component, role) has a book
//! of its own: the claims that were made on it, the [`state`] that they leave it in, and the decisions, which say who holds it on
//! which days, as known at which revision ([`holding`]). Pure: a person is a name, a party is the register's number, a day is a
//! calendar day of the city.
//!
//! Source of the states and of what leads from one to the next: found practice of city plans and notices; no standard sets them.
pub mod book;
pub mod holding;
pub mod state;

/// Days in which a dispute is to be ruled, where nobody says otherwise. Ours: no standard sets it.
pub const DISPUTE_DAYS: i32 = 30;
