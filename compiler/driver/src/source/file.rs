//! One file: from text to the items, imports and modules that it declares, as owned data.

use super::cfg::Cfg;
use super::path::{PathRef, TypeRef, shifted};
use super::skim::{self, Seen, Skimmed, TooDeep};
use super::sources::File;
use proc_macro2::TokenStream;
use std::ops::Range;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Item as Syntax, UseTree, Visibility};
use updraft_model::Diagnostic;

/// What a module's text declares, `cfg` applied.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) items: Vec<Item>,
    pub(crate) imports: Vec<Import>,
    pub(crate) modules: Vec<ModuleItem>,
    /// Macro calls in the place of items: `updraft::main!(shop)`, or anything else.
    pub(crate) calls: Vec<Call>,
}

/// An item that may matter.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) name: String,
    /// Its name, in bytes.
    pub(crate) at: Range<usize>,
    /// All of it, attributes included.
    pub(crate) range: Range<usize>,
    /// The body's braces, whose inside nobody reads.
    pub(crate) body: Option<Range<usize>>,
    pub(crate) public: bool,
    pub(crate) kind: ItemKind,
    /// Paths of attributes that may be ours, and their places among the attributes that `cfg` leaves.
    pub(crate) attributes: Vec<(usize, PathRef)>,
    /// Paths in `#[derive(…)]`.
    pub(crate) derives: Vec<PathRef>,
}

/// What an item is, as far as names go.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ItemKind {
    /// A free function. `types` are names for types that an attribute may make of it (`#[function(type = QuoteFn)]`).
    Function { types: Vec<String> },
    /// A function in an `impl` or a `trait`: no handler can be one.
    Method,
    /// A struct, enum, union or trait.
    Type,
    /// `type A<T> = B<T>;`
    Alias { parameters: Vec<String>, target: TypeRef },
    /// A constant, a static.
    Value,
}

/// One name of a `use`, or one `*`.
#[derive(Debug)]
pub(crate) struct Import {
    pub(crate) path: PathRef,
    /// The name that it makes (`_` for none); `None` for a `*`.
    pub(crate) name: Option<String>,
    pub(crate) public: bool,
}

/// `mod a;` or `mod a { … }`.
#[derive(Debug)]
pub(crate) struct ModuleItem {
    pub(crate) name: String,
    pub(crate) at: Range<usize>,
    pub(crate) public: bool,
    /// `#[path = "…"]`.
    pub(crate) path: Option<String>,
    /// What stands between the braces.
    pub(crate) inline: Option<Contents>,
}

/// A macro's call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) path: PathRef,
    /// The arguments with their delimiters.
    pub(crate) arguments: Range<usize>,
}

/// A file as read.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    pub(crate) contents: Contents,
    pub(crate) seen: Seen,
}

/// Attributes that can't be ours and are common enough to look past quickly.
const OTHERS: [&str; 12] = [
    "allow",
    "cfg_attr",
    "cold",
    "deny",
    "doc",
    "expect",
    "ignore",
    "inline",
    "must_use",
    "non_exhaustive",
    "repr",
    "test",
];

/// Reads a file's text. A file that can't be parsed declares nothing, and then there is a diagnostic.
pub(crate) fn parse(file: &File, cfg: &Cfg<'_>, sink: &mut Vec<Diagnostic>) -> Parsed {
    let base = prefix(&file.text);
    let parsed = skimmed(&file.text[base..]).and_then(|Skimmed { tokens, seen }| {
        let whole: syn::File = syn::parse2(tokens).map_err(Refused::Syntax)?;
        Ok((whole, seen))
    });
    let parsed = match parsed {
        Ok((whole, seen)) => {
            let mut reader = Reader { cfg, base };
            let contents = match cfg.apply(whole.attrs) {
                Some(_) => reader.contents(whole.items),
                None => Contents::default(),
            };
            Parsed { contents, seen: moved(seen, base) }
        }
        Err(refused) => {
            sink.push(refused.diagnostic(file, base));
            Parsed::default()
        }
    };
    forget();
    parsed
}

/// proc-macro2 keeps every text that it has read for its spans; nothing here outlives its file.
pub(crate) fn forget() {
    proc_macro2::extra::invalidate_current_thread_spans();
}

/// Bytes before the first token that no lexer takes: a byte order mark, `#!/usr/bin/env …`.
fn prefix(text: &str) -> usize {
    let bom = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let rest = &text[bom..];
    let shebang = rest.starts_with("#!") && !rest[2..].trim_start().starts_with('[');
    if shebang { bom + rest.find('\n').unwrap_or(rest.len()) } else { bom }
}

enum Refused {
    Lexer(Range<usize>),
    Syntax(syn::Error),
    Depth(Range<usize>),
}

fn skimmed(text: &str) -> Result<Skimmed, Refused> {
    let tokens: TokenStream =
        text.parse().map_err(|error: proc_macro2::LexError| Refused::Lexer(error.span().byte_range()))?;
    skim::skim(tokens).map_err(|TooDeep(range)| Refused::Depth(range))
}

impl Refused {
    fn diagnostic(self, file: &File, base: usize) -> Diagnostic {
        match self {
            Refused::Lexer(range) => Diagnostic::error(super::codes::SYNTAX, "this is no Rust")
                .label(&file.place(shifted(range, base)), "can't be read from here on"),
            Refused::Syntax(error) => {
                let range = shifted(error.span().byte_range(), base);
                Diagnostic::error(super::codes::SYNTAX, format!("this is no Rust: {error}"))
                    .label(&file.place(range), "unexpected")
            }
            Refused::Depth(range) => Diagnostic::error(super::codes::DEPTH, "this is nested too deeply to be read")
                .label(&file.place(shifted(range, base)), "here")
                .help("split what stands here into several items; generated code can go into a file of its own, taken in with `include!`"),
        }
    }
}

fn moved(mut seen: Seen, base: usize) -> Seen {
    let paths = seen.attributes.iter_mut().chain(&mut seen.private).chain(seen.calls.iter_mut().map(|(path, _)| path));
    paths.for_each(|path| path.shift(base));
    for (_, range) in &mut seen.calls {
        *range = shifted(range.clone(), base);
    }
    seen
}

struct Reader<'a> {
    cfg: &'a Cfg<'a>,
    base: usize,
}

impl Reader<'_> {
    fn contents(&mut self, items: Vec<Syntax>) -> Contents {
        let mut contents = Contents::default();
        for item in items {
            self.item(item, &mut contents);
        }
        contents
    }

    fn item(&mut self, item: Syntax, into: &mut Contents) {
        match item {
            Syntax::Fn(item) => {
                let start = start(&item.attrs, &item.vis, item.sig.fn_token.span);
                let Some(attributes) = self.cfg.apply(item.attrs) else { return };
                let types = attributes.iter().filter_map(type_option).collect();
                let body = item.block.brace_token.span.join().byte_range();
                let whole = start..body.end;
                let kind = ItemKind::Function { types };
                into.items.push(self.make(&item.sig.ident, whole, Some(body), &item.vis, kind, &attributes));
            }
            Syntax::Struct(item) => {
                let end = item.fields.span().byte_range().end.max(item.ident.span().byte_range().end);
                let end = item.semi_token.map_or(end, |semi| semi.span.byte_range().end);
                let start = start(&item.attrs, &item.vis, item.struct_token.span);
                let Some(attributes) = self.cfg.apply(item.attrs) else { return };
                into.items.push(self.make(&item.ident, start..end, None, &item.vis, ItemKind::Type, &attributes));
            }
            Syntax::Enum(item) => {
                let start = start(&item.attrs, &item.vis, item.enum_token.span);
                let end = item.brace_token.span.join().byte_range().end;
                let Some(attributes) = self.cfg.apply(item.attrs) else { return };
                into.items.push(self.make(&item.ident, start..end, None, &item.vis, ItemKind::Type, &attributes));
            }
            Syntax::Union(item) => {
                let start = start(&item.attrs, &item.vis, item.union_token.span);
                let end = item.fields.brace_token.span.join().byte_range().end;
                let Some(attributes) = self.cfg.apply(item.attrs) else { return };
                into.items.push(self.make(&item.ident, start..end, None, &item.vis, ItemKind::Type, &attributes));
            }
            Syntax::Trait(item) => {
                let start = start(&item.attrs, &item.vis, item.trait_token.span);
                let end = item.brace_token.span.join().byte_range().end;
                let Some(attributes) = self.cfg.apply(item.attrs) else { return };
                into.items.push(self.make(&item.ident, start..end, None, &item.vis, ItemKind::Type, &attributes));
                for part in item.items {
                    if let syn::TraitItem::Fn(method) = part {
                        let end = method.semi_token.map(|semi| semi.span.byte_range());
                        let body = method.default.as_ref().map(|block| block.brace_token.span.join().byte_range());
                        self.method(method.attrs, &Visibility::Inherited, &method.sig, body.or(end), into);
                    }
                }
            }
            Syntax::TraitAlias(item) => {
                let start = start(&item.attrs, &item.vis, item.trait_token.span);
                let end = item.semi_token.span.byte_range().end;
                let Some(attributes) = self.cfg.apply(item.attrs) else { return };
                into.items.push(self.make(&item.ident, start..end, None, &item.vis, ItemKind::Type, &attributes));
            }
            Syntax::Type(item) => {
                let start = start(&item.attrs, &item.vis, item.type_token.span);
                let end = item.semi_token.span.byte_range().end;
                let Some(attributes) = self.cfg.apply(item.attrs) else { return };
                let parameters =
                    item.generics.type_params().map(|parameter| parameter.ident.unraw().to_string()).collect();
                let kind = ItemKind::Alias { parameters, target: TypeRef::new(&item.ty, self.base) };
                into.items.push(self.make(&item.ident, start..end, None, &item.vis, kind, &attributes));
            }
            Syntax::Const(item) => {
                let start = start(&item.attrs, &item.vis, item.const_token.span);
                let end = item.semi_token.span.byte_range().end;
                let Some(attributes) = self.cfg.apply(item.attrs) else { return };
                into.items.push(self.make(&item.ident, start..end, None, &item.vis, ItemKind::Value, &attributes));
            }
            Syntax::Static(item) => {
                let start = start(&item.attrs, &item.vis, item.static_token.span);
                let end = item.semi_token.span.byte_range().end;
                let Some(attributes) = self.cfg.apply(item.attrs) else { return };
                into.items.push(self.make(&item.ident, start..end, None, &item.vis, ItemKind::Value, &attributes));
            }
            Syntax::Impl(item) => {
                if self.cfg.apply(item.attrs).is_none() {
                    return;
                }
                for part in item.items {
                    if let syn::ImplItem::Fn(method) = part {
                        let body = method.block.brace_token.span.join().byte_range();
                        self.method(method.attrs, &method.vis, &method.sig, Some(body), into);
                    }
                }
            }
            Syntax::Mod(item) => self.module(item, into),
            Syntax::Use(item) => {
                if self.cfg.apply(item.attrs).is_none() {
                    return;
                }
                let public = is_public(&item.vis);
                let mut path = PathRef { leading: item.leading_colon.is_some(), ..PathRef::default() };
                self.import(&item.tree, &mut path, public, into);
            }
            Syntax::ExternCrate(item) => {
                if self.cfg.apply(item.attrs).is_none() {
                    return;
                }
                let name = item.rename.as_ref().map_or(&item.ident, |(_, name)| name).unraw().to_string();
                let mut path = PathRef::of(&item.ident.unraw().to_string(), self.range(&item.ident));
                path.leading = item.ident != "self";
                if path.segments[0].name == "self" {
                    path.segments[0].name = "crate".to_owned();
                }
                into.imports.push(Import { path, name: Some(name), public: is_public(&item.vis) });
            }
            Syntax::Macro(item) => {
                if self.cfg.apply(item.attrs).is_none() || item.mac.path.is_ident("macro_rules") {
                    return;
                }
                let arguments = shifted(item.mac.delimiter.span().join().byte_range(), self.base);
                into.calls.push(Call { path: PathRef::new(&item.mac.path, self.base), arguments });
            }
            Syntax::ForeignMod(_) => {}
            // Unknown to this syn: rustc will say what it thinks of it.
            _ => {}
        }
    }

    fn method(
        &mut self,
        attributes: Vec<Attribute>,
        vis: &Visibility,
        sig: &syn::Signature,
        end: Option<Range<usize>>,
        into: &mut Contents,
    ) {
        let start = start(&attributes, vis, sig.fn_token.span);
        let Some(attributes) = self.cfg.apply(attributes) else { return };
        let whole = start..end.as_ref().map_or_else(|| sig.span().byte_range().end, |end| end.end);
        let item = self.make(&sig.ident, whole, end.filter(|end| end.len() > 1), vis, ItemKind::Method, &attributes);
        if !item.attributes.is_empty() {
            into.items.push(item);
        }
    }

    fn module(&mut self, item: syn::ItemMod, into: &mut Contents) {
        let Some(attributes) = self.cfg.apply(item.attrs) else { return };
        let path = attributes.iter().find(|attribute| attribute.path().is_ident("path")).and_then(|attribute| {
            let syn::Expr::Lit(literal) = &attribute.meta.require_name_value().ok()?.value else { return None };
            let syn::Lit::Str(text) = &literal.lit else { return None };
            Some(text.value())
        });
        into.modules.push(ModuleItem {
            name: item.ident.unraw().to_string(),
            at: self.range(&item.ident),
            public: is_public(&item.vis),
            path,
            inline: item.content.map(|(_, items)| self.contents(items)),
        });
    }

    fn import(&mut self, tree: &UseTree, path: &mut PathRef, public: bool, into: &mut Contents) {
        match tree {
            UseTree::Path(part) => {
                self.extend(path, &part.ident);
                self.import(&part.tree, path, public, into);
                path.segments.pop();
            }
            UseTree::Group(group) => {
                for part in &group.items {
                    self.import(part, path, public, into);
                }
            }
            UseTree::Glob(_) => into.imports.push(Import { path: path.clone(), name: None, public }),
            UseTree::Name(last) => self.named(&last.ident, &last.ident, path, public, into),
            UseTree::Rename(last) => self.named(&last.ident, &last.rename, path, public, into),
        }
    }

    fn named(&mut self, last: &syn::Ident, name: &syn::Ident, path: &PathRef, public: bool, into: &mut Contents) {
        let mut path = path.clone();
        let mut name = name.unraw().to_string();
        if last == "self" && !path.segments.is_empty() {
            if name == "self" {
                name = path.last().unwrap_or_default().to_owned();
            }
        } else {
            self.extend(&mut path, last);
        }
        into.imports.push(Import { path, name: Some(name), public });
    }

    fn extend(&self, path: &mut PathRef, ident: &syn::Ident) {
        let at = path.segments.len();
        path.push(ident);
        let range = self.range(ident);
        path.segments[at].range = range.clone();
        path.range = path.segments[0].range.start..range.end;
    }

    fn make(
        &self,
        name: &syn::Ident,
        range: Range<usize>,
        body: Option<Range<usize>>,
        vis: &Visibility,
        kind: ItemKind,
        attributes: &[Attribute],
    ) -> Item {
        let (mut ours, mut derives) = (Vec::new(), Vec::new());
        for (at, attribute) in attributes.iter().enumerate() {
            if attribute.path().is_ident("derive") {
                // What is no list of paths is rustc's to refuse.
                let _ = attribute.parse_nested_meta(|meta| {
                    derives.push(PathRef::new(&meta.path, self.base));
                    Ok(())
                });
            } else if !attribute.path().get_ident().is_some_and(|name| OTHERS.iter().any(|other| name == other)) {
                ours.push((at, PathRef::new(attribute.path(), self.base)));
            }
        }
        Item {
            name: name.unraw().to_string(),
            at: self.range(name),
            range: shifted(range, self.base),
            body: body.map(|body| shifted(body, self.base)),
            public: is_public(vis),
            kind,
            attributes: ours,
            derives,
        }
    }

    fn range(&self, ident: &syn::Ident) -> Range<usize> {
        shifted(ident.span().byte_range(), self.base)
    }
}

/// Where an item starts: at its first attribute, its visibility or its first keyword.
fn start(attributes: &[Attribute], vis: &Visibility, keyword: proc_macro2::Span) -> usize {
    let first = attributes.first().map(|attribute| attribute.pound_token.span.byte_range().start);
    let vis = match vis {
        Visibility::Inherited => None,
        vis => Some(vis.span().byte_range().start),
    };
    first.into_iter().chain(vis).chain([keyword.byte_range().start]).min().unwrap_or_default()
}

fn is_public(vis: &Visibility) -> bool {
    !matches!(vis, Visibility::Inherited)
}

/// `QuoteFn` of `#[…(type = QuoteFn)]`.
fn type_option(attribute: &Attribute) -> Option<String> {
    use proc_macro2::TokenTree::{Ident, Punct};
    let tokens: Vec<_> = attribute.meta.require_list().ok()?.tokens.clone().into_iter().collect();
    tokens.windows(3).find_map(|three| match three {
        [Ident(option), Punct(equals), Ident(name)] if option == "type" && equals.as_char() == '=' => {
            Some(name.unraw().to_string())
        }
        _ => None,
    })
}
