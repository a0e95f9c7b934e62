//! The kinds of capability, by name: syntax can't see more. Where that is not enough, a bound in the expansion speaks up.

use syn::{GenericArgument, PathArguments, PathSegment, Type};

/// A kind of capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// The type's name: `Store`.
    pub name: &'static str,
    /// As descriptors and graphs say it: `store`.
    pub kind: &'static str,
    /// The access that a grant has if the parameter says nothing.
    pub access: Access,
    /// Whether the parameter may say another access: `Store<Stock, ReadOnly>`.
    pub narrows: bool,
}

/// How far a grant goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Reads.
    Read,
    /// Writes.
    Write,
    /// Both.
    ReadWrite,
    /// Calls.
    Call,
}

impl Access {
    /// `read`, `write`, `read-write` or `call`: as descriptors and graphs say it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Access::Read => "read",
            Access::Write => "write",
            Access::ReadWrite => "read-write",
            Access::Call => "call",
        }
    }

    /// The access that a type's name stands for: `ReadOnly`.
    pub fn from_name(name: &str) -> Option<Access> {
        ACCESSES.into_iter().find(|(known, _)| *known == name).map(|(_, access)| access)
    }
}

/// The types that say an access.
pub const ACCESSES: [(&str, Access); 3] =
    [("ReadOnly", Access::Read), ("WriteOnly", Access::Write), ("ReadWrite", Access::ReadWrite)];

/// All kinds.
pub const KINDS: [Kind; 10] = [
    Kind { name: "Queue", kind: "queue", access: Access::Write, narrows: false },
    Kind { name: "Topic", kind: "topic", access: Access::Write, narrows: false },
    Kind { name: "Store", kind: "store", access: Access::ReadWrite, narrows: true },
    Kind { name: "Bucket", kind: "bucket", access: Access::ReadWrite, narrows: true },
    Kind { name: "Database", kind: "database", access: Access::ReadWrite, narrows: true },
    Kind { name: "Secret", kind: "secret", access: Access::Read, narrows: false },
    Kind { name: "Config", kind: "config", access: Access::Read, narrows: false },
    Kind { name: "Function", kind: "function", access: Access::Call, narrows: false },
    Kind { name: "External", kind: "external", access: Access::Call, narrows: false },
    Kind { name: "Shared", kind: "shared", access: Access::Read, narrows: false },
];

/// The type round a group of capabilities, and what else is no argument of a `#[function]`.
pub const GROUP: &str = "With";

/// The kind of this name.
pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// A type that is written as a capability is.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug))]
pub struct Capability<'a> {
    /// Its kind.
    pub kind: &'static Kind,
    /// The segment, `Store<Stock, ReadOnly>`.
    pub segment: &'a PathSegment,
    /// The types between `<` and `>`: the resource, and the access if it is said.
    pub arguments: Vec<&'a Type>,
}

impl<'a> Capability<'a> {
    /// The type that names the resource.
    pub fn resource(&self) -> Option<&'a Type> {
        self.arguments.first().copied()
    }

    /// The type that says the access, if one does.
    pub fn access(&self) -> Option<&'a Type> {
        self.arguments.get(1).copied()
    }
}

/// Whether `ty` is a capability by the last segment of its path, which has arguments. (A user's own `struct Config` has
/// none, so `Json<Config>` is no capability in a wrapper.)
pub fn capability(ty: &Type) -> Option<Capability<'_>> {
    let segment = last_segment(ty)?;
    let kind = kind(&segment.ident.to_string())?;
    matches!(segment.arguments, PathArguments::AngleBracketed(_)).then(|| Capability {
        kind,
        segment,
        arguments: inner_types(ty).collect(),
    })
}

/// The last segment of a type that is a path.
pub fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match ty {
        Type::Path(path) => path.path.segments.last(),
        Type::Group(group) => last_segment(&group.elem),
        Type::Paren(paren) => last_segment(&paren.elem),
        _ => None,
    }
}

/// The types that the last segment of `ty` takes: `T` and `E` of `Result<T, E>`.
pub fn inner_types(ty: &Type) -> impl Iterator<Item = &Type> {
    let arguments = match last_segment(ty).map(|segment| &segment.arguments) {
        Some(PathArguments::AngleBracketed(arguments)) => Some(&arguments.args),
        _ => None,
    };
    arguments.into_iter().flatten().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}
