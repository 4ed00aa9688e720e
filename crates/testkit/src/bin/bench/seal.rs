//! What sealing, opening and committing cost. Peers: bare AES-256-GCM of aws-lc-rs over the same
//! bytes, and the same row written by bare SQLite.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use keywheel_engine::ports::{Commit, Expect, Key, Store, Write};
use keywheel_store::{MemoryStore, Sealer, SqliteStore, Subject, SystemClock};
use rusqlite::TransactionBehavior;

use crate::measure::{self, micros, micros_each};
use crate::table::{Table, figure, grouped, ratio};
use crate::{Fallible, Scale, world};

const SUBJECT: Subject<'static> =
    Subject { key: "ring/web-session", incarnation: "b1f0c2d3", revision: 7 };

pub(crate) fn run(scale: Scale) -> Fallible<String> {
    let spent = Duration::from_millis(scale.pick(60, 400));
    let folder = tempfile::tempdir()?;
    let sealer = world::sealer(folder.path())?;
    let mut table =
        Table::new(&["one value", "CPU µs", "bare AES-256-GCM µs", "to the bare cipher"]);
    for bytes in [1_024, 4_096, 65_536] {
        seal_rows(&mut table, &sealer, bytes, spent)?;
    }
    let mut text = String::from(
        "A value is sealed under its own data key, which the master key wraps; `again` reuses the \
         data key of the value before, after checking it; `open` finds the data key in memory.\n\n",
    );
    text.push_str(&table.finish());
    text.push('\n');
    text.push_str(&commits(folder.path(), scale.pick(100, 1_000))?);
    Ok(text)
}

fn seal_rows(table: &mut Table, sealer: &Sealer, bytes: usize, spent: Duration) -> Fallible<()> {
    let plaintext = vec![0x5a_u8; bytes];
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32])?);
    let bare = micros_each(spent, || {
        let mut buffer = plaintext.clone();
        let nonce = Nonce::assume_unique_for_key([9; 12]);
        key.seal_in_place_append_tag(nonce, Aad::from(SUBJECT.key.as_bytes()), &mut buffer)?;
        Ok(buffer)
    })?;
    let former = sealer.seal(&SUBJECT, &plaintext)?;
    let figures = [
        ("seal", micros_each(spent, || Ok(sealer.seal(&SUBJECT, &plaintext)?))?),
        ("seal again", {
            let next = Subject { revision: 8, ..SUBJECT };
            micros_each(spent, || Ok(sealer.seal_after(&next, &plaintext, &former)?))?
        }),
        ("open", micros_each(spent, || Ok(sealer.open(&SUBJECT, &former)?))?),
    ];
    for (name, each) in figures {
        let name = format!("{name}, {} KiB", bytes / 1_024);
        table.row(name, &[figure(each), figure(bare), ratio(each, bare)]);
    }
    Ok(())
}

/// One row of 4 KiB after the other, each durable before the next.
fn commits(folder: &std::path::Path, count: u32) -> Fallible<String> {
    let value = vec![0x5a_u8; 4_096];
    let path = folder.join("bare.db");
    let mut bare = rusqlite::Connection::open(&path)?;
    bare.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
         CREATE TABLE kv (key TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL) STRICT;",
    )?;
    let (result, peer) = measure::cost(|| -> Fallible<()> {
        for _ in 0..count {
            let transaction = bare.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction
                .prepare_cached("INSERT OR REPLACE INTO kv (key, value) VALUES (?1, ?2)")?
                .execute((SUBJECT.key, &value))?;
            transaction.commit()?;
        }
        Ok(())
    });
    result?;
    let clock = Arc::new(SystemClock);
    let sqlite = SqliteStore::open(&folder.join("store.db"), clock.clone())?;
    let memory = MemoryStore::new(clock);
    let each = |duration: Duration| micros(duration) / f64::from(count);
    let mut table =
        Table::new(&["commit of one 4 KiB value", "CPU µs", "to bare SQLite", "wall µs"]);
    table.row(
        "bare SQLite, the same durability",
        &[figure(each(peer.cpu)), "1.00×".into(), grouped(each(peer.wall))],
    );
    let stores: [(&str, &dyn Store); 2] = [("SqliteStore", &sqlite), ("MemoryStore", &memory)];
    for (name, store) in stores {
        let (result, cost) = measure::cost(|| commit_all(store, &value, count));
        result?;
        let cells = [
            figure(each(cost.cpu)),
            ratio(each(cost.cpu), each(peer.cpu)),
            grouped(each(cost.wall)),
        ];
        table.row(name, &cells);
    }
    Ok(table.finish())
}

fn commit_all(store: &dyn Store, value: &[u8], count: u32) -> Fallible<()> {
    let key = Key::new(&["ring", "web-session"]);
    let fence = store.acquire("bench", Duration::from_hours(1))?;
    let mut expect = Expect::Absent;
    for _ in 0..count {
        let write = Write { key: key.clone(), expect, value: Some(value.to_vec()) };
        expect = Expect::At(store.commit(&Commit { fence, writes: vec![write] })?);
    }
    Ok(())
}
