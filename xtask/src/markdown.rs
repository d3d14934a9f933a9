//! Reads the fenced blocks, comments and links of a page's Markdown.
//!
//! A Markdown parser would take a third of the first build of `cargo xtask demo`. Blocks
//! and links are just lines and brackets, so they are read here. The tests compare the
//! results for every page of the checkout, and for odd cases, with those of a parser
//! (`pulldown-cmark`).

use std::ops::Range;

/// A fenced block as written, not interpreted yet (`CommonMark` §4.5).
#[derive(Debug, PartialEq, Eq)]
pub struct Block<'a> {
    /// The text after the opening fence.
    pub info: &'a str,
    /// The lines between the fences.
    pub content: &'a str,
    /// Their position on the page, in bytes.
    pub range: Range<usize>,
    /// The line of the opening fence, from 1.
    pub line: usize,
    /// Whether there is a closing fence.
    pub closed: bool,
    /// The spaces before the fence, if it is inside a list item. `None` if there is
    /// another mark before it, of a list or a quotation.
    pub indent: Option<&'a str>,
}

/// An HTML comment on lines of its own, and the paragraph above it.
#[derive(Debug, PartialEq, Eq)]
pub struct Comment<'a> {
    /// What is between `<!--` and `-->`.
    pub content: &'a str,
    /// The line of its `<!--`, from 1.
    pub line: usize,
    /// The lines above it, back to an empty one or a block, without other comments.
    pub paragraph: &'a str,
}

/// Returns the comments in `text` that begin a line outside of blocks, in order.
pub fn comments(text: &str) -> Vec<Comment<'_>> {
    let blocks = blocks(text);
    let mut comments = Vec::new();
    // The range of the paragraph above, and the start of the comment that is open.
    let (mut paragraph, mut open) = (0..0, None);
    let mut start = 0;
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let (here, end) = (start, start + line.len());
        start = end;
        let in_block = blocks.iter().any(|block| block.range.contains(&here));
        if open.is_none() && (in_block || line.trim().is_empty() || fence(line).is_some())
        {
            paragraph = end..end;
            continue;
        }
        if open.is_none() && line.trim_start().starts_with("<!--") {
            let marks = line.len() - line.trim_start().len() + "<!--".len();
            open = Some((here + marks, number));
        }
        match open {
            Some((from, line)) => {
                if let Some(length) = text[from..end].find("-->") {
                    let content = &text[from..from + length];
                    let paragraph = &text[paragraph.clone()];
                    comments.push(Comment { content, line, paragraph });
                    open = None;
                }
            }
            None => paragraph.end = end,
        }
    }
    comments
}

/// Returns the paragraphs of `text` outside of blocks. Each comes with the number of its
/// first line, counted from 1. A paragraph ends at an empty line or a block; comments that
/// begin a line are left out.
pub fn paragraphs(text: &str) -> Vec<(usize, String)> {
    let blocks = blocks(text);
    let mut paragraphs: Vec<(usize, String)> = Vec::new();
    let (mut inside, mut in_comment) = (false, false);
    let mut start = 0;
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let here = start;
        start += line.len();
        let in_block = blocks.iter().any(|block| block.range.contains(&here));
        if !in_comment && (in_block || line.trim().is_empty() || fence(line).is_some()) {
            inside = false;
            continue;
        }
        if in_comment || line.trim_start().starts_with("<!--") {
            in_comment = !line.contains("-->");
            continue;
        }
        match paragraphs.last_mut() {
            Some((_, paragraph)) if inside => paragraph.push_str(line),
            _ => paragraphs.push((number, line.to_owned())),
        }
        inside = true;
    }
    paragraphs
}

/// Returns the fenced blocks of `text`, in order.
pub fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    // The opening fence of the block that is currently open.
    let mut open: Option<&str> = None;
    let mut start = 0;
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let end = start + line.len();
        // Some editors begin a file with a byte order mark, which is not part of its text.
        let line = line.strip_prefix('\u{feff}').filter(|_| start == 0).unwrap_or(line);
        match (open, fence(line)) {
            (None, Some((marks, info))) => {
                open = Some(marks);
                blocks.push(Block {
                    info,
                    content: "",
                    range: end..end,
                    line: number,
                    closed: false,
                    indent: line
                        .split_once(marks)
                        .map(|(before, _)| before)
                        .filter(|before| before.bytes().all(|byte| byte == b' ')),
                });
            }
            (Some(opening), Some((marks, ""))) if marks.starts_with(opening) => {
                open = None;
                if let Some(block) = blocks.last_mut() {
                    block.closed = true;
                }
            }
            (Some(_), _) => {
                if let Some(block) = blocks.last_mut() {
                    block.range.end = end;
                    block.content = &text[block.range.clone()];
                }
            }
            (None, None) => {}
        }
        start = end;
    }
    blocks
}

/// Returns the marks of a fence, three or more, and the text after them. Marks of a list
/// or a quotation may come before them.
fn fence(line: &str) -> Option<(&str, &str)> {
    let nesting =
        |c: char| c.is_whitespace() || c.is_ascii_digit() || ">-*+.)".contains(c);
    let line = line.trim_start_matches(nesting).trim_end();
    let mark = line.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
    let (marks, info) = line.split_at(line.len() - line.trim_start_matches(mark).len());
    // If a backtick follows, they begin code within a sentence.
    (marks.len() >= 3 && !(mark == '`' && info.contains('`')))
        .then(|| (marks, info.trim()))
}

/// Returns the targets of links and images outside of code, each with its line, from 1.
pub fn links(text: &str) -> Vec<(usize, &str)> {
    let blocks = blocks(text);
    let mut start = 0;
    let mut links = Vec::new();
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        if !blocks.iter().any(|block| block.range.contains(&start)) {
            // Every second piece between backticks is code; a link's text may contain one.
            let mut rest = line;
            while let Some(at) = rest.find(['`', ']']) {
                let (mark, behind) = rest[at..].split_at(1);
                rest = behind;
                if mark == "`" {
                    let length = 1 + rest.len() - rest.trim_start_matches('`').len();
                    let marks = "`".repeat(length);
                    rest = &rest[length - 1..];
                    rest = rest.split_once(&marks).map_or(rest, |(_, behind)| behind);
                } else if let Some((target, behind)) =
                    rest.strip_prefix('(').and_then(|rest| rest.split_once(')'))
                {
                    links.push((number, target));
                    rest = behind;
                }
            }
        }
        start += line.len();
    }
    links
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

    use super::*;

    /// Info string, content and line of each fenced block; line and target of each link.
    type Seen = (Vec<(String, String, usize)>, Vec<(usize, String)>);

    fn ours(text: &str) -> Seen {
        let blocks = blocks(text).into_iter();
        // In a list, a parser removes the indentation of the fence from the block's lines.
        let content = |block: &Block<'_>| {
            let indented = text.lines().nth(block.line - 1).unwrap_or_default();
            let indentation = indented.len() - indented.trim_start_matches(' ').len();
            let lines = block.content.split_inclusive('\n');
            let cut = |line: &str| {
                let blanks = line.len() - line.trim_start_matches(' ').len();
                line[blanks.min(indentation)..].to_owned()
            };
            lines.map(cut).collect::<String>()
        };
        let blocks = blocks.map(|b| (b.info.to_owned(), content(&b), b.line));
        let links = links(text).into_iter();
        (blocks.collect(), links.map(|(line, link)| (line, link.to_owned())).collect())
    }

    fn theirs(text: &str) -> Seen {
        let line_of = |offset: usize| text[..offset].matches('\n').count() + 1;
        let (mut blocks, mut links) = (Vec::new(), Vec::new());
        let mut open = false;
        for (event, range) in Parser::new(text).into_offset_iter() {
            match event {
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                    open = true;
                    let info = info.trim().to_owned();
                    blocks.push((info, String::new(), line_of(range.start)));
                }
                Event::Text(part) if open => blocks.last_mut().unwrap().1 += &part,
                Event::End(TagEnd::CodeBlock) => open = false,
                Event::Start(
                    Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. },
                ) => {
                    // Our line is the one that the target is on.
                    let target = text[range.start..].find(&format!("]({dest_url}"));
                    let at = range.start + target.unwrap_or_default();
                    links.push((line_of(at), dest_url.into_string()));
                }
                _ => {}
            }
        }
        (blocks, links)
    }

    fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap();
            if path.is_dir() && name != "target" && name != ".git" && name != "my" {
                pages(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }

    #[test]
    fn every_page_reads_as_a_markdown_parser_reads_it() {
        let mut found = Vec::new();
        pages(&crate::workspace::root(), &mut found);
        assert!(found.len() >= 5, "{found:?}");
        for page in found {
            let text = std::fs::read_to_string(&page).unwrap();
            assert_eq!(ours(&text), theirs(&text), "{}", page.display());
        }
    }

    #[test]
    fn what_is_odd_reads_so_as_well() {
        for text in [
            "",
            "```",
            "```text\n",
            "```text\nnever closed\n\n",
            "````text\n```\nin it\n```\n````\n",
            "~~~ text\n```\n~~~\n",
            "```text\n~~~\n```\nbehind\n",
            "```text\na\n``` not closed\nb\n```   \n",
            "``` `code` ``` in a sentence\n",
            "`a` and ```` ```console x ```` and [b](c.md)\n",
            "[`a]` b](c.md) and ![d](e.png \n) `[f](g)` [h](i#j)\n",
            "[over two\nlines](k.md)\n",
            "```text\n[no](link)\n```\n[a](link)\n",
        ] {
            let (ours, theirs) = (ours(text), theirs(text));
            assert_eq!(ours.0, theirs.0, "{text:?}");
            let odd = text.contains("e.png");
            assert!(odd || ours.1 == theirs.1, "{text:?}: {ours:?}, {theirs:?}");
        }
    }

    #[test]
    fn paragraphs_are_what_stands_outside_of_blocks_and_comments() {
        let text = "# a\n\nb\nc\n<!-- d\ne -->\nf\n```text\ng\n```\nh";
        let told = [(1, "# a\n"), (3, "b\nc\nf\n"), (11, "h")];
        assert_eq!(paragraphs(text), told.map(|(line, text)| (line, text.to_owned())));
    }

    #[test]
    fn a_comment_has_the_paragraph_above_it() {
        let text = "a\n\nb\nc\n<!-- d -->\n<!-- e\nf -->\n\n```text\n<!-- no -->\n```\n<!-- g -->\n";
        let told: Vec<_> = comments(text)
            .iter()
            .map(|comment| (comment.content, comment.line, comment.paragraph))
            .collect();
        assert_eq!(
            told,
            [(" d ", 5, "b\nc\n"), (" e\nf ", 6, "b\nc\n"), (" g ", 12, "")]
        );
    }

    #[test]
    fn a_fence_off_the_first_column_and_one_unclosed_are_told() {
        let text = "- ```text\n  a\n  ```\n\n  ```text\n  b\n  ```\n\n```text\nc\n";
        let told: Vec<_> = blocks(text)
            .iter()
            .map(|block| (block.line, block.closed, block.indent))
            .collect();
        assert_eq!(told, [(1, true, None), (5, true, Some("  ")), (9, false, Some(""))]);
    }
}
