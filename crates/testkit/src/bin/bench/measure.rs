//! Clocks, memory and distributions. What is measured is up to the benches.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    let secs = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(secs, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// The machine's monotonic clock, the same in every process.
pub(crate) fn monotonic() -> Duration {
    read(ClockId::Monotonic)
}

/// User and system time that this process has used, all threads together: what `getrusage` says,
/// in nanoseconds instead of ticks.
pub(crate) fn process_cpu() -> Duration {
    read(ClockId::ProcessCPUTime)
}

/// User and system time that this thread has used.
pub(crate) fn thread_cpu() -> Duration {
    read(ClockId::ThreadCPUTime)
}

/// What a piece of work took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// CPU time of this process.
    pub(crate) cpu: Duration,
    /// Time on the wall.
    pub(crate) wall: Duration,
}

/// Does a piece of work and says what it took.
pub(crate) fn cost<T>(work: impl FnOnce() -> T) -> (T, Cost) {
    let (cpu, wall) = (process_cpu(), monotonic());
    let result = work();
    let cost =
        Cost { cpu: process_cpu().saturating_sub(cpu), wall: monotonic().saturating_sub(wall) };
    (result, cost)
}

/// CPU microseconds of one call of `work`, over as many calls as fill about `for_at_least`.
pub(crate) fn micros_each<T>(
    for_at_least: Duration,
    mut work: impl FnMut() -> super::Fallible<T>,
) -> super::Fallible<f64> {
    work()?;
    let start = process_cpu();
    let mut calls = 0_u32;
    loop {
        for _ in 0..8 {
            std::hint::black_box(work()?);
        }
        calls += 8;
        let spent = process_cpu().saturating_sub(start);
        if spent >= for_at_least {
            return Ok(micros(spent) / f64::from(calls));
        }
    }
}

/// A duration in microseconds.
pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// A duration in milliseconds.
pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// What the kernel says about the memory of this process, in KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Resident now.
    pub(crate) resident_kib: u64,
    /// The most that ever was.
    pub(crate) peak_kib: u64,
}

/// Reads the memory of this process.
pub(crate) fn memory() -> Memory {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    Memory { resident_kib: field_kib(&status, "VmRSS:"), peak_kib: field_kib(&status, "VmHWM:") }
}

fn field_kib(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Durations of the same thing, done several times.
#[derive(Clone, Debug, Default)]
pub(crate) struct Distribution(Vec<Duration>);

impl FromIterator<Duration> for Distribution {
    fn from_iter<I: IntoIterator<Item = Duration>>(durations: I) -> Self {
        let mut all: Vec<_> = durations.into_iter().collect();
        all.sort_unstable();
        Self(all)
    }
}

impl Distribution {
    pub(crate) fn add(&mut self, duration: Duration) {
        self.0.push(duration);
        self.0.sort_unstable();
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// The duration below which this share of them lies.
    pub(crate) fn quantile(&self, percent: usize) -> Duration {
        let last = self.0.len().saturating_sub(1);
        self.0.get((last * percent).div_ceil(100)).copied().unwrap_or_default()
    }

    /// Minimum, median, 90th percentile and maximum in milliseconds, as cells of a table.
    pub(crate) fn cells(&self) -> [String; 4] {
        [0, 50, 90, 100].map(|percent| format!("{:.1}", millis(self.quantile(percent))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_taken_from_the_sorted_durations() {
        let mut distribution = Distribution::default();
        for millis in [9, 1, 5, 3, 7] {
            distribution.add(Duration::from_millis(millis));
        }
        assert_eq!(distribution.quantile(0), Duration::from_millis(1));
        assert_eq!(distribution.quantile(50), Duration::from_millis(5));
        assert_eq!(distribution.quantile(100), Duration::from_millis(9));
        assert_eq!(Distribution::default().quantile(50), Duration::ZERO);
    }

    #[test]
    fn memory_is_read_from_the_status_of_a_process() {
        assert_eq!(field_kib("Name:\tx\nVmRSS:\t  1234 kB\n", "VmRSS:"), 1234);
        assert!(memory().resident_kib > 0);
    }
}
