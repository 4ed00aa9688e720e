//! The kill campaign: a real server is killed again and again at random moments of rotations, while
//! consumers with the client library sign for one another. Nothing may be lost, doubled or retired
//! early, and every rotation must come to its end.
//!
//! This module uses the binary and the client library only, as an operator would; it knows nothing
//! of the engine.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use keywheel_api::audit::Audit;
use keywheel_api::ring::RingStatus;
use keywheel_client::clock::{BootTime, boot_time};
use keywheel_client::http::HttpError;
use keywheel_core::time::Span;

pub mod consumers;
pub mod installation;
pub mod ledger;
pub mod report;

use consumers::{Consumer, Consumers, Ring};
use installation::{Admin, Fallible, Installation, SERVER, eventually, words};
pub use report::Report;

const RINGS: [Ring; 2] = [
    Ring { name: "sessions", lifetime: Span::from_secs(1) },
    Ring { name: "tokens", lifetime: Span::from_secs(2) },
];
const CONSUMERS: [(&str, bool); 5] =
    [("ada", true), ("ben", true), ("cyd", true), ("dot", false), ("eve", false)];
const LOOK_EVERY: Duration = Duration::from_millis(15);
/// A commit that does not come in this time is not waited for.
const COMMIT_WITHIN: Span = Span::from_secs(3);
const AUDIT_PAGE: usize = 500;

/// How a campaign is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The binary.
    pub binary: PathBuf,
    /// How often its server is killed.
    pub kills: u32,
    /// What the moments are drawn from.
    pub seed: u64,
}

/// Runs a campaign.
///
/// # Errors
/// When the server does not start, or what must happen does not happen.
pub fn run(options: &Options) -> Fallible<Report> {
    let installation = Installation::new(&options.binary, &configuration())?;
    let mut campaign = Campaign::begin(&installation, options)?;
    for _ in 0..options.kills {
        campaign.kill_once().map_err(|error| with_log(&error, &installation))?;
    }
    campaign.finish().map_err(|error| with_log(&error, &installation))
}

fn with_log(error: &str, installation: &Installation) -> String {
    let log = installation.log();
    let lines: Vec<&str> = log.lines().collect();
    let last = lines.get(lines.len().saturating_sub(30)..).unwrap_or_default();
    format!("{error}\nThe server's last words:\n{}", last.join("\n"))
}

fn configuration() -> String {
    let mut text = SERVER.to_owned();
    for (ring, kind) in RINGS.iter().zip(["secret", "signing"]) {
        let _ = write!(
            text,
            "[ring.{}]\nkind = \"{kind}\"\nlongest_lifetime = \"{}\"\nskew = \"200ms\"\n\
             lease_ttl = \"1s\"\noffline_max = \"10s\"\ndestroy_after = \"2s\"\nmax_accepted = 8\n",
            ring.name, ring.lifetime
        );
        for (name, protects) in CONSUMERS {
            let role = if protects { "protect" } else { "process" };
            let _ = writeln!(
                text,
                "[[ring.{}.consumer]]\nname = \"{name}\"\nrole = \"{role}\"",
                ring.name
            );
        }
    }
    text
}

/// A campaign under way.
struct Campaign<'a> {
    installation: &'a Installation,
    admin: Admin,
    consumers: Consumers,
    moments: Moments,
    report: Report,
}

/// When a server is killed.
enum Moment {
    /// While it starts, after this long.
    Starting(Span),
    /// This long after rotations were asked for.
    After(Span),
    /// This long after it was seen to have committed something about a ring.
    Commit(usize, Span),
}

impl<'a> Campaign<'a> {
    fn begin(installation: &'a Installation, options: &Options) -> Fallible<Self> {
        let _server = installation.start(&[])?;
        let admin = installation.admin()?;
        let rings = RINGS.each_ref().map(|ring| ring.name);
        let consumer = |(name, protects): (&'static str, bool)| {
            Ok(Consumer { name, protects, token: admin.token(name, "consumer", &rings)? })
        };
        let consumers = CONSUMERS.into_iter().map(consumer).collect::<Fallible<_>>()?;
        let consumers = Consumers::start(&installation.endpoint(), &RINGS, consumers)?;
        let report = Report::new(options.kills, options.seed);
        Ok(Self { installation, admin, consumers, moments: Moments(options.seed), report })
    }

    /// Starts the server, sees to it that rings rotate, and kills it.
    fn kill_once(&mut self) -> Fallible<()> {
        let moment = self.moments.next();
        self.report.ledger.another_life();
        let mut server = self.installation.spawn(&[])?;
        if let Moment::Starting(span) = moment {
            // tidy: sleeps because the moment of a kill is drawn at random.
            std::thread::sleep(span.to_std());
            server.kill();
            self.report.killed("starting".into());
            return Ok(());
        }
        self.installation.until_ready(&mut server)?;
        for ring in &RINGS {
            self.rotate(ring.name)?;
        }
        let stages = self.watch(&moment)?;
        server.kill();
        for stage in stages {
            self.report.killed(stage);
        }
        Ok(())
    }

    /// Asks for a rotation, unless one is under way.
    fn rotate(&mut self, ring: &'static str) -> Fallible<()> {
        if self.look(ring)?.path.is_some() {
            return Ok(());
        }
        match self.admin.rotate(ring) {
            Ok(_) => {
                self.report.asked(ring);
                self.report.acknowledged(ring);
                Ok(())
            }
            // A server that does not lead yet, or a ring that is full, refuses; nothing happened.
            Err(HttpError::Problem(_)) => Ok(()),
            Err(error) => Err(words(error)),
        }
    }

    /// Looks at the rings until the moment has come, and says what was under way then.
    fn watch(&mut self, moment: &Moment) -> Fallible<Vec<String>> {
        let begin = boot_time();
        let mut end = match moment {
            Moment::Starting(span) | Moment::After(span) => begin.after(*span),
            Moment::Commit(..) => begin.after(COMMIT_WITHIN),
        };
        let mut revision: Option<u64> = None;
        loop {
            let rings = RINGS.each_ref().map(|ring| self.look(ring.name));
            let rings: Vec<RingStatus> = rings.into_iter().collect::<Fallible<_>>()?;
            self.look_at_clock()?;
            if let Moment::Commit(index, span) = moment
                && let Some(ring) = rings.get(*index)
                && revision != Some(u64::MAX)
            {
                if revision.is_some_and(|revision| revision != ring.revision) {
                    end = boot_time().after(*span);
                    revision = Some(u64::MAX);
                } else {
                    revision = Some(ring.revision);
                }
            }
            if !sleep_towards(end) {
                return Ok(rings.iter().map(stage_of).collect());
            }
        }
    }

    fn look_at_clock(&mut self) -> Fallible<()> {
        self.report.ledger.clock(self.admin.metric("keywheel_cluster_clock_seconds")?);
        Ok(())
    }

    fn look(&mut self, ring: &str) -> Fallible<RingStatus> {
        let status = self.admin.ring(ring).map_err(words)?;
        self.report.ledger.ring(&status);
        Ok(status)
    }

    /// Lets everything come to its end, and judges.
    fn finish(mut self) -> Fallible<Report> {
        self.report.ledger.another_life();
        let mut server = self.installation.start(&[])?;
        self.come_to_rest()?;
        // One more rotation of each ring, which nothing disturbs.
        for ring in &RINGS {
            let before = self.report.acknowledgements(ring.name);
            eventually("a rotation begins", || {
                self.rotate(ring.name)?;
                Ok((self.report.acknowledgements(ring.name) > before).then_some(()))
            })?;
        }
        self.come_to_rest()?;
        self.audit()?;
        let verified = self.installation.run(&["audit", "--verify"])?;
        if !verified.status.success() {
            let why = String::from_utf8_lossy(&verified.stderr).into_owned();
            self.report.fault(format!("`keywheel audit --verify`: {why}"));
        }
        let status = server.end()?;
        if !status.success() {
            self.report.fault(format!("the last server ended with {status}"));
        }
        if let Some(line) = self.installation.log().lines().find(|line| line.contains("panicked")) {
            self.report.fault(format!("a server panicked: {line}"));
        }
        self.report.tally = self.consumers.stop();
        self.report.judge(&RINGS.each_ref().map(|ring| ring.name));
        Ok(self.report)
    }

    /// Waits until no ring has a rotation under way, nor a version that is not at its end.
    fn come_to_rest(&mut self) -> Fallible<()> {
        for ring in &RINGS {
            let mut last = String::new();
            let waited = eventually(&format!("{} comes to rest", ring.name), || {
                self.look_at_clock()?;
                let status = self.look(ring.name)?;
                last = stage_of(&status);
                Ok((last == "rest").then_some(()))
            });
            waited.map_err(|error| format!("{error}; it is at: {last}"))?;
        }
        Ok(())
    }

    /// Reads the whole audit record: it must have no gap, and hold.
    fn audit(&mut self) -> Fallible<()> {
        let mut after = 0;
        loop {
            let path = format!("/v1/audit?after={after}&limit={AUDIT_PAGE}");
            let page: Audit = self.admin.http.get(&path).map_err(words)?;
            if !page.verified {
                self.report.fault(format!("the audit record does not hold behind entry {after}"));
            }
            for entry in &page.entries {
                if entry.number != after + 1 {
                    self.report.fault(format!("audit entry {} follows {after}", entry.number));
                }
                after = entry.number;
            }
            if page.entries.is_empty() {
                self.report.audit_entries = after;
                return Ok(());
            }
        }
    }
}

/// What is under way in a ring, in a word or two.
fn stage_of(ring: &RingStatus) -> String {
    if ring.path.is_some() {
        return ring.stage.clone();
    }
    let tail = ring
        .versions
        .iter()
        .rfind(|version| !matches!(version.state.as_str(), "primary" | "destroyed"));
    tail.map_or_else(|| "rest".into(), |version| format!("tail: {}", version.state))
}

/// Sleeps a little, at most to the end; says whether there was any time left.
fn sleep_towards(end: BootTime) -> bool {
    let left = end.since(boot_time());
    // tidy: sleeps because the moment of a kill is drawn at random.
    std::thread::sleep(left.to_std().min(LOOK_EVERY));
    left > Span::ZERO
}

/// SplitMix64 (Steele, Lea, Flood 2014), which is good enough to choose moments.
struct Moments(u64);

impl Moments {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn next(&mut self) -> Moment {
        let ring = usize::try_from(self.below(RINGS.len() as u64)).unwrap_or(0);
        match self.below(8) {
            0 => Moment::Starting(Span::from_millis(self.below(150))),
            1 | 2 => Moment::After(Span::from_millis(self.below(300))),
            3 | 4 => Moment::After(Span::from_millis(self.below(2_500))),
            _ => Moment::Commit(ring, Span::from_millis(self.below(25))),
        }
    }
}
