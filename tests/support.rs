//! What the tests share.

/// The server for tests that make databases of their own.
pub fn database_url() -> String {
    match std::env::var("DATABASE_URL") {
        Ok(url) if !url.is_empty() => url,
        _ => panic!(
            "these tests need a PostgreSQL with PostGIS: run `make test`, or first `export DATABASE_URL=$(scripts/test-db)`"
        ),
    }
}

/// Says that a test could not run. Only absent reference data excuse one: `.ci/run` fails on any other reason.
#[allow(dead_code, reason = "every test may come to need it")]
pub fn skipped(why: &str) {
    println!("SKIPPED {why}");
}
