//! `lamppost demo`.
mod layout;
mod mesh;
mod plane;

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn dump() {
        let t = std::time::Instant::now();
        let l = layout::cut(1, layout::Slot { column: 0, row: 0, last_column: true, last_row: true });
        eprintln!("{:?} faces {} blocks {} streets {} comm {}", t.elapsed(), l.faces.len(), l.blocks.len(), l.streets.len(), l.communities.len());
        let mut out = String::new();
        use std::fmt::Write;
        let f = |r: &[u32]| r.iter().map(|n| { let p = l.mesh.xy(*n); format!("{:.2} {:.2}", p.x, p.y) }).collect::<Vec<_>>().join(",");
        for c in &l.faces { writeln!(out, "face|{}|{}|{}", c.community, l.communities[c.community], f(&c.corners)).unwrap(); }
        for b in &l.blocks { writeln!(out, "block|{:?}|0|{}", b.zone, f(&b.corners)).unwrap(); }
        for s in &l.streets { for c in &s.chords { writeln!(out, "road|{}|0|{}", s.class, f(&l.mesh.chain(c.0, c.1))).unwrap(); } }
        std::fs::write("/tmp/pg-demo/layout.txt", out).unwrap();
    }
}
