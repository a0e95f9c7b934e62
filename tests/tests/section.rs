//! The shop's linked file tells what its process would dispatch. The same holds under the profile of images, where link-time
//! optimisation and stripping might drop what nothing seems to need:
//!
//! ```sh
//! cargo test -p updraft-tests --test section --target x86_64-unknown-linux-gnu --release \
//!     --config 'profile.release.lto="fat"' --config profile.release.strip=true \
//!     --config 'target.x86_64-unknown-linux-gnu.rustflags=["-Ctarget-feature=+crt-static"]'
//! ```

use audit as _;
use object::{Object, ObjectSection};
use shop as _;
use updraft::registry::{HANDLERS, RESOURCES};
use updraft_wire::Descriptor;
use updraft_wire::descriptor::{ELF_SECTION, decode};

#[test]
fn section_and_registry_are_equal() {
    let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let file = object::File::parse(&*program).unwrap();
    let name = if cfg!(target_vendor = "apple") { "__updraft" } else { ELF_SECTION };
    let section = decode(file.section_by_name(name).unwrap().data().unwrap()).unwrap();

    let registered = HANDLERS.iter().map(|handler| handler.descriptor);
    let registered = registered.chain(RESOURCES.iter().map(|resource| resource.descriptor));
    let mut registered: Vec<Descriptor> = registered.flat_map(|bytes| decode(bytes).unwrap()).collect();
    registered.sort();
    assert_eq!(section, registered);

    let handlers: Vec<&str> = section.iter().filter(|d| d.is_handler()).map(|d| d.id.as_str()).collect();
    assert_eq!(
        handlers,
        [
            "audit::record",
            "shop::admin::count_stock",
            "shop::mail::email_customer",
            "shop::orders::get_order",
            "shop::orders::place_order",
            "shop::orders::ship",
            "shop::pricing::get_quote",
            "shop::pricing::quote",
            "shop::reports::nightly_report",
        ]
    );
}
