//! Outputs of rules with what the configuration adds to them.

use std::collections::BTreeMap;

use peregrine_filter::{Template, TemplateError, Vocabulary};

use crate::Cause;
use crate::define::RuleDef;
use crate::deprecated;
use crate::diagnose::{Diagnosis, Output};
use crate::result::Finding;
use crate::rule_set::ExtraField;
use crate::sources::{Addition, EventSource, OutputAddition};

/// Output suffix of configurations from before container fields were suggested individually.
const CONTAINER_INFO: &str = "%container.info";

/// A rule that is not part of the set.
pub(crate) enum Refused {
    /// With an error, which has been told.
    Wrong,
    /// It has an unknown field and sets `skip-if-unknown-filter`.
    Skipped,
}

/// The output of a rule with all texts that are added.
pub(crate) fn output<'a>(
    def: &'a RuleDef,
    additions: &'a [OutputAddition],
    findings: &mut Vec<Finding>,
) -> Output<'a> {
    let mut text = def.output.clone();
    let mut added = Vec::new();
    for (index, addition) in additions.iter().enumerate().filter(|(_, it)| it.applies_to(def)) {
        if let Addition::Text(more) = &addition.what {
            text.push(' ');
            added.push((text.len(), index));
            text.push_str(more);
        }
    }
    if text.contains(CONTAINER_INFO) {
        let message = "%container.info is deprecated and no more useful, and will be dropped by \
                       Falco 1.0.0. The container plugin will automatically add required fields \
                       to the output message.";
        let place = def.place.clone();
        findings.push(Finding::new(Cause::ContainerInfo, message, place));
        text = text.replace(CONTAINER_INFO, "");
        added.clear();
    }
    Output { text, def, additions, added, own: def.output.len() }
}

/// The compiled output.
pub(crate) fn template<V: Vocabulary>(
    output: &Output<'_>,
    source: &EventSource<V>,
    diagnosis: &mut Diagnosis<'_>,
    findings: &mut Vec<Finding>,
) -> Result<Template<V::Field>, Refused> {
    match Template::compile(&output.text, &source.vocabulary) {
        Ok(template) => {
            if template.has_tail() || output.text.contains(['{', '$']) {
                diagnosis.doubtful_output(output, &source.vocabulary, findings);
            }
            Ok(template)
        }
        Err(error @ TemplateError::Unknown { .. }) if output.def.skip_if_unknown_filter => {
            let place = output.def.output_place.clone();
            findings.push(Finding::new(Cause::SkippedOutput, error.to_string(), place));
            Err(Refused::Skipped)
        }
        Err(error) => {
            diagnosis.output(output, &error, &source.vocabulary, findings);
            Err(Refused::Wrong)
        }
    }
}

/// The output fields that the configuration adds.
pub(crate) fn extra_fields<V: Vocabulary>(
    additions: &[OutputAddition],
    source: &EventSource<V>,
    def: &RuleDef,
    diagnosis: &mut Diagnosis<'_>,
    findings: &mut Vec<Finding>,
) -> Result<BTreeMap<String, ExtraField<V::Field>>, Refused> {
    let mut formats = BTreeMap::new();
    for (index, addition) in additions.iter().enumerate().filter(|(_, it)| it.applies_to(def)) {
        match &addition.what {
            Addition::Text(_) => {}
            Addition::Formatted { key, format } => {
                formats.insert(key.clone(), (index, addition, format.clone(), false));
            }
            Addition::Raw(field) => {
                formats.insert(field.clone(), (index, addition, format!("%{field}"), true));
            }
        }
    }
    let mut fields = BTreeMap::new();
    for (key, (index, addition, format, raw)) in formats {
        let template = Template::compile(&format, &source.vocabulary).map_err(|error| {
            let what = (index, addition, format.as_str());
            diagnosis.extra_field(def, what, &error, &source.vocabulary, findings);
            Refused::Wrong
        })?;
        warn_of_deprecated(&format, def, findings);
        fields.insert(key, ExtraField { format, template, raw });
    }
    Ok(fields)
}

pub(crate) fn warn_of_deprecated(format: &str, def: &RuleDef, findings: &mut Vec<Finding>) {
    for field in deprecated::FIELDS.iter().map(|(field, _)| *field) {
        if format.contains(field) {
            let message =
                format!("usage of deprecated field '{field}' has been detected in the rule output");
            let place = def.output_place.clone();
            let warning = Finding::new(Cause::DeprecatedOutputField, message, place);
            findings.push(Finding { field: Some(field), ..warning });
        }
    }
}

impl OutputAddition {
    fn applies_to(&self, rule: &RuleDef) -> bool {
        self.source.as_ref().is_none_or(|source| *source == rule.source)
            && self.rule.as_ref().is_none_or(|name| *name == rule.name)
            && self.tags.is_subset(&rule.tags)
    }
}
