//! A queue that was not declared to know messages again, and one that is ordered by what its messages don't have.
use updraft::prelude::*;

#[queue(message = String)]
struct Orders;

#[http(post, "/")]
async fn again(orders: Queue<Orders>) -> Result<()> {
    orders.send_as("7", &String::new()).await?; //~ [send_as] `Orders` does not know a message again
    Ok(())
}

#[updraft::data]
pub struct Parcel {
    customer: String,
}

#[queue(message = Parcel, ordered = "custmer")] //~ ["custmer"] no field `custmer` on type `&Parcel`
struct Parcels;

#[queue(message = Parcel, delay, ordered = "customer")] //~ [delay] an ordered queue can't hold single messages back
struct Late;
