//! The public keys of signing rings as a JWK set (RFC 7517 section 5). Nothing secret can get into
//! it: a ring without public halves is refused.

use std::collections::BTreeSet;

use keywheel_core::id::RingName;
use keywheel_jose::PublicJwk;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{RenderError, of};
use crate::settings::{Order, Which};
use crate::values::AllValues;

#[derive(Serialize)]
struct JwkSet {
    keys: Vec<PublicJwk>,
}

pub(super) fn render(
    rings: &[RingName],
    values: &AllValues,
) -> Result<Zeroizing<Vec<u8>>, RenderError> {
    let mut set = JwkSet { keys: Vec::new() };
    let mut kids = BTreeSet::new();
    for ring in rings {
        for value in of(values, ring)?.select(Which::Accepted, Order::PrimaryFirst)? {
            let symmetric = || RenderError::NoPublicHalf { ring: ring.clone() };
            let public = value.public_key().ok_or_else(symmetric)?;
            if !kids.insert(value.kid().clone()) {
                return Err(RenderError::KidTwice { kid: value.kid().clone() });
            }
            set.keys.push(public.jwk(value.kid()));
        }
    }
    let too_large = |_| RenderError::TooLarge { what: "the JWK set".to_owned() };
    let mut text = serde_json::to_vec_pretty(&set).map_err(too_large)?;
    text.push(b'\n');
    Ok(Zeroizing::new(text))
}
