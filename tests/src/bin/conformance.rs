//! The handlers of the conformance suite of queues and topics, as a program that a cluster runs.
#![allow(missing_docs, reason = "statics of a program")]

use updraft::__private::v1::linkme;
use updraft::conformance::messaging::handlers;
use updraft::registry::{HANDLERS, Handler};

macro_rules! register {
    ($($name:ident),*) => {$(
        #[linkme::distributed_slice(HANDLERS)]
        #[linkme(crate = linkme)]
        static $name: Handler = handlers::$name;
    )*};
}
register!(PLAIN, HUNG, KEYED, KNOWN, KNOWN_TOO, BATCHED, ALL_NEWS, NO_NEWS, EUROPEAN_NEWS);

updraft::main!();
