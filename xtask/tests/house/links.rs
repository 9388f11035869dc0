//! Links of the documentation that stay inside the repository.

use std::fs;

use crate::root;
use crate::source::{files, shown};

/// The targets of `[text](target)`, code blocks apart.
fn targets(page: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut in_code = false;
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for part in line.split("](").skip(1) {
            found.extend(part.split(')').next());
        }
    }
    found
}

/// How a heading is called in a link, as Git forges do it.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn links_lead_to_files_and_headings() {
    let mut broken = Vec::new();
    let mut links = 0;
    for path in files("", &["md"]) {
        let page = fs::read_to_string(&path).unwrap();
        for target in targets(&page)
            .into_iter()
            .filter(|target| !target.contains("::") && !target.contains("://"))
        {
            links += 1;
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let file =
                if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let known = match fs::read_to_string(&file) {
                _ if file.is_dir() => true,
                Ok(text) => {
                    let mut headings = text.lines().filter(|line| line.starts_with('#'));
                    heading.is_empty() || headings.any(|line| anchor(line) == heading)
                }
                Err(_) => false,
            };
            if !known {
                broken.push(format!("{}: {target}", shown(&path)));
            }
        }
    }
    assert!(links > 20, "{} has pages with links", root().display());
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}
