//! The layout: the rooms of `src/` stand on floors and imports point down; in no package do files import each other in
//! a cycle.
//!
//! The floors are those of docs/development/architecture.md. Code of tests may look anywhere.

mod source;

use std::collections::{BTreeMap, BTreeSet};

use uncloud_testkit::programs;

use self::source::{Module, modules};

/// The document whose table of floors is kept.
const DOCUMENT: &str = "docs/development/architecture.md";

/// Returns the rooms of `src/` from the ground up, as the document lists them; rooms of one floor do not know each
/// other.
fn floors() -> Vec<BTreeSet<String>> {
    let document = std::fs::read_to_string(programs::repository().join(DOCUMENT)).expect("readable");
    let rows = document.lines().filter_map(|line| {
        let (floor, rest) = line.strip_prefix("| ")?.split_once(" | ")?;
        floor.parse::<usize>().is_ok().then(|| rest.split(" | ").next().unwrap_or_default())
    });
    let rooms = |cell: &str| {
        let names = cell.split('`').skip(1).step_by(2);
        names.map(|name| name.trim_end_matches(".rs").trim_end_matches('/').to_owned()).collect()
    };
    rows.map(rooms).collect()
}

fn room(module: &Module) -> &str {
    module.path.first().map_or("lib", String::as_str)
}

#[test]
fn imports_between_layers_point_down() {
    let (modules, floors) = (modules("src"), floors());
    assert!(floors.len() > 10, "{DOCUMENT} has a table of floors: {floors:?}");
    let floor = |room: &str| floors.iter().position(|rooms| rooms.contains(room));
    let mut wrong = Vec::new();
    for module in modules.iter().filter(|module| room(module) != "lib") {
        let here = room(module);
        let Some(own) = floor(here) else {
            wrong.push(format!("{}: the room `{here}` is on no floor; name it in {DOCUMENT}", module.file));
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
    let circles: BTreeSet<String> =
        ["src", "src/wire", "jobs/src", "tests/kit/src"].into_iter().flat_map(cycles).collect();
    assert!(
        circles.is_empty(),
        "{} import cycles; move what both ends need into a file of its own:\n{}",
        circles.len(),
        Vec::from_iter(circles).join("\n---\n")
    );
}

/// Returns the import cycles below a folder, as text.
fn cycles(folder: &str) -> BTreeSet<String> {
    let modules = modules(folder);
    let arrows: Vec<BTreeMap<usize, &str>> = modules
        .iter()
        .enumerate()
        .map(|(index, module)| {
            let uses = module.uses.iter().filter(|used| used.module != index && !used.handed_on);
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
    circles
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
