//! Rules files: reading, validating, and making the rule set of a run.

use std::fs;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{anyhow, bail};
use peregrine_config::{AppendOutput, ExtraField};
use peregrine_fields::{Field, Fields};
use peregrine_rules::{
    Addition, EventSource, LoadResult, Loader, OutputAddition, RuleSet, Selected, Selection,
};
use serde_json::json;

use super::checks::SYSCALL;
use crate::app::{Session, Step, print};
use crate::commands::describe;
use crate::version;

/// Names and texts of rules files.
pub(crate) type Texts = Vec<(String, Vec<u8>)>;

/// The rules of a run.
pub(crate) struct Rules {
    /// The files they came from.
    pub(crate) texts: Texts,
    /// The rules, selected as the configuration says.
    pub(crate) set: RuleSet<Field>,
}

/// The fields that rules may use.
pub(crate) fn vocabulary(session: &Session) -> Fields {
    Fields::syscall()
        .with_containers(session.containers())
        .with_statics(session.config().static_fields.iter())
}

/// `-V`
pub(crate) fn validate(session: &Session) -> Step {
    let names = &session.options.validate;
    if names.is_empty() {
        return Ok(ControlFlow::Continue(()));
    }
    let texts = read(names)?;
    session.log.info("Validating rules file(s):");
    names.iter().for_each(|name| session.log.info(format_args!("   {name}")));

    let mut loader = loader(session)?;
    let mut results = Vec::new();
    for (name, text) in &texts {
        results.push(loader.load(name, text));
        check_plugins(session, &loader)?;
    }
    let successful = results.iter().all(LoadResult::successful);
    let summary = summary(session, &results);
    let described = session.options.to_describe().filter(|_| successful);
    if session.config().json_output {
        let results: Vec<_> = results.iter().map(LoadResult::to_json).collect();
        let mut answer = json!({ "falco_load_results": results });
        if let Some(rule) = described {
            answer["falco_describe_results"] = describe::as_json(session, loader.rules(), rule)?;
        }
        print(format!("{answer}\n"))?;
    } else {
        let mut answer = format!("{summary}\n");
        if let Some(rule) = described {
            answer += &format!("\n{}", describe::as_text(loader.rules(), rule)?);
        }
        print(answer)?;
    }
    if !successful {
        if !session.config().json_output {
            explain(&results);
        }
        bail!("{summary}");
    }
    Ok(ControlFlow::Break(()))
}

/// A line or more for each file. Of what is right with warnings only the verdict; the warnings go into the log.
fn summary(session: &Session, results: &[LoadResult]) -> String {
    let parts: Vec<_> = results
        .iter()
        .map(|result| {
            if !result.successful() || result.warnings().next().is_none() {
                return result.to_text();
            }
            session.log.warning(result.to_text());
            format!("{}: Ok, with warnings", result.name)
        })
        .collect();
    parts.join("\n")
}

/// The rules of this run. Ends the program where they were only to be described.
pub(crate) fn load(session: &Session) -> anyhow::Result<ControlFlow<(), Rules>> {
    let texts = chosen(session)?;
    let mut loader = loader(session)?;
    session.log.info("Loading rules from:");
    let mut failed = None;
    for (name, text) in &texts {
        let result = loader.load(name, text);
        tell_result(session, &result);
        if !result.successful() {
            failed = Some(result);
            break;
        }
    }
    // A plugin that is missing is the cause of unknown fields, so it is told first.
    check_plugins(session, &loader)?;
    if let Some(result) = failed {
        explain(std::slice::from_ref(&result));
        bail!("{}", result.to_text());
    }
    let mut set = loader.into_rules();
    set.select(&selections(session), session.config().priority);
    if let Some(rule) = session.options.to_describe() {
        print(match session.config().json_output {
            true => format!("{}\n", describe::as_json(session, &set, rule)?),
            false => describe::as_text(&set, rule)?,
        })?;
        return Ok(ControlFlow::Break(()));
    }
    Ok(ControlFlow::Continue(Rules { texts, set }))
}

fn tell_result(session: &Session, result: &LoadResult) {
    let name = &result.name;
    match result.schema_warnings.as_deref() {
        Some([]) => session.log.info(format_args!("   {name} | schema validation: ok")),
        Some([first, ..]) => {
            session.log.warning(format_args!("   {name} | schema validation: {first}"));
        }
        None => session.log.warning(format_args!("   {name} | schema validation: none")),
    }
    if result.successful() && result.warnings().next().is_some() {
        session.log.warning(result.to_text());
    }
}

/// Shows every place where something is wrong, with its line. The error line that follows names the first only.
fn explain(results: &[LoadResult]) {
    let mut stderr = io::stderr().lock();
    for result in results.iter().filter(|result| !result.successful()) {
        let _ = writeln!(stderr, "{}", result.explanation().trim_end());
    }
}

fn loader(session: &Session) -> anyhow::Result<Loader<Fields>> {
    let fields = vocabulary(session);
    let mut additions = Vec::new();
    for entry in &session.config().append_output {
        add_outputs(entry, &fields, &mut additions);
    }
    if let Some(format) = session.options.print.as_deref().filter(|format| !format.is_empty()) {
        session.log.warning(
            "The -p/--print option is deprecated and will be removed. Use -o append_output=... instead.",
        );
        // What these asked for, containers and pods, is suggested by the vocabulary.
        if !["c", "container", "k", "kubernetes"].contains(&format) {
            let what = Addition::Text(format.to_owned());
            additions.push(OutputAddition { what, ..OutputAddition::default() });
        }
    }
    let source = EventSource::syscall(fields);
    Ok(Loader::new(vec![source], additions))
}

/// What one entry of `append_output` adds.
fn add_outputs(entry: &AppendOutput, fields: &Fields, additions: &mut Vec<OutputAddition>) {
    let non_empty = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let mut add = |source: Option<String>, what| {
        let rule = non_empty(&entry.rule);
        additions.push(OutputAddition { source, rule, tags: entry.tags.clone(), what });
    };
    let source = || non_empty(&entry.source);
    if let Some(text) = non_empty(&entry.extra_output) {
        add(source(), Addition::Text(text));
    }
    if entry.suggested_output && (entry.source.is_empty() || entry.source == SYSCALL) {
        for field in fields.suggested() {
            let text = format!("{}=%{field}", field.replace('.', "_"));
            add(Some(SYSCALL.to_owned()), Addition::Text(text));
        }
    }
    for field in &entry.extra_fields {
        let what = match field.clone() {
            ExtraField::Raw(name) => Addition::Raw(name),
            ExtraField::Formatted { name, format } => Addition::Formatted { key: name, format },
        };
        add(source(), what);
    }
}

/// Plugins that rules ask for are there.
fn check_plugins(session: &Session, loader: &Loader<Fields>) -> anyhow::Result<()> {
    let container = session.containers().then_some(version::CONTAINER_PLUGIN);
    for alternatives in loader.required_plugins() {
        let met = alternatives.iter().any(|wanted| {
            container.is_some_and(|version| wanted.satisfied_by("container", version))
        });
        if !met {
            let wanted: Vec<_> = alternatives.iter().map(ToString::to_string).collect();
            let wanted = wanted.join(", ");
            bail!("Plugin requirement not satisfied, must load one of: {wanted}");
        }
    }
    Ok(())
}

/// `rules` of the configuration: by name, then by tag.
fn selections(session: &Session) -> Vec<Selection> {
    let mut selections = Vec::new();
    for selection in &session.config().rules {
        let enable = selection.enable;
        let verb = if enable { "Enabling" } else { "Disabling" };
        if let Some(name) = &selection.rule {
            session.log.info(format_args!("{verb} rules with name: {name}"));
            selections.push(Selection { enable, rules: Selected::Named(name.clone()) });
        }
        if let Some(tag) = &selection.tag {
            session.log.info(format_args!("{verb} rules with tag: {tag}"));
            selections.push(Selection { enable, rules: Selected::Tagged(tag.clone()) });
        }
    }
    selections
}

/// The rules files of the command line, or else those of the configuration.
fn chosen(session: &Session) -> anyhow::Result<Texts> {
    let named = &session.options.rules;
    let paths = if named.is_empty() { &session.loaded.rules } else { named };
    if paths.is_empty() {
        if session.built_in {
            return Ok(vec![("built-in rules".to_owned(), crate::BUILT_IN_RULES.into())]);
        }
        bail!(
            "You must specify at least one rules file/directory via -r or a rules_file entry in falco.yaml"
        );
    }
    session.log.debug("Configured rules filenames:");
    paths.iter().for_each(|path| session.log.debug(format_args!("   {path}")));
    let mut files = Vec::new();
    for path in paths {
        files.extend(files_at(path)?);
    }
    read(&files)
}

/// The file, or those of the directory by name; in both cases only what is called .yaml or .yml. Rules of the first
/// releases (.conf) are to be named: directories hold .conf files of other programs.
fn files_at(path: &str) -> anyhow::Result<Vec<String>> {
    let is_yaml = |file: &str| file.ends_with(".yaml") || file.ends_with(".yml");
    if !Path::new(path).is_dir() {
        let is_rules = is_yaml(path) || path.ends_with(".conf");
        return Ok(is_rules.then(|| path.to_owned()).into_iter().collect());
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        if file.is_file() {
            files.push(file.to_string_lossy().into_owned());
        }
    }
    files.retain(|file| is_yaml(file));
    files.sort();
    Ok(files)
}

fn read(names: &[String]) -> anyhow::Result<Texts> {
    let read = |name: &String| match fs::read(name) {
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
    fn a_directory_gives_its_yaml_files_by_name() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["b.yaml", "a.yml", "c.conf", "notes.txt"] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        fs::create_dir(directory.path().join("c.yaml")).unwrap();
        let files = files_at(directory.path().to_str().unwrap()).unwrap();
        let names: Vec<_> = files.iter().filter_map(|file| file.rsplit('/').next()).collect();
        assert_eq!(names, ["a.yml", "b.yaml"]);
        assert!(files_at("rules.txt").unwrap().is_empty());
        assert_eq!(files_at("old.conf").unwrap(), ["old.conf"]);
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
        add_outputs(&entry, &fields, &mut additions);
        let what: Vec<_> = additions.iter().map(|addition| &addition.what).collect();
        assert_eq!(what[0], &Addition::Text("more %evt.num".to_owned()));
        assert!(what.contains(&&Addition::Text("static_site=%static.site".to_owned())));
        assert_eq!(what.last(), Some(&&Addition::Raw("proc.pid".to_owned())));
        assert!(additions.iter().all(|addition| addition.rule.as_deref() == Some("R")));
    }
}
