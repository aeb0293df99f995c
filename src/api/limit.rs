//! How often somebody may do something: a bucket that fills evenly, for each.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Buckets kept.
const MAX_HELD: usize = 10_000;

/// So many at once, and so many a minute.
#[derive(Debug)]
pub struct Limiter {
    burst: f64,
    per_second: f64,
    held: Mutex<HashMap<String, (f64, Instant)>>,
}

impl Limiter {
    /// At most `burst` at once and `per_minute` in the long run, for each.
    pub fn new(burst: u32, per_minute: u32) -> Limiter {
        Limiter {
            burst: f64::from(burst.max(1)),
            per_second: f64::from(per_minute.max(1)) / 60.0,
            held: Mutex::default(),
        }
    }

    /// Takes `n` from the bucket of somebody (0 only looks), or says after how long it can be tried again.
    pub fn take(&self, who: &str, n: u32) -> Result<(), Duration> {
        let now = Instant::now();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= MAX_HELD {
            let full = |left: f64, since: Instant| left + since.elapsed().as_secs_f64() * self.per_second >= self.burst;
            held.retain(|_, (left, since)| !full(*left, *since));
            if held.len() >= MAX_HELD {
                held.clear();
            }
        }
        let (left, since) = held.get(who).copied().unwrap_or((self.burst, now));
        let left = (left + (now - since).as_secs_f64() * self.per_second).min(self.burst);
        if left < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - left) / self.per_second));
        }
        if n > 0 {
            held.insert(who.to_owned(), (left - f64::from(n), now));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_emptied_by_its_own_and_fills_evenly() {
        let limiter = Limiter::new(2, 60_000);
        assert!(limiter.take("a", 1).is_ok() && limiter.take("a", 1).is_ok());
        let wait = limiter.take("a", 1).unwrap_err();
        assert!(wait <= Duration::from_millis(1), "{wait:?}");
        assert!(limiter.take("b", 1).is_ok(), "each has its own");
        std::thread::sleep(Duration::from_millis(5));
        assert!(limiter.take("a", 1).is_ok());
        let slow = Limiter::new(1, 1);
        assert!(slow.take("a", 0).is_ok() && slow.take("a", 1).is_ok() && slow.take("a", 0).is_err());
        for n in 0..MAX_HELD + 10 {
            assert!(slow.take(&n.to_string(), 1).is_ok());
        }
        assert!(slow.held.lock().unwrap().len() <= MAX_HELD);
    }
}
