//! Adapters of the store port: SQLite first; sealing, master keys, the high-water mark, and one conformance suite for all.
