//! Aliases that move in steps, where the settings ask for it: nothing otherwise.

use super::Source;
use crate::intrinsics::Text;
use crate::names::{Ending, alone, logical};
use crate::resources::iam::{Role, Statement};
use crate::resources::lambda::{Function, Version};
use crate::resources::rollout::{Alarm, Application, Group};
use crate::template::{Broken, Id, Made as Resource, Template};
use serde_json::Value;
use updraft_model::settings::Rollout;
use updraft_wire::aws::ALIAS;

/// What all aliases move by.
pub(super) struct Rollouts {
    application: Id<Application>,
    steps: Rollout,
}

impl Rollouts {
    /// If they do.
    pub(super) fn new(source: &Source<'_>, template: &mut Template) -> Result<Option<Self>, Broken> {
        let Some(steps) = source.settings.aws_lambda.rollout else { return Ok(None) };
        let resource = Resource::new(Application::new(), ["rollout".to_owned()]);
        let application = template.add(alone(Ending::Rollouts), resource)?;
        Ok(Some(Rollouts { application, steps }))
    }

    /// How a unit's alias moves: its update policy. Whoever moves it may do that, and look at its alarm.
    pub(super) fn of(
        &self,
        (source, unit): (&Source<'_>, &str),
        function: &Id<Function>,
        version: &Id<Version>,
        template: &mut Template,
    ) -> Result<Value, Broken> {
        let from = || [format!("unit {unit}")];
        let alarm = Resource::new(Alarm::errors(unit, function, version), from()).of_unit(unit);
        let alarm = template.add(logical(unit, Ending::RolloutAlarm), alarm)?;
        let arn = function.arn();
        // The alias itself comes after those who move it.
        let aliased: [Text; 2] = [arn.clone(), arn.then(":").then(ALIAS)];
        let moves = vec!["lambda:GetAlias", "lambda:UpdateAlias", "lambda:GetProvisionedConcurrencyConfig"];
        let statements = vec![
            Statement::allow("Alias".to_owned(), moves, aliased.into()),
            Statement::allow("Alarm".to_owned(), vec!["cloudwatch:DescribeAlarms"], vec![alarm.arn()]),
        ];
        let role = Role::new(
            format!("Moves {unit} of {} to its next version", source.app.name),
            "codedeploy.amazonaws.com",
            statements,
        );
        let role = role.within(source.settings.aws_lambda.permissions_boundary.as_deref());
        let role = template.add(logical(unit, Ending::RolloutRights), Resource::new(role, from()).of_unit(unit))?;
        let group = Group::new(&self.application, &role, &alarm, self.steps);
        let group = Resource::new(group, from()).of_unit(unit);
        let group = template.add(logical(unit, Ending::RolloutGroup), group)?;
        Ok(group.moves(&self.application))
    }
}
