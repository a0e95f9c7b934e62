//! Codes of the proof: contracts, unique, never reused. They need a linked binary, so their pages have no examples that a
//! test could run; the whole-system tests make each of them happen.

use updraft_syntax::codes::Page;

macro_rules! codes {
    ($($name:ident = $code:literal, $title:literal, $text:literal;)*) => {
        $(#[doc = $title] pub const $name: &str = $code;)*

        /// What `explain` says.
        pub const PAGES: &[Page] = &[$(Page { code: $code, title: $title, text: $text, wrong: "", right: "" },)*];
    };
}

codes! {
    UNREADABLE = "UD0401", "the binary's descriptors can't be read",
        "Each attribute leaves a descriptor in the binary's section `.updraft` (`__DATA,__updraft` on macOS). The file is no ELF or Mach-O file, \
         or its descriptors were written by another version of updraft: build it with the `updraft` that belongs to this `cargo updraft`.";
    EMPTY = "UD0402", "the binary holds no handlers",
        "The linked program has not one handler although its source declares some: the crate that holds them was not linked. Rust leaves out \
         a crate that nobody mentions, even a package's own library beside its main.rs. Name it: `updraft::main!(shop)`.";
    NOT_LINKED = "UD0403", "a crate's handlers are missing from the binary",
        "The source declares them, and the linked program has none of that crate: it was not linked. Name it in `updraft::main!(…)`.";
    NOT_IN_SOURCE = "UD0404", "the binary holds something that the source view does not see",
        "Handlers and resources are declared where anyone can read them: in a module, with an attribute of updraft. What a macro makes (`macro_rules!`, \
         `include!`, another attribute) is in the binary alone, so no check has seen it. Write the item out; the macro may make its body. \
         If it is under a `cfg`, that one holds in the build and not in the check: pass the same `--features` and flags to both; \
         cfgs of a build script are not seen.";
    NOT_IN_BINARY = "UD0405", "the source declares something that the binary does not hold",
        "Others of its crate are there. Mostly a `cfg` holds in the check and not in the build (features, `RUSTFLAGS`, another profile), \
         or another attribute on the item takes it away.";
    DIFFERENT = "UD0406", "source and binary disagree about an item",
        "Its options or its grants differ. Mostly another macro rewrites the item before updraft's attribute sees it, or names mean something else there \
         (a `macro_rules!` that makes a type alias), or the binary is older than the source.";
}
