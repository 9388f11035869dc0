//! Renders alerts from matches.

use std::collections::BTreeMap;
use std::sync::Arc;

use peregrine_alert::{Alert, AlertBuilder, AlertOrigin, RuleInfo};
use peregrine_event::render::Buffers;
use peregrine_event::{Format, ParamType};
use peregrine_filter::{
    OutputField, PrintFormat, Supplier, Template, TemplateError, Value, Vocabulary, value_text,
};
use peregrine_rules::Rule;

/// Settings of alerts that do not come from their rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertContent {
    /// Whether alerts have fields with typed values, which text does not show.
    pub fields: bool,
    /// Further fields of all alerts ([`RuleInfo::context`]). Those that the vocabulary does not
    /// have are left out.
    pub context: &'static [&'static str],
    /// The field with the time is `evt.time.iso8601` instead of `evt.time`
    /// (`time_format_iso_8601`).
    pub iso_time: bool,
    /// How byte buffers print (`buffer_format_base64`).
    pub buffers: Buffers,
}

/// Renders the alerts of one rule. Compiled when rules are loaded. Rendering copies the values from
/// event and state on the event thread, because later events change the state; the channels do all
/// formatting.
#[derive(Clone, Debug)]
pub struct AlertTemplate<F> {
    rule: Arc<RuleInfo>,
    text: Template<F>,
    /// One for each of the fields and the context of `rule`.
    values: Vec<FieldSource<F>>,
    buffers: Buffers,
}

/// Where the value of a field comes from.
#[derive(Clone, Debug)]
enum FieldSource<F> {
    Null,
    Field(OutputField<F>),
    Formatted(Template<F>),
}

impl<F: Clone> AlertTemplate<F> {
    /// The template of a rule.
    ///
    /// # Errors
    /// When the vocabulary does not know the time of an event.
    pub fn new<V>(
        rule: &Rule<F>,
        origin: &AlertOrigin,
        content: AlertContent,
        vocabulary: &V,
    ) -> Result<Self, TemplateError>
    where
        V: Vocabulary<Field = F> + ?Sized,
    {
        let sources = if content.fields {
            let time = if content.iso_time { "%evt.time.iso8601" } else { "%evt.time" };
            field_sources(rule, &Template::compile(time, vocabulary)?)
        } else {
            BTreeMap::new()
        };
        let (fields, mut values): (Vec<_>, Vec<_>) = sources.into_iter().unzip();
        let mut context = Vec::new();
        for name in content.context {
            let template = Template::compile(&format!("%{name}"), vocabulary).ok();
            if let Some(field) = template.as_ref().and_then(|it| it.fields().first()) {
                context.push((*name).to_owned());
                values.push(FieldSource::Field(field.clone()));
            }
        }
        let tags = rule.tags.iter().cloned().collect();
        let info = RuleInfo::new(origin, &rule.source, &rule.name, rule.priority, tags, fields);
        let info = info.with_context(context);
        let (text, buffers) = (rule.template.clone(), content.buffers);
        Ok(Self { rule: Arc::new(info), text, values, buffers })
    }
}

impl<F> AlertTemplate<F> {
    /// What all alerts of the rule have in common.
    #[must_use]
    pub fn rule(&self) -> &Arc<RuleInfo> {
        &self.rule
    }

    /// The alert about event `number`, which happened at `time` (nanoseconds since the epoch).
    pub fn render<S>(&self, time: u64, number: u64, supplier: &S) -> Alert
    where
        S: Supplier<F> + ?Sized,
    {
        let mut alert = AlertBuilder::new(self.rule.clone(), time, number, |out| {
            self.text.render(supplier, self.buffers, out);
        });
        for source in &self.values {
            match source {
                FieldSource::Null => alert.null(),
                FieldSource::Field(field) => match field.value(supplier, self.buffers) {
                    Some((value, form)) => add_value(&mut alert, value, form),
                    None => alert.null(),
                },
                FieldSource::Formatted(template) => {
                    alert.text(|out| template.render(supplier, self.buffers, out));
                }
            }
        }
        alert.finish()
    }
}

/// The fields of an alert by their names.
fn field_sources<F: Clone>(rule: &Rule<F>, time: &Template<F>) -> BTreeMap<String, FieldSource<F>> {
    let fields = rule.template.fields().iter().chain(time.fields());
    let fields = fields.map(|field| (field.name().to_owned(), FieldSource::Field(field.clone())));
    // Extra fields win over all others.
    let extra = rule.extra_fields.iter().map(|(name, extra)| {
        let source = if extra.raw {
            let field = extra.template.fields().iter().find(|field| field.name() == name);
            field.cloned().map_or(FieldSource::Null, FieldSource::Field)
        } else {
            FieldSource::Formatted(extra.template.clone())
        };
        (name.clone(), source)
    });
    fields.chain(extra).collect()
}

/// Adds a value in the type that JSON shows it in: numbers are numbers where they print in decimal,
/// and texts otherwise.
fn add_value(alert: &mut AlertBuilder, value: Value<'_>, form: PrintFormat) {
    let is_decimal = matches!(form.format, Format::Dec | Format::Padded);
    match value {
        Value::Bool(value) => alert.bool(value),
        // A double that is declared decimal loses its fraction.
        Value::Double(value) if form.format == Format::Dec && value.is_finite() => {
            if value <= -1.0 { alert.int(value as i64) } else { alert.uint(value.abs() as u64) }
        }
        Value::Double(value) => alert.double(value),
        Value::Int(value) if is_decimal => alert.int(value),
        Value::Uint(value) if is_decimal => alert.uint(value),
        Value::Ip(value) if !is_net(form.ty) => alert.ip(value),
        Value::List([]) => alert.null(),
        Value::List(items) => {
            alert.list(|list| items.iter().for_each(|item| add_value(list, *item, form)));
        }
        Value::Text(value) => alert.text(|out| out.extend_from_slice(value)),
        Value::Bytes(_) | Value::Int(_) | Value::Ip(_) | Value::Uint(_) => {
            alert.text(|out| value_text(out, value, form));
        }
    }
}

fn is_net(ty: ParamType) -> bool {
    matches!(ty, ParamType::Ipv4net | ParamType::Ipv6net | ParamType::Ipnet)
}

#[cfg(test)]
mod tests;
