//! Worlds and ways through them, in words.

use super::action::Action;
use super::state::{Phase, World};

/// Tells a way from the start, one line a step, each with what the world is like after it.
pub(crate) fn trace(start: &World, actions: &[Action]) -> Vec<String> {
    let mut world = start.clone();
    let mut lines = vec![format!("at the start: {}", summary(&world))];
    for action in actions {
        let said = action.words(|node| world.name(usize::from(node)));
        match world.apply(*action) {
            Ok(Some(next)) => {
                world = next;
                lines.push(format!("{said}: {}", summary(&world)));
            }
            Ok(None) => lines.push(format!("{said}: nothing happens")),
            Err(fault) => lines.push(format!("{said}: {fault}")),
        }
    }
    lines
}

impl World {
    /// A process by the name of its consumer and its place.
    pub(crate) fn name(&self, index: usize) -> String {
        self.setup.ids.get(index).map_or_else(|| format!("#{index}"), ToString::to_string)
    }
}

/// The world in one line: times, the document, and what each process holds.
fn summary(world: &World) -> String {
    let doc = &world.doc;
    let path = doc.path.as_ref().map_or_else(
        || "rest".to_owned(),
        |path| format!("{} {} {:?}", path.stage.name(), path.target, path.direction),
    );
    let versions: Vec<_> = doc
        .versions
        .iter()
        .map(|(number, version)| {
            let detail = match &version.state {
                keywheel_core::ring::State::Retiring { last_switch: Some(at), .. } => {
                    format!(" since last switch at {}", at.0)
                }
                keywheel_core::ring::State::Retired { dropped: Some(_), .. } => " dropped".into(),
                _ => String::new(),
            };
            format!("{number}={} {}{detail}", version.kid, version.state.name())
        })
        .collect();
    let nodes: Vec<_> = (0..world.nodes.len()).map(|index| node(world, index)).collect();
    format!(
        "t={} cluster={}{} | {} {} keyset {}{}: {} | {}",
        world.real,
        world.cluster,
        world.leader.map_or_else(|| " no leader".into(), |leader| format!(" leader s{leader}")),
        doc.incarnation,
        doc.revision,
        doc.keyset_revision,
        if doc.paused.is_some() { " paused" } else { "" },
        [path, versions.join(", ")].join("; "),
        nodes.join(", ")
    )
}

fn node(world: &World, index: usize) -> String {
    let name = world.name(index);
    let Some(node) = world.nodes.get(index) else { return name };
    let keys = node.keys.map_or_else(
        || "nothing".into(),
        |keys| {
            let primary = keys.primary.map_or_else(|| "-".into(), |kid| format!("k{kid}"));
            format!("{}/{primary}", keys.revision)
        },
    );
    let work = node.work.map_or_else(String::new, |work| format!(" works k{}", work.kid));
    let cut = if node.cut { format!(" cut {}", world.silent(node)) } else { String::new() };
    match node.phase {
        Phase::Absent => format!("{name} absent"),
        Phase::Ended => format!("{name} ended"),
        Phase::Joining => format!("{name} joining"),
        Phase::Running => format!("{name} {keys}{work}{cut}"),
    }
}
