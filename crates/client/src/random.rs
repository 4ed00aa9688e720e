//! Random bytes. Nothing of this is kept, so a fork copies nothing.

/// Random bytes of the system, without a generator of our own that a fork could copy.
pub(crate) fn fill(buffer: &mut [u8]) {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty()) {
            Ok(count) => filled = filled.saturating_add(count),
            Err(rustix::io::Errno::INTR) => {}
            // Kernels without this call are older than Rust's own floor.
            Err(_) => return,
        }
    }
}

pub(crate) fn number() -> u64 {
    let mut bytes = [0; 8];
    fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}
