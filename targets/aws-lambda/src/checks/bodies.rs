//! UD2009: a request's body that does not get to a function.

use super::Subject;
use crate::capabilities::LARGEST_BODY;
use updraft_model::{Diagnostic, Explain, Sink};

pub(crate) const EXPLAIN: Explain = Explain {
    code: "UD2009",
    title: "a body that Lambda can't be given",
    text: "\
A function is invoked with an event of 6 MB at most. A body that is no text stands in it as base64, which takes four bytes for
three, and the head is there too: 4 MiB of body always fit.

```rust
#[http(put, \"/films/{name}\", body = \"1GiB\")]
async fn upload(Path(name): Path<String>, films: Bucket<Films>, body: Body) -> Result<()> { … }
```

Give clients a presigned URL, so that they write to the bucket directly:

```rust
#[http(post, \"/films/{name}\")]
async fn upload(Path(name): Path<String>, films: Bucket<Films>) -> Result<Json<PresignedUrl>> { … }
```
",
};

pub(crate) fn check(subject: &Subject<'_>, sink: &mut Sink) {
    let public =
        |body: u64| body > LARGEST_BODY && subject.app.handlers.iter().any(|handler| handler.trigger.route().is_some());
    if public(subject.settings.http.body) {
        let message =
            format!("`[http] body` allows {} bytes, and Lambda takes {LARGEST_BODY}", subject.settings.http.body);
        sink.push(
            Diagnostic::error("UD2009", message)
                .help("at most \"4MiB\"; larger bodies go to a bucket by a presigned URL"),
        );
    }
    for handler in &subject.app.handlers {
        let body = handler.options.get("body").and_then(|bytes| bytes.parse::<u64>().ok());
        if let Some(body) = body.filter(|body| *body > LARGEST_BODY) {
            let message = format!("{} takes a body of {body} bytes, and Lambda takes {LARGEST_BODY}", handler.id);
            sink.push(
                Diagnostic::error("UD2009", message)
                    .label(&handler.place, format!("body = \"{body}B\""))
                    .help("let clients write to a bucket, by a presigned URL"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::{
        fixture,
        tests::{codes, handler},
    };

    #[test]
    fn four_mebibytes_and_more() {
        let mut plan = fixture::shop();
        plan.settings.http.body = 4 << 20;
        handler(&mut plan, "shop::orders::place_order").options.insert("body".into(), (4 << 20).to_string());
        assert_eq!(codes(&plan), Vec::<&str>::new());
        plan.settings.http.body += 1;
        handler(&mut plan, "shop::orders::place_order").options.insert("body".into(), (5 << 20).to_string());
        assert_eq!(codes(&plan), ["UD2009", "UD2009"]);
    }
}
