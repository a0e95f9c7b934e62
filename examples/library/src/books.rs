//! Books: taken over.

use crate::desk::Desk;
use crate::loans::Loans;
use updraft::prelude::*;

/// A book.
#[updraft::data]
pub struct Book {
    pub title: String,
    pub author: String,
}

/// A book as it is shown.
#[updraft::data]
pub struct Shown {
    pub number: String,
    pub title: String,
    pub author: String,
}

fn shown((number, Book { title, author }): (String, Book)) -> Shown {
    Shown { number, title, author }
}

/// All books, by number.
#[store(key = String, value = Book)]
pub struct Books;

/// Every book.
#[http(get, "/books")]
async fn list(books: Store<Books, ReadOnly>) -> Result<Json<Vec<Shown>>> {
    let found = books.scan("").all().await?;
    let mut all: Vec<Shown> = found.into_iter().map(shown).collect();
    all.sort_by(|one, other| one.number.cmp(&other.number));
    Ok(Json(all))
}

/// One.
#[http(get, "/books/{number}")]
async fn show(books: Store<Books, ReadOnly>, Path(number): Path<String>) -> Result<Json<Shown>> {
    let book = books.get(&number).await?;
    book.map(|book| Json(shown((number, book)))).ok_or_else(|| missing("no such book"))
}

/// Puts a book on its shelf.
#[http(put, "/books/{number}")]
async fn shelve(
    _desk: Desk,
    books: Store<Books>,
    Path(number): Path<String>,
    Json(book): Json<Book>,
) -> Result<StatusCode> {
    if books.insert_new(&number, &book).await? {
        return Ok(StatusCode::CREATED);
    }
    books.put(&number, &book).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a book out of the library, unless someone has it.
#[http(delete, "/books/{number}")]
async fn discard(
    _desk: Desk,
    books: Store<Books>,
    loans: Store<Loans, ReadOnly>,
    Path(number): Path<String>,
) -> Result<StatusCode> {
    if loans.get(&number).await?.is_some() {
        return Ok(StatusCode::CONFLICT);
    }
    if books.get(&number).await?.is_none() {
        return Err(missing("no such book"));
    }
    books.delete(&number).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// An error that is the client's.
pub(crate) fn missing(what: &'static str) -> Error {
    Error::new(what).with_status(StatusCode::NOT_FOUND)
}
