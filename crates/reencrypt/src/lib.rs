//! Moves encrypted columns of PostgreSQL from one key to another: online, verified, resumable.
