//! A call's arguments: what may travel, and how.

use super::FunctionResource;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// How one argument travels. A value of this type is the proof that `T` can, so that what takes it needs no bound of its
/// own, and the error of a bad argument comes once, from [`travels`], at that parameter.
pub struct Traveller<T> {
    name: &'static str,
    write: fn(&T) -> serde_json::Result<Value>,
    read: fn(Value) -> serde_json::Result<T>,
}

/// What callers send. Syntax decides which parameters those are; this catches what it was fooled by.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't travel as an argument of a `#[function]`",
    label = "can't travel",
    note = "a capability is written with its kind here (`Queue<Name>`), not through an alias; other arguments derive `serde::Serialize` and `serde::Deserialize` (or `#[updraft::data]`)"
)]
pub trait Travels: Sized {
    #[doc(hidden)]
    fn traveller(name: &'static str) -> Traveller<Self>;
}

// Else rustc says it twice, for reading and for writing.
#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> Travels for T {
    fn traveller(name: &'static str) -> Traveller<Self> {
        Traveller { name, write: |value| serde_json::to_value(value), read: serde_json::from_value }
    }
}

/// The argument `name`, for expansions.
pub fn travels<T: Travels>(name: &'static str) -> Traveller<T> {
    T::traveller(name)
}

/// Arguments as nested pairs, which any number of them fits.
pub trait Arguments: Send + 'static {
    /// How each travels, as nested pairs.
    type Travellers;
    #[doc(hidden)]
    fn write(&self, travellers: &Self::Travellers, object: &mut Map<String, Value>) -> serde_json::Result<()>;
    #[doc(hidden)]
    fn read(travellers: &Self::Travellers, object: &mut Map<String, Value>) -> Result<Self, String>
    where
        Self: Sized;
}

impl Arguments for () {
    type Travellers = ();

    fn write(&self, (): &(), _: &mut Map<String, Value>) -> serde_json::Result<()> {
        Ok(())
    }

    fn read((): &(), object: &mut Map<String, Value>) -> Result<Self, String> {
        match object.keys().next() {
            Some(unknown) => Err(format!("there is no argument `{unknown}`")),
            None => Ok(()),
        }
    }
}

impl<T: Send + 'static, Rest: Arguments> Arguments for (T, Rest) {
    type Travellers = (Traveller<T>, Rest::Travellers);

    fn write(&self, (first, rest): &Self::Travellers, object: &mut Map<String, Value>) -> serde_json::Result<()> {
        object.insert(first.name.to_owned(), (first.write)(&self.0)?);
        self.1.write(rest, object)
    }

    fn read((first, rest): &Self::Travellers, object: &mut Map<String, Value>) -> Result<Self, String> {
        let name = first.name;
        let value = match object.remove(name) {
            Some(value) => (first.read)(value).map_err(|error| format!("the argument `{name}`: {error}"))?,
            // An optional one may be left out.
            None => (first.read)(Value::Null).map_err(|_| format!("the argument `{name}` is missing"))?,
        };
        Ok((value, Rest::read(rest, object)?))
    }
}

pub(super) fn encode_arguments<F: FunctionResource>(arguments: &F::Arguments) -> serde_json::Result<Vec<u8>> {
    let mut object = Map::new();
    arguments.write(&F::travellers(), &mut object)?;
    serde_json::to_vec(&object)
}

pub(super) fn decode_arguments<F: FunctionResource>(body: &[u8]) -> Result<F::Arguments, String> {
    let empty = body.iter().all(u8::is_ascii_whitespace);
    let mut object = match empty {
        true => Map::new(),
        false => serde_json::from_slice(body).map_err(|error| format!("no JSON object of arguments: {error}"))?,
    };
    F::Arguments::read(&F::travellers(), &mut object)
}
