//! The layout of `src/`: rooms stand on floors, imports point down, and no files import each other in a cycle.
//!
//! docs/development/architecture.md draws the floors. Code of tests may look anywhere.

mod source;

use std::collections::{BTreeMap, BTreeSet};

use self::source::{Module, modules};

/// The rooms of `src/`, from the ground up; rooms of one floor do not know each other. To add a room, name it here.
const FLOORS: [&[&str]; 16] = [
    &["code", "embedded", "metrics", "user", "request_context", "clock"],
    &["error"],
    &["migrations", "money", "seal"],
    &["http"],
    &["accounts", "audit", "queue"],
    &["parties"],
    &["services"],
    &["catalog"],
    &["orders"],
    &["vpn"],
    &["billing"],
    &["schedule"],
    &["dispatch"],
    &["server"],
    &["cli"],
    &["main"],
];

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

fn room(module: &Module) -> &str {
    module.path.first().map_or("lib", String::as_str)
}

#[test]
fn imports_between_layers_point_down() {
    let modules = modules("src");
    let mut wrong = Vec::new();
    for module in modules.iter().filter(|module| room(module) != "lib") {
        let here = room(module);
        let Some(own) = floor(here) else {
            wrong.push(format!("{}: the room `{here}` is on no floor; name it in FLOORS", module.file));
            continue;
        };
        for used in &module.uses {
            let target = &modules[used.module];
            let there = room(target);
            if there != "lib" && there != here && floor(there).is_none_or(|other| other >= own) {
                let item = &used.item;
                wrong.push(format!(
                    "{} takes `{item}` from {}: `{there}` is not below `{here}`; move `{item}` down, or what needs it up",
                    module.file, target.file
                ));
            }
        }
    }
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{} imports point up:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn imports_between_files_form_no_cycle() {
    let modules = modules("src");
    let arrows: Vec<BTreeMap<usize, &str>> = modules
        .iter()
        .enumerate()
        .map(|(index, module)| {
            let uses = module.uses.iter().filter(|used| used.module != index);
            uses.map(|used| (used.module, used.item.as_str())).collect()
        })
        .collect();
    let mut circles = BTreeSet::new();
    for start in 0..modules.len() {
        if let Some(way) = way_back(&arrows, start) {
            let mut steps: Vec<String> = Vec::new();
            let least = way.iter().min().copied().unwrap_or(start);
            let first = way.iter().position(|step| *step == least).unwrap_or_default();
            for offset in 0..way.len() {
                let (from, to) = (way[(first + offset) % way.len()], way[(first + offset + 1) % way.len()]);
                let item = arrows[from].get(&to).copied().unwrap_or_default();
                steps.push(format!("  {} takes `{item}` from {}", modules[from].file, modules[to].file));
            }
            circles.insert(steps.join("\n"));
        }
    }
    let told: Vec<&str> = circles.iter().map(String::as_str).collect();
    assert!(
        circles.is_empty(),
        "{} import cycles; move what both ends need into a file of its own:\n{}",
        circles.len(),
        told.join("\n---\n")
    );
}

/// A shortest way from a file back to itself; `None` if it is not part of a cycle.
fn way_back(arrows: &[BTreeMap<usize, &str>], start: usize) -> Option<Vec<usize>> {
    let mut from: BTreeMap<usize, usize> = BTreeMap::new();
    let mut next = std::collections::VecDeque::from([start]);
    while let Some(here) = next.pop_front() {
        for &there in arrows[here].keys() {
            if there == start {
                let mut way = vec![here];
                while let Some(before) = way.last().filter(|last| **last != start).and_then(|last| from.get(last)) {
                    way.push(*before);
                }
                way.reverse();
                return Some(way);
            }
            from.entry(there).or_insert_with(|| {
                next.push_back(there);
                here
            });
        }
    }
    None
}
