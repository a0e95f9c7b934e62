//! Threads for reading source: syn recurses with its input, so their stacks are big. (Only what is used of one is real.)

/// Bytes of stack.
const STACK: usize = 256 << 20;

/// Runs `work` where parallel iterators have deep stacks too.
pub(crate) fn deep<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    match rayon::ThreadPoolBuilder::new().stack_size(STACK).build() {
        Ok(pool) => pool.install(work),
        // No threads to be had: slower, and as deep as the caller's stack is.
        Err(_) => work(),
    }
}
