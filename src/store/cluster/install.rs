//! Which PostgreSQL with PostGIS this machine has.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Error, Result};
use crate::text;

/// The oldest PostgreSQL that the register runs on.
pub const OLDEST_MAJOR: u32 = 14;

/// One installed PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Install {
    /// Its major version.
    pub(super) major: u32,
    /// Where `postgres` and `initdb` are.
    pub(super) bin: PathBuf,
    /// Whether PostGIS is installed for this major.
    pub(super) postgis: bool,
}

/// Every place where distributions, installers and the user's own `PATH` put PostgreSQL.
pub(super) fn usual_places() -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default();
    places.extend(ask(Path::new("pg_config"), "--bindir").map(PathBuf::from));
    for (parent, below) in [
        ("/usr/lib/postgresql", "bin"),
        ("/usr", "bin"),
        ("/opt/homebrew/opt", "bin"),
        ("/usr/local/opt", "bin"),
        ("/usr/local", "bin"),
        ("/Applications/Postgres.app/Contents/Versions", "bin"),
    ] {
        let Ok(entries) = std::fs::read_dir(parent) else {
            continue;
        };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let versioned = parent.ends_with("postgresql") || parent.ends_with("Versions");
            if versioned || name.starts_with("pgsql") || name.starts_with("postgresql") {
                places.push(entry.path().join(below));
            }
        }
    }
    places
}

/// The PostgreSQL installations among `places`, one for each major, oldest first.
pub(super) fn search(places: &[PathBuf]) -> Vec<Install> {
    let mut found: BTreeMap<u32, Install> = BTreeMap::new();
    let mut seen = Vec::new();
    for place in places {
        // Links in /usr/local/bin lead to the real directory, where all the programs of that version are.
        let Ok(postgres) = place.join("postgres").canonicalize() else {
            continue;
        };
        let Some(bin) = postgres.parent().map(Path::to_owned) else {
            continue;
        };
        if seen.contains(&bin) || !bin.join("initdb").exists() {
            continue;
        }
        let version = ask(&postgres, "--version").and_then(|v| major(&v));
        if let Some(major) = version {
            let postgis = has_postgis(&bin, major);
            let better = found.get(&major).is_none_or(|old| postgis && !old.postgis);
            if better {
                found.insert(
                    major,
                    Install {
                        major,
                        bin: bin.clone(),
                        postgis,
                    },
                );
            }
        }
        seen.push(bin);
    }
    found.into_values().collect()
}

/// The installation to use: the one that made the cluster, or the newest for a new one.
pub(super) fn choose(installed: &[Install], existing: Option<u32>, dir: &Path) -> Result<Install> {
    let usable = |i: &&Install| i.major >= OLDEST_MAJOR;
    let Some(major) = existing else {
        let newest = installed.iter().rev().filter(usable).find(|i| i.postgis);
        return newest.cloned().ok_or_else(|| missing(installed));
    };
    match installed.iter().find(|i| i.major == major) {
        Some(install) if install.postgis && major >= OLDEST_MAJOR => Ok(install.clone()),
        Some(_) if major >= OLDEST_MAJOR => Err(Error::Setup(text!(
            "PostgreSQL {major} 缺少 PostGIS:请安装 Debian 软件包 postgresql-{major}-postgis-3",
            "PostgreSQL {major} has no PostGIS: install the Debian package postgresql-{major}-postgis-3"
        ))),
        _ => {
            let dir = dir.display();
            let have = majors(installed);
            Err(Error::Setup(text!(
                "{dir} 属于 PostgreSQL {major}，而本机可用的是：{have}。请安装 postgresql-{major}-postgis-3，或用 pg_upgrade 升级，或用 --data-dir 选择其他目录",
                "{dir} belongs to PostgreSQL {major}, but this machine has: {have}. Install postgresql-{major}-postgis-3, or upgrade the directory with pg_upgrade, or choose another with --data-dir"
            )))
        }
    }
}

fn missing(installed: &[Install]) -> Error {
    let have = majors(installed);
    if let Some(major) = installed.iter().map(|i| i.major).rfind(|m| *m >= OLDEST_MAJOR) {
        return Error::Setup(text!(
            "PostgreSQL {major} 缺少 PostGIS:请安装 Debian 软件包 postgresql-{major}-postgis-3",
            "PostgreSQL {major} has no PostGIS: install the Debian package postgresql-{major}-postgis-3"
        ));
    }
    let package = std::fs::read_to_string("/etc/os-release")
        .ok()
        .and_then(|release| packaged_major(&release))
        .map_or("postgresql postgresql-postgis".to_owned(), |major| {
            format!("postgresql-{major}-postgis-3")
        });
    Error::Setup(text!(
        "没有找到 PostgreSQL {OLDEST_MAJOR} 或更新版本（本机：{have}）。请执行 apt install {package}，或用 --database-url 使用现有服务器",
        "PostgreSQL {OLDEST_MAJOR} or later is not installed (found: {have}). Run `apt install {package}`, or name a server with --database-url"
    ))
}

fn majors(installed: &[Install]) -> String {
    if installed.is_empty() {
        return "-".to_owned();
    }
    let list: Vec<String> = installed.iter().map(|i| i.major.to_string()).collect();
    list.join(", ")
}

/// The PostgreSQL that a Debian or Ubuntu release packages.
fn packaged_major(os_release: &str) -> Option<u32> {
    let value = |key: &str| {
        os_release
            .lines()
            .find_map(|l| l.strip_prefix(key)?.strip_prefix('='))
            .map(|v| v.trim_matches('"'))
    };
    match (value("ID")?, value("VERSION_ID")?) {
        ("debian", "12") => Some(15),
        ("debian", "13") => Some(17),
        ("ubuntu", "22.04") => Some(14),
        ("ubuntu", "24.04") => Some(16),
        _ => None,
    }
}

/// `postgres (PostgreSQL) 15.18 (Debian …)` → 15; a beta is `17beta1`.
/// The major version of one of the programs.
pub(super) fn version_of(program: &Path) -> Option<u32> {
    ask(program, "--version").and_then(|v| major(&v))
}

fn major(version: &str) -> Option<u32> {
    let number = version.split("(PostgreSQL)").nth(1)?.trim_start();
    let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    number[..end].parse().ok()
}

fn has_postgis(bin: &Path, major: u32) -> bool {
    let told = ask(&bin.join("pg_config"), "--sharedir").map(PathBuf::from);
    told.into_iter()
        .chain([
            PathBuf::from(format!("/usr/share/postgresql/{major}")),
            bin.join("../share/postgresql"),
            bin.join("../share"),
        ])
        .any(|share| share.join("extension/postgis.control").exists())
}

fn ask(program: &Path, question: &str) -> Option<String> {
    let out = Command::new(program)
        .arg(question)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    out.status
        .success()
        .then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(major: u32, postgis: bool) -> Install {
        Install {
            major,
            bin: PathBuf::from("/x"),
            postgis,
        }
    }

    #[test]
    fn an_empty_machine_is_told_the_package() {
        let none = search(&[]);
        assert_eq!(none, []);
        let said = choose(&none, None, Path::new("/d")).unwrap_err().to_string();
        assert!(said.contains("apt install postgresql"), "{said}");
        assert!(said.contains("postgis"), "{said}");
    }

    #[test]
    fn postgis_is_named_for_the_newest_major_that_lacks_it() {
        let said = choose(&[install(14, false), install(16, false)], None, Path::new("/d"))
            .unwrap_err()
            .to_string();
        assert!(said.contains("postgresql-16-postgis-3"), "{said}");
    }

    #[test]
    fn a_new_cluster_takes_the_newest_with_postgis_and_an_old_one_keeps_its_own() {
        let machine = [install(14, true), install(15, true), install(17, false)];
        let major = |existing| choose(&machine, existing, Path::new("/d")).unwrap().major;
        assert_eq!(major(None), 15);
        assert_eq!(major(Some(14)), 14);
    }

    #[test]
    fn a_directory_of_another_major_is_named_as_such() {
        let said = choose(&[install(15, true)], Some(13), Path::new("/d"))
            .unwrap_err()
            .to_string();
        assert!(
            said.contains("belongs to PostgreSQL 13") && said.contains("has: 15"),
            "{said}"
        );
    }

    #[test]
    fn versions_and_releases_are_read() {
        assert_eq!(major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), Some(15));
        assert_eq!(major("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major("bash 5"), None);
        assert_eq!(packaged_major("ID=debian\nVERSION_ID=\"12\"\n"), Some(15));
        assert_eq!(packaged_major("ID=arch\n"), None);
    }
}
