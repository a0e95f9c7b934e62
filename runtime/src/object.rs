//! What a bucket tells of its objects: the first parameter of handlers with `#[object]`.

use crate::capability::BucketResource;
use crate::message::Read;
use crate::schema::Forms;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happened to a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ObjectEvent {
    /// It was written, whether or not there was one before.
    Created,
    /// It was deleted.
    Removed,
}

/// A blob that was written or deleted. It may have changed again since: `etag` tells which write this is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// What happened to it.
    pub event: ObjectEvent,
    /// Bytes; of a deleted blob, what it had.
    pub size: u64,
    /// Of the blob that was written, or deleted.
    pub etag: String,
}

/// One trait for the two rules of `#[object]` (a bucket; an `Object`), so that breaking either gives one error.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not tell of its objects by a `{Message}`",
    label = "not what the first parameter takes",
    note = "`#[object(…)]` names a bucket, and the handler's first parameter is an `Object`"
)]
pub trait Tells<Message: 'static>: BucketResource {
    #[doc(hidden)]
    fn read() -> Read<Message>;
}

impl<B: BucketResource> Tells<Object> for B {
    fn read() -> Read<Object> {
        static FORMS: Forms<Object> = Forms::new(&[]);
        Read::of(&FORMS)
    }
}

/// How what a bucket tells is read. A value of this type is the proof that `B` is a bucket, and `Message` is `Object`.
pub fn told<B: Tells<Message>, Message: 'static>() -> Read<Message> {
    B::read()
}
