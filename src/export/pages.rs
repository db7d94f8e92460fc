//! The files of `report`: several brokers or storms as a page for a browser, and as one in Markdown.

use super::{Export, each_another};
use crate::cli::PageFiles;
use crate::output;

/// The files that were asked for; without any the Markdown goes to stdout.
#[derive(Debug)]
pub struct Pages {
    html: Option<Export>,
    markdown: Option<Export>,
}

impl Pages {
    /// Checks that every file can be written, and that each is another one.
    ///
    /// # Errors
    /// A sentence that names the file, or the two options that name the same.
    pub fn open(files: &PageFiles) -> anyhow::Result<Pages> {
        let (html, markdown) = (("--export-html", &files.export_html), ("--export-markdown", &files.export_markdown));
        let asked_for = [html, markdown].into_iter().filter_map(|(option, path)| Some((option, path.as_deref()?)));
        each_another(&asked_for.collect::<Vec<_>>())?;
        let open = |(option, path): (&'static str, &Option<_>)| {
            path.as_deref().map(|path| Export::open(option, path)).transpose()
        };
        Ok(Pages { html: open(html)?, markdown: open(markdown)? })
    }

    /// True if a page for a browser was asked for.
    pub fn has_html(&self) -> bool {
        self.html.is_some()
    }

    /// True if a file with Markdown was asked for.
    pub fn has_markdown(&self) -> bool {
        self.markdown.is_some()
    }

    /// Makes and writes what was asked for; without files the text goes to stdout. Where one file fails, the other is still written.
    ///
    /// # Errors
    /// Says what could not be written.
    pub fn deliver(&self, markdown: impl Fn() -> String, html: impl Fn() -> String) -> anyhow::Result<()> {
        if self.html.is_none() && self.markdown.is_none() {
            return Ok(output::print(&markdown())?);
        }
        let written = self.html.as_ref().map_or(Ok(()), |export| export.write(html().as_bytes()));
        // The first mistake is told.
        written.and(self.markdown.as_ref().map_or(Ok(()), |export| export.write(markdown().as_bytes())))
    }
}
