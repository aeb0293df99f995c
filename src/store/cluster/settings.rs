//! The private cluster's settings.

/// Only the socket, and only who the operating system says you are.
pub(super) const HBA: &str = "# Written by lamppost at every start.\nlocal all all peer map=lamppost\n";

/// Where the operator's own settings go; never written again.
pub(super) const LOCAL: &str = "# Your own settings for PostgreSQL; they win over those in lamppost.conf.\n";

/// Who may come in as which role: the account that runs PostgreSQL, and root, who could anyway.
pub(super) fn ident(account: &str) -> String {
    let mut map = String::from("# Written by lamppost at every start.\n");
    let mut names = vec![account, "root"];
    names.dedup();
    for name in names {
        // In a pg_ident field a quotation mark is doubled; a leading slash would make it a regular expression.
        let name = name.replace('"', "\"\"");
        for role in ["lamppost", "postgres"] {
            map.push_str(&format!("lamppost \"{name}\" {role}\n"));
        }
    }
    map
}

/// Settings for a machine with `memory_mb` of memory, which Lamppost's own copy of the register needs more than PostgreSQL does.
pub(super) fn conf(memory_mb: u64) -> String {
    let shared = (memory_mb / 16).clamp(32, 256);
    let cache = (memory_mb / 2).max(128);
    let maintenance = (memory_mb / 32).clamp(32, 256);
    let work = (memory_mb / 256).clamp(4, 16);
    format!(
        "# Written by lamppost at every start; put your own settings into local.conf beside this file.
max_connections = 50
shared_buffers = {shared}MB
effective_cache_size = {cache}MB
maintenance_work_mem = {maintenance}MB
work_mem = {work}MB
max_wal_size = 2GB
wal_compression = on
random_page_cost = 1.1
# Parallel workers need more /dev/shm than a container gives by default, and the register's questions are short.
max_parallel_workers_per_gather = 0
max_parallel_maintenance_workers = 0
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] '
log_checkpoints = off
client_min_messages = warning
idle_in_transaction_session_timeout = 10min
include_if_exists 'local.conf'

# What a client was told is written stays written; not for local.conf to change.
fsync = on
full_page_writes = on
synchronous_commit = on
"
    )
}

/// What this process may use: the machine's memory, or less in a container.
pub(super) fn memory_mb() -> u64 {
    let machine = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|info| {
            let line = info.lines().find(|l| l.starts_with("MemTotal:"))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        })
        .map_or(2048, |kb| kb / 1024);
    let container = std::fs::read_to_string("/sys/fs/cgroup/memory.max")
        .ok()
        .and_then(|max| max.trim().parse::<u64>().ok())
        .map(|bytes| bytes >> 20);
    container.map_or(machine, |c| c.min(machine))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_large_machines_get_their_share() {
        assert!(conf(256).contains("shared_buffers = 32MB"));
        assert!(conf(24_000).contains("shared_buffers = 256MB"));
    }

    #[test]
    fn durability_comes_after_what_the_operator_may_change() {
        let conf = conf(1000);
        let local = conf.find("local.conf'");
        assert!(local < conf.find("\nfsync = on") && local < conf.find("\nfull_page_writes = on"));
    }

    #[test]
    fn root_maps_once_and_odd_names_are_quoted() {
        assert_eq!(ident("root").matches("\"root\" lamppost").count(), 1);
        assert!(ident("DOM\\jo \"x\"").contains("lamppost \"DOM\\jo \"\"x\"\"\" lamppost"));
    }
}
