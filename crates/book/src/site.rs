//! Which pages the book has, in which order and under which names, and where links lead.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use flow::draw::html::{self, escape};

use crate::layout::{self, Navigation};
use crate::page::{self, Rendered};
use crate::{Error, code, search, whole};

/// A file of the book.
#[derive(Debug)]
pub struct File {
    /// Its name; all files are in one folder.
    pub name: String,
    /// Its content.
    pub content: Vec<u8>,
}

/// A page of the course, before it is rendered.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its path in the checkout: `lessons/02-tcp-echo/README.md`.
    pub path: String,
    /// Its Markdown.
    pub text: String,
    /// Its title, which is its first heading.
    pub title: String,
    /// The group in the contents to which it belongs.
    pub group: String,
}

/// The course as it was read.
#[derive(Debug)]
pub struct Site {
    pub(crate) root: PathBuf,
    /// The pages in reading order.
    pub(crate) pages: Vec<Source>,
    /// The page for each path, of Markdown and of source files.
    names: BTreeMap<String, String>,
    /// The text of the source files that have a page, by path.
    pub(crate) sources: BTreeMap<String, String>,
    /// Where each scene stands, by what `cargo xtask demo` calls it: `6/families`.
    scenes: BTreeMap<String, String>,
}

impl Site {
    /// Reads the course of a checkout.
    ///
    /// # Errors
    /// A file or folder cannot be read.
    pub fn read(root: &Path) -> Result<Site, Error> {
        let mut paths = BTreeSet::new();
        find(root, "", &mut paths)?;
        if !paths.contains("lessons/README.md") {
            return Err(Error(format!(
                "read the course in {}: there is no lessons/README.md; name the checkout \
                 with --root",
                root.display()
            )));
        }
        let read = |path: &str| {
            netlab::files::read_text(&root.join(path))
                .map_err(|error| Error::file("read", Path::new(path), &error))
        };
        let mut pages = Vec::new();
        for path in paths.iter().filter(|path| path.ends_with(".md")) {
            let text = read(path)?;
            let title = text.lines().find_map(|line| line.strip_prefix("# "));
            let title = title.unwrap_or(path).replace('`', "");
            pages.push(Source { path: path.clone(), text, title, group: String::new() });
        }
        let parts = parts(&pages);
        for page in &mut pages {
            page.group = group(&page.path, &parts);
        }
        pages.sort_by_cached_key(|page| place(&page.path, &parts));
        let mut names: BTreeMap<String, String> =
            pages.iter().map(|page| (page.path.clone(), page_name(&page.path))).collect();
        let mut sources = BTreeMap::new();
        for path in paths.iter().filter(|path| is_program(path)) {
            sources.insert(path.clone(), read(path)?);
        }
        // Whatever pages link to gets a page too.
        for page in &pages {
            for link in page::links(&page.text) {
                let path = resolve(&page.path, &link);
                let file = root.join(&path);
                if !names.contains_key(&path)
                    && !sources.contains_key(&path)
                    && !is_picture(&path)
                    && file.is_file()
                {
                    sources.insert(path.clone(), read(&path)?);
                }
            }
        }
        names.extend(sources.keys().map(|path| (path.clone(), source_name(path))));
        let scenes = scenes(&pages);
        Ok(Site { root: root.to_owned(), pages, names, sources, scenes })
    }

    /// Where the scene stands that a command runs: `cargo xtask demo 6/families`, or in a
    /// list of commands `6/families` alone.
    pub fn scene(&self, command: &str) -> Option<&str> {
        let name = command.strip_prefix("cargo xtask demo ").unwrap_or(command);
        let known = self.scenes.get(name)?;
        (name != command || name.contains('/')).then_some(known)
    }

    /// The page for a file of the checkout.
    pub fn name(&self, path: &str) -> Option<&str> {
        self.names.get(path).map(String::as_str)
    }

    /// Where a link on a page leads in the book.
    ///
    /// # Errors
    /// The link leads nowhere.
    pub fn link(&self, page: &str, link: &str) -> Result<String, Error> {
        if link.starts_with("https://") || link.starts_with("http://") {
            return Ok(link.to_owned());
        }
        let (target, fragment) = match link.split_once('#') {
            Some((target, fragment)) => (target, format!("#{fragment}")),
            None => (link, String::new()),
        };
        if target.is_empty() {
            return Ok(fragment);
        }
        let path = resolve(page, target);
        let folder = format!("{}/README.md", path.trim_end_matches('/'));
        if is_picture(&path) && self.root.join(&path).is_file() {
            return Ok(source_name(&path).trim_end_matches(".html").to_owned());
        }
        let name = self.name(&path).or_else(|| self.name(&folder));
        name.map(|name| format!("{name}{fragment}")).ok_or_else(|| {
            Error(format!("{page}: the link to {link} leads to nothing in the book"))
        })
    }

    /// All files of the book.
    ///
    /// # Errors
    /// A link leads nowhere, or a recording cannot be read or is stale.
    pub fn files(&self) -> Result<Vec<File>, Error> {
        let mut index = search::Index::default();
        let mut files = Vec::new();
        let rendered: Vec<Rendered> = self
            .pages
            .iter()
            .map(|page| page::render(self, page))
            .collect::<Result<_, _>>()?;
        let mut pictures = BTreeSet::new();
        for (at, (page, rendered)) in self.pages.iter().zip(&rendered).enumerate() {
            let name = page_name(&page.path);
            index.add_page(&name, page, rendered);
            let navigation = Navigation {
                name: &name,
                title: &page.title,
                contents: layout::contents(self, &name),
                before: at.checked_sub(1).map(|at| &self.pages[at]),
                after: self.pages.get(at + 1),
            };
            let content = layout::page(&navigation, &rendered.html);
            files.push(File { name, content: content.into_bytes() });
            pictures.extend(rendered.pictures.iter().cloned());
            for [name, title, drawn] in &rendered.runs {
                let navigation = Navigation {
                    name,
                    title,
                    contents: layout::contents(self, &page_name(&page.path)),
                    before: Some(page),
                    after: None,
                };
                let main = format!("<h1>{}</h1>\n{drawn}", escape(title));
                let content = layout::page(&navigation, &main).into_bytes();
                files.push(File { name: name.clone(), content });
            }
        }
        let content = whole::page(self, &rendered).into_bytes();
        files.push(File { name: whole::NAME.to_owned(), content });
        for (path, text) in &self.sources {
            let name = source_name(path);
            index.add_source(&name, path, text);
            let navigation = Navigation {
                name: &name,
                title: path,
                contents: layout::contents(self, &name),
                before: None,
                after: None,
            };
            let content = layout::page(&navigation, &code::file(path, text));
            files.push(File { name, content: content.into_bytes() });
        }
        for path in pictures {
            let content = fs::read(self.root.join(&path))
                .map_err(|error| Error::file("read", Path::new(&path), &error))?;
            let name = source_name(&path).trim_end_matches(".html").to_owned();
            files.push(File { name, content });
        }
        let mut asset = |name: &str, content: String| {
            files.push(File { name: name.to_owned(), content: content.into_bytes() });
        };
        asset("book.css", layout::css());
        asset("book.js", layout::js());
        // A page without a conversation does not load it.
        asset("steps.js", html::steps_js());
        asset("search.js", index.script());
        Ok(files)
    }
}

/// Finds all Markdown and program files below a folder, as paths relative to the root.
fn find(root: &Path, below: &str, found: &mut BTreeSet<String>) -> Result<(), Error> {
    let folder = root.join(below);
    let entries =
        fs::read_dir(&folder).map_err(|error| Error::file("read", &folder, &error))?;
    for entry in entries {
        let entry = entry.map_err(|error| Error::file("read", &folder, &error))?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path =
            if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            let skipped = ["target", "my", "snapshots", "zoo", "data", "bad", "cases"];
            if !name.starts_with('.') && !skipped.contains(&name.as_str()) {
                find(root, &path, found)?;
            }
        } else if kind.is_file()
            && [".md", ".rs", ".py"].iter().any(|ending| name.ends_with(ending))
        {
            found.insert(path);
        }
    }
    Ok(())
}

/// Whether a file is a program or a library of the course, whose source is shown.
fn is_program(path: &str) -> bool {
    let document =
        ["crates/tcp-", "crates/udp-", "crates/common/src", "crates/framing/src"];
    let lesson = path.starts_with("lessons/") && !path.contains("/tests/");
    (path.ends_with(".rs") || path.ends_with(".py"))
        && !path.contains("/tests/")
        && (lesson || document.iter().any(|start| path.starts_with(start)))
}

fn is_picture(path: &str) -> bool {
    [".svg", ".png", ".webp"].iter().any(|ending| path.ends_with(ending))
}

/// Resolves a link on a page to a path from the root.
pub fn resolve(page: &str, link: &str) -> String {
    let link = link.split('#').next().unwrap_or_default();
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => {
                parts.pop();
            }
            Component::Normal(part) => parts.extend(part.to_str()),
            _ => {}
        }
    }
    parts.join("/")
}

/// The id on a page of a scene; the one without a name is `main`.
pub fn scene_id(scene: &str) -> String {
    format!("scene-{}", if scene.is_empty() { "main" } else { scene })
}

/// Finds the scenes of all lessons. `6` is the one without a name, on the first page.
fn scenes(pages: &[Source]) -> BTreeMap<String, String> {
    let mut scenes = BTreeMap::new();
    for page in pages {
        let number = lesson(&page.path).and_then(|it| it.split('-').next());
        let Some(number) = number.and_then(|it| it.parse::<u32>().ok()) else { continue };
        for line in page.text.lines() {
            let Some(info) = line.trim_start().strip_prefix("```console ") else {
                continue;
            };
            let terminal = info.split_whitespace().last().unwrap_or_default();
            let scene = terminal.split_once('/').map_or("", |(scene, _)| scene);
            let name = match scene {
                "" => number.to_string(),
                _ => format!("{number}/{scene}"),
            };
            let place = format!("{}#{}", page_name(&page.path), scene_id(scene));
            scenes.entry(name).or_insert(place);
        }
    }
    scenes
}

/// The parts of the course, from the table of lessons: each a heading and the folders of
/// its lessons.
type Parts = Vec<(String, Vec<String>)>;

fn parts(pages: &[Source]) -> Parts {
    let mut parts: Parts = Vec::new();
    let course = pages.iter().find(|page| page.path == "lessons/README.md");
    for line in course.map_or("", |page| &page.text).lines() {
        if !line.starts_with('|') {
            continue;
        }
        if let Some((_, rest)) = line.split_once("**")
            && let Some((name, _)) = rest.split_once("**")
        {
            parts.push((name.to_owned(), Vec::new()));
        } else if let Some((_, rest)) = line.split_once("](")
            && let Some((folder, _)) = rest.split_once("/README.md)")
            && let Some((_, lessons)) = parts.last_mut()
        {
            lessons.push(folder.to_owned());
        }
    }
    parts
}

/// The folder of the lesson that a page belongs to.
fn lesson(path: &str) -> Option<&str> {
    let (folder, _) = path.strip_prefix("lessons/")?.split_once('/')?;
    Some(folder)
}

fn group(path: &str, parts: &Parts) -> String {
    if let Some(folder) = lesson(path) {
        let part = parts.iter().find(|(_, all)| all.iter().any(|it| it == folder));
        return match part {
            Some((name, _)) => name.clone(),
            None if folder.starts_with("appendix") => "Appendix".to_owned(),
            None => "More lessons".to_owned(),
        };
    }
    let name = match path {
        "README.md" | "lessons/README.md" => "The course",
        "lessons/programs.md"
        | "lessons/errors.md"
        | "lessons/sheet.md"
        | "lessons/questions.md" => "Appendix",
        _ if path.contains("/tasks/") => "Tasks",
        _ if path.starts_with("crates/") => "Instruments",
        _ => "For contributors",
    };
    name.to_owned()
}

/// The key by which pages are sorted.
fn place(path: &str, parts: &Parts) -> (usize, usize, bool, String) {
    let at = |group: usize, within: usize| {
        let is_more = !path.ends_with("README.md");
        (group, within, is_more, path.to_owned())
    };
    if let Some(folder) = lesson(path) {
        for (number, (_, lessons)) in parts.iter().enumerate() {
            if let Some(within) = lessons.iter().position(|it| it == folder) {
                return at(number + 1, within);
            }
        }
        let number = folder.split('-').next().and_then(|it| it.parse().ok());
        return match number {
            Some(number) => at(100, number),
            None => at(101, 0),
        };
    }
    match group(path, parts).as_str() {
        "The course" => at(0, usize::from(path != "README.md")),
        "Appendix" => at(101, 1),
        "Tasks" => at(102, 0),
        "Instruments" => at(103, 0),
        _ => at(104, 0),
    }
}

/// The name of a page: `02-tcp-echo.html`.
pub fn page_name(path: &str) -> String {
    let stem = path.trim_end_matches(".md");
    let name = match stem {
        "README" => "index".to_owned(),
        "lessons/README" => "course".to_owned(),
        _ => {
            let stem = stem.strip_prefix("lessons/").unwrap_or(stem);
            let stem = stem.strip_prefix("crates/").unwrap_or(stem);
            let stem = stem.trim_end_matches("/README").trim_end_matches("/task");
            stem.replace("/tasks/", "-").replace('/', "-").to_lowercase()
        }
    };
    format!("{name}.html")
}

/// The name of a source file's page: `crates-tcp-server-src-main.rs.html`.
pub fn source_name(path: &str) -> String {
    // The lesson's number and the name of the file are enough, and a lesson has many such
    // links.
    let file = path.rsplit('/').next().unwrap_or(path);
    match lesson(path).and_then(|folder| folder.split_once('-')) {
        Some((number, _)) => format!("src-{number}-{file}.html"),
        None => format!("{}.html", path.replace('/', "-")),
    }
}
