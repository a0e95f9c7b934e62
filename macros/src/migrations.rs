//! A database's migrations become part of the program: each file is included, so that an edit compiles anew.

use proc_macro2::TokenStream;
use quote::quote;
use std::path::Path;
use updraft_syntax::migrations::{Problem, order};
use updraft_syntax::{Diagnostic, Resource, ResourceKind, codes};

/// The files, in their order: version, name, text.
#[derive(Default)]
pub(crate) struct Migrations {
    folder: String,
    files: Vec<(i64, String, Vec<u8>)>,
}

impl Migrations {
    /// What the descriptor says of them; nothing where the folder was refused.
    pub(crate) fn fingerprint(&self) -> Option<String> {
        let files = self.files.iter().map(|(_, name, text)| (name.as_str(), text.as_slice()));
        (!self.files.is_empty()).then(|| updraft_wire::migrations::fingerprint(files))
    }

    /// The value of the type `Migrations`.
    pub(crate) fn value(&self) -> TokenStream {
        let folder = &self.folder;
        let files = self.files.iter().map(|(version, name, _)| {
            let path = format!("/{folder}/{name}");
            quote! {
                ::updraft::__private::v1::Migration {
                    version: #version,
                    name: #name,
                    sql: ::core::include_str!(::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), #path)),
                }
            }
        });
        quote! {
            ::updraft::__private::v1::Migrations {
                package: ::core::env!("CARGO_PKG_NAME"),
                folder: #folder,
                files: &[#(#files),*],
            }
        }
    }
}

/// The migrations of a database, and what is wrong with them. Any other resource has none.
pub(crate) fn of(resource: &Resource) -> (Migrations, TokenStream) {
    let ResourceKind::Database { migrations: folder } = &resource.kind else { return Default::default() };
    let mut found = Migrations { folder: folder.clone(), files: Vec::new() };
    let refused = match read(folder) {
        Ok(files) => {
            found.files = files;
            TokenStream::new()
        }
        Err(problems) => {
            let errors = problems.into_iter().map(|Problem { code, message, help }| {
                Diagnostic::new(code, &resource.name, message).help(help).to_compile_error()
            });
            errors.collect()
        }
    };
    (found, refused)
}

fn read(folder: &str) -> Result<Vec<(i64, String, Vec<u8>)>, Vec<Problem>> {
    let unreadable = |what: &Path, error: std::io::Error| {
        vec![Problem {
            code: codes::NO_MIGRATIONS,
            message: format!("`{}` can't be read: {error}", what.display()),
            help: "see that it is there and readable".to_owned(),
        }]
    };
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    let path = Path::new(&package).join(folder);
    let mut names = Vec::new();
    match std::fs::read_dir(&path) {
        Ok(entries) => {
            for entry in entries.filter_map(Result::ok).filter(|entry| entry.path().is_file()) {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(unreadable(Path::new(folder), error)),
    }
    let files = order(folder, names.iter().map(String::as_str))?.into_iter().map(|file| {
        let text = std::fs::read(path.join(file.name)).map_err(|error| unreadable(Path::new(file.name), error))?;
        Ok((file.version, file.name.to_owned(), text))
    });
    files.collect()
}
