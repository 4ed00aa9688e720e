//! Whether the rings' policies know these consumers for what they are. A consumer that can hold one
//! value only cannot accept before use, and the policy has to say so before anything is delivered.

use std::collections::BTreeSet;

use keywheel_api::ring::RingStatus;
use keywheel_client::http::{Endpoint, Http, HttpError, Token};
use keywheel_core::id::RingName;
use keywheel_deliver::agent::{Consumer, Settings};
use keywheel_deliver::settings::{Content, Delivery, Form, Take, Target, Which};

use crate::exit::Exit;
use crate::failure::Failure;

/// One thing that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    pub(super) cause: String,
    pub(super) remedy: String,
}

/// Refuses to start where a policy contradicts the agent's file. A server that cannot be asked now
/// keeps no agent from starting: the consumers may have to be kept in order without it.
///
/// # Errors
/// With the first contradiction.
pub(super) fn must_fit(settings: &Settings, consumers: &[Consumer]) -> Result<(), Failure> {
    for consumer in consumers {
        match look(settings, consumer) {
            Ok(misfits) => {
                if let Some(first) = misfits.into_iter().next() {
                    return Err(Failure::new(Exit::Usage, first.cause, first.remedy));
                }
            }
            Err(failure) => tracing::warn!(
                consumer = %consumer.delivery.consumer,
                cause = failure.cause,
                "whether the policy knows this consumer could not be asked"
            ),
        }
    }
    Ok(())
}

/// Compares a consumer with the policies of its rings.
///
/// # Errors
/// When the server cannot be asked.
pub(super) fn look(settings: &Settings, consumer: &Consumer) -> Result<Vec<Misfit>, Failure> {
    let unusable = |cause: String, remedy: &str| Failure::new(Exit::Permission, cause, remedy);
    let token = Token::from_file(&consumer.token_file)
        .map_err(|error| unusable(error.to_string(), "give the agent a token of its own"))?;
    let endpoint = Endpoint::parse(&settings.endpoint)
        .map_err(|error| unusable(error.to_string(), "correct server.url"))?;
    let http = Http::new(endpoint, Some(&token), &settings.tls)
        .map_err(|error| unusable(error.to_string(), "correct server.ca_file"))?;
    let mut misfits = Vec::new();
    for ring in &consumer.delivery.rings {
        let answer = http.get::<RingStatus>(&format!("/v1/rings/{ring}"));
        match answer {
            Ok(status) => misfits.extend(compare(&consumer.delivery, ring, &status)),
            Err(HttpError::Problem(problem)) => misfits.push(Misfit {
                cause: format!("ring {ring}: {}", problem.detail),
                remedy: format!(
                    "declare the consumer {} in the ring's policy, and give it a token of role \
                     consumer for this ring",
                    consumer.delivery.consumer
                ),
            }),
            Err(error) => return Err(Failure::new(Exit::Unreachable, error.to_string(), "")),
        }
    }
    Ok(misfits)
}

fn compare(delivery: &Delivery, ring: &RingName, status: &RingStatus) -> Option<Misfit> {
    let name = delivery.consumer.as_str();
    let Some(declared) = status.policy.consumer.iter().find(|consumer| consumer.name == name)
    else {
        return Some(Misfit {
            cause: format!("ring {ring} declares no consumer {name}"),
            remedy: "add it to the ring's policy, then: keywheel apply".to_owned(),
        });
    };
    if holds_one_value(delivery).contains(ring) && !(declared.one_slot && declared.cutover) {
        return Some(Misfit {
            cause: format!(
                "{name} gets one value of ring {ring} and cannot accept another one before it is \
                 used, and the ring's policy does not say so"
            ),
            remedy: format!(
                "deliver the accepted values too (which = \"others\" or \"accepted\"); or, where \
                 {name} cannot take them, declare `one_slot = true` and `cutover = true` for it"
            ),
        });
    }
    None
}

/// The rings of which a delivery writes the value to protect with, and no other.
pub(super) fn holds_one_value(delivery: &Delivery) -> BTreeSet<RingName> {
    let mut one = BTreeSet::new();
    let mut several = BTreeSet::new();
    let mut note = |take: &Take| {
        let is_public = matches!(take.form, Form::PublicPem | Form::Kid | Form::Fingerprint);
        if take.which != Which::Primary {
            several.insert(take.ring.clone());
        } else if !is_public {
            one.insert(take.ring.clone());
        }
    };
    for sink in &delivery.sinks {
        match &sink.target {
            Target::Credentials { set, .. } | Target::Irreversible(_, set) => {
                set.values().for_each(&mut note);
            }
            Target::File { content, .. } => match content {
                Content::Raw(take) => note(take),
                Content::Env(file) => file.set.values().for_each(&mut note),
                Content::Json(set) => set.values().for_each(&mut note),
                Content::Nginx(include) => {
                    include.set.values().for_each(&mut note);
                    include.accept.values().for_each(|accept| note(&accept.take));
                }
                // Whoever writes a template knows what it shows.
                Content::Template(_) => return BTreeSet::new(),
                Content::Jwks(_) => {}
            },
        }
    }
    one.difference(&several).cloned().collect()
}
