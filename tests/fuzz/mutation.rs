//! Inputs that look almost right: seeds, cut, spliced, repeated and broken.

/// A small generator of random numbers: the same seed gives the same inputs.
pub struct Random(u64);

/// Pieces that parsers stumble over.
const PIECES: &[&str] = &[
    "\0",
    "\u{feff}",
    "\u{202e}",
    "\u{10ffff}",
    "\\u0000",
    "\\ud800",
    "\\",
    "\"",
    "''",
    "`",
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "<",
    ">",
    "&#0;",
    "<!DOCTYPE a [<!ENTITY b 'c'>]>",
    "]]>",
    "-->",
    "%",
    "%00",
    "%zz",
    "|",
    "||",
    "$",
    ",",
    "\\,",
    ":",
    ".",
    "..",
    "/",
    "//",
    "#",
    "-",
    "--",
    "+",
    "e999999999",
    "1e-999999",
    "-0",
    "00",
    "9223372036854775808",
    "0.1e1000000",
    "1.00000000000000000000000000000000000000001",
    "9999-12-31T23:59:60+14:00",
    "0000",
    "2024-02-30",
    "T24:00",
    "null",
    "true",
    "NaN",
    "Infinity",
    "resourceType",
    "extension",
    "contained",
    "_has:",
    ":missing",
    ":iterate",
    "%resource",
    "$this",
    ".repeat(",
    ".select(",
    " and ",
    " or ",
    " not ",
    " eq ",
    "patient/*.cruds?",
    "system/",
    "urn:uuid:",
    "Bearer ",
    "eyJ",
];

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed | 1)
    }

    /// Xorshift64*.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.next() >> 16) as usize % end }
    }
}

/// A new input made of the seeds.
pub fn input(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    const LONGEST: usize = 20_000;
    let mut bytes = seeds.get(random.below(seeds.len())).cloned().unwrap_or_default();
    for _ in 0..=random.below(6) {
        mutate(random, seeds, &mut bytes);
        bytes.truncate(LONGEST);
    }
    bytes
}

fn mutate(random: &mut Random, seeds: &[Vec<u8>], bytes: &mut Vec<u8>) {
    let at = random.below(bytes.len() + 1);
    match random.below(8) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        1 => {
            let end = (at + random.below(40)).min(bytes.len());
            bytes.drain(at..end);
        }
        2 | 3 => {
            let piece = PIECES[random.below(PIECES.len())];
            bytes.splice(at..at, piece.bytes());
        }
        // The same again, many times: depth and length.
        4 => {
            let end = (at + 1 + random.below(12)).min(bytes.len());
            let again = bytes[at..end].repeat(1 + random.below(200));
            bytes.splice(at..at, again);
        }
        // A stretch of another seed.
        5 => {
            let other = &seeds[random.below(seeds.len())];
            let from = random.below(other.len() + 1);
            let to = (from + random.below(200)).min(other.len());
            bytes.splice(at..at, other[from..to].to_vec());
        }
        6 => bytes.truncate(at),
        _ => {
            let piece = PIECES[random.below(PIECES.len())];
            let end = (at + piece.len()).min(bytes.len());
            bytes.splice(at..end, piece.bytes());
        }
    }
}
