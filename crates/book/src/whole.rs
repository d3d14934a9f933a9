//! The whole book on one page, for printing: every page of the course in order, with
//! drawings as text. Links between pages lead to places on this page.

use std::fmt::Write as _;

use flow::draw::html::escape;

use crate::layout;
use crate::page::Rendered;
use crate::site::{Site, page_name};

/// The name of the file.
pub const NAME: &str = "whole-book.html";

/// Makes the page.
pub fn page(site: &Site, rendered: &[Rendered]) -> String {
    let mut contents = String::new();
    let mut articles = String::new();
    let mut group = "";
    for (page, rendered) in site.pages.iter().zip(rendered) {
        let name = page_name(&page.path);
        let id = place(&name, "");
        if page.group != group {
            if !group.is_empty() {
                contents.push_str("</ul>");
            }
            group = &page.group;
            let _ = write!(contents, "<h3>{}</h3><ul>", escape(group));
        }
        let title = escape(&page.title);
        let _ = write!(contents, "<li><a href=\"#{id}\">{title}</a></li>");
        let text = moved(&rendered.print, &name, &|file| {
            site.pages.iter().any(|page| page_name(&page.path) == file)
        });
        let _ = writeln!(articles, "<article id=\"{id}\">\n{text}</article>");
    }
    if !group.is_empty() {
        contents.push_str("</ul>");
    }
    let main = format!(
        "<h1>Sockets in Rust</h1>\n<p class=turn>The whole book on one page, to print. On the \
         <a href=\"index.html\">pages of the book</a> its conversations can be stepped \
         through.</p>\n{contents}\n{articles}"
    );
    layout::whole(&main)
}

/// The id on this page for a place on another: `02-tcp-echo--run-it`.
fn place(file: &str, id: &str) -> String {
    let page = file.trim_end_matches(".html");
    if id.is_empty() { page.to_owned() } else { format!("{page}--{id}") }
}

/// The HTML of a page with its ids and links changed to those of this page, and its
/// answers unfolded. A link to something that is not included, such as a program's
/// source, becomes plain text: on paper it would lead to the disk of whoever printed it.
fn moved(html: &str, file: &str, is_page: &dyn Fn(&str) -> bool) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let end = rest[at..].find('>').map_or(rest.len(), |end| at + end);
        out.push_str(&rest[..at]);
        let tag = &rest[at..end];
        if tag == "<details" {
            out.push_str("<details open");
        } else if let Some((before, id, after)) = attribute(tag, " id=\"") {
            let _ = write!(out, "{before} id=\"{}\"{after}", place(file, id));
        } else if let Some((before, link, after)) = attribute(tag, " href=\"") {
            let (to, id) = link.split_once('#').unwrap_or((link, ""));
            let to = if to.is_empty() { file } else { to };
            if link.contains("://") {
                out.push_str(tag);
            } else if is_page(to) {
                let _ = write!(out, "{before} href=\"#{}\"{after}", place(to, id));
            } else {
                let _ = write!(out, "{before}{after}");
            }
        } else {
            out.push_str(tag);
        }
        rest = &rest[end..];
    }
    out + rest
}

/// Splits a tag at an attribute: what comes before it, its value, and what comes after
/// it.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let (before, rest) = tag.split_once(name)?;
    let (value, after) = rest.split_once('"')?;
    Some((before, value, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_links_are_those_of_the_one_page() {
        let is_page = |file: &str| ["a.html", "b.html"].contains(&file);
        for (before, after) in [
            ("<h2 id=\"run\">x &lt; y</h2>", "<h2 id=\"a--run\">x &lt; y</h2>"),
            ("<a class=anchor href=\"#run\">#", "<a class=anchor href=\"#a--run\">#"),
            ("<a href=\"b.html\">b</a>", "<a href=\"#b\">b</a>"),
            ("<a href=\"b.html#c\" rel=x>b</a>", "<a href=\"#b--c\" rel=x>b</a>"),
            ("<a href=\"src-x.rs.html#L1\">x</a>", "<a>x</a>"),
            ("<a href=\"https://e.org/#c\">e</a>", "<a href=\"https://e.org/#c\">e</a>"),
            ("<details><summary>", "<details open><summary>"),
            ("id=\"no tag\"", "id=\"no tag\""),
        ] {
            assert_eq!(moved(before, "a.html", &is_page), after);
        }
    }
}
