//! Finds RSA keys of the generator whose keys can be factored (ROCA, CVE-2017-15361; Nemec et al.,
//! "The Return of Coppersmith's Attack", 2017, section 3): modulo each small prime, their modulus
//! is a power of 65537. Of other keys, fewer than one in 2^27 looks like that.

/// The primes for which a power of 65537 is something special.
const PRIMES: [u32; 17] =
    [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];

/// Whether a modulus, big-endian, has the mark of that generator.
pub(crate) fn is_affected(modulus: &[u8]) -> bool {
    PRIMES.iter().all(|prime| is_power(remainder(modulus, *prime), *prime))
}

fn remainder(number: &[u8], prime: u32) -> u32 {
    number.iter().fold(0, |rest, byte| (rest << 8 | u32::from(*byte)) % prime)
}

/// Whether a number is a power of 65537 modulo a prime.
fn is_power(number: u32, prime: u32) -> bool {
    let generator = 65537 % prime;
    let mut power = 1;
    for _ in 0..prime {
        if power == number {
            return true;
        }
        power = power * generator % prime;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_65537_are_found_and_others_are_not() {
        // 65537^3 is a product of such powers, whatever the prime.
        assert!(is_affected(&281_487_861_809_153_u64.to_be_bytes()));
        assert!(!is_affected(&281_487_861_809_155_u64.to_be_bytes()));
    }
}
