//! Paths and types as they are written: owned and `Send`, unlike syn's.

use proc_macro2::Ident;
use std::fmt;
use std::ops::Range;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{GenericArgument, PathArguments, Type};

/// A path, with the types between its `<` and `>`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PathRef {
    /// Whether it starts with `::`.
    pub(crate) leading: bool,
    pub(crate) segments: Vec<Segment>,
    /// Bytes in its file.
    pub(crate) range: Range<usize>,
    /// While it is being read: whether a `::` came last.
    pub(super) open: bool,
}

/// A part of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Without `r#`.
    pub(crate) name: String,
    pub(crate) arguments: Vec<TypeRef>,
    pub(crate) range: Range<usize>,
}

/// A type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TypeRef {
    Path(PathRef),
    /// Anything else: a tuple, an array, a projection. None of ours looks so.
    Other(Range<usize>),
}

impl PathRef {
    /// Of syn's, `base` bytes into its file.
    pub(crate) fn new(path: &syn::Path, base: usize) -> Self {
        let segments = path.segments.iter().map(|segment| Segment {
            name: segment.ident.unraw().to_string(),
            arguments: match &segment.arguments {
                PathArguments::AngleBracketed(arguments) => types(&arguments.args, base),
                PathArguments::None | PathArguments::Parenthesized(_) => Vec::new(),
            },
            range: shifted(segment.ident.span().byte_range(), base),
        });
        PathRef {
            leading: path.leading_colon.is_some(),
            segments: segments.collect(),
            range: shifted(path.span().byte_range(), base),
            open: false,
        }
    }

    /// One name.
    pub(crate) fn of(name: &str, range: Range<usize>) -> Self {
        let segment = Segment { name: name.to_owned(), arguments: Vec::new(), range: range.clone() };
        PathRef { leading: false, segments: vec![segment], range, open: false }
    }

    pub(super) fn push(&mut self, ident: &Ident) {
        let range = ident.span().byte_range();
        self.range = if self.segments.is_empty() { range.clone() } else { self.range.start..range.end };
        self.segments.push(Segment { name: ident.unraw().to_string(), arguments: Vec::new(), range });
        self.open = false;
    }

    /// The last name.
    pub(crate) fn last(&self) -> Option<&str> {
        self.segments.last().map(|segment| segment.name.as_str())
    }

    /// The types that the last segment takes.
    pub(crate) fn arguments(&self) -> &[TypeRef] {
        self.segments.last().map_or(&[], |segment| &segment.arguments)
    }

    /// The same path `by` bytes further on.
    pub(crate) fn shift(&mut self, by: usize) {
        self.range = shifted(self.range.clone(), by);
        for segment in &mut self.segments {
            segment.range = shifted(segment.range.clone(), by);
            segment.arguments.iter_mut().for_each(|argument| argument.shift(by));
        }
    }
}

impl fmt::Display for PathRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, segment) in self.segments.iter().enumerate() {
            if at > 0 || self.leading {
                f.write_str("::")?;
            }
            f.write_str(&segment.name)?;
        }
        Ok(())
    }
}

impl TypeRef {
    /// Of syn's, `base` bytes into its file.
    pub(crate) fn new(ty: &Type, base: usize) -> Self {
        match ty {
            Type::Path(path) if path.qself.is_none() => TypeRef::Path(PathRef::new(&path.path, base)),
            Type::Group(group) => TypeRef::new(&group.elem, base),
            Type::Paren(paren) => TypeRef::new(&paren.elem, base),
            _ => TypeRef::Other(shifted(ty.span().byte_range(), base)),
        }
    }

    pub(crate) fn range(&self) -> Range<usize> {
        match self {
            TypeRef::Path(path) => path.range.clone(),
            TypeRef::Other(range) => range.clone(),
        }
    }

    fn shift(&mut self, by: usize) {
        match self {
            TypeRef::Path(path) => path.shift(by),
            TypeRef::Other(range) => *range = shifted(range.clone(), by),
        }
    }
}

fn types<'a>(arguments: impl IntoIterator<Item = &'a GenericArgument>, base: usize) -> Vec<TypeRef> {
    let types = arguments.into_iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(TypeRef::new(ty, base)),
        _ => None,
    });
    types.collect()
}

pub(crate) fn shifted(range: Range<usize>, by: usize) -> Range<usize> {
    range.start + by..range.end + by
}
