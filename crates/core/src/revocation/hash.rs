//! Texts become numbers under keys that only this process knows.

use siphasher::sip::SipHasher13;

/// Hashes texts, for one set: twice 64 bits, under two keys.
///
/// The first half tells most of what was never kept, so the second is made only of the rest.
pub(super) struct Keys {
    place: SipHasher13,
    check: SipHasher13,
}

/// The first half of a hash. From the lowest bit on: 20 bits for a place in a part, 24 for the bits
/// in a filter, 13 to choose the part, and 7 by which a table tells neighbours apart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(pub(super) u64);

/// 96 bits of a hash: all of the first half and some of the second.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint([u32; 3]);

impl Keys {
    pub(super) fn new(key: &[u8; 16]) -> Self {
        let place = SipHasher13::new_with_key(key);
        // What a keyed hash says of two different texts serves as the key of another.
        let check = SipHasher13::new_with_keys(place.hash(b"check, 0"), place.hash(b"check, 1"));
        Self { place, check }
    }

    pub(super) fn place(&self, text: &str) -> Place {
        Place(self.place.hash(text.as_bytes()))
    }

    /// The whole of it, for a text whose place is known.
    pub(super) fn fingerprint(&self, place: Place, text: &str) -> Fingerprint {
        let check = low_half(self.check.hash(text.as_bytes()));
        Fingerprint([low_half(place.0), low_half(place.0 >> 32), check])
    }
}

impl Fingerprint {
    pub(super) fn place(self) -> Place {
        let [low, high, _] = self.0;
        Place(u64::from(high) << 32 | u64::from(low))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
const fn low_half(word: u64) -> u32 {
    word as u32
}
