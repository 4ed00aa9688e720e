//! The model check as Markdown, for docs/campaigns.

use std::fmt::Write as _;

use super::flaw::Rules;
use super::law::INVARIANTS;
use super::mutants::MUTANTS;
use super::scenario::{Scale, Scenario, scenario, scenarios};
use super::search::{Counterexample, Outcome, search};
use super::state::{Budget, SERVERS};

/// What a campaign found, and whether it is what it should be.
#[derive(Clone, Debug)]
pub struct Report {
    /// The Markdown.
    pub text: String,
    /// Every violation of the sound rules, and every mutant that was not found.
    pub failures: Vec<String>,
}

/// Searches every scenario, then every mutant at the scale of CI.
pub fn report(scale: Scale, most_states: usize) -> Report {
    let mut out = Report { text: String::new(), failures: Vec::new() };
    preface(&mut out.text);
    sound(&mut out, scale, most_states);
    mutants(&mut out, most_states);
    out
}

fn preface(text: &mut String) {
    let names: Vec<_> = INVARIANTS.iter().map(|(name, _)| *name).collect();
    let _infallible = writeln!(
        text,
        "The search is breadth first and drives `keywheel_core::rotation::step_with`. There are \
         {SERVERS} servers, of which at most one leads; every scenario has unbounded time and is \
         searched until no new state appears, or the table says otherwise. What may happen, and \
         how often, stands under *bounds*; every interleaving of it is visited.\n\n\
         Invariants: {}; progress.\n",
        names.join(", ")
    );
}

fn sound(out: &mut Report, scale: Scale, most: usize) {
    out.text.push_str("## Scenarios\n\n");
    out.text
        .push_str("| scenario | bounds | processes | states | transitions | depth | result |\n");
    out.text.push_str("|---|---|--:|--:|--:|--:|---|\n");
    let (mut states, mut transitions) = (0, 0);
    for scenario in scenarios(scale) {
        let outcome = search(&scenario, Rules::SOUND, most);
        states += outcome.states;
        transitions += outcome.transitions;
        row(out, &scenario, &outcome);
    }
    let _infallible =
        writeln!(out.text, "| **all** | | | **{states}** | **{transitions}** | | |\n");
}

fn row(out: &mut Report, scenario: &Scenario, outcome: &Outcome) {
    let result = match (&outcome.violation, outcome.complete) {
        (Some(found), _) => {
            out.failures.push(format!("{}: {found}", scenario.name));
            format!("**violated: {}**", found.violation.invariant)
        }
        (None, true) => "holds".into(),
        (None, false) => "holds up to this depth".into(),
    };
    let _infallible = writeln!(
        out.text,
        "| {}: {} | {} | {} | {} | {} | {} | {result} |",
        scenario.name,
        scenario.about,
        bounds(&scenario.budget),
        scenario.nodes.len(),
        outcome.states,
        outcome.transitions,
        outcome.depth,
    );
}

fn bounds(budget: &Budget) -> String {
    let all = [
        ("rotations", budget.rotate),
        ("rollbacks", budget.rollback),
        ("pauses", budget.pause),
        ("compromises", budget.compromise),
        ("suspensions", budget.suspend),
        ("edits", budget.edit),
        ("waivers", budget.waive),
        ("restores", budget.restore),
        ("leaders asleep", budget.sleep),
        ("leader crashes", budget.crash),
        ("clock jumps", budget.jump),
        ("partitions", budget.cut),
        ("older work", budget.work),
        ("late messages", budget.late),
        ("joins", budget.join),
        ("goodbyes", budget.leave),
    ];
    let used = all.iter().filter(|(_, left)| *left > 0);
    used.map(|(name, left)| format!("{name} {left}")).collect::<Vec<_>>().join(", ")
}

fn mutants(out: &mut Report, most: usize) {
    out.text
        .push_str("## Seeded mutants\n\nEach takes one rule away; the same scenario holds with ");
    out.text.push_str("it.\n\n| rule taken away | scenario | found | steps | what breaks |\n");
    out.text.push_str("|---|---|---|--:|---|\n");
    let mut example = None;
    for mutant in MUTANTS {
        let Some(scenario) = scenario(Scale::Ci, mutant.scenario) else {
            out.failures.push(format!("{}: no scenario `{}`", mutant.name, mutant.scenario));
            continue;
        };
        let found = search(&scenario, mutant.rules, most).violation;
        let (yes, steps, what) = match &found {
            None => {
                out.failures.push(format!("mutant `{}` is not found", mutant.name));
                ("**no**", 0, String::new())
            }
            Some(found) => {
                let what = format!("{}: {}", found.violation.invariant, found.violation.why);
                ("yes", found.steps(), what)
            }
        };
        let _infallible = writeln!(
            out.text,
            "| {} | {} | {yes} | {steps} | {what} |",
            mutant.name, mutant.scenario
        );
        example = example.or(found.map(|found| (mutant.name, found)));
    }
    if let Some((name, found)) = example {
        trace(&mut out.text, name, &found);
    }
}

fn trace(text: &mut String, name: &str, found: &Counterexample) {
    let _infallible = writeln!(
        text,
        "\nA counterexample as it is printed (without the {name}):\n\n```text\n{found}```"
    );
}
