//! Parameters that several operations have become components, so that each is in the document once.

use std::{cmp::Reverse, collections::BTreeMap};

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use super::walk;

/// Moves each parameter that occurs more than once to the components.
pub(super) fn share(document: &mut Value) -> anyhow::Result<()> {
    let mut uses = BTreeMap::<String, Vec<(Value, (String, String), usize)>>::new();
    for (path, operation_id, parameter) in walk::parameters(document) {
        let name = walk::text(parameter, "name");
        let owner = path.split(&format!("/{{{name}}}")).next().and_then(|path| path.rsplit('/').next());
        let owner = owner.unwrap_or_default().to_owned();
        let variants = uses.entry(name).or_default();
        match variants.iter_mut().find(|(known, ..)| known == parameter) {
            Some((.., count)) => *count += 1,
            None => variants.push((parameter.clone(), (owner, operation_id), 1)),
        }
    }
    let mut components = Map::new();
    let mut names = Vec::new();
    for (name, mut variants) in uses {
        // In a path it is named after the object that it identifies; elsewhere the most frequent one has the plain name.
        variants.sort_by_key(|(.., count)| Reverse(*count));
        for (parameter, (owner, operation_id), _) in variants.into_iter().filter(|(.., count)| *count > 1) {
            let noun = if parameter["in"] == "path" { owner } else { String::new() };
            let candidates = [noun, operation_id].map(|prefix| camel(&prefix) + &camel(&name));
            let component = candidates.into_iter().find(|candidate| !components.contains_key(candidate));
            let component = component.with_context(|| format!("the parameter {name} needs a name"))?;
            components.insert(component.clone(), parameter.clone());
            names.push((parameter, component));
        }
    }
    for (_, _, parameter) in walk::parameters(document) {
        if let Some((_, component)) = names.iter().find(|(known, _)| known == parameter) {
            *parameter = json!({ "$ref": format!("#/components/parameters/{component}") });
        }
    }
    document["components"]["parameters"] = components.into();
    Ok(())
}

/// Converts `vpn_hostname` and `If-Match` to `VpnHostname` and `IfMatch`.
fn camel(name: &str) -> String {
    let words = name.split(['_', '-']).filter(|word| !word.is_empty());
    words.map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}
