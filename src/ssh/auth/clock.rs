//! The time that a host may take for a login.

use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::sleep;

/// A limit for the host alone: what an agent, a person or a program of ours takes meanwhile is not charged to it.
#[derive(Debug)]
pub(super) struct Clock {
    limit: Duration,
    began: Instant,
    ours: Mutex<Ours>,
}

/// The time that was ours.
#[derive(Debug, Default)]
struct Ours {
    past: Duration,
    since: Option<Instant>,
}

/// While this lives, the clock stands still.
pub(super) struct Pause<'a>(&'a Clock);

impl Clock {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, began: Instant::now(), ours: Mutex::default() }
    }

    /// Stops the clock. Not twice at a time.
    pub(super) fn pause(&self) -> Pause<'_> {
        self.ours.lock().unwrap_or_else(PoisonError::into_inner).since = Some(Instant::now());
        Pause(self)
    }

    /// The time that is left.
    fn left(&self) -> Duration {
        let ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        let until = ours.since.unwrap_or_else(Instant::now);
        self.limit.saturating_sub(until.duration_since(self.began).saturating_sub(ours.past))
    }

    /// Does the work as long as there is time.
    pub(super) async fn bound<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        loop {
            let left = self.left();
            if left.is_zero() {
                return None;
            }
            tokio::select! {
                done = &mut work => return Some(done),
                () = sleep(left) => {}
            }
        }
    }
}

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        let mut ours = self.0.ours.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(since) = ours.since.take() {
            ours.past += since.elapsed();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_clock_that_stands_still_does_not_run_out() {
        let clock = Clock::new(Duration::from_millis(300));
        let work = async {
            let pause = clock.pause();
            sleep(Duration::from_millis(900)).await;
            drop(pause);
            "done"
        };
        assert_eq!(clock.bound(work).await, Some("done"));
        assert_eq!(clock.bound(std::future::pending::<()>()).await, None);
    }
}
