//! A lesson page: its fenced blocks that have a meaning, read from the Markdown.
//!
//! | fence | meaning |
//! |---|---|
//! | `console NAME` | a terminal of the page's main scene |
//! | `console SCENE/NAME` | a terminal of another scene |
//! | `console linux …` | the same; its scene is skipped on systems other than Linux |
//! | `flow`, `flow SCENE` | calls and packets of a scene's run, as `cargo xtask flow` draws them |
//! | `wire`, `wire SCENE` | the rules of the wire that the scene runs on, one per line: `netlab::wire::rules` |
//! | `LANGUAGE PATH` | a quotation of the file at PATH |
//! | `LANGUAGE`, or nothing | prose |
//!
//! A comment `<!-- figures from SOURCE: FIGURE; FIGURE = EVIDENCE -->` below a paragraph
//! marks figures in it that a run printed. [`crate::figures`] compares them with that
//! run.
//!
//! A scene is a set of terminals that run together. In a terminal, `$ COMMAND` starts a
//! command, the lines under it are what it prints, `^C` interrupts it, and
//! `[exit status N]` says how it ended if that is not 0.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use common::{Visible, is_hidden};

use crate::figures::Mark;
use netlab::wire::Rules;

use crate::markdown::{self, Block};

/// A page, with all its blocks in order.
#[derive(Debug)]
pub struct Page {
    /// Its path, relative to the root of the workspace.
    pub path: PathBuf,
    /// The text of the file.
    pub text: String,
    /// Its scenes. Terminals with the same scene name form one scene.
    pub scenes: Vec<Scene>,
    /// Its quotations from other files.
    pub quotations: Vec<Quotation>,
    /// The drawings of its scenes' runs.
    pub flows: Vec<Flow>,
    /// The marks of figures in its prose, which are compared with a run.
    pub marks: Vec<Mark>,
}

/// A scene: terminals that run together.
#[derive(Debug)]
pub struct Scene {
    /// Its name, which is empty for the page's main scene.
    pub name: String,
    /// Its terminals, in the order in which they start.
    pub terminals: Vec<Terminal>,
    /// The rules of the wire that it runs on, with the first terminal on host b and the
    /// others on host a. `None` if all run on one loopback interface.
    pub wire: Option<Vec<String>>,
    /// Whether one of its blocks is marked `linux`: what the scene shows is specific to
    /// Linux.
    pub linux: bool,
}

/// One terminal: its name, what is typed into it, and what it shows.
#[derive(Debug)]
pub struct Terminal {
    /// Its name, without the scene's.
    pub name: String,
    /// The commands, one after another.
    pub steps: Vec<Step>,
    /// The block's lines, as on the page.
    pub lines: Vec<String>,
    /// The number of the first of those lines on the page, from 1.
    pub line: usize,
    /// The position of those lines in [`Page::text`], in bytes.
    pub range: Range<usize>,
    /// The spaces before each of them on the page, if the block is in a list item.
    pub indent: String,
}

/// One command, and what the terminal shows of it.
#[derive(Debug)]
pub struct Step {
    /// The text after `$ `.
    pub command: String,
    /// Its words, unquoted.
    pub words: Vec<String>,
    /// The lines that it prints, including how it ended, but not `^C`.
    pub expected: Vec<String>,
    /// The number of those lines before `^C`, if there is one.
    pub interrupt_after: Option<usize>,
    /// The command's line on the page.
    pub line: usize,
}

/// A quotation: a block that must appear in another file, letter by letter.
#[derive(Debug)]
pub struct Quotation {
    /// The file, relative to the root of the checkout.
    pub file: String,
    /// The quoted lines.
    pub lines: Vec<String>,
    /// The number of the first of them on the page, from 1.
    pub line: usize,
}

/// The drawing of a scene's run: its calls and its packets.
#[derive(Debug, Clone)]
pub struct Flow {
    /// The scene's name; the main scene's is empty.
    pub scene: String,
    /// The block's lines.
    pub lines: Vec<String>,
    /// The number of the first of those lines on the page, from 1.
    pub line: usize,
    /// The position of those lines in [`Page::text`], in bytes.
    pub range: Range<usize>,
}

/// A fault of a page, with file and line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file, relative to the root of the checkout.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}:{}: {}", self.path.display(), self.line, self.message);
        Visible(text.as_bytes()).fmt(f)
    }
}

impl std::error::Error for Diagnostic {}

/// The languages of blocks that are prose if no file is named.
const PROSE: &[&str] =
    &["", "text", "rust", "python", "c", "toml", "json", "markdown", "diff", "sh"];

impl Page {
    /// Reads the blocks of `text`, the page at `path` (relative to the workspace).
    ///
    /// # Errors
    /// Fails with all [`Diagnostic`]s of the page, if there are any.
    pub fn parse(path: &Path, text: &str) -> Result<Page, Vec<Diagnostic>> {
        let mut page = Page {
            path: path.to_owned(),
            text: text.to_owned(),
            scenes: Vec::new(),
            quotations: Vec::new(),
            flows: Vec::new(),
            marks: Vec::new(),
        };
        let mut faults = Vec::new();
        let mut wires = Vec::new();
        for block in markdown::blocks(text) {
            let line = block.line;
            if let Err((line, message)) = page.add(block, &mut wires) {
                faults.push(Diagnostic { path: path.to_owned(), line, message });
            }
            debug_assert!(line > 0);
        }
        for flow in page.flows.iter().filter(|flow| page.scene(&flow.scene).is_none()) {
            let fence = if flow.scene.is_empty() {
                "its main scene".into()
            } else {
                format!("a scene `{}`", flow.scene)
            };
            let message = format!(
                "the page has no terminal of {fence} whose run could be drawn; a block `flow \
                 SCENE` names a scene of its page"
            );
            let line = flow.line - 1;
            faults.push(Diagnostic { path: path.to_owned(), line, message });
        }
        for (scene, rules, line) in wires {
            let at = |line, message| Diagnostic { path: path.to_owned(), line, message };
            if let Err(error) = Rules::parse(rules.iter().map(String::as_str)) {
                faults.push(at(line + error.line, error.to_string()));
            }
            match page.scenes.iter_mut().find(|it| it.name == scene) {
                Some(it) if it.wire.is_some() => {
                    let message = "the wire of this scene has its rules already";
                    faults.push(at(line - 1, message.to_owned()));
                }
                Some(it) => it.wire = Some(rules),
                None => {
                    let message = format!(
                        "the page has no terminal of a scene `{scene}` that could run on \
                         this wire; a block `wire SCENE` names a scene of its page"
                    );
                    faults.push(at(line - 1, message));
                }
            }
        }
        for comment in markdown::comments(text) {
            match Mark::parse(&comment) {
                None => {}
                Some(Ok(mark)) => page.marks.push(mark),
                Some(Err(message)) => {
                    let (path, line) = (path.to_owned(), comment.line);
                    faults.push(Diagnostic { path, line, message });
                }
            }
        }
        if faults.is_empty() { Ok(page) } else { Err(faults) }
    }

    /// Returns the scene of that name. The main scene's name is empty.
    pub fn scene(&self, name: &str) -> Option<&Scene> {
        self.scenes.iter().find(|scene| scene.name == name)
    }

    fn add(
        &mut self,
        block: Block<'_>,
        wires: &mut Vec<(String, Vec<String>, usize)>,
    ) -> Result<(), (usize, String)> {
        let fence_line = block.line;
        let Some(meaning) =
            meaning(block.info).map_err(|message| (fence_line, message))?
        else {
            return Ok(());
        };
        let lines = unindented(&block, &meaning)?;
        sound(&block, &lines)?;
        // A flow block may be empty: `update` fills it.
        if lines.is_empty() && !matches!(meaning, Meaning::Flow(_)) {
            return Err((fence_line, "the block is empty".into()));
        }
        match meaning {
            Meaning::Terminal { name, linux } => {
                self.add_terminal(name, linux, lines, &block)
            }
            Meaning::Quotation(file) => {
                let (file, line) = (file.to_owned(), fence_line + 1);
                self.quotations.push(Quotation { file, lines, line });
                Ok(())
            }
            Meaning::Wire(scene) => {
                wires.push((scene.to_owned(), lines, fence_line + 1));
                Ok(())
            }
            Meaning::Flow(scene) => {
                if let Some(other) = self.flows.iter().find(|it| it.scene == scene) {
                    let already = other.line - 1;
                    return Err((
                        fence_line,
                        format!("the flow of this scene is already on line {already}"),
                    ));
                }
                let (scene, line) = (scene.to_owned(), fence_line + 1);
                self.flows.push(Flow { scene, lines, line, range: block.range.clone() });
                Ok(())
            }
        }
    }

    fn add_terminal(
        &mut self,
        name: &str,
        linux: bool,
        lines: Vec<String>,
        block: &Block<'_>,
    ) -> Result<(), (usize, String)> {
        let (scene, name) = name.split_once('/').unwrap_or(("", name));
        let allowed = |c: char| {
            c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_'
        };
        if name.is_empty() || !name.chars().all(allowed) || !scene.chars().all(allowed) {
            return Err((
                block.line,
                format!(
                    "`{scene}/{name}` is not a name for a terminal: use lower-case letters, \
                     digits and dashes"
                ),
            ));
        }
        if name == "flow" {
            let message = "a terminal cannot be called `flow`: that is the name of \
                           the drawing's snapshot";
            return Err((block.line, message.into()));
        }
        let steps = steps(&lines, block.line + 1)?;
        let index = self.scenes.iter().position(|other| other.name == scene);
        let index = index.unwrap_or_else(|| {
            let (name, terminals) = (scene.to_owned(), Vec::new());
            self.scenes.push(Scene { name, terminals, wire: None, linux: false });
            self.scenes.len() - 1
        });
        self.scenes[index].linux |= linux;
        let terminals = &mut self.scenes[index].terminals;
        if let Some(other) = terminals.iter().find(|other| other.name == name) {
            return Err((
                block.line,
                format!(
                    "terminal `{name}` is already on line {}; give this one another name, \
                     or a scene of its own: ```console SCENE/{name}",
                    other.line - 1,
                ),
            ));
        }
        let (name, line) = (name.to_owned(), block.line + 1);
        let (range, indent) = (block.range.clone(), block.indent.unwrap_or_default());
        let indent = indent.to_owned();
        terminals.push(Terminal { name, steps, lines, line, range, indent });
        Ok(())
    }
}

enum Meaning<'a> {
    Terminal { name: &'a str, linux: bool },
    Quotation(&'a str),
    Flow(&'a str),
    Wire(&'a str),
}

/// Returns the meaning of the words after a fence, or `None` for prose.
fn meaning(info: &str) -> Result<Option<Meaning<'_>>, String> {
    let words: Vec<&str> = info.split_whitespace().collect();
    Ok(Some(match words[..] {
        [] => return Ok(None),
        [language] if PROSE.contains(&language) => return Ok(None),
        ["console"] => {
            return Err(
                "a console block needs the name of its terminal: ```console server"
                    .into(),
            );
        }
        ["console", name] => Meaning::Terminal { name, linux: false },
        ["console", "linux", name] => Meaning::Terminal { name, linux: true },
        ["flow"] => Meaning::Flow(""),
        ["flow", scene] => Meaning::Flow(scene),
        ["wire"] => Meaning::Wire(""),
        ["wire", scene] => Meaning::Wire(scene),
        [language, file] if PROSE.contains(&language) => Meaning::Quotation(file),
        _ => {
            return Err(format!(
                "unknown block `{info}`; known are `console TERMINAL`, `console \
                 SCENE/TERMINAL`, `console linux …`, `flow`, `flow SCENE`, `wire`, \
                 `wire SCENE`, `LANGUAGE PATH` and plain prose in one of: {}",
                PROSE[1..].join(", "),
            ));
        }
    }))
}

/// Returns the lines of a block without the indentation of the list item that it is in.
/// Terminals, wire rules and quotations may be in one, in the answer to an exercise.
fn unindented(
    block: &Block<'_>,
    meaning: &Meaning<'_>,
) -> Result<Vec<String>, (usize, String)> {
    if !block.closed {
        return Err((block.line, "the block is never closed: end it with ```".into()));
    }
    let indent = match (block.indent, meaning) {
        (
            Some(indent),
            Meaning::Terminal { .. } | Meaning::Quotation(_) | Meaning::Wire(_),
        ) => indent,
        (Some(""), _) => "",
        _ => {
            let message =
                "the block is inside a list or a quotation: move it to the first column";
            return Err((block.line, message.into()));
        }
    };
    let unindented = |(at, line): (usize, &str)| {
        let within = line.strip_prefix(indent);
        let line = within.or(line.is_empty().then_some(""));
        let message = "the line is indented less than its block";
        line.map(str::to_owned).ok_or_else(|| (block.line + 1 + at, message.into()))
    };
    block.content.lines().enumerate().map(unindented).collect()
}

/// Refuses a block that contains invisible characters, or the beginning of another block.
fn sound(block: &Block<'_>, lines: &[String]) -> Result<(), (usize, String)> {
    let fence_line = block.line;
    // A reader of the page cannot see what these would make a terminal do.
    for (at, line) in lines.iter().enumerate() {
        if let Some(hidden) = line.chars().find(|c| *c != '\t' && is_hidden(*c)) {
            let code = u32::from(hidden);
            return Err((
                fence_line + 1 + at,
                format!(
                    "the line holds U+{code:04X}, which a terminal obeys or does \
                     not show: remove it"
                ),
            ));
        }
    }
    // A fence with words cannot close a block, so the closing one is missing.
    let opens = |line: &String| {
        line.strip_prefix("```").is_some_and(|info| info.starts_with(char::is_alphabetic))
    };
    if let Some(at) = lines.iter().position(opens) {
        return Err((
            fence_line + 1 + at,
            format!(
                "a block begins here, but the one on line {fence_line} has no end: close \
                 it with ```"
            ),
        ));
    }
    Ok(())
}

fn steps(lines: &[String], first_line: usize) -> Result<Vec<Step>, (usize, String)> {
    let mut steps: Vec<Step> = Vec::new();
    for (line, text) in (first_line..).zip(lines) {
        if let Some(command) = text.strip_prefix('$') {
            let command = command.trim();
            let words = words(command).map_err(|message| (line, message))?;
            steps.push(Step {
                command: command.to_owned(),
                words,
                expected: Vec::new(),
                interrupt_after: None,
                line,
            });
            continue;
        }
        let Some(step) = steps.last_mut() else {
            return Err((
                line,
                format!("a terminal begins with `$ COMMAND`, not `{text}`"),
            ));
        };
        if text != "^C" {
            step.expected.push(text.clone());
        } else if step.interrupt_after.replace(step.expected.len()).is_some() {
            return Err((line, "a command is interrupted once: one `^C`".into()));
        }
    }
    Ok(steps)
}

/// Splits a command line into words, quoted as in a shell. Refuses what only a shell can
/// do.
fn words(command: &str) -> Result<Vec<String>, String> {
    let words = shlex::split(command)
        .ok_or_else(|| format!("`{command}`: a quotation mark is not closed"))?;
    let shell = ["|", "||", "&", "&&", ";", "<", ">", ">>", "2>&1", "2>"];
    if let Some(word) = words.iter().find(|word| shell.contains(&word.as_str())) {
        return Err(format!(
            "`{word}` needs a shell, and commands run without one: write sh -c '…'"
        ));
    }
    if words.is_empty() {
        return Err("`$` without a command".into());
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Page, Vec<Diagnostic>> {
        Page::parse(Path::new("page.md"), text)
    }

    fn fault(text: &str) -> String {
        parse(text)
            .unwrap_err()
            .iter()
            .map(Diagnostic::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn terminals_steps_and_quotations_have_their_places() {
        let page = parse(
            "# T\n\n```console server\n$ serve --port 1\nready\n^C\nbye\n```\n\n\
             ```console server2\n$ a 'b c'\n$ d\n[exit status 1]\n```\n\n\
             ```console busy/server\n$ e\n```\n\n```rust src/x.rs\nfn x() {}\n```\n\n\
             ```flow busy\na │\n```\n",
        )
        .unwrap();
        assert_eq!((page.flows[0].scene.as_str(), page.flows[0].line), ("busy", 25));
        assert_eq!(&page.text[page.flows[0].range.clone()], "a │\n");
        assert_eq!(page.scenes.len(), 2);
        let wire = "```console x/a\n$ a\n```\n\n```wire x\nlose a>b fin 1\n```\n";
        let wire = parse(wire).unwrap().scene("x").unwrap().wire.clone();
        assert_eq!(wire.unwrap(), ["lose a>b fin 1"]);
        let server = &page.scenes[0].terminals[0];
        assert_eq!((server.name.as_str(), server.line), ("server", 4));
        assert_eq!(server.steps[0].expected, ["ready", "bye"]);
        assert_eq!(server.steps[0].interrupt_after, Some(1));
        assert_eq!(
            &page.text[server.range.clone()],
            "$ serve --port 1\nready\n^C\nbye\n"
        );
        let second = &page.scenes[0].terminals[1];
        assert_eq!(second.steps[0].words, ["a", "b c"]);
        assert_eq!((second.steps[1].line, second.steps[1].expected.len()), (12, 1));
        assert_eq!(page.scene("busy").unwrap().terminals[0].name, "server");
        assert_eq!(
            (page.quotations[0].file.as_str(), page.quotations[0].line),
            ("src/x.rs", 21)
        );
    }

    #[test]
    fn broken_and_unknown_blocks_are_faults_with_their_line() {
        for (text, expected) in [
            ("```consol server\n$ a\n```\n", "page.md:1: unknown block `consol server`"),
            ("x\n\n```console\n$ a\n```\n", "page.md:3: a console block needs the name"),
            ("```console a b\n$ a\n```\n", "page.md:1: unknown block `console a b`"),
            ("```console a\n$ a\n", "page.md:1: the block is never closed"),
            ("```console a\n```\n", "page.md:1: the block is empty"),
            (
                "```console a\nhello\n```\n",
                "page.md:2: a terminal begins with `$ COMMAND`",
            ),
            ("```console a\n$ \n```\n", "page.md:2: `$` without a command"),
            ("```console a\n$ a 'b\n```\n", "page.md:2: `a 'b`: a quotation mark"),
            ("```console a\n$ a | b\n```\n", "page.md:2: `|` needs a shell"),
            (
                "```console a\n$ a\n^C\n^C\n```\n",
                "page.md:4: a command is interrupted once",
            ),
            ("```console A\n$ a\n```\n", "page.md:1: `/A` is not a name"),
            ("- ```console a\n  $ a\n  ```\n", "page.md:1: the block is inside a list"),
            ("- x\n  ```flow\n  x\n  ```\n", "page.md:2: the block is inside a list"),
            (
                "- x\n  ```console a\n $ a\n  ```\n",
                "page.md:3: the line is indented less than its block",
            ),
            (
                "```console a\n$ a\n```\n\n```console a\n$ b\n```\n",
                "page.md:5: terminal `a`",
            ),
            ("```bash\nls\n```\n", "page.md:1: unknown block `bash`"),
            ("```console a\n$ a\nb\u{202e}\n```\n", "page.md:3: the line holds U+202E"),
            ("```con\x1b[2Jsole\n```\n", "page.md:1: unknown block `con\\x1b[2Jsole`"),
            (
                "```console flow\n$ a\n```\n",
                "page.md:1: a terminal cannot be called `flow`",
            ),
            ("```flow\na\n```\n", "page.md:1: the page has no terminal of its main"),
            (
                "```wire x\nlose 5% seed 7\n```\n",
                "page.md:1: the page has no terminal of a",
            ),
            (
                "```console a\n$ a\n```\n\n```wire\nlose a>b fin\nlose it\n```\n",
                "page.md:7: rule `lose it`: `it` is not understood; possible: a>b, b>a",
            ),
            ("```flow x\na\n```\n", "page.md:1: the page has no terminal of a scene `x`"),
            (
                "```console a\n$ a\n```\n\n```flow\na\n```\n\n```flow\nb\n```\n",
                "page.md:9: the flow of this scene is already on line 5",
            ),
        ] {
            let faults = fault(text);
            assert!(faults.starts_with(expected), "{text:?} gave {faults}");
        }
    }

    #[test]
    fn a_terminal_may_stand_in_the_item_of_a_list() {
        let page = parse("1. x\n\n   ```console a\n   $ a\n     b\n   ```\n").unwrap();
        let terminal = &page.scenes[0].terminals[0];
        assert_eq!(terminal.lines, ["$ a", "  b"]);
        assert_eq!((terminal.line, terminal.indent.as_str()), (4, "   "));
    }

    #[test]
    fn the_rules_of_a_wire_may_stand_in_the_item_of_a_list() {
        let rules = "1. x\n\n   ```wire\n   delay 20ms\n   ```\n\n";
        let page = parse(&format!("{rules}   ```console a\n   $ a\n   ```\n")).unwrap();
        assert_eq!(page.scenes[0].wire.as_deref().unwrap(), ["delay 20ms"]);
    }

    #[test]
    fn a_flow_that_is_not_drawn_yet_is_no_fault() {
        let page = parse("```console a\n$ true\n```\n\n```flow\n```\n").unwrap();
        assert!(page.flows[0].lines.is_empty());
        assert_eq!(page.flows[0].range, page.text.len() - 4..page.text.len() - 4);
    }

    #[test]
    fn every_fault_of_a_page_is_named() {
        let faults = fault("```console\n$ a\n```\n\n```bash\nls\n```\n");
        assert_eq!(faults.lines().count(), 2);
    }

    #[test]
    fn a_block_without_an_end_takes_no_other_for_its_content() {
        let text = "```console a\n$ true\n\n## The code\n\n```rust x.rs\nx\n```\n";
        let faults = fault(text);
        assert!(
            faults.contains(":6: a block begins here, but the one on line 1 has no end")
        );
    }

    #[test]
    fn fences_in_tildes_and_longer_fences_are_closed_by_their_like() {
        assert!(parse("~~~console a\n$ a\n```\n~~~\n").is_ok());
        assert!(parse("````console a\n$ a\n```\n").is_err());
    }

    #[test]
    fn a_scene_of_one_system_is_marked_on_any_of_its_blocks() {
        let page = parse(
            "```console linux a\n$ a\n```\n\n```console b\n$ b\n```\n\n```console s/c\n$ c\n```\n",
        )
        .unwrap();
        let linux: Vec<bool> = page.scenes.iter().map(|scene| scene.linux).collect();
        assert_eq!(linux, [true, false]);
        assert_eq!(page.scenes[0].terminals.len(), 2);
    }

    #[test]
    fn plain_blocks_are_prose() {
        assert!(
            parse("```\n$ no terminal\n```\n\n```text\nx\n```\n\n    indented\n").is_ok()
        );
    }
}
