//! Packages whose code is compiled for size, since it is not on the way of a request: TLS handshakes, protocols' clients that
//! wait for the network anyway, parsers that run once. What a program does itself stays fast: a package that one of the
//! workspace's own names is never among them.

/// By name, sorted. `ring` is not: its arithmetic is what TLS spends its time with.
const COLD: [&str; 40] = [
    "aws-credential-types",
    "aws-sigv4",
    "aws-smithy-http",
    "aws-smithy-runtime-api",
    "aws-smithy-types",
    "blake3",
    "combine",
    "croner",
    "form_urlencoded",
    "h2",
    "hyper-rustls",
    "icu_collections",
    "icu_locale_core",
    "icu_normalizer",
    "icu_properties",
    "icu_provider",
    "idna",
    "idna_adapter",
    "itertools",
    "jiff",
    "jiff-core",
    "percent-encoding",
    "quick-xml",
    "redis",
    "reqwest",
    "rustls",
    "rustls-native-certs",
    "rustls-platform-verifier",
    "rustls-webpki",
    "schemars",
    "serde_path_to_error",
    "serde_urlencoded",
    "sharded-slab",
    "time",
    "tokio-rustls",
    "toml_parser",
    "tower-http",
    "tracing-subscriber",
    "url",
    "zerovec",
];

/// Beside these, what is compiled for size in a function of Lambda's: each kilobyte is loaded at each start, and an event's own
/// work is next to nothing of what it costs. `serde_json` is not: it is what that work is.
const COLD_IN_FUNCTIONS: [&str; 14] = [
    "axum",
    "axum-core",
    "futures-util",
    "http",
    "http-body-util",
    "hyper",
    "hyper-util",
    "matchit",
    "tokio",
    "tower",
    "tracing",
    "tracing-core",
    "tracing-serde",
    "uuid",
];

/// Ours, which each program names.
const OURS: [&str; 2] = ["updraft", "updraft-wire"];

/// Those of a program's `packages`; of a function's some more.
pub(crate) fn among(packages: &[String], function: bool) -> impl Iterator<Item = &str> {
    let cold = move |name: &&str| {
        COLD.binary_search(name).is_ok() || (function && COLD_IN_FUNCTIONS.binary_search(name).is_ok())
    };
    packages.iter().map(String::as_str).filter(cold).chain(OURS.into_iter().filter(move |_| function))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_only_what_is_there_is_named() {
        assert!(COLD.is_sorted() && COLD_IN_FUNCTIONS.is_sorted());
        let packages = ["h2", "hyper", "mine", "url"].map(str::to_owned);
        assert_eq!(among(&packages, false).collect::<Vec<_>>(), ["h2", "url"]);
        assert_eq!(among(&packages, true).collect::<Vec<_>>(), ["h2", "hyper", "url", "updraft", "updraft-wire"]);
    }
}
