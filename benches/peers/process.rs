//! Processes: start, stop, hold, and what they cost.

use std::fs::{File, read_dir, read_to_string};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Result;

/// A process that ends with this one.
pub(crate) struct Process {
    child: Child,
    pub(crate) log: PathBuf,
}

impl Process {
    /// Starts a command; what it says goes to `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Process> {
        let out = File::create(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .map_err(|e| format!("{:?} does not start: {e}", command.get_program()))?;
        Ok(Process {
            child,
            log: log.to_owned(),
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Fails when the process has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                let said = read_to_string(&self.log).unwrap_or_default();
                Err(format!("{} ended with {status}:\n{said}", self.log.display()).into())
            }
        }
    }

    /// Holds the process, so that it costs nothing while others are measured.
    pub(crate) fn hold(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets a held process go on.
    pub(crate) fn go(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.pid()).ok().and_then(Pid::from_raw) {
            // One that has ended is noticed by `check`.
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::CONT);
        self.signal(Signal::TERM);
        let patience = Instant::now() + Duration::from_secs(120);
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > patience {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The numbers of `/proc/PID/stat` after the name: state is 0, the parent 1, user and system time 11 and 12, those of ended and
/// awaited children 13 and 14.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

fn ticks(stat: &[String], fields: std::ops::RangeInclusive<usize>) -> u64 {
    fields
        .filter_map(|n| stat.get(n))
        .filter_map(|s| s.parse::<u64>().ok())
        .sum()
}

/// CPU of a process so far, user and system, all threads, in ticks.
pub(crate) fn cpu(pid: u32) -> u64 {
    stat(pid).map_or(0, |s| ticks(&s, 11..=12))
}

/// CPU of a postmaster and of all its children, also those that have ended, in ticks.
pub(crate) fn cpu_with_children(pid: u32) -> Result<u64> {
    let own = stat(pid).ok_or("the postmaster is gone")?;
    let mut sum = ticks(&own, 11..=14);
    for entry in read_dir("/proc")? {
        let Some(child) = entry?.file_name().to_str().and_then(|n| n.parse().ok()) else {
            continue;
        };
        if let Some(s) = stat(child)
            && s.get(1).and_then(|p| p.parse().ok()) == Some(pid)
        {
            sum += ticks(&s, 11..=12);
        }
    }
    Ok(sum)
}

/// A line of `/proc/PID/status` in bytes: `VmRSS`, `VmHWM`.
pub(crate) fn memory(pid: u32, line: &str) -> Result<u64> {
    let status = read_to_string(format!("/proc/{pid}/status"))?;
    let kb = status.lines().find_map(|l| l.strip_prefix(line)?.strip_prefix(':'));
    let kb = kb.and_then(|l| l.split_whitespace().next()).ok_or("no such line")?;
    Ok(kb.parse::<u64>()? << 10)
}
