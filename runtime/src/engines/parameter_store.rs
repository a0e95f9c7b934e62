//! Secrets that are parameters of Systems Manager's Parameter Store.

pub use crate::engines::aws::secrets::KEPT;
use crate::engines::aws::secrets::{Keeper, Secrets};
use secrecy::SecretString;
use serde_json::{Value, json};

/// Secrets, each in the parameter of its name.
pub type ParameterStore = Secrets<Parameters>;

/// Parameter Store.
pub struct Parameters;

impl Keeper for Parameters {
    const SERVICE: &'static str = "ssm";
    const OPERATION: &'static str = "AmazonSSM.GetParameter";
    const MISSING: &'static str = "ParameterNotFound";
    const CALLED: &'static str = "parameter of Parameter Store";

    fn question(address: &str) -> Value {
        // One that is not encrypted is read as well.
        json!({ "Name": address, "WithDecryption": true })
    }

    fn text(answer: &Value) -> Option<SecretString> {
        answer["Parameter"]["Value"].as_str().map(SecretString::from)
    }

    fn command(address: &str) -> String {
        format!("aws ssm put-parameter --type SecureString --overwrite --name {address} --value …")
    }
}
