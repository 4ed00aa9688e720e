//! Finds words in bytes, whatever their case. Every byte of a scan goes through here, so a place is
//! given up after at most three looks at small tables: an automaton has to wait for each byte
//! before it can take the next one.

/// So many bytes of a word are looked up at once; no word is shorter.
pub(crate) const HEAD_BYTES: usize = 3;

/// As many groups as one look tells apart.
const GROUPS: usize = 64;

/// So many bytes are looked at before it is asked whether there was anything among them.
const CHUNK_BYTES: usize = 8;

/// Words to find.
#[derive(Clone, Debug)]
pub(crate) struct Spotter {
    /// For each byte, the groups that have a word with it at the first place, the second and the
    /// third.
    heads: Box<[[u64; HEAD_BYTES]; 256]>,
    /// For each byte, the groups that have a word with it behind its head, or with nothing there.
    behind: Box<[u64; 256]>,
    /// Words in small letters with their places in the list that was given, the longest first.
    groups: Vec<Vec<(Box<[u8]>, usize)>>,
}

/// A word that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    /// Its place in the list.
    pub(crate) word: usize,
    /// Where it begins.
    pub(crate) start: usize,
    /// Where it ends.
    pub(crate) end: usize,
}

/// The groups of which the last byte is the first of a head, and the last two are the first two.
#[derive(Clone, Copy, Default)]
struct Begun {
    one: u64,
    two: u64,
}

impl Spotter {
    /// Of these words; one that is too short is never found.
    pub(crate) fn new<'w>(words: impl IntoIterator<Item = &'w str>) -> Self {
        let mut heads = Box::new([[0; HEAD_BYTES]; 256]);
        let mut behind = Box::new([0; 256]);
        let mut groups: Vec<Vec<(Box<[u8]>, usize)>> = vec![Vec::new(); GROUPS];
        let mut known: Vec<Vec<u8>> = Vec::new();
        for (place, word) in words.into_iter().enumerate() {
            let word = word.to_ascii_lowercase().into_bytes();
            let Some(head) = word.get(..HEAD_BYTES) else { continue };
            // Words that begin alike are one group, for what meets one of them meets all.
            let number = known.iter().position(|one| one == head).unwrap_or_else(|| {
                known.push(head.to_vec());
                known.len().saturating_sub(1)
            });
            let bit = 1_u64 << (number % GROUPS);
            for (at, byte) in head.iter().enumerate() {
                for either in [*byte, byte.to_ascii_uppercase()] {
                    let row = heads.get_mut(usize::from(either));
                    if let Some(groups) = row.and_then(|row| row.get_mut(at)) {
                        *groups |= bit;
                    }
                }
            }
            match word.get(HEAD_BYTES).copied() {
                Some(byte) => {
                    for either in [byte, byte.to_ascii_uppercase()] {
                        behind.get_mut(usize::from(either)).into_iter().for_each(|one| *one |= bit);
                    }
                }
                None => behind.iter_mut().for_each(|one| *one |= bit),
            }
            if let Some(group) = groups.get_mut(number % GROUPS) {
                group.push((word.into_boxed_slice(), place));
            }
        }
        for group in &mut groups {
            group.sort_by_key(|(word, place)| (std::cmp::Reverse(word.len()), *place));
        }
        Self { heads, behind, groups }
    }

    /// Whether any of the words stands in the bytes.
    pub(crate) fn is_in(&self, bytes: &[u8]) -> bool {
        self.next(bytes, 0).is_some()
    }

    /// The words that stand in the bytes, from the first on; of those that begin at one place the
    /// longest, and none that begins within another.
    pub(crate) fn all<'s>(&'s self, bytes: &'s [u8]) -> impl Iterator<Item = Spot> + 's {
        let mut from = 0;
        std::iter::from_fn(move || {
            let spot = self.next(bytes, from)?;
            from = spot.end;
            Some(spot)
        })
    }

    fn next(&self, bytes: &[u8], from: usize) -> Option<Spot> {
        let (chunks, _) = bytes.get(from..)?.as_chunks::<CHUNK_BYTES>();
        let (mut begun, mut start) = (Begun::default(), from);
        for chunk in chunks {
            let before = begun;
            // Nearly every chunk has nothing, so nothing is decided within one.
            let (met, last) = chunk.iter().fold((0, 0), |(met, before), byte| {
                (met | (before & self.behind(*byte)), self.step(&mut begun, *byte))
            });
            if met | last != 0
                && let Some(spot) = self.within(bytes, start, before, chunk)
            {
                return Some(spot);
            }
            start = start.saturating_add(CHUNK_BYTES);
        }
        self.within(bytes, start, begun, bytes.get(start..)?)
    }

    fn behind(&self, byte: u8) -> u64 {
        self.behind.get(usize::from(byte)).copied().unwrap_or_default()
    }

    /// The groups of which a word's head ends with a byte.
    fn step(&self, begun: &mut Begun, byte: u8) -> u64 {
        let [first, second, third] = self.heads.get(usize::from(byte)).copied().unwrap_or_default();
        let met = begun.two & third;
        *begun = Begun { one: first, two: begun.one & second };
        met
    }

    /// The first word whose head ends in a chunk that begins at `start`.
    #[cold]
    #[inline(never)]
    fn within(&self, bytes: &[u8], start: usize, mut begun: Begun, chunk: &[u8]) -> Option<Spot> {
        (start..).zip(chunk).find_map(|(at, byte)| {
            let next = at.saturating_add(1);
            let goes_on = bytes.get(next).map_or(u64::MAX, |byte| self.behind(*byte));
            match self.step(&mut begun, *byte) & goes_on {
                0 => None,
                met => self.at(bytes, next.saturating_sub(HEAD_BYTES), met),
            }
        })
    }

    /// The longest word of some groups that begins at a place.
    fn at(&self, bytes: &[u8], start: usize, mut groups: u64) -> Option<Spot> {
        let rest = bytes.get(start..)?;
        let mut longest: Option<Spot> = None;
        while groups != 0 {
            let group = usize::try_from(groups.trailing_zeros()).unwrap_or_default();
            groups &= groups.wrapping_sub(1);
            let stands = |(word, _): &&(Box<[u8]>, usize)| {
                rest.get(..word.len()).is_some_and(|here| here.eq_ignore_ascii_case(word))
            };
            let Some((word, place)) = self.groups.get(group)?.iter().find(stands) else { continue };
            let end = start.saturating_add(word.len());
            if longest.is_none_or(|known| known.end < end) {
                longest = Some(Spot { word: *place, start, end });
            }
        }
        longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(words: &[&str], text: &str) -> Vec<(usize, usize)> {
        let spotter = Spotter::new(words.iter().copied());
        spotter.all(text.as_bytes()).map(|spot| (spot.word, spot.start)).collect()
    }

    #[test]
    fn the_longest_of_words_that_begin_alike() {
        let words = ["key", "keyring", "ring", "Ünd"];
        assert_eq!(found(&words, "KeyRing key RING kekey"), [(1, 0), (0, 8), (2, 12), (0, 19)]);
        assert_eq!(found(&words, "ke"), []);
        assert_eq!(found(&["ab"], "ab ab"), []);
        assert_eq!(found(&words, "rÜnd"), [(3, 1)]);
    }

    proptest! {
        #[test]
        fn finds_what_an_automaton_finds(text in "[abcAB]{0,60}", words in "([abc]{3,6} ){1,90}") {
            let mut words: Vec<&str> = words.split_whitespace().collect();
            words.sort_unstable();
            words.dedup();
            let mut builder = aho_corasick::AhoCorasick::builder();
            builder.ascii_case_insensitive(true);
            builder.match_kind(aho_corasick::MatchKind::LeftmostLongest);
            let automaton = builder.build(&words).unwrap();
            let expected: Vec<_> = automaton
                .find_iter(&text)
                .map(|one| (one.pattern().as_usize(), one.start()))
                .collect();
            prop_assert_eq!(found(&words, &text), expected);
        }
    }
}
