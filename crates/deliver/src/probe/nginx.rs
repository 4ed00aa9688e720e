//! Whether nginx still has workers that it told to end. Which of them are from before a reload,
//! only whoever asked for the reload can tell; see [`crate::nginx::Reloading`].

use super::{Course, Missing, ProbeError, Seen};
use crate::nginx::{WorkersError, old_workers};
use crate::settings::Nginx;

pub(super) fn run(nginx: &Nginx, course: &mut Course<'_>) -> Result<Seen, ProbeError> {
    loop {
        course.unless_stopped()?;
        course.begin();
        let error = match old_workers(nginx, None) {
            Ok(old) if old.is_empty() => {
                return Ok(Seen { tries: course.tries, ..Seen::default() });
            }
            Ok(workers) => WorkersError::Old { workers },
            Err(error) => error,
        };
        course.wait(Missing::other(error.to_string(), error.remedy()))?;
    }
}
