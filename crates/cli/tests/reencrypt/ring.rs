//! A move with the keys of a ring: no version goes while one row needs it, whatever happens to the
//! rows, the keys or the mover.

use postgres::Client;

use super::site::{Ended, Site};
use super::world::{Ran, until_or};
use super::{OLD, PEOPLE, open_with};

/// How many rows no key of the ring opens, and how many there are.
fn verify(site: &Site) -> (u64, u64) {
    let mut command = site.task("verify", &["--json", "--wait", "0"]);
    let ran = Ran::of(&mut command);
    let verdict: serde_json::Value = serde_json::from_str(&ran.stdout)
        .unwrap_or_else(|_| panic!("{}{}", ran.stdout, ran.stderr));
    (verdict["quarantined"].as_u64().unwrap(), verdict["rows"].as_u64().unwrap())
}

/// How an instance stands; empty where it is not counted any more.
fn standing(site: &Site, id: &str) -> String {
    let all = site.instances();
    let own = all.iter().find(|one| one["id"] == id);
    own.map(|one| one["standing"].as_str().unwrap().to_owned()).unwrap_or_default()
}

/// Waits until the first version has retired, which no row needs then.
fn until_retired(site: &mut Site, mover: &Ended) {
    let is_retired = || site.state(1) == "retired";
    until_or("v1 has retired", is_retired, || format!("{}{}", site.told(), mover.said()));
    assert!(mover.said().contains("1200 rows read: 1200 under the new key"), "{}", mover.said());
    assert_eq!(open_with(&mut site.client, OLD), 0);
}

/// Writes a row as an application does that has not heard of the new version.
fn write_late(client: &mut Client, id: i32) {
    let late = format!(
        "INSERT INTO people VALUES ({id}, pgp_sym_encrypt('ssn {id}', '{OLD}'), 'late') \
         ON CONFLICT (id) DO UPDATE SET ssn = excluded.ssn, note = 'late'"
    );
    client.batch_execute(&late).unwrap();
}

/// The same, and somebody holds the row from the moment on at which it can be seen.
fn write_late_and_hold(site: &mut Site, id: i32) -> Client {
    let mut writer = site.server.client();
    let mut holder = site.server.client();
    let mut late = writer.transaction().unwrap();
    let write = format!("pgp_sym_encrypt('ssn {id}', '{OLD}') WHERE id = {id}");
    late.batch_execute(&format!("UPDATE people SET ssn = {write}")).unwrap();
    let holds = std::thread::spawn(move || {
        let hold = format!("BEGIN; SELECT FROM people WHERE id = {id} FOR UPDATE");
        holder.batch_execute(&hold).unwrap();
        holder
    });
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    let client = &mut site.client;
    let is_next = || client.query_one(waits, &[]).unwrap().get::<_, i64>(0) > 0;
    until_or("somebody waits for the row", is_next, String::new);
    late.commit().unwrap();
    holds.join().unwrap()
}

#[test]
fn a_ring_hears_from_its_mover_that_no_row_needs_the_old_version() {
    let mut site = Site::new();
    let mover = site.mover("mover", &[]);
    site.world.ok(&["rotate", "pii"]);
    site.until_gate(1, "open", &mover);
    assert_eq!(open_with(&mut site.client, OLD), 0);
    // The server hears of it before whoever reads the log.
    for words in ["1200 rows moved", "verified: no row needs an old key"] {
        until_or(words, || mover.said().contains(words), || mover.said());
    }
    let (said, told) = (mover.said(), site.told());
    assert!(told.contains("people.ssn") && told.contains("verified zero"), "{told}");
    assert!(!told.contains(OLD) && !said.contains(OLD));
    mover.stop();
}

#[test]
fn a_late_row_closes_the_gate_again_until_it_has_moved() {
    let mut site = Site::new();
    let mover = site.mover("mover", &[]);
    site.world.ok(&["rotate", "pii"]);
    site.until_gate(1, "open", &mover);

    // A row that somebody holds cannot be moved, only seen.
    let mut holder = write_late_and_hold(&mut site, 17);
    site.until_gate(1, "waiting", &mover);
    let (_, why) = site.gate(1);
    assert!(why.contains("people.ssn (1 row left"), "{why}");
    site.waive_expiry(1);
    let told = site.told();
    assert!(told.contains("waived") && told.contains("1 row left"), "{told}");
    assert_eq!(Ran::of(&mut site.task("verify", &["--wait", "0"])).code, 7);
    assert_eq!(site.state(1), "retiring", "a row needs it");

    holder.batch_execute("ROLLBACK").unwrap();
    until_retired(&mut site, &mover);
    mover.stop();
}

#[test]
fn a_row_that_no_key_opens_keeps_the_old_version() {
    let mut site = Site::new();
    let spoil = "UPDATE people SET ssn = pgp_sym_encrypt('lost', 'a key that nobody has') \
                 WHERE id = 17";
    site.client.batch_execute(spoil).unwrap();
    let mover = site.mover("mover", &[]);
    site.world.ok(&["rotate", "pii"]);
    site.until_gate(1, "failed", &mover);
    site.waive_expiry(1);
    for words in [["status", "pii"].as_slice(), &["ring", "columns", "pii"]] {
        let told = site.world.ok(words);
        assert!(told.contains("no key opens rows of people.ssn (1 row)"), "{told}");
    }
    let named = site.client.query_one(
        "SELECT relation, row_key::text, reason FROM keywheel.reencrypt_quarantine",
        &[],
    );
    let named = named.unwrap();
    assert!(named.get::<_, String>(1).contains("17"), "{named:?}");
    assert_eq!(site.state(1), "retiring");

    // Somebody who knows what stood there writes it again, with whatever key the application has.
    write_late(&mut site.client, 17);
    until_retired(&mut site, &mover);
    mover.stop();
}

#[test]
fn a_compromised_key_is_readable_until_the_last_row_has_moved_and_goes_at_once() {
    let mut site = Site::new();
    site.by_hand(&["compromise", "pii", "1", "--reason", "it was in a log"]);
    assert_eq!(site.state(1), "compromised");
    let waits = || site.gate(1).1.contains("people.ssn (no report)");
    until_or("v1 waits for its rows", waits, || site.told());
    // Nobody moves, and every row is readable.
    assert_eq!(verify(&site), (0, 1_200));
    let (status, why) = site.gate(1);
    assert!(status == "waiting" && why.contains("1200 rows left"), "{status} {why}");

    let mover = site.mover("mover", &[]);
    let is_gone = || site.gate(1).0.is_empty();
    until_or("v1 is refused", is_gone, || format!("{}{}", site.told(), mover.said()));
    assert_eq!(open_with(&mut site.client, OLD), 0);
    assert_eq!(site.state(1), "compromised");
    let said = mover.said();
    assert!(said.contains("1200 rows read: 1200 under the new key"), "{said}");
    // What it sealed may live for a day, and it went nevertheless: the ring gives it to nobody.
    let has_one = || {
        let ran = Ran::of(&mut site.task("verify", &[]));
        ran.code == 4 && ran.stderr.contains("has no version but the primary")
    };
    until_or("the ring gives v1 to nobody", has_one, || site.told());
    mover.stop();
}

#[test]
fn a_rotation_that_is_taken_back_midway_leaves_every_row_readable() {
    let mut site = Site::new();
    let mut holder = site.server.client();
    let mut held = holder.transaction().unwrap();
    held.execute("SELECT FROM people WHERE id = 700 FOR UPDATE", &[]).unwrap();
    let mut mover = site.mover("mover", &["--batch-rows", "50"]);
    site.world.ok(&["rotate", "pii"]);
    let some_moved = |client: &mut Client| open_with(client, OLD) < PEOPLE;
    let told = || mover.said();
    until_or("some rows have moved", || some_moved(&mut site.client), told);
    assert!(open_with(&mut site.client, OLD) > 0);
    let is_told = || {
        let why = site.gate(1).1;
        why.contains("people.ssn (") && why.contains(" left, ") && !why.contains(" 0 moved")
    };
    until_or("the server hears how far it is", is_told, || {
        format!("{}{}", site.told(), mover.said())
    });
    assert_eq!(verify(&site), (0, 1_200));
    site.world.ok(&["rollback", "pii"]);
    assert_eq!(site.state(1), "primary");
    assert_eq!(verify(&site), (0, 1_200));

    held.rollback().unwrap();
    let is_back = |client: &mut Client| open_with(client, OLD) == PEOPLE;
    let said = || mover.said();
    until_or("all rows are back", || is_back(&mut site.client), said);
    site.until_gate(2, "open", &mover);
    assert_eq!(verify(&site), (0, 1_200));
    // The first passphrase was imported and may be guessed, so what came back to it is stretched.
    let stretched = "SELECT count(*) FROM people WHERE get_byte(ssn, 14) >= 96";
    assert!(site.client.query_one(stretched, &[]).unwrap().get::<_, i64>(0) > 0);
    assert!(mover.is_alive(), "{}", mover.said());
    mover.stop();
}

#[test]
fn a_mover_that_is_killed_comes_back_and_finishes() {
    let mut site = Site::with("lease_ttl = \"2s\"\noffline_max = \"1h\"\n");
    let mut holder = site.server.client();
    let mut held = holder.transaction().unwrap();
    held.execute("SELECT FROM people WHERE id = 700 FOR UPDATE", &[]).unwrap();
    let mut mover = site.mover("first", &["--batch-rows", "50"]);
    site.world.ok(&["rotate", "pii"]);
    let some_moved = |client: &mut Client| open_with(client, OLD) < PEOPLE;
    let told = || mover.said();
    until_or("some rows have moved", || some_moved(&mut site.client), told);
    let has_switched = || {
        let columns = site.world.json(&["ring", "columns", "pii"]);
        columns["retiring"][0]["switched"].is_u64()
    };
    until_or("the server knows that it has switched", has_switched, || site.told());
    mover.kill();
    held.rollback().unwrap();
    let dead = site.instances()[0]["id"].as_str().unwrap().to_owned();
    until_or("its lease is over", || standing(&site, &dead) == "lost", || site.told());

    let mover = site.mover("second", &[]);
    site.until_gate(1, "open", &mover);
    let jobs = Ran::of(&mut site.world.command(&[
        "reencrypt",
        "status",
        "--json",
        "--database",
        &site.server.url(),
        "--table",
        "people",
        "--column",
        "ssn",
    ]));
    let jobs: serde_json::Value = serde_json::from_str(&jobs.stdout).unwrap();
    assert_eq!(jobs.as_array().unwrap().len(), 1, "it went on, and did not begin anew: {jobs}");
    assert_eq!(jobs[0]["moved"], 1_200);
    assert_eq!(open_with(&mut site.client, OLD), 0);

    // The one that died may hold the old version still, for all that the server knows.
    site.waive_expiry(1);
    let told = || format!("{}{}", site.told(), mover.said());
    until_or("v1 has retired", || site.state(1) == "retired", told);
    let waits = || site.world.ok(&["status", "pii"]).contains(&dead);
    assert!(waits(), "{}", told());
    site.by_hand(&["instance", "end", &dead, "--reason", "it was killed"]);
    let is_ended = || !matches!(standing(&site, &dead).as_str(), "lost" | "live");
    until_or("it is counted as ended", is_ended, told);
    mover.stop();
}
