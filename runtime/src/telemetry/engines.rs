//! Engines as a handler reaches them: each operation in a span of its own, told to the observer and met by faults, where
//! somebody wants any of it. Otherwise the engine itself stands there, and nothing is in between.
//!
//! A method that an engine's trait gains is added here too (the compiler asks for it, unless it has a default: then a test
//! of the capability does).

use super::spans;
use crate::ctx::{Event, Scope};
use crate::engine::{
    Blob, BoxFuture, BucketEngine, ByteStream, EngineResult, Entry, Expect, ExpectBlob, Meta, Page, Presign, Reading,
    Span, StoreEngine,
};
use bytes::Bytes;
use std::ops::{Deref, Range};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An engine, watched or not.
pub enum Held<'a, T: ?Sized> {
    /// Nobody looks.
    Plain(&'a T),
    /// Somebody does.
    Watched(Box<T>),
}

impl<T: ?Sized> Deref for Held<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Held::Plain(engine) => engine,
            Held::Watched(engine) => engine,
        }
    }
}

impl<'a> Held<'a, dyn StoreEngine> {
    /// A store's engine for this invocation.
    pub(crate) fn store(scope: &Scope, engine: &'a Arc<dyn StoreEngine>, id: &'static str) -> Self {
        match scope.ctx().watches_operations() {
            false => Held::Plain(&**engine),
            true => Held::Watched(Box::new(Watched { scope: scope.clone(), engine: engine.clone(), id })),
        }
    }
}

impl<'a> Held<'a, dyn BucketEngine> {
    /// A bucket's engine for this invocation.
    pub(crate) fn bucket(scope: &Scope, engine: &'a Arc<dyn BucketEngine>, id: &'static str) -> Self {
        match scope.ctx().watches_operations() {
            false => Held::Plain(&**engine),
            true => Held::Watched(Box::new(Watched { scope: scope.clone(), engine: engine.clone(), id })),
        }
    }
}

struct Watched<T: ?Sized> {
    scope: Scope,
    engine: Arc<T>,
    id: &'static str,
}

impl<T: Send + Sync + ?Sized> Watched<T> {
    /// One operation; the triple is its kind, the engine's system and its method.
    fn watch<'a, R: Send + 'a>(
        &'a self,
        (kind, system, method): (&'static str, &'static str, &'static str),
        key: &'a [u8],
        work: BoxFuture<'a, EngineResult<R>>,
    ) -> BoxFuture<'a, EngineResult<R>> {
        Box::pin(async move {
            let (ctx, cause) = (self.scope.ctx(), self.scope.invocation().trace.as_ref());
            let mut span = ctx.tracer().map(|tracer| spans::operation(tracer, cause, (kind, system), method, self.id));
            let started = Instant::now();
            let outcome = self.scope.step((method, self.id, key), work).await;
            let error = outcome.as_ref().err();
            if let (Some(span), Some(error)) = (&mut span, error) {
                spans::refused(span, error);
            }
            drop(span);
            let (handler, resource, elapsed) = (self.scope.handler().id, self.id, started.elapsed());
            ctx.observe(&Event::Operated { handler, kind, resource, method, elapsed, error });
            outcome
        })
    }
}

impl StoreEngine for Watched<dyn StoreEngine> {
    fn system(&self) -> &'static str {
        self.engine.system()
    }

    fn get<'a>(&'a self, store: &'a str, key: &'a [u8]) -> BoxFuture<'a, EngineResult<Option<Entry>>> {
        self.watch(("store", self.system(), "get"), key, self.engine.get(store, key))
    }

    fn get_all<'a>(&'a self, store: &'a str, keys: &'a [Vec<u8>]) -> BoxFuture<'a, EngineResult<Vec<Option<Entry>>>> {
        self.watch(("store", self.system(), "get_all"), &[], self.engine.get_all(store, keys))
    }

    fn put_all<'a>(
        &'a self,
        store: &'a str,
        entries: Vec<(Vec<u8>, Bytes)>,
        ttl: Option<Duration>,
    ) -> BoxFuture<'a, EngineResult<()>> {
        self.watch(("store", self.system(), "put_all"), &[], self.engine.put_all(store, entries, ttl))
    }

    fn put<'a>(
        &'a self,
        store: &'a str,
        key: &'a [u8],
        value: Bytes,
        expect: Expect,
        ttl: Option<Duration>,
    ) -> BoxFuture<'a, EngineResult<bool>> {
        self.watch(("store", self.system(), "put"), key, self.engine.put(store, key, value, expect, ttl))
    }

    fn delete<'a>(&'a self, store: &'a str, key: &'a [u8], expect: Expect) -> BoxFuture<'a, EngineResult<bool>> {
        self.watch(("store", self.system(), "delete"), key, self.engine.delete(store, key, expect))
    }

    fn scan<'a>(
        &'a self,
        store: &'a str,
        prefix: &'a [u8],
        from: Option<String>,
        limit: usize,
    ) -> BoxFuture<'a, EngineResult<Page<(Vec<u8>, Entry)>>> {
        self.watch(("store", self.system(), "scan"), prefix, self.engine.scan(store, prefix, from, limit))
    }

    fn scan_ordered<'a>(
        &'a self,
        store: &'a str,
        span: &'a Span,
        from: Option<String>,
        limit: usize,
    ) -> BoxFuture<'a, EngineResult<Page<(Vec<u8>, Entry)>>> {
        self.watch(("store", self.system(), "in_order"), &[], self.engine.scan_ordered(store, span, from, limit))
    }
}

impl BucketEngine for Watched<dyn BucketEngine> {
    fn system(&self) -> &'static str {
        self.engine.system()
    }

    fn head<'a>(&'a self, bucket: &'a str, key: &'a str) -> BoxFuture<'a, EngineResult<Option<Meta>>> {
        self.watch(("bucket", self.system(), "head"), key.as_bytes(), self.engine.head(bucket, key))
    }

    // Until it begins: what a stream then takes is its reader's business.
    fn read<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        range: Option<Range<u64>>,
    ) -> BoxFuture<'a, EngineResult<Option<Reading>>> {
        self.watch(("bucket", self.system(), "read"), key.as_bytes(), self.engine.read(bucket, key, range))
    }

    fn get<'a>(&'a self, bucket: &'a str, key: &'a str) -> BoxFuture<'a, EngineResult<Option<Blob>>> {
        self.watch(("bucket", self.system(), "get"), key.as_bytes(), self.engine.get(bucket, key))
    }

    fn put<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        body: Bytes,
        content_type: Option<&'a str>,
        expect: ExpectBlob,
    ) -> BoxFuture<'a, EngineResult<Option<String>>> {
        self.watch(
            ("bucket", self.system(), "put"),
            key.as_bytes(),
            self.engine.put(bucket, key, body, content_type, expect),
        )
    }

    fn write<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        body: ByteStream<'a>,
        content_type: Option<&'a str>,
    ) -> BoxFuture<'a, EngineResult<()>> {
        self.watch(
            ("bucket", self.system(), "write"),
            key.as_bytes(),
            self.engine.write(bucket, key, body, content_type),
        )
    }

    fn delete<'a>(&'a self, bucket: &'a str, key: &'a str) -> BoxFuture<'a, EngineResult<()>> {
        self.watch(("bucket", self.system(), "delete"), key.as_bytes(), self.engine.delete(bucket, key))
    }

    fn list<'a>(
        &'a self,
        bucket: &'a str,
        prefix: &'a str,
        from: Option<String>,
        limit: usize,
    ) -> BoxFuture<'a, EngineResult<Page<String>>> {
        self.watch(("bucket", self.system(), "list"), prefix.as_bytes(), self.engine.list(bucket, prefix, from, limit))
    }

    fn presign<'a>(&'a self, bucket: &'a str, key: &'a str, asked: Presign<'a>) -> BoxFuture<'a, EngineResult<String>> {
        self.watch(("bucket", self.system(), "presign"), key.as_bytes(), self.engine.presign(bucket, key, asked))
    }
}
