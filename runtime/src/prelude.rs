//! What handlers are written with: `use updraft::prelude::*;`.

pub use crate::batch::Batch;
pub use crate::capability::{
    Bucket, Config, Database, External, Queue, ReadOnly, ReadWrite, Secret, Store, Topic, WriteOnly,
};
pub use crate::error::{Error, Result, ResultExt};
pub use crate::function::{CallError, Function};
pub use crate::grants::With;
pub use crate::http::{Form, Json, Layer, Path, Query, Redirect};
pub use crate::message::Delivery;
pub use crate::object::Object;
pub use crate::registry::Tick;
pub use crate::shared::Shared;
pub use axum::http::{HeaderMap, StatusCode};
pub use axum::response::{IntoResponse, Response};
pub use secrecy::{ExposeSecret, SecretString};
pub use updraft_macros::{
    Capabilities, bucket, config, consumer, database, external, extractor, function, http, layer, object, queue,
    routes, schedule, secret, shared, store, subscriber, topic,
};
