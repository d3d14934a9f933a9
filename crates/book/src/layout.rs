//! What every page has: a head with its policy, the contents, and links to its
//! neighbours.

use std::fmt::Write as _;
use std::sync::LazyLock;

use flow::draw::html::{self, escape};

use crate::site::{Site, Source, page_name};

/// Where a page is in the book.
#[derive(Debug)]
pub struct Navigation<'a> {
    /// Its file name.
    pub name: &'a str,
    /// Its title.
    pub title: &'a str,
    /// The contents, with this page marked.
    pub contents: String,
    /// The page before it, if any.
    pub before: Option<&'a Source>,
    /// The page after it, if any.
    pub after: Option<&'a Source>,
}

/// What a page may load: the style sheet and the script inside it, the book's own style
/// sheet and scripts, pictures beside it, and nothing else.
pub static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none';style-src 'self' {};script-src 'self' {};img-src 'self' \
         data:;base-uri 'none';form-action 'none'",
        html::digest(&FIRST_CSS),
        html::digest(FIRST_JS),
    )
});

/// The part of the style sheet that is inside each page: the browser can show the beginning
/// of the page with it, before it has loaded anything else.
static FIRST_CSS: LazyLock<String> = LazyLock::new(|| {
    let own = include_str!("../assets/first.css");
    html::lean(&format!("{}{own}", html::THEME_CSS))
});

/// The script inside each page: it sets the theme that the reader chose before anything is
/// drawn. It throws in a browser that stores nothing.
const FIRST_JS: &str = "try{const t=localStorage.getItem(\"theme\");\
                        if(t===\"light\"||t===\"dark\")\
                        document.documentElement.dataset.theme=t}catch{}";

/// Loads the rest of the style sheet: what is above it on a page is shown without.
const SHEET: &str = "<link rel=stylesheet href=book.css>\n";

/// The style sheet that all pages share.
pub fn css() -> String {
    let own = include_str!("../assets/book.css");
    html::lean(&format!("{}{own}", html::steps_css()))
}

/// The script of all pages.
pub fn js() -> String {
    format!(
        "\"use strict\";\n{{\n{}\n}}\n",
        html::lean(include_str!("../assets/book.js"))
    )
}

/// The contents of the book, with the page of this name marked.
pub fn contents(site: &Site, name: &str) -> String {
    let mut out = String::new();
    let mut group = "";
    let here = site.pages.iter().find(|page| page_name(&page.path) == name);
    let mut folded = None;
    for page in &site.pages {
        // A group that is not lessons is a single line unless the reader is in it: pages
        // should stay small.
        let is_aside =
            ["Tasks", "Instruments", "For contributors"].contains(&&*page.group);
        if is_aside && here.is_none_or(|here| here.group != page.group) {
            if folded != Some(&page.group) {
                if folded.is_none() {
                    out.push_str("</ul><p>Beside the course</p><ul>");
                }
                folded = Some(&page.group);
                let first = page_name(&page.path);
                let _ =
                    write!(out, "<li><a href=\"{first}\">{}</a>", escape(&page.group));
            }
            continue;
        }
        if page.group != group {
            if !group.is_empty() {
                out.push_str("</ul>");
            }
            group = &page.group;
            let _ = write!(out, "<p>{}</p><ul>", escape(group));
        }
        let own = page_name(&page.path);
        let current = if own == name { " aria-current=page" } else { "" };
        // Further pages of a lesson are listed below its main one.
        let is_more = page.path.starts_with("lessons/")
            && page.path.matches('/').count() == 2
            && !page.path.ends_with("README.md");
        let class = if is_more { " class=sub" } else { "" };
        let title = match page.path.as_str() {
            "README.md" => "Start",
            _ => &page.title,
        };
        let _ =
            write!(out, "<li{class}><a href=\"{own}\"{current}>{}</a>", escape(title));
    }
    if !group.is_empty() {
        out.push_str("</ul>");
    }
    out
}

/// The head of a page.
fn head(name: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n<meta name=viewport \
         content=\"width=device-width,initial-scale=1\">\n<meta \
         http-equiv=Content-Security-Policy content=\"{policy}\">\n<title>{name}</title>\n<link \
         rel=icon href=\"data:,\">\n<style>{css}</style>\n",
        policy = *POLICY,
        css = *FIRST_CSS,
    )
}

/// The page that holds all the others, for printing: without anything to click.
pub fn whole(main: &str) -> String {
    let head = head("Sockets in Rust");
    format!(
        "{head}{SHEET}<body class=whole>\n<main id=main>\n{main}</main>\n</body>\n</html>\n"
    )
}

/// A whole page around its main content.
pub fn page(navigation: &Navigation<'_>, main: &str) -> String {
    let title = escape(navigation.title);
    let turn = |page: Option<&Source>, rel: &str, word: &str| match page {
        Some(page) => format!(
            "<a rel={rel} href=\"{}\"><small>{word}</small> {}</a>",
            page_name(&page.path),
            escape(&page.title)
        ),
        None => "<span></span>".to_owned(),
    };
    let name = match navigation.name {
        "index.html" => title.clone(),
        _ => format!("{title} · Sockets in Rust"),
    };
    // The text up to the first terminal, table or conversation needs only the styles inside
    // the page. The contents come after the text, although they are shown to its left:
    // drawing them takes as long as drawing the text that the reader came for.
    let plain = ["<div", "<figure", "<pre"].iter().filter_map(|tag| main.find(tag)).min();
    let (above, below) = main.split_at(plain.unwrap_or(main.len()));
    format!(
        "{head}<script>{FIRST_JS}</script>\n<body>\n<a class=skip href=\"#contents\">To the contents</a>\n<header><details \
         class=menu><summary>Contents</summary></details><a class=home href=index.html>Sockets in Rust</a><div class=tools \
         hidden><input type=search placeholder=\"Search ( / )\" aria-label=\"Search the book\" \
         role=combobox aria-expanded=false aria-controls=hits autocomplete=off \
         spellcheck=false><button type=button class=theme>Theme: auto</button></div>\
         </header>\n<ul id=hits role=listbox aria-label=\"Search results\" hidden></ul>\n<main id=main>\n{above}{SHEET}{below}\n<nav \
         class=turn aria-label=\"Previous and next\">{before}{after}</nav>\n</main>\n<nav id=contents \
         class=contents aria-label=Contents>{contents}</nav>\n\
         <script src=book.js></script>\n{steps}</body>\n</html>\n",
        steps = if main.contains("<figure class=s-steps") {
            "<script src=steps.js></script>\n"
        } else {
            ""
        },
        head = head(&name),
        contents = navigation.contents,
        before = turn(navigation.before, "prev", "←"),
        after = turn(navigation.after, "next", "next →"),
    )
}
