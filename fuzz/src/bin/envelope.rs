//! Sealed values: parsing needs no key, never panics, and accepts one spelling of each envelope.

#![no_main]

use keywheel_store::Envelope;

keywheel_fuzz::target!(seeds: vec![seed(b"k1", b"one", 16), seed(b"", b"", 0)], |input: &[u8]| {
    let Ok(envelope) = Envelope::parse(input) else { return };
    let written = envelope.encode().expect("an envelope that was parsed can be written");
    assert_eq!(written, input);
});

/// An envelope put together by hand: layout, names and bytes each behind their length.
fn seed(kek: &[u8], incarnation: &[u8], ciphertext_bytes: u32) -> Vec<u8> {
    let length = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap_or(u8::MAX);
    let mut bytes = vec![1, length(kek)];
    bytes.extend(kek);
    bytes.extend(40_u16.to_be_bytes());
    bytes.extend([7; 40]);
    bytes.extend(1_u32.to_be_bytes());
    bytes.push(length(incarnation));
    bytes.extend(incarnation);
    bytes.extend(9_u64.to_be_bytes());
    bytes.extend([3; 12]);
    bytes.extend(ciphertext_bytes.to_be_bytes());
    bytes.extend((0..ciphertext_bytes).map(|_| 5));
    bytes
}
