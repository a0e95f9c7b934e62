//! Descriptors out of a program's file: ELF or Mach-O, of any architecture, never run.

use object::{Object, ObjectSection};
use updraft_wire::Descriptor;
use updraft_wire::descriptor::{ELF_SECTION, MACHO_SECTION, decode};

/// Every descriptor of the file; none if it has no section of ours.
pub(super) fn read(file: &[u8]) -> Result<Vec<Descriptor>, String> {
    let object = object::File::parse(file).map_err(|error| error.to_string())?;
    let macho = MACHO_SECTION.split_once(',').map_or(MACHO_SECTION, |(_, name)| name);
    let mut all = Vec::new();
    for section in object.sections() {
        if section.name().is_ok_and(|name| name == ELF_SECTION || name == macho) {
            let bytes = section.data().map_err(|error| error.to_string())?;
            all.extend(decode(bytes).map_err(|error| error.to_string())?);
        }
    }
    all.sort();
    Ok(all)
}
