//! Messages that can't travel, and older forms that nothing turns into the new one.
use updraft::prelude::*;

struct Plain;

#[updraft::data]
struct New {
    cents: u32,
}

#[updraft::data]
struct Old {
    euros: u32,
}

impl From<Plain> for New {
    fn from(_: Plain) -> Self {
        New { cents: 0 }
    }
}

#[queue(message = Plain)] //~ [Plain] `Plain` can't be a message
struct Orders;

#[consumer(Orders)]
async fn ship(_order: Plain) -> Result<()> {
    Ok(())
}

#[topic(message = New, accepts = [Old])] //~ [Old] `New` can't be made of `Old`
struct Prices;

#[queue(message = New, accepts = [Plain])] //~ [Plain] `Plain` can't be a message
struct Payments;

#[queue(message = New, accepts = [New])] //~ [New] `New` is read anyway: it stands here before; `accepts` lists older forms of the message, newest first, each once
struct Twice;

#[queue(message = New, accepts = Old)] //~ [Old] `accepts` takes a list of types, `[…, …]`; write `accepts = …` with a list of types, `[…, …]`
struct NoList;
