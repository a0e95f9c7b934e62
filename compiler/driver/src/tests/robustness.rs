//! Whatever the source, it is reported or compiled.
