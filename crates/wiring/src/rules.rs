//! Rules files: reading them, and making the rule set of a run.

use std::path::Path;
use std::sync::Arc;

use anyhow::{anyhow, bail};
use peregrine_config::{AppendOutput, ExtraField, Select};
use peregrine_diagnostics::{Label, Problem, Source};
use peregrine_fields::{Field, Fields};
use peregrine_rules::{
    Addition, EventSource, LoadResult, Loader, Origin, OutputAddition, PluginRequirement, Rule,
    RuleSet, Selected, Selection, Unmet,
};

use super::checks::{self, SYSCALL};
use super::explain;
use super::plugins;
use super::setup::Setup;
use peregrine_args::{LoadArgs, RulesArgs};

/// The name of rules that are not in a file.
pub const BUILT_IN: &str = "built-in rules";

/// Names and texts of rules files.
pub type Texts = Vec<(String, Vec<u8>)>;

/// The rules of a run.
pub struct Rules {
    /// The files they came from.
    pub texts: Texts,
    /// The rules, selected as the configuration says.
    pub set: RuleSet<Field>,
}

/// The fields that rules about system calls may use.
pub fn vocabulary(setup: &Setup) -> Fields {
    plugins::with_fields(setup, plugins::own_fields(setup))
}

/// Reads and selects the rules of a run.
pub fn load(setup: &Setup, args: &RulesArgs) -> anyhow::Result<Rules> {
    checks::plugins(setup)?;
    checks::sources(setup, &args.load)?;
    warn_of_absent(setup, &args.rules);
    let texts = chosen(setup, &args.rules)?;
    let set = compile(setup, &args.load, &texts)?;
    Ok(Rules { texts, set })
}

/// The rules of these files, selected as the configuration says.
pub fn compile(setup: &Setup, args: &LoadArgs, texts: &Texts) -> anyhow::Result<RuleSet<Field>> {
    Ok(select(setup, loaded(setup, args, texts)?.into_rules()))
}

/// A loader that has read these files.
pub fn loaded(setup: &Setup, args: &LoadArgs, texts: &Texts) -> anyhow::Result<Loader<Fields>> {
    let mut loader = loader(setup, args)?;
    setup.log.info("Loading rules from:");
    let mut results = Vec::new();
    for (name, text) in texts {
        let result = loader.load(name, text);
        log_result(setup, &result);
        let failed = !result.successful();
        results.push(result);
        if failed {
            break;
        }
    }
    // A missing plugin is the cause of unknown fields, so it comes first.
    check_plugins(setup, &loader)?;
    explain::explain_run(setup, &results);
    if let Some(failed) = results.iter().rfind(|result| !result.successful()) {
        bail!("{}", explain::failure(&results, || failed.to_text()));
    }
    Ok(loader)
}

/// Enables and disables rules as the configuration says.
pub fn select(setup: &Setup, mut set: RuleSet<Field>) -> RuleSet<Field> {
    let selections = selections(setup);
    warn_of_unmet(setup, &selections, &set);
    let selections: Vec<_> = selections.into_iter().map(|(_, selection)| selection).collect();
    set.select(&selections, setup.config().priority);
    set
}

/// Compiles a condition and an output of the command line, which may use the lists and macros of
/// the files.
pub fn query(loader: &Loader<Fields>, text: &str, output: &str) -> anyhow::Result<Rule<Field>> {
    let (result, rule) = loader.query(text, output, SYSCALL);
    explain::explain([&result]);
    rule.ok_or_else(|| anyhow!("the condition or the output is not valid"))
}

/// Checks that there is a rule of this name.
pub fn check_name(set: &RuleSet<Field>, name: &str) -> anyhow::Result<()> {
    if set.rule(name).is_some() {
        return Ok(());
    }
    let unmet = set.unmet(&Selected::Named(name.to_owned()));
    let help = unmet.and_then(|unmet| unmet.help).map(|help| format!("; {help}"));
    bail!("there is no rule '{name}'{}", help.unwrap_or_default())
}

/// Warns of selections and additions that no rule meets.
fn warn_of_unmet(setup: &Setup, selections: &[(String, Selection)], set: &RuleSet<Field>) {
    let warn = |key: &str, section: &str, Unmet { message, help }| {
        let warning = setup.loaded.no_effect(key, format!("{section}: {message}"));
        setup.warn(&Problem { help, ..warning });
    };
    for (key, selection) in selections {
        set.unmet(&selection.rules).into_iter().for_each(|unmet| warn(key, "rules", unmet));
    }
    for (index, entry) in setup.config().append_output.iter().enumerate() {
        let unmet = set.unmet_addition(&entry.source, &entry.rule, &entry.tags);
        if let Some((condition, unmet)) = unmet {
            let key = format!("append_output[{index}].match.{condition}");
            warn(&key, "append_output", unmet);
        }
    }
    for (index, entry) in setup.config().alert_throttling.iter().enumerate() {
        for (key, unmet) in unmet_names(set, &entry.rules, &entry.tags) {
            warn(&format!("alert_throttling[{index}].{key}"), "alert_throttling", unmet);
        }
    }
    for (section, presentation) in setup.config().presentations() {
        let section = format!("{section}.select");
        let Select { rules, tags, .. } = &presentation.select;
        for (key, unmet) in unmet_names(set, rules, tags) {
            warn(&format!("{section}.{key}"), &section, unmet);
        }
    }
}

/// The names and tags that no rule has, with their keys.
fn unmet_names(set: &RuleSet<Field>, rules: &[String], tags: &[String]) -> Vec<(String, Unmet)> {
    let key = |section, index| format!("{section}[{index}]");
    let rules = rules.iter().enumerate().filter(|(_, name)| !name.starts_with("Falco internal"));
    let rules = rules.map(|(index, it)| (key("rules", index), Selected::Named(it.clone())));
    let tags = tags.iter().enumerate();
    let tags = tags.map(|(index, it)| (key("tags", index), Selected::Tagged(it.clone())));
    rules.chain(tags).filter_map(|(key, it)| Some((key, set.unmet(&it)?))).collect()
}

fn log_result(setup: &Setup, result: &LoadResult) {
    let name = &result.name;
    match result.schema_warnings.as_deref() {
        Some([]) => setup.log.info(format_args!("   {name} | schema validation: ok")),
        Some([first, ..]) => {
            setup.log.warning(format_args!("   {name} | schema validation: {first}"));
        }
        None => setup.log.warning(format_args!("   {name} | schema validation: none")),
    }
    if result.successful() {
        explain::log_warnings(setup, result);
    }
}

/// A loader that knows the fields and the additions to outputs of this configuration.
pub fn loader(setup: &Setup, args: &LoadArgs) -> anyhow::Result<Loader<Fields>> {
    let fields = vocabulary(setup);
    let sources = plugins::event_sources(setup, fields.clone());
    if setup.config().append_output.iter().any(|entry| entry.suggested_output) {
        for name in fields.unusable_statics() {
            setup.log.warning(format_args!(
                "append_output: {name} is not appended, because it is no field name: names are words of letters, digits and _, joined by dots"
            ));
        }
    }
    let mut additions = Vec::new();
    for (index, entry) in setup.config().append_output.iter().enumerate() {
        let origin = |key: &str| {
            let name = format!("append_output[{index}].{key}");
            Origin { label: setup.loaded.label(&name), name }
        };
        add_outputs(entry, &sources, origin, &mut additions);
    }
    if let Some(format) = args.print.as_deref().filter(|format| !format.is_empty()) {
        setup.log.warning(
            "The -p/--print option is deprecated and will be removed. Use -o append_output=... instead.",
        );
        // These added container and pod fields, which the vocabulary suggests anyway.
        if !["c", "container", "k", "kubernetes"].contains(&format) {
            let what = Addition::Text(format.to_owned());
            let label = Label::bytes(Arc::new(Source::new("-p", format)), 0..format.len());
            let origin = Origin { name: "-p".to_owned(), label: Some(label) };
            additions.push(OutputAddition { what, origin, ..OutputAddition::default() });
        }
    }
    Ok(Loader::new(sources, additions))
}

/// What one entry of `append_output` adds.
fn add_outputs(
    entry: &AppendOutput,
    sources: &[EventSource<Fields>],
    origin: impl Fn(&str) -> Origin,
    additions: &mut Vec<OutputAddition>,
) {
    let non_empty = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let mut add = |source: Option<String>, what, key: &str| {
        let (rule, tags, origin) = (non_empty(&entry.rule), entry.tags.clone(), origin(key));
        additions.push(OutputAddition { source, rule, tags, what, origin });
    };
    let source = || non_empty(&entry.source);
    if let Some(text) = non_empty(&entry.extra_output) {
        add(source(), Addition::Text(text), "extra_output");
    }
    let meant = |name: &str| entry.source.is_empty() || entry.source == name;
    for source in sources.iter().filter(|source| entry.suggested_output && meant(&source.name)) {
        for field in source.vocabulary.suggested() {
            let text = format!("{}=%{field}", field.replace('.', "_"));
            add(Some(source.name.clone()), Addition::Text(text), "suggested_output");
        }
    }
    for (index, field) in entry.extra_fields.iter().enumerate() {
        let what = match field.clone() {
            ExtraField::Raw(name) => Addition::Raw(name),
            ExtraField::Formatted { name, format } => Addition::Formatted { key: name, format },
        };
        add(source(), what, &format!("extra_fields[{index}]"));
    }
}

/// The plugins that rules require are loaded. Of alternatives, the first that is loaded decides.
pub fn check_plugins(setup: &Setup, loader: &Loader<Fields>) -> anyhow::Result<()> {
    for alternatives in loader.required_plugins() {
        let loaded = |wanted: &&PluginRequirement| {
            plugins::in_force(setup).any(|plugin| plugin.name() == wanted.name)
        };
        let Some(wanted) = alternatives.iter().find(loaded) else {
            let wanted: Vec<_> = alternatives.iter().map(ToString::to_string).collect();
            let wanted = wanted.join(", ");
            bail!("Plugin requirement not satisfied, must load one of: {wanted}");
        };
        for plugin in plugins::in_force(setup).filter(|plugin| plugin.name() == wanted.name) {
            let (name, version) = (plugin.name(), plugin.version());
            if !wanted.satisfied_by(name, version) {
                bail!(
                    "Plugin '{name}' version '{version}' is not compatible with required plugin version '{}'",
                    wanted.version
                );
            }
        }
    }
    Ok(())
}

/// `rules` of the configuration, each with its key: by name, then by tag.
fn selections(setup: &Setup) -> Vec<(String, Selection)> {
    let mut selections = Vec::new();
    for (index, selection) in setup.config().rules.iter().enumerate() {
        let enable = selection.enable;
        let (verb, word) = if enable { ("Enabling", "enable") } else { ("Disabling", "disable") };
        let key = |what: &str| format!("rules[{index}].{word}.{what}");
        if let Some(name) = &selection.rule {
            setup.log.info(format_args!("{verb} rules with name: {name}"));
            let rules = Selected::Named(name.clone());
            selections.push((key("rule"), Selection { enable, rules }));
        }
        if let Some(tag) = &selection.tag {
            setup.log.info(format_args!("{verb} rules with tag: {tag}"));
            let rules = Selected::Tagged(tag.clone());
            selections.push((key("tag"), Selection { enable, rules }));
        }
    }
    selections
}

/// Warns of rules files of the configuration that do not exist.
pub fn warn_of_absent(setup: &Setup, named: &[String]) {
    if named.is_empty() {
        setup.loaded.absent_rules.iter().for_each(|warning| setup.warn(warning));
    }
}

/// The rules files of the command line, or else those of the configuration.
pub fn chosen(setup: &Setup, named: &[String]) -> anyhow::Result<Texts> {
    let paths = if named.is_empty() { setup.loaded.rules.as_slice() } else { named };
    if paths.is_empty() {
        if setup.built_in() {
            return Ok(vec![(BUILT_IN.to_owned(), crate::BUILT_IN_RULES.into())]);
        }
        bail!(
            "You must specify at least one rules file/directory via -r or a rules_file entry in falco.yaml"
        );
    }
    setup.log.debug("Configured rules filenames:");
    paths.iter().for_each(|path| setup.log.debug(format_args!("   {path}")));
    let mut files = Vec::new();
    let configured = &setup.config().rules_files;
    for path in paths {
        let found = peregrine_rules::files_at(path)?;
        let index = configured.iter().position(|file| named.is_empty() && file == path);
        let key = index.map_or("-r".to_owned(), |index| format!("rules_files[{index}]"));
        for unread in found.unread(path) {
            setup.warn(&setup.loaded.no_effect(&key, unread));
        }
        files.extend(found.files);
    }
    read(&files)
}

/// The files that the command line names, and those of directories among them.
pub fn named(setup: &Setup, paths: &[String]) -> anyhow::Result<Vec<String>> {
    let mut files = Vec::new();
    for path in paths {
        if !Path::new(path).is_dir() {
            files.push(path.clone());
            continue;
        }
        let found = peregrine_rules::files_at(path)?;
        for unread in found.unread(path) {
            setup.warn(&setup.loaded.no_effect("-V", unread));
        }
        files.extend(found.files);
    }
    if files.is_empty() {
        bail!("no rules files in {}: their names end with .yaml or .yml", paths.join(", "));
    }
    Ok(files)
}

/// Reads these files.
pub fn read(names: &[String]) -> anyhow::Result<Texts> {
    let read = |name: &String| match peregrine_rules::read_file(Path::new(name)) {
        Ok(text) => Ok((name.clone(), text)),
        Err(_) => Err(anyhow!("Could not open file {name} for reading")),
    };
    names.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_rules_are_right() {
        let vocabulary = Fields::syscall().with_containers(true);
        let source = EventSource::syscall(vocabulary);
        let mut loader = Loader::new(vec![source], Vec::new());
        let result = loader.load("built-in", crate::BUILT_IN_RULES.as_bytes());
        assert_eq!(result.to_text(), "built-in: Ok");
        assert!(loader.rules().rules.len() >= 6);
    }

    #[test]
    fn append_output_becomes_additions() {
        let fields = Fields::syscall().with_statics([("site", "attic")]);
        let entry = AppendOutput {
            rule: "R".to_owned(),
            extra_output: "more %evt.num".to_owned(),
            suggested_output: true,
            extra_fields: vec![ExtraField::Raw("proc.pid".to_owned())],
            ..AppendOutput::default()
        };
        let mut additions = Vec::new();
        let sources = [EventSource::syscall(fields)];
        add_outputs(&entry, &sources, |_| Origin::default(), &mut additions);
        let what: Vec<_> = additions.iter().map(|addition| &addition.what).collect();
        assert_eq!(what[0], &Addition::Text("more %evt.num".to_owned()));
        assert!(what.contains(&&Addition::Text("static_site=%static.site".to_owned())));
        assert_eq!(what.last(), Some(&&Addition::Raw("proc.pid".to_owned())));
        assert!(additions.iter().all(|addition| addition.rule.as_deref() == Some("R")));
    }
}
