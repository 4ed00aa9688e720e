//! Keys of every ring kind: generation, strict parsing, JWK and thumbprints on aws-lc-rs.
