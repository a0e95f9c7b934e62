//! What a layout holds, read back through the specification's own types.

use flate2::read::GzDecoder;
use oci_spec::image::{ImageConfiguration, ImageIndex, ImageManifest, OciLayout};
use std::collections::BTreeMap;
use std::io::Read as _;
use updraft_image::{Architecture, Image, Layout, PROGRAM, function, layout};

fn pack(program: &[u8], architecture: Architecture) -> Layout {
    let labels = BTreeMap::from([("org.opencontainers.image.title".to_owned(), "shop".to_owned())]);
    layout(&Image { program, architecture, labels: &labels }).expect("packed")
}

fn blob<'a>(layout: &'a Layout, digest: &str) -> &'a [u8] {
    &layout.files[&format!("blobs/{}", digest.replace(':', "/"))]
}

fn manifest(layout: &Layout) -> ImageManifest {
    ImageManifest::from_reader(blob(layout, &layout.digest)).expect("a manifest")
}

#[test]
fn the_same_program_gives_the_same_bytes() {
    assert_eq!(pack(b"program", Architecture::Amd64), pack(b"program", Architecture::Amd64));
    assert_ne!(pack(b"program", Architecture::Amd64).digest, pack(b"progrbm", Architecture::Amd64).digest);
    assert_ne!(pack(b"program", Architecture::Amd64).digest, pack(b"program", Architecture::Arm64).digest);
}

#[test]
fn every_application_shares_the_base() {
    let (one, two) = (pack(b"one", Architecture::Amd64), pack(b"two", Architecture::Amd64));
    let (one, two) = (manifest(&one), manifest(&two));
    assert_eq!(one.layers()[0].digest(), two.layers()[0].digest());
    assert_ne!(one.layers()[1].digest(), two.layers()[1].digest());
}

#[test]
fn the_documents_are_those_of_the_specification() {
    let packed = pack(b"program", Architecture::Arm64);
    OciLayout::from_reader(packed.files["oci-layout"].as_slice()).expect("a layout");
    let index = ImageIndex::from_reader(packed.files["index.json"].as_slice()).expect("an index");
    let [entry] = index.manifests().as_slice() else { panic!("{index:?}") };
    assert_eq!(entry.digest().to_string(), packed.digest);
    assert_eq!(entry.platform().as_ref().expect("a platform").architecture().to_string(), "arm64");

    let manifest = manifest(&packed);
    for part in manifest.layers().iter().chain([manifest.config()]) {
        assert_eq!(blob(&packed, part.digest().as_ref()).len() as u64, part.size());
    }
    assert_eq!(packed.size, manifest.layers().iter().map(|layer| layer.size()).sum::<u64>());

    let config = ImageConfiguration::from_reader(blob(&packed, manifest.config().digest().as_ref())).expect("one");
    assert_eq!(config.created().as_ref().expect("a time"), "1970-01-01T00:00:00Z");
    assert_eq!(config.architecture().to_string(), "arm64");
    let run = config.config().as_ref().expect("what to run");
    assert_eq!(run.user().as_deref(), Some("65532:65532"));
    assert_eq!(run.entrypoint().as_deref(), Some([PROGRAM.to_owned()].as_slice()));
    assert_eq!(run.labels().as_ref().expect("labels")["org.opencontainers.image.title"], "shop");
}

#[test]
fn entries_have_no_time_no_owner_and_an_order() {
    let packed = pack(b"program", Architecture::Amd64);
    let mut listing = String::new();
    for layer in manifest(&packed).layers() {
        let mut archive = tar::Archive::new(GzDecoder::new(blob(&packed, layer.digest().as_ref())));
        for entry in archive.entries().expect("entries") {
            let mut entry = entry.expect("an entry");
            let header = entry.header().clone();
            assert_eq!(header.mtime().expect("a time"), 0);
            assert_eq!((header.uid().expect("an owner"), header.gid().expect("a group")), (0, 0));
            let path = entry.path().expect("a path").display().to_string();
            listing.push_str(&format!("{:o} {path}\n", header.mode().expect("a mode")));
            if path == "app" {
                let mut contents = Vec::new();
                entry.read_to_end(&mut contents).expect("contents");
                assert_eq!(contents, b"program");
            }
        }
    }
    let expected = "755 etc/\n644 etc/group\n644 etc/nsswitch.conf\n644 etc/passwd\n755 etc/ssl/\n755 etc/ssl/certs/\n\
                    644 etc/ssl/certs/ca-certificates.crt\n1777 tmp/\n755 app\n";
    assert_eq!(listing, expected);
}

/// Lambda takes one manifest, runs the program as a user of its own, and unpacks nothing.
#[test]
fn a_function_lies_where_lambda_puts_a_zip() {
    let (labels, files) = (BTreeMap::new(), BTreeMap::from([("binding.json".to_owned(), b"{}".to_vec())]));
    let image = Image { program: b"program", architecture: Architecture::Arm64, labels: &labels };
    let packed = function::layout(&image, &files).expect("packed");
    assert_eq!(packed, function::layout(&image, &files).expect("packed"));
    assert_ne!(packed.digest, function::layout(&image, &BTreeMap::new()).expect("packed").digest);

    let manifest = manifest(&packed);
    let base = pack(b"program", Architecture::Arm64);
    assert_eq!(manifest.layers()[0].digest(), self::manifest(&base).layers()[0].digest(), "the base is everyone's");
    let config = ImageConfiguration::from_reader(blob(&packed, manifest.config().digest().as_ref())).expect("one");
    assert_eq!(config.architecture().to_string(), "arm64");
    let run = config.config().as_ref().expect("what to run");
    assert_eq!(run.user(), &None);
    assert_eq!(run.entrypoint().as_deref(), Some(["/var/task/bootstrap".to_owned()].as_slice()));
    assert_eq!(run.env().as_deref(), Some(["LAMBDA_TASK_ROOT=/var/task".to_owned()].as_slice()));

    let mut archive = tar::Archive::new(GzDecoder::new(blob(&packed, manifest.layers()[1].digest().as_ref())));
    let mut listing = String::new();
    for entry in archive.entries().expect("entries") {
        let entry = entry.expect("an entry");
        let mode = entry.header().mode().expect("a mode");
        listing.push_str(&format!("{mode:o} {}\n", entry.path().expect("a path").display()));
    }
    assert_eq!(listing, "755 var/\n755 var/task/\n644 var/task/binding.json\n755 var/task/bootstrap\n");
}
