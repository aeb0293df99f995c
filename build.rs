//! Notices a rebuilt page: rust-embed takes web/dist as it is when the crate is compiled. Where there is no page, nothing is
//! watched (Cargo would compile again and again for a missing path); `scripts/web` touches this file when there is one.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::path::Path::new("web/dist").is_dir() {
        println!("cargo::rerun-if-changed=web/dist");
    }
    // The migrations are compiled in, too.
    println!("cargo::rerun-if-changed=migrations");
}
