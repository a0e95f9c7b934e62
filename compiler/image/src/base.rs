//! What an empty image needs before a program feels at home: names for its user, name lookup, CA certificates, `/tmp`.

use crate::layer::Entry;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const PASSWD: &str = "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnonroot:x:65532:\n";
/// Without it glibc looks for names in places that the image doesn't have.
const NSSWITCH: &str = "passwd: files\ngroup: files\nhosts: files dns\n";

pub(crate) fn entries() -> Vec<Entry<'static>> {
    vec![
        Entry::folder("etc/", 0o755),
        Entry::file("etc/group", 0o644, GROUP.as_bytes()),
        Entry::file("etc/nsswitch.conf", 0o644, NSSWITCH.as_bytes()),
        Entry::file("etc/passwd", 0o644, PASSWD.as_bytes()),
        Entry::folder("etc/ssl/", 0o755),
        Entry::folder("etc/ssl/certs/", 0o755),
        Entry::file("etc/ssl/certs/ca-certificates.crt", 0o644, certificates().into_bytes()),
        Entry::folder("tmp/", 0o1777),
    ]
}

/// Mozilla's roots as PEM, where TLS libraries look for them.
fn certificates() -> String {
    let mut pem = String::new();
    for certificate in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
        let text = STANDARD.encode(certificate.as_ref());
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        for line in text.as_bytes().chunks(64) {
            pem.extend(line.iter().map(|&byte| char::from(byte)));
            pem.push('\n');
        }
        pem.push_str("-----END CERTIFICATE-----\n");
    }
    pem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_pem() {
        let pem = certificates();
        let blocks: Vec<&str> = pem.split("-----BEGIN CERTIFICATE-----\n").skip(1).collect();
        assert!(blocks.len() > 100, "{} certificates", blocks.len());
        for (block, certificate) in blocks.iter().zip(webpki_root_certs::TLS_SERVER_ROOT_CERTS) {
            let body = block.strip_suffix("-----END CERTIFICATE-----\n").expect("an end").replace('\n', "");
            assert_eq!(STANDARD.decode(body).expect("base64"), certificate.as_ref());
        }
    }

    #[test]
    fn names_agree_with_the_user() {
        assert!(PASSWD.contains(&format!(":{0}:{0}:", crate::USER)));
        assert!(GROUP.contains(&format!(":{}:", crate::USER)));
    }
}
