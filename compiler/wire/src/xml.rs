//! Answers in XML, as AWS's older services give them, and servers that speak their language: small trees without attributes
//! that matter. The running application reads them, and `deploy` does.

use quick_xml::Reader;
use quick_xml::events::Event;
use std::borrow::Cow;

/// An element.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// Without its namespace.
    pub name: String,
    /// What stands in it, its children's text apart.
    pub text: String,
    /// In their order.
    pub children: Vec<Element>,
}

/// No answer of theirs is deeper.
const DEPTH: usize = 32;

impl Element {
    /// The root of a document; `None` if it is none.
    #[must_use]
    pub fn read(document: &[u8]) -> Option<Element> {
        let mut reader = Reader::from_reader(document);
        let mut open = vec![Element::default()];
        loop {
            match reader.read_event().ok()? {
                Event::Start(tag) => {
                    let name = String::from_utf8(tag.local_name().as_ref().to_vec()).ok()?;
                    open.push(Element { name, ..Element::default() });
                    if open.len() > DEPTH {
                        return None;
                    }
                }
                Event::Empty(tag) => {
                    let name = String::from_utf8(tag.local_name().as_ref().to_vec()).ok()?;
                    open.last_mut()?.children.push(Element { name, ..Element::default() });
                }
                Event::Text(text) => open.last_mut()?.text.push_str(&text.decode().ok()?),
                Event::CData(text) => open.last_mut()?.text.push_str(&text.decode().ok()?),
                Event::GeneralRef(reference) => {
                    let text = match reference.resolve_char_ref().ok()? {
                        Some(character) => character.to_string(),
                        None => quick_xml::escape::resolve_predefined_entity(&reference.decode().ok()?)?.to_owned(),
                    };
                    open.last_mut()?.text.push_str(&text);
                }
                Event::End(_) => {
                    let done = open.pop()?;
                    open.last_mut()?.children.push(done);
                }
                Event::Eof => break,
                Event::Decl(_) | Event::PI(_) | Event::DocType(_) | Event::Comment(_) => {}
            }
        }
        let [document] = &mut open[..] else { return None };
        (document.children.len() == 1).then(|| document.children.remove(0))
    }

    /// Children of this name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first child of this name.
    #[must_use]
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.children.iter().find(|child| child.name == name).map(|child| &*child.text)
    }

    /// Takes the first of this name out, at any depth.
    pub fn take(&mut self, name: &str) -> Option<Element> {
        match self.children.iter().position(|child| child.name == name) {
            Some(at) => Some(self.children.remove(at)),
            None => self.children.iter_mut().find_map(|child| child.take(name)),
        }
    }

    /// The first of this name, at any depth.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Element> {
        if self.name == name {
            return Some(self);
        }
        self.children.iter().find_map(|child| child.find(name))
    }
}

/// An error's code and message: `<Error><Code>…</Code><Message>…</Message></Error>`, by itself or in an `ErrorResponse`; `None`
/// if the document is none.
#[must_use]
pub fn error(document: &[u8]) -> Option<(String, String)> {
    let root = Element::read(document)?;
    let error = root.find("Error")?;
    let text = |name| error.text_of(name).unwrap_or_default().trim().to_owned();
    Some((text("Code"), text("Message")))
}

/// A text as it stands in a document.
#[must_use]
pub fn escaped(text: &str) -> Cow<'_, str> {
    quick_xml::escape::escape(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_whatever_stands_in_it() {
        let document = "<?xml version=\"1.0\"?>\n<L xmlns=\"http://x/\"><K>a &amp; b&#xFC;&quot;</K><K><![CDATA[<c>]]></K>\
                        <n:Deep xmlns:n=\"y\"><In>7</In><Nothing/></n:Deep></L>";
        let root = Element::read(document.as_bytes()).expect("an element");
        assert_eq!(root.all("K").map(|key| &*key.text).collect::<Vec<_>>(), ["a & bü\"", "<c>"]);
        assert_eq!(root.find("In").map(|found| &*found.text), Some("7"));
        assert_eq!(root.find("Deep").and_then(|deep| deep.text_of("Nothing")), Some(""));
    }

    #[test]
    fn an_error_is_found_by_itself_and_in_an_answer() {
        let found = Some(("Gone".to_owned(), "a & b".to_owned()));
        let alone = "<Error><Code>Gone</Code><Message> a &amp; b </Message></Error>";
        assert_eq!(error(alone.as_bytes()), found);
        assert_eq!(error(format!("<ErrorResponse>{alone}<RequestId>7</RequestId></ErrorResponse>").as_bytes()), found);
        assert_eq!(error(b"<Error/>"), Some(Default::default()));
        for document in ["", "<ListQueuesResponse/>", "{\"Error\": 1}"] {
            assert_eq!(error(document.as_bytes()), None, "{document}");
        }
    }

    #[test]
    fn what_is_no_document_is_nothing() {
        let deep = "<a>".repeat(100) + &"</a>".repeat(100);
        for document in ["", "no", "<a>", "<a></b>", "<a/><b/>", "<a>&unknown;</a>", &deep] {
            assert_eq!(Element::read(document.as_bytes()), None, "{document}");
        }
    }
}
