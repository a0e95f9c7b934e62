//! A stack's end: what goes, and what stays.

use crate::cloudformation::Stack;
use crate::error::Result;
use crate::follow::{News, Outcome, follow};
use crate::plan::{origins, stays};
use crate::stack::Target;
use serde::Serialize;
use serde_json::Value;

/// A resource of a stack that is to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Leaving {
    /// Its name in the template.
    pub logical: String,
    /// Its own.
    pub physical: String,
    /// `AWS::SQS::Queue`.
    pub kind: String,
    /// What it is there for.
    pub from: Vec<String>,
    /// Whether it stays in the account.
    pub stays: bool,
}

impl Target {
    /// What becomes of a stack's resources if it is removed.
    ///
    /// # Errors
    /// AWS's.
    pub async fn leaving(&self, stack: &Stack) -> Result<Vec<Leaving>> {
        // One that was but proposed has neither template nor resources.
        if stack.is_review() {
            return Ok(Vec::new());
        }
        let template: Value = serde_json::from_str(&self.cloud().template(&stack.id).await?).unwrap_or_default();
        let resources = self.cloud().resources(&stack.id).await?.into_iter();
        let there = resources.filter(|resource| resource.status != "DELETE_COMPLETE");
        let leaving = there.map(|resource| Leaving {
            from: origins(&template, &resource.logical),
            stays: stays(&template, &resource.logical),
            logical: resource.logical,
            physical: resource.physical,
            kind: resource.kind,
        });
        let mut leaving: Vec<Leaving> = leaving.collect();
        leaving.extend(self.parameters_left(&stack.name, &template).await?);
        Ok(leaving)
    }

    /// The parts of a main stack that are there, each with its own stack.
    ///
    /// # Errors
    /// AWS's.
    pub async fn parts_of(&self, stack: &Stack) -> Result<Vec<(Target, Stack)>> {
        // Parts come after the main stack: one that was but proposed has none, and no template that says so.
        if stack.is_review() {
            return Ok(Vec::new());
        }
        let template: Value = serde_json::from_str(&self.cloud().template(&stack.id).await?).unwrap_or_default();
        self.stacks_of_parts(Some(&template)).await
    }

    /// Removes a stack, once what is under way has ended.
    ///
    /// # Errors
    /// AWS's. What can't be deleted is an [`Outcome`].
    pub async fn remove(&self, stack: &Stack, tell: &mut dyn FnMut(News<'_>)) -> Result<Outcome> {
        if stack.is_busy() {
            let outcome = self.wait(stack, tell).await?;
            if outcome.stack.is_none() {
                return Ok(outcome);
            }
        }
        self.delete(stack, tell).await
    }

    /// Waits for what is under way in a stack.
    pub(crate) async fn wait(&self, stack: &Stack, tell: &mut dyn FnMut(News<'_>)) -> Result<Outcome> {
        tell(News::Waiting(stack));
        let newest = self.cloud().newest_event(&stack.id).await?;
        follow(self.cloud(), &stack.id, newest, false, tell).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::played::{serve, target};

    fn stack(status: &str) -> Stack {
        Stack { id: "arn:shop".into(), name: "shop".into(), status: status.into(), ..Stack::default() }
    }

    /// Parts that nobody could ask about would stay, without a stack that knows them.
    #[tokio::test]
    async fn what_can_not_be_asked_is_said() {
        let denied = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>";
        let target = target(&serve(move |_| (403, String::new(), denied.to_owned())));
        let refused = target.parts_of(&stack("UPDATE_COMPLETE")).await.unwrap_err();
        assert!(refused.to_string().contains("cloudformation:GetTemplate"), "{refused}");
        assert!(target.parts_of(&stack("REVIEW_IN_PROGRESS")).await.unwrap().is_empty());
    }
}
