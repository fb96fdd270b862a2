//! What Prometheus reads, under the same names as the other two servers.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of the buckets, the same in all three servers.
const BOUNDS: [f64; 13] =
    [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0];

#[derive(Default)]
pub struct Metrics {
    buckets: [AtomicU64; BOUNDS.len() + 1], // the last one is above all bounds
    nanos: AtomicU64,
}

impl Metrics {
    pub fn observe(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.nanos.fetch_add(took.as_nanos() as u64, Relaxed);
    }

    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a String can't fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let name = "hash_request_duration_seconds";
        writeln!(text, "# HELP {name} Time spent on answers to /hash.\n# TYPE {name} histogram")?;
        let mut total = 0;
        for (at, bucket) in self.buckets.iter().enumerate() {
            total += bucket.load(Relaxed);
            let bound = BOUNDS.get(at).map_or("+Inf".to_owned(), f64::to_string);
            writeln!(text, "{name}_bucket{{source=\"rust\",le=\"{bound}\"}} {total}")?;
        }
        writeln!(text, "{name}_sum{{source=\"rust\"}} {}", self.nanos.load(Relaxed) as f64 / 1e9)?;
        writeln!(text, "{name}_count{{source=\"rust\"}} {total}")?;
        writeln!(text, "# HELP hash_requests_total Answers to /hash.\n# TYPE hash_requests_total counter")?;
        writeln!(text, "hash_requests_total{{source=\"rust\"}} {total}")?;
        if let Some(seconds) = cpu_seconds() {
            writeln!(text, "# HELP process_cpu_seconds_total Processor time, user and system.")?;
            writeln!(text, "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total {seconds}")?;
        }
        if let Some(bytes) = resident_bytes() {
            writeln!(text, "# HELP process_resident_memory_bytes Resident memory.")?;
            writeln!(text, "# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes {bytes}")?;
        }
        Ok(())
    }
}

/// User and system time: the 14th and 15th field of stat, in ticks of which Linux has always shown 100 a second.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / 100.0)
}

fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}
