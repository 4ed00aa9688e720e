//! Whether something listens, and over TLS whether it is who it should be.

use keywheel_client::TlsOptions;
use keywheel_client::http::{TlsName, connect_once};

use super::{Course, Missing, ProbeError, Seen};
use crate::settings::Tls;

/// Reads the certificates that are trusted.
pub(super) fn name(tls: Option<&Tls>) -> Result<Option<TlsName>, Missing> {
    tls.map(|tls| {
        let options = TlsOptions { ca_file: tls.ca_file.clone() };
        let name = TlsName::new(&tls.name, &options);
        name.map_err(|error| Missing::other(error.cause(), error.remedy()))
    })
    .transpose()
}

pub(super) fn run(
    address: &str,
    tls: Option<&TlsName>,
    course: &mut Course<'_>,
) -> Result<Seen, ProbeError> {
    loop {
        course.unless_stopped()?;
        let deadline = course.begin();
        match connect_once(address, tls, deadline) {
            Ok(()) => return Ok(Seen { tries: course.tries, ..Seen::default() }),
            Err(error) => course
                .wait(Missing::Answer { place: address.to_owned(), cause: error.to_string() })?,
        }
    }
}
