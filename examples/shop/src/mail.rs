//! Mail to customers, through a service outside.

use audit::{Shipment, Shipped};
use updraft::prelude::*;

/// The mailer's key.
#[secret]
pub struct MailerKey;

/// The mailer.
#[external(hosts = ["mailer.example.com:443"])]
pub struct Mailer;

/// What the mailer takes.
#[updraft::data]
struct Letter {
    subject: String,
    text: String,
}

/// Tells the customer. The mailer knows a letter again by its key, so a second delivery sends none.
#[subscriber(Shipped, retries = 8)]
async fn email_customer(shipment: Shipment, key: Secret<MailerKey>, mailer: External<Mailer>) -> Result<()> {
    let Shipment { order, sku, quantity } = shipment;
    let letter = Letter {
        subject: format!("Your order {order} is on its way"),
        text: format!("{quantity} × {sku} left our house today."),
    };
    let request = mailer.client()?.post(mailer.url("/messages")).header("idempotency-key", order).json(&letter);
    let answer = request.bearer_auth(key.expose().await?.expose_secret()).send().await.context("asking the mailer")?;
    answer.error_for_status()?;
    Ok(())
}
