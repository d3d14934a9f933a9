//! Renders a page of the course: Markdown as HTML, with its code blocks shown according
//! to what they mean in the lessons.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use flow::draw::html::{escape, steps_js};
use pulldown_cmark::{
    CodeBlockKind, CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd,
};

use crate::layout::{self, Navigation};
use crate::site::{Site, Source, page_name, resolve, scene_id};
use crate::{Error, code, conversation};

/// A page rendered as HTML.
#[derive(Debug, Default)]
pub struct Rendered {
    /// The content of `<main>`.
    pub html: String,
    /// The same with every drawing as text, for printing together with all other pages.
    pub print: String,
    /// Its sections, for the search index.
    pub sections: Vec<Section>,
    /// The paths of the pictures that it shows.
    pub pictures: Vec<String>,
    /// Conversations that get a page of their own: the page's name, its title, the
    /// conversation.
    pub runs: Vec<[String; 3]>,
}

/// A heading, and the text below it.
#[derive(Debug, Default)]
pub struct Section {
    /// The id within the page; empty for the text above the first heading.
    pub id: String,
    /// The heading.
    pub title: String,
    /// The text.
    pub text: String,
}

/// The most bytes that a page may take, including its style sheet and scripts.
/// Conversations that do not fit are shown as text, and each gets a page of its own.
const LARGEST: usize = 99_600;
/// The page whose conversation is shown on the start page.
const FIRST: &str = "lessons/02-tcp-echo/README.md";

fn parser(text: &str) -> Parser<'_> {
    Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH)
}

/// Where the links of a page lead, as written in it.
pub fn links(text: &str) -> Vec<String> {
    parser(text)
        .filter_map(|event| match event {
            Event::Start(Tag::Link { dest_url, .. }) => Some(dest_url.into_string()),
            _ => None,
        })
        .filter(|link| !link.contains("://"))
        .collect()
}

/// Renders a page.
///
/// # Errors
/// A link leads nowhere, or a drawing has no recording.
pub fn render(site: &Site, page: &Source) -> Result<Rendered, Error> {
    let mut it = Renderer {
        site,
        page,
        out: Vec::new(),
        done: Rendered::default(),
        ids: Vec::new(),
        terminals: Vec::new(),
        scenes: BTreeSet::new(),
        python: None,
        flows: Vec::new(),
        depth: 0,
        in_comment: false,
        in_link: false,
        in_section: false,
        section: 0,
        item: Item::None,
    };
    it.done.sections.push(Section { title: page.title.clone(), ..Section::default() });
    let mut events = parser(&page.text);
    while let Some(event) = events.next() {
        it.event(event, &mut events)?;
    }
    it.end_terminals();
    it.end_section();
    let mut html = String::new();
    pulldown_cmark::html::push_html(&mut html, it.out.into_iter());
    // A column without a name gets no header cell.
    let html = html.replace("<th></th>", "<td></td>");
    let around = layout::page(
        &Navigation {
            name: "",
            title: &page.title,
            contents: layout::contents(site, &page_name(&page.path)),
            before: Some(page),
            after: Some(page),
        },
        "",
    );
    let shared =
        layout::css().len() + layout::js().len() + steps_js().len() + around.len();
    let mut room = LARGEST.saturating_sub(shared + html.len());
    it.done.print =
        it.flows.iter().enumerate().fold(html.clone(), |html, (number, flow)| {
            html.replacen(&place_of(number), &flow.text, 1)
        });
    it.done.html = html;
    // As text first; then, while there is room, as something to step through.
    room = room.saturating_sub(it.flows.iter().map(|flow| flow.text.len()).sum());
    for (number, Flow { run, text }) in it.flows.into_iter().enumerate() {
        let more = run[2].len().saturating_sub(text.len());
        let shown = if more < room { &run[2] } else { &text };
        it.done.html = it.done.html.replacen(&place_of(number), shown, 1);
        if more < room {
            room -= more;
        } else {
            it.done.runs.push(run);
        }
    }
    Ok(it.done)
}

/// How far an item of a list has come; `around` is the section that the list belongs to.
#[derive(Clone, Copy)]
enum Item {
    None,
    Begins,
    Bold { around: usize },
    Question { around: usize },
}

struct Renderer<'a> {
    site: &'a Site,
    page: &'a Source,
    out: Vec<Event<'a>>,
    done: Rendered,
    ids: Vec<String>,
    /// Consecutive terminals of one scene, which are shown side by side.
    terminals: Vec<(String, String)>,
    /// The scenes that have been shown.
    scenes: BTreeSet<String>,
    /// The position of a Python quotation that a Rust one may follow, and the number of
    /// paragraphs since.
    python: Option<(usize, usize)>,
    flows: Vec<Flow>,
    /// The number of open lists, block quotes and tables.
    depth: usize,
    in_comment: bool,
    in_link: bool,
    in_section: bool,
    /// The section to which text belongs, by its number.
    section: usize,
    /// The item of a list in which the text is, as far as the search is concerned.
    item: Item,
}

impl<'a> Renderer<'a> {
    fn html(&mut self, html: String) {
        self.out.push(Event::Html(CowStr::from(html)));
    }

    fn event(&mut self, event: Event<'a>, rest: &mut Parser<'a>) -> Result<(), Error> {
        if !matches!(event, Event::Start(Tag::CodeBlock(_))) {
            self.end_terminals();
        }
        self.item(&event);
        match event {
            Event::Start(Tag::CodeBlock(kind)) => self.block(&kind, rest)?,
            Event::Start(Tag::Heading { level, .. }) => self.heading(level, rest)?,
            Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
                let dest_url = self.site.link(&self.page.path, &dest_url)?.into();
                self.in_link = true;
                self.out.push(Event::Start(Tag::Link { link_type, dest_url, title, id }));
            }
            // The start page shows the thing itself, not this picture of it.
            Event::Start(Tag::Image { dest_url, .. })
                if self.page.path == "README.md" && dest_url.ends_with("book.webp") =>
            {
                rest.by_ref()
                    .take_while(|event| *event != Event::End(TagEnd::Image))
                    .for_each(drop);
            }
            Event::Start(Tag::Image { link_type, dest_url, title, id }) => {
                let dest_url = self.picture(&dest_url)?;
                // The words in it are a description, without links.
                self.in_link = true;
                self.out.push(Event::Start(Tag::Image {
                    link_type,
                    dest_url,
                    title,
                    id,
                }));
            }
            Event::End(end @ (TagEnd::Link | TagEnd::Image)) => {
                self.in_link = false;
                self.out.push(Event::End(end));
            }
            Event::Start(Tag::Table(alignment)) => {
                self.depth += 1;
                self.html(
                    "<div class=scroll tabindex=0 role=group aria-label=Table>"
                        .to_owned(),
                );
                self.out.push(Event::Start(Tag::Table(alignment)));
            }
            Event::End(TagEnd::Table) => {
                self.depth -= 1;
                self.out.push(Event::End(TagEnd::Table));
                self.html("</div>\n".to_owned());
            }
            Event::Html(html) | Event::InlineHtml(html) => self.raw(&html),
            Event::Text(text) => {
                self.index(&text);
                if self.in_link {
                    self.out.push(Event::Text(text));
                } else {
                    self.html(references(&text));
                }
            }
            Event::Code(text) => {
                self.index(&text);
                let place = self.site.scene(&text).filter(|_| !self.in_link);
                let place = place.map(|place| format!("<a href=\"{}\">", escape(place)));
                let is_link = place.is_some();
                place.into_iter().for_each(|open| self.html(open));
                self.out.push(Event::Code(text));
                if is_link {
                    self.html("</a>".to_owned());
                }
            }
            Event::SoftBreak => {
                self.index(" ");
                self.out.push(Event::SoftBreak);
            }
            other => {
                self.note(&other);
                self.out.push(other);
            }
        }
        Ok(())
    }

    fn heading(
        &mut self,
        level: HeadingLevel,
        rest: &mut Parser<'a>,
    ) -> Result<(), Error> {
        self.python = None;
        let mut inner = Vec::new();
        let mut title = String::new();
        for event in rest.by_ref() {
            match event {
                Event::End(TagEnd::Heading(_)) => break,
                // A heading is the target of links, not a link.
                Event::Start(_) | Event::End(_) => continue,
                _ => {}
            }
            if let Event::Text(text) | Event::Code(text) = &event {
                title.push_str(text);
            }
            inner.push(event);
        }
        let id = self.id(&title);
        if level == HeadingLevel::H2 && self.depth == 0 {
            self.begin_section();
        }
        self.html(format!("<{level} id=\"{}\">", escape(&id)));
        self.out.append(&mut inner);
        self.html(format!(
            " <a class=anchor href=\"#{0}\" aria-label=\"Link to the section {1}\">#</a>\
             </{level}>\n",
            escape(&id),
            escape(&title)
        ));
        // The first heading is the page's title.
        let first = self.done.sections.len() == 1
            && self.done.sections[0].id.is_empty()
            && title.replace('`', "") == self.page.title;
        if !first {
            self.section = self.done.sections.len();
            self.item = Item::None;
            self.done.sections.push(Section { id, title, text: String::new() });
        } else if self.page.path == "README.md" {
            self.start_page()?;
        }
        Ok(())
    }

    /// The address of a picture; a small one is embedded in the page.
    fn picture(&mut self, address: &str) -> Result<CowStr<'a>, Error> {
        let name = self.site.link(&self.page.path, address)?;
        let path = resolve(&self.page.path, address);
        Ok(match embedded(&self.site.root.join(&path)) {
            Some(data) => data.into(),
            None => {
                self.done.pictures.push(path);
                name.into()
            }
        })
    }

    /// Keeps track of what an event that is passed on unchanged means for later ones.
    fn note(&mut self, event: &Event<'_>) {
        match event {
            Event::Start(Tag::List(_) | Tag::BlockQuote(_)) => {
                self.depth += 1;
                self.python = None;
            }
            Event::End(TagEnd::List(_) | TagEnd::BlockQuote(_)) => self.depth -= 1,
            Event::Start(Tag::Paragraph) => {
                if let Some((_, paragraphs)) = &mut self.python {
                    *paragraphs += 1;
                }
            }
            Event::End(TagEnd::Paragraph | TagEnd::Item | TagEnd::TableCell) => {
                self.index(" ");
            }
            _ => {}
        }
    }

    /// A heading of the second level begins a section, which the browser lays out only
    /// when it comes near the window, so that a long page appears as fast as a short one.
    fn begin_section(&mut self) {
        self.end_section();
        self.html("<section>\n".to_owned());
        self.in_section = true;
    }

    fn end_section(&mut self) {
        if std::mem::take(&mut self.in_section) {
            self.html("</section>\n".to_owned());
        }
    }

    /// The start page shows a conversation right below its title.
    fn start_page(&mut self) -> Result<(), Error> {
        let Some(first) = self.site.pages.iter().find(|page| page.path == FIRST) else {
            return Ok(());
        };
        let lines = flow_lines(&first.text);
        let page = page_name(FIRST);
        self.html(format!(
            "<p class=lead>Learn TCP and UDP from programs that ran. Step through this run: each \
             call with its line, each packet with its bytes, what the kernel held, what was \
             printed. It is from <a href=\"{page}\">lesson 2</a>; \
             begin with <a href=\"{begin}\">lesson 1</a>.</p>\n",
            begin = page_name("lessons/01-what-is-a-socket/README.md"),
        ));
        self.flow(FIRST, "", &lines)?;
        // Opens at the first packet with data, which shows its bytes, the source line,
        // and what the kernel holds.
        if let Some(Flow { run: [_, _, drawn], .. }) = self.flows.last_mut() {
            *drawn = drawn.replacen("class=s-steps", "class=s-steps data-carried", 1);
        }
        Ok(())
    }

    /// A drawing of a scene on the page `path`.
    fn flow(&mut self, path: &str, scene: &str, content: &str) -> Result<(), Error> {
        let id = if scene.is_empty() { "flow".into() } else { format!("flow-{scene}") };
        let id = self.id(&id);
        let lines: Vec<&str> = content.lines().collect();
        let drawn = conversation::draw(self.site, path, scene, &id, &lines)?;
        let title = match scene {
            "" => format!("{}: the run", self.page.title),
            scene => format!("{}: the run {scene}", self.page.title),
        };
        let name = page_name(&self.page.path).replace(".html", &format!("-{id}.html"));
        let text = format!(
            "<div class=code><p class=title><a href=\"{name}\">Step through this \
             run</a></p><pre tabindex=0>{}</pre></div>\n",
            escape(content.trim_end())
        );
        let number = self.flows.len();
        self.html(place_of(number));
        self.flows.push(Flow { run: [name, title, drawn], text });
        Ok(())
    }

    fn index(&mut self, text: &str) {
        if let Some(section) = self.done.sections.get_mut(self.section) {
            section.text.push_str(text);
        }
    }

    /// An item of a list that begins with a sentence in bold type, as a question does, is
    /// a section of its own to the search: its text would be lost in that of a long list.
    fn item(&mut self, event: &Event<'_>) {
        self.item = match (self.item, event) {
            (_, Event::Start(Tag::Item)) => Item::Begins,
            (Item::Begins, Event::Start(Tag::Paragraph)) => Item::Begins,
            (Item::Begins, Event::Start(Tag::Strong)) => {
                let around =
                    std::mem::replace(&mut self.section, self.done.sections.len());
                self.done.sections.push(Section::default());
                Item::Bold { around }
            }
            (Item::Bold { around }, Event::End(TagEnd::Strong)) => self.bold_ends(around),
            (Item::Question { around }, Event::End(TagEnd::Item)) => {
                self.section = around;
                Item::None
            }
            (Item::Begins, _) => Item::None,
            (item, _) => item,
        }
    }

    fn bold_ends(&mut self, around: usize) -> Item {
        let bold = std::mem::take(&mut self.done.sections[self.section].text);
        if bold.ends_with(['?', '.']) {
            let id = self.id(&bold);
            self.html(format!("<a id=\"{}\"></a>", escape(&id)));
            self.done.sections[self.section] =
                Section { id, title: bold, text: String::new() };
            return Item::Question { around };
        }
        self.done.sections.pop();
        self.section = around;
        self.index(&bold);
        Item::None
    }

    /// An id for a heading, made as code-hosting sites do, that is not yet on the page.
    fn id(&mut self, title: &str) -> String {
        let mut slug = String::new();
        for c in title.to_lowercase().chars() {
            match c {
                ' ' | '-' => slug.push('-'),
                c if c.is_alphanumeric() || c == '_' => slug.push(c),
                _ => {}
            }
        }
        let mut id = slug.clone();
        let mut number = 0;
        while self.ids.contains(&id) {
            number += 1;
            id = format!("{slug}-{number}");
        }
        self.ids.push(id.clone());
        id
    }

    /// The only HTML that a page may contain is what unfolds an answer. Comments are for
    /// the tools that check the pages; anything else becomes text.
    fn raw(&mut self, html: &str) {
        let mut rest = html;
        while !rest.is_empty() {
            if self.in_comment {
                let end = rest.find("-->").map(|at| at + 3);
                self.in_comment = end.is_none();
                rest = end.map_or("", |end| &rest[end..]);
            } else if rest.starts_with("<!--") {
                self.in_comment = true;
            } else if let Some(tag) =
                ["<details>", "</details>", "<summary>", "</summary>"]
                    .into_iter()
                    .find(|tag| rest.starts_with(tag))
            {
                self.html(tag.to_owned());
                rest = &rest[tag.len()..];
            } else {
                let end = rest[1..].find('<').map_or(rest.len(), |at| at + 1);
                self.html(escape(&rest[..end]));
                rest = &rest[end..];
            }
        }
    }

    fn block(
        &mut self,
        kind: &CodeBlockKind<'_>,
        rest: &mut Parser<'a>,
    ) -> Result<(), Error> {
        let mut content = String::new();
        for event in rest.by_ref() {
            match event {
                Event::End(TagEnd::CodeBlock) => break,
                Event::Text(text) => content.push_str(&text),
                _ => {}
            }
        }
        let info = match kind {
            CodeBlockKind::Fenced(info) => info.to_string(),
            CodeBlockKind::Indented => String::new(),
        };
        let lines: Vec<&str> = content.lines().collect();
        let words: Vec<&str> = info.split_whitespace().collect();
        if words.first() != Some(&"console") {
            self.end_terminals();
        }
        match words[..] {
            ["console", name] | ["console", "linux", name] => {
                let (scene, name) = name.split_once('/').unwrap_or(("", name));
                if self.terminals.last().is_some_and(|(other, _)| other != scene) {
                    self.end_terminals();
                }
                self.terminals.push((scene.to_owned(), terminal(scene, name, &lines)));
            }
            ["flow"] | ["flow", _] => {
                self.python = None;
                let scene = words.get(1).copied().unwrap_or_default();
                self.flow(&self.page.path, scene, &content)?;
            }
            [language, path] => self.quotation(language, path, &lines),
            _ => {
                let language = words.first().copied().unwrap_or("text");
                let title = if language == "sh" { "shell" } else { language };
                let title = if title == "text" { "" } else { title };
                self.html(code::block(language, title, &lines));
            }
        }
        Ok(())
    }

    /// Lines of a program. Rust that follows Python is shown beside it where there is
    /// room.
    fn quotation(&mut self, language: &str, path: &str, lines: &[&str]) {
        let page = self.site.name(path);
        let title = match page {
            Some(page) => {
                let at = self.site.sources.get(path).and_then(|text| find(text, lines));
                let line = at.map_or_else(String::new, |line| format!("#L{line}"));
                format!("<a href=\"{page}{line}\">{}</a>", escape(path))
            }
            None => escape(path),
        };
        let block = code::block(language, &title, lines);
        match (language, self.python.take()) {
            ("rust", Some((at, paragraphs))) if paragraphs <= 2 && self.depth == 0 => {
                let open = Event::Html("<div class=pair><div>".into());
                let between = Event::Html("</div><div>".into());
                self.out.insert(at, open);
                self.out.insert(at + 2, between);
                self.html(format!("{block}</div></div>\n"));
            }
            _ => {
                if language == "python" && self.depth == 0 {
                    self.python = Some((self.out.len(), 0));
                }
                self.html(block);
            }
        }
    }

    fn end_terminals(&mut self) {
        if self.terminals.is_empty() {
            return;
        }
        self.python = None;
        let beside = if self.terminals.len() > 1 { " beside" } else { "" };
        let scene = self.terminals[0].0.clone();
        let terminals: Vec<String> =
            self.terminals.drain(..).map(|(_, html)| html).collect();
        let terminals = terminals.concat();
        // Commands that run the scene lead to where it begins.
        let id = scene_id(&scene);
        let id = if self.scenes.insert(scene) {
            format!(" id=\"{}\"", escape(&id))
        } else {
            String::new()
        };
        self.html(format!("<div class=\"terms{beside}\"{id}>{terminals}</div>\n"));
    }
}

/// A small picture as a data URL, so that a page makes few requests.
fn embedded(path: &std::path::Path) -> Option<String> {
    const LARGEST: usize = 16_000;
    if path.extension().is_none_or(|it| it != "svg") {
        return None;
    }
    let text = std::fs::read_to_string(path).ok().filter(|it| it.len() <= LARGEST)?;
    let mut address = "data:image/svg+xml,".to_owned();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => address.push(char::from(byte)),
            b' ' | b'=' | b':' | b'/' | b'-' | b'.' | b',' | b';' | b'(' | b')' => {
                address.push(char::from(byte));
            }
            _ => {
                let _ = write!(address, "%{byte:02X}");
            }
        }
    }
    Some(address)
}

/// A drawing on a page, both to step through and as text.
struct Flow {
    /// The name of the page that it would get, that page's title, and the conversation.
    run: [String; 3],
    text: String,
}

/// A placeholder for a drawing, until it is known in which form it will be shown. Pages
/// never contain this character: it would be replaced.
fn place_of(number: usize) -> String {
    format!("\0{number}\0\n")
}

/// The lines of the page's main drawing.
fn flow_lines(text: &str) -> String {
    let mut events = parser(text);
    while let Some(event) = events.next() {
        if let Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) = event
            && &*info == "flow"
        {
            return events
                .take_while(|event| *event != Event::End(TagEnd::CodeBlock))
                .filter_map(|event| match event {
                    Event::Text(text) => Some(text.into_string()),
                    _ => None,
                })
                .collect();
        }
    }
    String::new()
}

/// The line in its file at which a quotation begins; the indentation may differ.
fn find(text: &str, lines: &[&str]) -> Option<usize> {
    let wanted: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
    let all: Vec<&str> = text.lines().map(str::trim).collect();
    all.windows(wanted.len().max(1)).position(|window| window == wanted).map(|at| at + 1)
}

/// A terminal, whose commands can be copied without the prompt.
fn terminal(scene: &str, name: &str, lines: &[&str]) -> String {
    let mut text = String::new();
    for line in lines {
        let is_mark = *line == "^C"
            || line.starts_with("[exit status ")
            || line.starts_with("[killed by ");
        let _ = match line.strip_prefix("$ ") {
            Some(command) => writeln!(
                text,
                "<span class=prompt>$ </span><kbd>{}</kbd>",
                escape(command)
            ),
            None if is_mark => writeln!(text, "<b class=mark>{}</b>", escape(line)),
            None => writeln!(text, "{}", escape(line)),
        };
    }
    let scene = match scene {
        "" => String::new(),
        scene => format!("<span class=scene>{}</span> ", escape(scene)),
    };
    format!(
        "<div class=term><p class=title>{scene}{}</p><pre tabindex=0>{}</pre></div>",
        escape(name),
        text.trim_end()
    )
}

/// Text in which RFCs and manual pages become links: `RFC 9293 §3.5`, `listen(2)`.
pub fn references(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        let found = if before.is_alphanumeric() || before == '_' {
            None
        } else {
            rfc(rest).or_else(|| manual(rest))
        };
        if let Some((length, address)) = found {
            let _ = write!(out, "<a href=\"{address}\">{}</a>", escape(&rest[..length]));
            rest = &rest[length..];
            before = ')';
        } else {
            out.push_str(&escape(&rest[..first.len_utf8()]));
            rest = &rest[first.len_utf8()..];
            before = first;
        }
    }
    out
}

fn rfc(text: &str) -> Option<(usize, String)> {
    let number = text.strip_prefix("RFC ")?;
    let digits = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    if digits == 0 {
        return None;
    }
    let (number, rest) = number.split_at(digits);
    let address = format!("https://www.rfc-editor.org/rfc/rfc{number}");
    let length = 4 + digits;
    let Some(section) = rest.strip_prefix(" §") else { return Some((length, address)) };
    let end = section.find(|c: char| !c.is_ascii_digit() && c != '.');
    let section = section[..end.unwrap_or(section.len())].trim_end_matches('.');
    if section.is_empty() {
        return Some((length, address));
    }
    let length = length + " §".len() + section.len();
    Some((length, format!("{address}#section-{section}")))
}

fn manual(text: &str) -> Option<(usize, String)> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let end = text.find(|c| !is_name(c))?;
    let name = &text[..end];
    let section = text[end..].strip_prefix('(')?;
    let digit = section.chars().next().filter(|c| ('1'..='8').contains(c))?;
    if !section[1..].starts_with(')')
        || !name.starts_with(|c: char| c.is_ascii_lowercase())
    {
        return None;
    }
    let address =
        format!("https://man7.org/linux/man-pages/man{digit}/{name}.{digit}.html");
    Some((end + 3, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfcs_and_manual_pages_are_links() {
        for (text, html) in [
            (
                "see RFC 9293 §3.5.",
                "see <a href=\"https://www.rfc-editor.org/rfc/rfc9293#section-3.5\">RFC 9293 \
                 §3.5</a>.",
            ),
            (
                "(RFC 959)",
                "(<a href=\"https://www.rfc-editor.org/rfc/rfc959\">RFC 959</a>)",
            ),
            (
                "after listen(2) <",
                "after <a href=\"https://man7.org/linux/man-pages/man2/listen.2.html\">listen(2)</a> \
                 &lt;",
            ),
            ("f(x) a(9) RFC x", "f(x) a(9) RFC x"),
        ] {
            assert_eq!(references(text), html);
        }
    }

    #[test]
    fn a_command_is_apart_from_its_prompt() {
        let html = terminal("busy", "first", &["$ echo '<'", "<", "^C"]);
        assert!(
            html.contains("<kbd>echo &#39;&lt;&#39;</kbd>\n&lt;\n<b class=mark>^C</b>"),
            "{html}"
        );
        assert!(html.contains("<span class=scene>busy</span> first"), "{html}");
    }

    #[test]
    fn a_quotation_is_found_whatever_its_indent() {
        assert_eq!(find("a\n    b\n      c\nd", &["b", "  c"]), Some(2));
        assert_eq!(find("a", &["b"]), None);
    }
}
