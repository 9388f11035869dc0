//! `peregrine explain`: why rules match an event, or why not.

use std::io;
use std::process::ExitCode;

use anyhow::bail;
use peregrine_authoring::Paint;
use peregrine_authoring::explain::{ConditionTree, EventReport, Explainer, Wanted, WhyNotRun};
use peregrine_rules::RuleSet;

use peregrine_args::ExplainCommand;
use peregrine_wiring::events::{self, Watch};
use peregrine_wiring::print::{has_colors, print};
use peregrine_wiring::rules;

/// Explains events, or says why there was none to explain.
pub(crate) fn run(args: &ExplainCommand) -> anyhow::Result<ExitCode> {
    let (setup, texts, loader) = events::prepare(&args.config, &args.events, &args.rules)?;
    let fields = rules::vocabulary(&setup);
    let wanted = match (args.event, &args.condition) {
        (Some(number), _) => Wanted::Number(number),
        (None, Some(text)) => Wanted::Condition(Box::new(rules::query(&loader, text, "%evt.num")?)),
        (None, None) if args.why_not.is_some() => Wanted::Every,
        (None, None) => Wanted::Matching,
    };
    let trees = ConditionTree::of_rules(&loader, &fields)?;
    let scope = events::scope(&args.events, &loader)?;
    let set = rules::select(&setup, loader.into_rules());
    // The kernel reports what the rules need; a capture has all of it, whatever is loaded.
    let (own, loaded) = match args.events.live {
        true => (None, set),
        false => (Some(set), RuleSet::default()),
    };
    let watch = Watch::new(&setup, &texts, loaded, &args.events, scope)?;
    let set = own.as_ref().unwrap_or_else(|| watch.rules());
    let named = args.rule.as_ref().or(args.why_not.as_ref());
    named.map_or(Ok(()), |name| rules::check_name(set, name))?;
    let mut explained: Vec<_> = set.rules.iter().zip(&trees).collect();
    explained.retain(|(rule, _)| named.map_or(rule.active, |name| *name == rule.name));
    let paint = Paint::new(has_colors(&io::stdout()));
    if let (Some(_), [rule]) = (&args.why_not, explained.as_slice()) {
        let mut run = WhyNotRun::new(*rule, &fields, wanted, args.limit.unwrap_or(3));
        watch.observe(&mut run)?;
        let (head, why_not) = (run.head(), run.why_not);
        print(match args.format.is_json() {
            true => format!("{:#}\n", why_not.to_json(&head)),
            false => why_not.to_text(&head, paint),
        })?;
        return Ok(if why_not.matched.1 > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let mut printed = Ok(());
    let report = |report: EventReport| {
        let text = match args.format.is_json() {
            true => format!("{}\n", report.to_json()),
            false => report.to_text(paint) + "\n",
        };
        printed = std::mem::replace(&mut printed, Ok(())).and_then(|()| print(text));
    };
    let limits = (args.limit.unwrap_or(1), args.misses);
    let mut run = Explainer::new(explained, &fields, wanted, limits, report);
    run.single = args.rule.is_some();
    watch.observe(&mut run)?;
    let nothing = run.nothing();
    printed?;
    if let Some(nothing) = nothing {
        bail!(nothing);
    }
    Ok(ExitCode::SUCCESS)
}
