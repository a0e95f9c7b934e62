//! Notes that are taken and kept. The tests deploy it, change by change.

#![allow(missing_docs, reason = "a program")]

use updraft::prelude::*;

#[updraft::data]
pub struct Note {
    pub id: String,
    pub text: String,
}

/// Notes that wait to be kept.
#[queue(message = Note)]
pub struct Inbox;

#[cfg(not(any(feature = "renamed", feature = "partitioned")))]
mod shelf {
    use updraft::prelude::*;

    /// Notes that are kept.
    #[store(key = String, value = String)]
    pub struct Shelf;
}

#[cfg(all(feature = "renamed", not(feature = "partitioned")))]
mod shelf {
    use updraft::prelude::*;

    /// Notes that are kept, under a name that the stack does not know.
    #[store(key = String, value = String, name = "cupboard")]
    pub struct Shelf;
}

#[cfg(feature = "partitioned")]
mod shelf {
    use updraft::prelude::*;

    /// Notes that are kept, by keys that the table was not made for.
    #[store(partition = String, key = String, value = String)]
    pub struct Shelf;
}

pub use shelf::Shelf;

/// What whoever asks must know.
#[secret]
pub struct Password;

#[cfg(not(feature = "fewer"))]
mod kept {
    use super::Note;
    use updraft::prelude::*;

    /// Notes that have been kept.
    #[topic(message = Note)]
    pub(crate) struct Kept;

    #[subscriber(Kept)]
    pub(crate) async fn count(note: Note) -> Result<()> {
        drop(note);
        Ok(())
    }

    #[cfg(feature = "more")]
    #[http(get, "/up")]
    async fn health() -> StatusCode {
        StatusCode::NO_CONTENT
    }
}

#[http(post, "/notes")]
async fn take(inbox: Queue<Inbox>, Json(note): Json<Note>) -> Result<StatusCode> {
    inbox.send(&note).await?;
    Ok(StatusCode::ACCEPTED)
}

#[http(get, "/notes/{id}")]
async fn show(Path(id): Path<String>, password: Secret<Password>, shelf: Store<Shelf, ReadOnly>) -> Result<String> {
    drop(password);
    Ok(shelf.get(&key(id)).await?.unwrap_or_default())
}

#[cfg(not(feature = "fewer"))]
#[consumer(Inbox, timeout = "10s")]
async fn keep(note: Note, shelf: Store<Shelf, WriteOnly>, kept: Topic<kept::Kept>) -> Result<()> {
    shelf.put(&key(note.id.clone()), &note.text).await?;
    kept.publish(&note).await?;
    Ok(())
}

#[cfg(feature = "fewer")]
#[consumer(Inbox, timeout = "10s")]
async fn keep(note: Note, shelf: Store<Shelf, WriteOnly>) -> Result<()> {
    shelf.put(&key(note.id.clone()), &note.text).await?;
    Ok(())
}

/// Pictures that somebody else puts there.
#[cfg(feature = "album")]
#[bucket(external = "write")]
pub struct Album;

#[cfg(feature = "album")]
#[http(get, "/pictures/{id}")]
async fn picture(Path(id): Path<String>, album: Bucket<Album, ReadOnly>) -> Result<Vec<u8>> {
    Ok(album.get(&id).await?.map(|blob| blob.body.to_vec()).unwrap_or_default())
}

#[cfg(not(feature = "partitioned"))]
fn key(id: String) -> String {
    id
}

#[cfg(feature = "partitioned")]
fn key(id: String) -> (String, String) {
    ("notes".to_owned(), id)
}

updraft::main!();
