//! When a ring rotates by itself: interval, cron expression, age and number of uses, events.
//!
//! Pure: the wall clock is an argument, and jitter is drawn from the ring's own random incarnation,
//! so that every server computes the same moment.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::time::{Span, WallTime};

/// Everything that starts a rotation without an operator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Triggers {
    /// This long after the last promotion.
    pub rotate_every: Option<Span>,
    /// At the moments of a cron expression.
    pub cron: Option<Cron>,
    /// When the primary is used at a greater age.
    pub max_age_at_use: Option<Span>,
    /// When the primary has protected this often.
    pub max_uses: Option<u64>,
    /// When the application reports one of these.
    pub on_event: BTreeSet<String>,
    /// Spreads the scheduled moment by up to this much.
    pub jitter: Span,
    /// Keeps automatic rotations from starting.
    pub quiet_hours: Option<QuietHours>,
}

/// A cron expression in a time zone, checked when it was made.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "(String, String)", into = "(String, String)")]
pub struct Cron {
    expression: String,
    time_zone: String,
}

/// A cron expression that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{expression}` in time zone `{time_zone}` is not a cron expression: {cause}")]
pub struct CronError {
    expression: String,
    time_zone: String,
    cause: String,
}

impl Cron {
    /// Checks an expression of five fields and an IANA time zone.
    ///
    /// # Errors
    /// When either cannot be understood, or no moment ever fits.
    pub fn new(expression: &str, time_zone: &str) -> Result<Self, CronError> {
        let cron = Self { expression: expression.into(), time_zone: time_zone.into() };
        let refuse = |cause: String| CronError {
            expression: expression.chars().take(80).collect(),
            time_zone: time_zone.chars().take(80).collect(),
            cause,
        };
        if expression.split_whitespace().count() != 5 {
            return Err(refuse(
                "it needs five fields: minute, hour, day of month, month, day of week".into(),
            ));
        }
        if jiff::tz::TimeZone::get(time_zone).is_err() {
            return Err(refuse(format!("`{time_zone}` is not an IANA time zone")));
        }
        let table = cron.parse().map_err(|error| {
            // The parser draws an arrow under the place; its last line says what is wrong there.
            let text = error.to_string();
            let last = text.lines().next_back().unwrap_or_default();
            refuse(last.trim_start_matches([' ', '^']).to_owned())
        })?;
        table
            .find_next(jiff::Timestamp::UNIX_EPOCH)
            .map_err(|_| refuse("no moment ever fits it".into()))?;
        Ok(cron)
    }

    fn parse(&self) -> Result<cronexpr::Crontab, cronexpr::Error> {
        cronexpr::parse_crontab(&format!("{} {}", self.expression, self.time_zone))
    }

    /// The first fitting moment after `after`.
    pub fn next(&self, after: WallTime) -> Option<WallTime> {
        let next = self.parse().ok()?.find_next(after.to_timestamp()).ok()?;
        Some(WallTime::from_timestamp(next.timestamp()))
    }
}

impl TryFrom<(String, String)> for Cron {
    type Error = CronError;
    fn try_from((expression, time_zone): (String, String)) -> Result<Self, CronError> {
        Self::new(&expression, &time_zone)
    }
}

impl From<Cron> for (String, String) {
    fn from(cron: Cron) -> Self {
        (cron.expression, cron.time_zone)
    }
}

/// A part of the day, in minutes since midnight of a time zone. It may pass midnight.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct QuietHours {
    from_minute: u16,
    until_minute: u16,
    time_zone: String,
}

impl QuietHours {
    /// Reads `22:00-06:00`.
    ///
    /// # Errors
    /// With what was wrong, for people.
    pub fn new(text: &str, time_zone: &str) -> Result<Self, String> {
        let minute = |part: &str| -> Option<u16> {
            let (hour, minute) = part.trim().split_once(':')?;
            let (hour, minute) = (hour.parse::<u16>().ok()?, minute.parse::<u16>().ok()?);
            (hour < 24 && minute < 60).then(|| hour * 60 + minute)
        };
        let parts = text.split_once('-').and_then(|(a, b)| Some((minute(a)?, minute(b)?)));
        let Some((from_minute, until_minute)) = parts else {
            return Err(format!("`{text}` is not a part of the day"));
        };
        if from_minute == until_minute {
            return Err(format!("`{text}` would be all day long or never"));
        }
        if jiff::tz::TimeZone::get(time_zone).is_err() {
            return Err(format!("`{time_zone}` is not an IANA time zone"));
        }
        Ok(Self { from_minute, until_minute, time_zone: time_zone.into() })
    }

    /// When the quiet hours that contain `moment` end, or nothing when it is not quiet.
    pub fn end(&self, moment: WallTime) -> Option<WallTime> {
        let zone = jiff::tz::TimeZone::get(&self.time_zone).ok()?;
        let local = moment.to_timestamp().to_zoned(zone);
        let minute =
            u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).ok()?;
        let quiet = if self.from_minute < self.until_minute {
            (self.from_minute..self.until_minute).contains(&minute)
        } else {
            minute >= self.from_minute || minute < self.until_minute
        };
        if !quiet {
            return None;
        }
        let until = local
            .with()
            .hour(i8::try_from(self.until_minute / 60).ok()?)
            .minute(i8::try_from(self.until_minute % 60).ok()?)
            .second(0)
            .subsec_nanosecond(0)
            .build()
            .ok()?;
        let until = if until.timestamp() <= local.timestamp() {
            until.checked_add(jiff::Span::new().days(1)).ok()?
        } else {
            until
        };
        Some(WallTime::from_timestamp(until.timestamp()))
    }
}

/// What a trigger looks at.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// When the present primary was promoted.
    pub promoted: WallTime,
    /// How often it has protected since.
    pub uses: u64,
    /// When it last protected, as reported.
    pub last_use: Option<WallTime>,
    /// Spreads rings and rotations; any number that every server knows.
    pub seed: u64,
}

/// Why a rotation began.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum Cause {
    /// The interval was over.
    Interval,
    /// The cron expression said so.
    Cron,
    /// The primary was used at too great an age.
    AgeAtUse,
    /// The primary was used too often.
    Uses,
    /// The application reported this event.
    Event {
        /// Its name.
        name: String,
    },
    /// A person asked for it.
    Operator {
        /// Who.
        by: String,
        /// Why, in words.
        reason: Option<String>,
    },
    /// An imported key was too weak to be kept.
    WeakImport,
    /// A version was compromised.
    Compromise,
}

impl Triggers {
    /// The wall-clock moment at which the schedule asks for the next rotation, whether it lies
    /// ahead or behind. Nothing when neither interval nor cron is set.
    pub fn scheduled(&self, usage: &Usage) -> Option<(WallTime, Cause)> {
        let interval =
            self.rotate_every.map(|every| (usage.promoted.after(every), Cause::Interval));
        let cron = self.cron.as_ref().and_then(|cron| cron.next(usage.promoted));
        let cron = cron.map(|moment| (moment, Cause::Cron));
        let (moment, cause) = interval.into_iter().chain(cron).min_by_key(|(moment, _)| *moment)?;
        Some((moment.after(self.spread(usage.seed)), cause))
    }

    /// Why a rotation should begin now, or nothing.
    pub fn due(&self, usage: &Usage, now: WallTime) -> Option<Cause> {
        if self.is_quiet(now) {
            return None;
        }
        let scheduled = || self.scheduled(usage).filter(|(moment, _)| *moment <= now);
        self.used_up(usage).or_else(|| scheduled().map(|(_, cause)| cause))
    }

    /// Whether automatic rotations are held back at a moment.
    pub fn is_quiet(&self, moment: WallTime) -> bool {
        self.quiet_hours.as_ref().is_some_and(|quiet| quiet.end(moment).is_some())
    }

    /// Why the primary's use asks for a rotation, whatever the hour.
    fn used_up(&self, usage: &Usage) -> Option<Cause> {
        if self.max_uses.is_some_and(|most| usage.uses >= most) {
            return Some(Cause::Uses);
        }
        let (most, used) = (self.max_age_at_use?, usage.last_use?);
        (used >= usage.promoted.after(most)).then_some(Cause::AgeAtUse)
    }

    /// The next moment at which [`Self::due`] may change by time alone.
    pub fn wake(&self, usage: &Usage, now: WallTime) -> Option<WallTime> {
        let used_up = self.used_up(usage).map(|_| now);
        let scheduled = self.scheduled(usage).map(|(moment, _)| moment);
        Some(self.not_quiet(used_up.or(scheduled)?.max(now)))
    }

    /// The same moment, or the end of the quiet hours around it.
    pub fn not_quiet(&self, moment: WallTime) -> WallTime {
        self.quiet_hours.as_ref().and_then(|quiet| quiet.end(moment)).unwrap_or(moment)
    }

    fn spread(&self, seed: u64) -> Span {
        let jitter = self.jitter.as_millis();
        // SplitMix64's finaliser: neighbouring seeds land far apart.
        let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        Span::from_millis(mixed.checked_rem(jitter.saturating_add(1)).unwrap_or(0))
    }
}
