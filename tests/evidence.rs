//! Documents as files: what is taken, what is refused, who reads them, and what a crash leaves.

use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::http::{Method, Request};
use futures_util::stream;
use lamppost::archive::Archive;
use lamppost::domain::grant::{Grant, Rights};
use lamppost::domain::word::Access;
use lamppost::spatial::datum::Datum;
use serde_json::{Value, json};
use sqlx::PgPool;
use tower::ServiceExt;

use crate::support::{Answer, Town, town_with};

const MOST: u64 = 1 << 20;

struct Desk {
    town: Town,
    dir: tempfile::TempDir,
    clerk: String,
}

async fn desk(pool: PgPool) -> Desk {
    let dir = tempfile::tempdir().unwrap();
    let archive = Archive::open(dir.path(), MOST).await.unwrap();
    let town = town_with(pool, |app| app.archive = archive).await;
    let clerk = town.state.store.add_token("张经办", Access::Clerk).await.unwrap();
    Desk { town, dir, clerk }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        if entry.path().is_dir() {
            out.extend(files(&entry.path()));
        } else {
            out.push(entry.path());
        }
    }
    out
}

fn body(name: &str, bytes: &[u8], fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (field, value) in fields {
        out.extend(format!("--xx\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n").bytes());
    }
    out.extend(format!("--xx\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n").bytes());
    out.extend(bytes);
    out.extend(b"\r\n--xx--\r\n");
    out
}

impl Desk {
    async fn send(&self, body: Body) -> Answer {
        let request = Request::post("/evidence")
            .header("authorization", format!("Bearer {}", self.clerk))
            .header("content-type", "multipart/form-data; boundary=xx");
        let response = self
            .town
            .door
            .clone()
            .oneshot(request.body(body).unwrap())
            .await
            .unwrap();
        let (head, body) = response.into_parts();
        Answer {
            status: head.status,
            headers: head.headers,
            bytes: axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec(),
        }
    }

    async fn upload(&self, name: &str, bytes: &[u8]) -> Answer {
        let fields = [
            ("kind", "移交协议"),
            ("number", "津路灯〔2026〕7号"),
            ("date", "2026-03-01"),
        ];
        self.send(Body::from(body(name, bytes, &fields))).await
    }

    async fn get(&self, path: &str, token: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        self.town
            .send(Method::GET, path, &[("authorization", &bearer)], "")
            .await
    }

    async fn claim(&self, lamp: i64, evidence: &[Value]) -> Answer {
        let bearer = format!("Bearer {}", self.clerk);
        let body =
            json!({"role": "owner", "kind": "claim", "parties": ["A"], "from": "2026-01-01", "evidence": evidence});
        let path = format!("/components/{lamp}/claims");
        self.town
            .send(Method::POST, &path, &[("authorization", &bearer)], &body.to_string())
            .await
    }
}

/// A JPEG that is nothing but its EXIF, with a position in degrees, minutes and seconds.
fn photo(lon: f64, lat: f64) -> Vec<u8> {
    let parts = |degrees: f64| {
        let (d, m) = (degrees.trunc(), degrees.fract() * 60.0);
        let s = (m.fract() * 60.0 * 10_000.0).round();
        [(d as u32, 1u32), (m.trunc() as u32, 1), (s as u32, 10_000)]
    };
    // Little-endian TIFF: one entry that leads to the GPS directory, four entries there, then the two triples.
    let mut tiff = b"II*\0\x08\0\0\0".to_vec();
    let entry = |tiff: &mut Vec<u8>, tag: u16, kind: u16, count: u32, value: [u8; 4]| {
        tiff.extend(tag.to_le_bytes());
        tiff.extend(kind.to_le_bytes());
        tiff.extend(count.to_le_bytes());
        tiff.extend(value);
    };
    tiff.extend(1u16.to_le_bytes());
    entry(&mut tiff, 0x8825, 4, 1, 26u32.to_le_bytes());
    tiff.extend([0; 4]);
    tiff.extend(4u16.to_le_bytes());
    entry(&mut tiff, 1, 2, 2, *b"N\0\0\0");
    entry(&mut tiff, 2, 5, 3, 80u32.to_le_bytes());
    entry(&mut tiff, 3, 2, 2, *b"E\0\0\0");
    entry(&mut tiff, 4, 5, 3, 104u32.to_le_bytes());
    tiff.extend([0; 4]);
    for (n, d) in parts(lat).into_iter().chain(parts(lon)) {
        tiff.extend(n.to_le_bytes());
        tiff.extend(d.to_le_bytes());
    }
    let mut out = vec![0xFF, 0xD8, 0xFF, 0xE1];
    out.extend((tiff.len() as u16 + 8).to_be_bytes());
    out.extend(b"Exif\0\0");
    out.extend(tiff);
    out.extend([0xFF, 0xD9]);
    out
}

fn zipped(names: &[&str]) -> Vec<u8> {
    use std::io::Write;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for name in names {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(b"<x/>").unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[sqlx::test]
async fn one_letter_backs_any_number_of_claims_and_is_read_by_who_may(pool: PgPool) {
    let d = desk(pool).await;
    sqlx::query("insert into party (code, name) values ('A', '甲')")
        .execute(&d.town.pool)
        .await
        .unwrap();
    let lamps = d.town.lamps(&[(117.2, 39.1), (117.21, 39.1)]).await;
    let letter = b"%PDF-1.7 a sealed letter";
    let sent = d.upload("移交协议 7号.pdf", letter).await;
    assert_eq!(sent.status, 201, "{}", String::from_utf8_lossy(&sent.bytes));
    let sent = sent.json();
    let id = sent["id"].clone();
    assert_eq!(
        (&sent["kind"], &sent["file"]["bytes"], &sent["file"]["media"]),
        (&json!("移交协议"), &json!(letter.len()), &json!("application/pdf"))
    );
    let path = format!("/evidence/{id}/file");
    let store = &d.town.state.store;
    let reader = store.add_token("读者", Access::Reader).await.unwrap();
    assert_eq!(
        d.get(&path, &reader).await.status,
        404,
        "before it backs anything it is its sender's"
    );
    for lamp in &lamps {
        let made = d.claim(*lamp, &[json!({"id": id})]).await;
        assert_eq!(made.status, 201, "{}", made.json());
        assert_eq!(
            made.json()["book"]["claims"][0]["evidence"][0]["file"]["name"],
            "移交协议 7号.pdf"
        );
    }
    let read = d.get(&path, &reader).await;
    assert_eq!((read.status.as_u16(), &read.bytes[..]), (200, &letter[..]));
    for (name, value) in [
        ("content-type", "application/pdf"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "private, no-store"),
    ] {
        assert_eq!(read.header(name), value);
    }
    assert!(
        read.header("content-disposition")
            .starts_with("inline; filename*=UTF-8''%E7%A7%BB")
    );
    assert!(read.header("content-security-policy").contains("default-src 'none'"));
    assert_eq!(d.town.get(&path).await.status, 401);
    // The same bytes again are another document and the same file.
    assert_eq!(d.upload("again.pdf", letter).await.status, 201);
    assert_eq!(files(d.dir.path()).len(), 1);
    let wrong = d.claim(lamps[0], &[json!({"id": 999})]).await;
    assert_eq!(
        (wrong.status.as_u16(), wrong.json()["errors"][0]["pointer"].clone()),
        (422, json!("/evidence/0/id"))
    );
    // Once it backs what is restricted, it takes that right.
    d.town
        .sql("update class set restricted = true where code = '0118'")
        .await;
    assert_eq!(d.get(&path, &reader).await.status, 404);
    assert_eq!(d.get(&path, &d.clerk).await.status, 404, "also of who sent it");
    let seeing = Grant {
        rights: Rights::to([d.town.lamp_class().await]),
        ..Grant::of("看得见", Access::Reader)
    };
    let seeing = store.issue(&seeing).await.unwrap();
    assert_eq!(d.get(&path, &seeing).await.status, 200);
}

#[sqlx::test]
async fn each_kind_is_known_by_its_bytes(pool: PgPool) {
    let d = desk(pool).await;
    let png = b"\x89PNG\r\n\x1a\n....".to_vec();
    let kinds = [
        ("a.jpeg", photo(117.2, 39.1), "image/jpeg", true),
        ("a.PNG", png, "image/png", true),
        (
            "a.ofd",
            zipped(&["OFD.xml", "Doc_0/Document.xml"]),
            "application/ofd",
            false,
        ),
        (
            "a.docx",
            zipped(&["word/document.xml"]),
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            false,
        ),
        (
            "a.xlsx",
            zipped(&["xl/workbook.xml"]),
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            false,
        ),
        ("a.dwg", b"AC1032 a drawing".to_vec(), "image/vnd.dwg", false),
    ];
    for (name, bytes, media, shown) in kinds {
        let sent = d.upload(name, &bytes).await.json();
        assert_eq!(sent["file"]["media"], media, "{sent}");
        let read = d.get(&format!("/evidence/{}/file", sent["id"]), &d.clerk).await;
        assert_eq!(read.bytes, bytes);
        assert_eq!(
            read.header("content-disposition").starts_with("inline"),
            shown,
            "{name}"
        );
    }
}

#[sqlx::test]
async fn what_is_not_what_it_says_is_refused_and_leaves_nothing(pool: PgPool) {
    let d = desk(pool).await;
    let script = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>";
    let cases: [(&str, &[u8], &str); 9] = [
        ("letter.jpg", b"%PDF-1.7", "pdf"),
        ("letter.pdf", b"", "空"),
        ("../../etc/letter.pdf", b"%PDF-1.7", "路径"),
        ("C:\\letter.pdf", b"%PDF-1.7", "路径"),
        ("photo.svg", script, "无法识别"),
        ("photo.png", script, "无法识别"),
        ("page.html", b"<!doctype html><script>1</script>", "无法识别"),
        ("a.docx", &zipped(&["xl/workbook.xml"]), "xlsx"),
        ("a.zip", &zipped(&["a.exe"]), "无法识别"),
    ];
    for (name, bytes, said) in cases {
        let refused = d.upload(name, bytes).await;
        assert_eq!(refused.status, 422, "{name}");
        let fault = &refused.json()["errors"][0];
        assert_eq!(fault["pointer"], "/file");
        assert!(fault["detail"].as_str().unwrap().contains(said), "{name}: {fault}");
    }
    // A stream that never ends, one that breaks off, and one that says nothing of what it is.
    let head = body("big.pdf", b"%PDF-1.7", &[("kind", "x")]);
    let head = head[..head.len() - 10].to_vec();
    // As a socket gives it: piece by piece.
    let endless = stream::unfold(Some(head.clone()), async |first| {
        tokio::task::yield_now().await;
        let piece = first.unwrap_or_else(|| vec![b' '; 1 << 16]);
        Some((Ok::<_, std::io::Error>(piece), None))
    });
    let big = d.send(Body::from_stream(endless)).await;
    assert_eq!(big.status, 413, "{}", big.json());
    assert_eq!(d.send(Body::from(head)).await.status, 400);
    let nameless = d.send(Body::from(body("a.pdf", b"%PDF-1.7", &[]))).await;
    assert_eq!(
        (
            nameless.status.as_u16(),
            nameless.json()["errors"][0]["pointer"].clone()
        ),
        (422, json!("/kind"))
    );
    assert_eq!(files(d.dir.path()), [] as [PathBuf; 0]);
    let rows: i64 = sqlx::query_scalar("select count(*) from evidence")
        .fetch_one(&d.town.pool)
        .await
        .unwrap();
    assert_eq!(rows, 0);
}

/// A telephone's camera may write down the position of its map, which is hundreds of metres off.
#[sqlx::test]
async fn a_photo_is_compared_with_where_the_component_stands(pool: PgPool) {
    let d = desk(pool).await;
    sqlx::query("insert into party (code, name) values ('A', '甲')")
        .execute(&d.town.pool)
        .await
        .unwrap();
    let lamps = d.town.lamps(&[(117.2, 39.1), (117.3, 39.1), (117.4, 39.1)]).await;
    let shifted = Datum::Gcj02.from_wgs84(117.3, 39.1);
    for (lamp, taken, fits) in [
        (lamps[0], (117.2002, 39.1001), json!("wgs84")),
        (lamps[1], shifted, json!("gcj02")),
        (lamps[2], (117.2, 39.1), json!(null)),
    ] {
        let id = d.upload("现场照片.jpg", &photo(taken.0, taken.1)).await.json()["id"].clone();
        let made = d.claim(lamp, &[json!({"id": id})]).await.json();
        let photo = &made["book"]["claims"][0]["evidence"][0]["photo"];
        assert_eq!(photo["fits"], fits, "{photo}");
        let naive = {
            let (dx, dy) = (
                (taken.0 - [117.2, 117.3, 117.4][lamps.iter().position(|l| *l == lamp).unwrap()]) * 86_400.0,
                (taken.1 - 39.1) * 111_000.0,
            );
            dx.hypot(dy)
        };
        let said = photo["distance_m"].as_f64().unwrap();
        assert!((said - naive).abs() < 0.01 * naive + 0.5, "{said} {naive}");
    }
}

/// The file is there before the row: what a crash can leave is a file too many, which is told.
#[sqlx::test]
async fn a_crash_between_file_and_row_leaves_no_row_without_a_file(pool: PgPool) {
    let d = desk(pool).await;
    assert_eq!(d.upload("a.pdf", b"%PDF-1.7 known").await.status, 201);
    let archive = Archive::look(d.dir.path());
    let store = &d.town.state.store;
    let differences = async || {
        archive
            .differences(store.document_files().await.unwrap())
            .await
            .unwrap()
    };
    assert_eq!(differences().await, (vec![], vec![]));
    // Kept, and then nothing more was done.
    let mut arrival = d.town.state.archive.receive("b.pdf").await.unwrap();
    arrival.write(b"%PDF-1.7 orphan").await.unwrap();
    arrival.keep().await.unwrap();
    let (over, lost) = differences().await;
    assert_eq!((over.len(), lost.len()), (1, 0));
    // One that never came whole goes when the service starts again.
    let mut arrival = d.town.state.archive.receive("c.pdf").await.unwrap();
    arrival.write(b"%PDF-1.7 half").await.unwrap();
    std::mem::forget(arrival);
    assert_eq!(files(&d.dir.path().join("incoming")).len(), 1);
    Archive::open(d.dir.path(), MOST).await.unwrap();
    assert_eq!(files(&d.dir.path().join("incoming")).len(), 0);
    // And a file that is touched is found.
    let known = files(d.dir.path())
        .into_iter()
        .find(|f| std::fs::read(f).unwrap().ends_with(b"known"))
        .unwrap();
    std::fs::write(known, "other").unwrap();
    assert_eq!(differences().await.1.len(), 1);
}
