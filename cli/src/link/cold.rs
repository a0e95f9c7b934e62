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

/// Those of a program's `packages`.
pub(crate) fn among(packages: &[String]) -> impl Iterator<Item = &str> {
    packages.iter().map(String::as_str).filter(|name| COLD.binary_search(name).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_only_what_is_there_is_named() {
        assert!(COLD.is_sorted());
        let packages = ["h2", "mine", "url"].map(str::to_owned);
        assert_eq!(among(&packages).collect::<Vec<_>>(), ["h2", "url"]);
    }
}
