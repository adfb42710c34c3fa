//! Reads which file takes which item from which other file.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{TokenStream, TokenTree};
use syn::{UseTree, Visibility, visit::Visit};
use uncloud_testkit::programs;

/// A file, which is a module.
pub struct Module {
    /// Its name in the crate, part by part.
    pub path: Vec<String>,
    /// Its path below the repository.
    pub file: String,
    /// Items of others that it uses.
    pub uses: Vec<Used>,
}

/// An item of another file.
pub struct Used {
    /// The file that defines it, by its place in the list.
    pub module: usize,
    /// Its name.
    pub item: String,
    /// True if the module only hands the item on, as a `mod.rs` does with those of its files.
    pub handed_on: bool,
}

/// Imports and paths of one file.
#[derive(Default)]
struct Contents {
    /// Imported names: what they are called here, and what they are.
    imports: BTreeMap<String, Vec<String>>,
    /// Names that this module hands on.
    exports: BTreeMap<String, Vec<String>>,
    /// Paths in code.
    paths: Vec<Vec<String>>,
}

/// All modules below a folder, but for those of tests.
pub fn modules(folder: &str) -> Vec<Module> {
    let root = programs::repository().join(folder);
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    let mut read: Vec<(Vec<String>, String, Contents)> = Vec::new();
    let mut of_tests: Vec<Vec<String>> = Vec::new();
    for file in files {
        let relative = file.strip_prefix(&root).expect("below the folder").with_extension("");
        let mut path: Vec<String> =
            relative.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
        if path.last().is_some_and(|last| last == "mod") || path == ["lib"] {
            path.pop();
        }
        let text = fs::read_to_string(&file).expect("readable");
        let syntax = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for item in &syntax.items {
            if let syn::Item::Mod(module) = item
                && is_cfg_test(&module.attrs)
            {
                of_tests.push([path.as_slice(), &[module.ident.to_string()]].concat());
            }
        }
        let mut contents = Contents::default();
        contents.visit_file(&syntax);
        read.push((path, format!("{folder}/{}", relative_name(&file, &root)), contents));
    }
    read.retain(|(path, ..)| !of_tests.contains(path));
    let index: BTreeMap<Vec<String>, usize> =
        read.iter().enumerate().map(|(index, (path, ..))| (path.clone(), index)).collect();
    let resolver = Resolver { read: &read, index: &index };
    let uses: Vec<Vec<Used>> = (0..read.len()).map(|module| resolver.uses(module)).collect();
    read.iter()
        .zip(uses)
        .map(|((path, file, _), uses)| Module { path: path.clone(), file: file.clone(), uses })
        .collect()
}

fn relative_name(file: &Path, root: &Path) -> String {
    file.strip_prefix(root).expect("below the folder").display().to_string()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.join("Cargo.toml").exists() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn is_cfg_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.meta.require_list().is_ok_and(|list| list.tokens.to_string() == "test")
    })
}

impl Contents {
    fn tree(&mut self, prefix: &[String], tree: &UseTree, exported: bool) {
        match tree {
            UseTree::Path(path) => {
                let prefix = [prefix, &[path.ident.to_string()]].concat();
                self.tree(&prefix, &path.tree, exported);
            }
            UseTree::Name(name) if name.ident == "self" => {
                self.import(prefix.last().cloned().unwrap_or_default(), prefix.to_vec(), exported);
            }
            UseTree::Name(name) => {
                let name = name.ident.to_string();
                self.import(name.clone(), [prefix, &[name]].concat(), exported);
            }
            UseTree::Rename(rename) => {
                let whole = [prefix, &[rename.ident.to_string()]].concat();
                self.import(rename.rename.to_string(), whole, exported);
            }
            UseTree::Glob(_) => self.paths.push([prefix, &["*".to_owned()]].concat()),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(prefix, tree, exported)),
        }
    }

    fn import(&mut self, name: String, path: Vec<String>, exported: bool) {
        if exported {
            self.exports.insert(name, path);
        } else {
            self.imports.insert(name, path);
        }
    }

    /// Paths within a macro's arguments, which are tokens only.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.finish(&mut path);
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.finish(&mut path);
                    colons = 0;
                    self.tokens(group.stream());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {
                    self.finish(&mut path);
                    colons = 0;
                }
            }
        }
        self.finish(&mut path);
    }

    fn finish(&mut self, path: &mut Vec<String>) {
        if path.len() > 1 {
            self.paths.push(std::mem::take(path));
        }
        path.clear();
    }
}

impl<'a> Visit<'a> for Contents {
    fn visit_item_mod(&mut self, module: &'a syn::ItemMod) {
        if !is_cfg_test(&module.attrs) {
            syn::visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        if !is_cfg_test(&item.attrs) {
            self.tree(&[], &item.tree, !matches!(item.vis, Visibility::Inherited));
        }
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        self.paths.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'a syn::Macro) {
        self.visit_path(&called.path);
        self.tokens(called.tokens.clone());
    }
}

struct Resolver<'a> {
    read: &'a [(Vec<String>, String, Contents)],
    index: &'a BTreeMap<Vec<String>, usize>,
}

impl Resolver<'_> {
    fn uses(&self, module: usize) -> Vec<Used> {
        let contents = &self.read[module].2;
        let imported = contents.imports.values().filter_map(|path| self.resolve(module, path));
        let written = contents.paths.iter().filter_map(|path| {
            let whole = match contents.imports.get(&path[0]) {
                Some(import) if path.len() > 1 => [import, &path[1..]].concat(),
                _ => path.clone(),
            };
            self.resolve(module, &whole)
        });
        let handed_on = contents.exports.values().filter_map(|path| self.resolve(module, path));
        let handed_on = handed_on.map(|used| Used { handed_on: true, ..used });
        imported.chain(written).chain(handed_on).filter(|used| used.module != module).collect()
    }

    /// The file that defines what a path names. A module that is only imported is not taken from anywhere: what is used of
    /// it is.
    fn resolve(&self, module: usize, path: &[String]) -> Option<Used> {
        let mut here = self.read[module].0.clone();
        let mut rest = path;
        match rest.first()?.as_str() {
            "crate" => (here, rest) = (Vec::new(), &rest[1..]),
            "self" => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|part| part == "super") {
                    here.pop();
                    rest = &rest[1..];
                }
            }
            first => {
                let child = [here.as_slice(), &[first.to_owned()]].concat();
                if !self.index.contains_key(&child) {
                    return None;
                }
            }
        }
        while let Some((first, more)) = rest.split_first() {
            let child = [here.as_slice(), std::slice::from_ref(first)].concat();
            let contents = &self.read[*self.index.get(&here)?].2;
            if self.index.contains_key(&child) && !(more.is_empty() && contents.exports.contains_key(first)) {
                (here, rest) = (child, more);
                continue;
            }
            if let Some(export) = contents.exports.get(first) {
                let exporter = *self.index.get(&here)?;
                let whole = [export.as_slice(), more].concat();
                return self.resolve(exporter, &whole);
            }
            let module = *self.index.get(&here)?;
            return Some(Used { module, item: first.clone(), handed_on: false });
        }
        None
    }
}
