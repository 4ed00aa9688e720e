//! Cipher feedback, the one mode of OpenPGP's symmetric packets.
//!
//! The feedback of a message with a modification check is plain; the one of an old message starts
//! anew after the prefix, with the last block of ciphertext, which the caller does.

use aes::cipher::{Block, BlockCipherEncrypt, KeyInit};

use super::algorithm::Cipher;
use crate::OpenError;

/// How many blocks of keystream are made at once; ciphers on AES-NI take eight in parallel.
const BATCH_BLOCKS: usize = 16;

#[derive(Clone, Copy)]
enum Way {
    Encrypt,
    Decrypt,
}

/// Encrypts in place; `iv` has a block of bytes, zeros where it is shorter.
pub(super) fn encrypt(
    cipher: Cipher,
    key: &[u8],
    iv: &[u8],
    data: &mut [u8],
) -> Result<(), OpenError> {
    with(cipher, key, iv, data, Way::Encrypt)
}

/// Decrypts in place.
pub(super) fn decrypt(
    cipher: Cipher,
    key: &[u8],
    iv: &[u8],
    data: &mut [u8],
) -> Result<(), OpenError> {
    with(cipher, key, iv, data, Way::Decrypt)
}

fn with(cipher: Cipher, key: &[u8], iv: &[u8], data: &mut [u8], way: Way) -> Result<(), OpenError> {
    match cipher {
        Cipher::Aes128 => run::<aes::Aes128>(key, iv, data, way),
        Cipher::Aes192 => run::<aes::Aes192>(key, iv, data, way),
        Cipher::Aes256 => run::<aes::Aes256>(key, iv, data, way),
        Cipher::Blowfish => run::<blowfish::Blowfish>(key, iv, data, way),
        Cipher::TripleDes => run::<des::TdesEde3>(key, iv, data, way),
        Cipher::Cast5 => run::<cast5::Cast5>(key, iv, data, way),
        Cipher::Idea | Cipher::Twofish | Cipher::Camellia => cipher.key_bytes().map(drop),
    }
}

fn run<C: BlockCipherEncrypt + KeyInit>(
    key: &[u8],
    iv: &[u8],
    data: &mut [u8],
    way: Way,
) -> Result<(), OpenError> {
    let cipher = C::new_from_slice(key).map_err(|_| OpenError::WrongKey)?;
    let mut register = Block::<C>::default();
    register.iter_mut().zip(iv).for_each(|(to, from)| *to = *from);
    match way {
        Way::Encrypt => feed(&cipher, register, data),
        Way::Decrypt => unfeed(&cipher, register, data),
    }
    Ok(())
}

fn feed<C: BlockCipherEncrypt>(cipher: &C, mut register: Block<C>, data: &mut [u8]) {
    for chunk in data.chunks_mut(C::block_size()) {
        cipher.encrypt_block(&mut register);
        for (byte, mask) in chunk.iter_mut().zip(register.iter_mut()) {
            *byte ^= *mask;
            *mask = *byte;
        }
    }
}

/// Every block of keystream comes from the ciphertext before it, so many are made at once.
fn unfeed<C: BlockCipherEncrypt>(cipher: &C, mut register: Block<C>, data: &mut [u8]) {
    let block_bytes = C::block_size();
    let mut masks: [Block<C>; BATCH_BLOCKS] = std::array::from_fn(|_| Block::<C>::default());
    for batch in data.chunks_mut(block_bytes * BATCH_BLOCKS) {
        let blocks = batch.len().div_ceil(block_bytes);
        for (mask, chunk) in masks.iter_mut().zip(batch.chunks(block_bytes)) {
            mask.clone_from(&register);
            register.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
        }
        let (masks, _) = masks.split_at_mut(blocks.min(BATCH_BLOCKS));
        cipher.encrypt_blocks(masks);
        for (byte, mask) in batch.iter_mut().zip(masks.iter().flatten()) {
            *byte ^= *mask;
        }
    }
}
