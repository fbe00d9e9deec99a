//! The report as one HTML file: no script, nothing from elsewhere, readable on screen and on paper.

use crate::compliance::check::{Finding, Verdict};
use crate::compliance::controls::Family;
use crate::compliance::report::{Report, Row, Status};
use crate::fhir::date_time::instant;
use askama::Template;

/// Every value is escaped by the template.
#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>HIPAA controls of {{ system }}</title>
<style>
:root { color-scheme: light; --ink: #1d2327; --faint: #5d6770; --line: #d9dee2; --paper: #fff;
  --enforced: #17663a; --failing: #a3161f; --unproved: #8a5a00; --procedure: #35507a }
* { box-sizing: border-box }
body { margin: 0; background: #f3f5f6; color: var(--ink); font: 15px/1.5 system-ui, "Segoe UI", "Liberation Sans", sans-serif }
main { max-width: 62rem; margin: 2rem auto; padding: 2.5rem 3rem; background: var(--paper); border: 1px solid var(--line) }
h1 { margin: 0 0 .3rem; font-size: 1.7rem; line-height: 1.2 }
h2 { margin: 2.2rem 0 .6rem; padding-bottom: .3rem; font-size: 1.15rem; border-bottom: 2px solid var(--ink) }
h3 { margin: 0; font-size: 1rem }
p { margin: .3rem 0 }
.faint { color: var(--faint) }
.counts { display: grid; grid-template-columns: repeat(4, 1fr); gap: .8rem; margin: 1.4rem 0 .8rem; padding: 0; list-style: none }
.counts li { padding: .7rem .9rem; border: 1px solid var(--line); border-top: 4px solid currentColor }
.counts b { display: block; font-size: 1.8rem; line-height: 1.1 }
.counts span { color: var(--faint); font-size: .85rem }
.bar { display: flex; height: .6rem; margin-bottom: 1rem }
.bar i { background: currentColor }
.enforced { color: var(--enforced) } .failing { color: var(--failing) }
.unproved { color: var(--unproved) } .procedure { color: var(--procedure) }
article { display: grid; grid-template-columns: 7.5rem 1fr; gap: 0 1.2rem; padding: .9rem 0; border-bottom: 1px solid var(--line); break-inside: avoid }
.status { font-weight: 700; font-size: .85rem; text-transform: uppercase; letter-spacing: .04em }
ul.findings { margin: .5rem 0 0; padding: 0; list-style: none }
ul.findings li { margin: .25rem 0; padding-left: 1.4rem; text-indent: -1.4rem }
ul.findings li > * { text-indent: 0 }
.mark { display: inline-block; width: 1.4rem; font-weight: 700 }
.next { padding-left: 1.4rem; color: var(--ink); font-style: italic; text-indent: 0 }
code { font: .85em ui-monospace, "Liberation Mono", monospace; overflow-wrap: anywhere }
details { margin-top: .4rem; font-size: .88rem }
@page { margin: 16mm 14mm }
@media (max-width: 40rem) { main { margin: 0; padding: 1.2rem } .counts { grid-template-columns: 1fr 1fr } article { grid-template-columns: 1fr } }
@media print { body { background: none; font-size: 10pt } main { max-width: none; margin: 0; padding: 0; border: 0 } * { print-color-adjust: exact; -webkit-print-color-adjust: exact } h2 { break-after: avoid } }
</style>
</head>
<body>
<main>
<h1>HIPAA controls</h1>
<p class="faint">{{ system }} · looked at {{ at }}</p>
<ul class="counts">
{%- for (name, meaning, count) in counts %}
<li class="{{ name }}"><b>{{ count }}</b>{{ name }}<br><span>{{ meaning }}</span></li>
{%- endfor %}
</ul>
<div class="bar" aria-hidden="true">{% for (name, _, count) in counts %}<i class="{{ name }}" style="flex: {{ count }}"></i>{% endfor %}</div>
<p class="faint">What this program enforces and was seen to do, with the evidence beside it. It certifies nothing: there
is no such thing as a HIPAA certificate, and what an organisation must do itself no program can show.</p>
{%- for (title, rows) in families %}
<section>
<h2>{{ title }}</h2>
{%- for row in rows %}
<article>
<div class="status {{ row.status }}">{{ row.status }}</div>
<div>
<h3>{{ row.title }}</h3>
<p class="faint">{{ row.citation }} · {{ row.duty }}</p>
<p>{{ row.what }}</p>
<ul class="findings">
{%- for (mark, class, evidence, next) in row.findings %}
<li><span class="mark {{ class }}">{{ mark }}</span>{{ evidence }}{% if !next.is_empty() %}<div class="next">Next: {{ next }}</div>{% endif %}</li>
{%- endfor %}
{%- if row.status == "unproved" %}
<li><span class="mark unproved">–</span>no test backs this row</li>
{%- else if !row.proofs.is_empty() %}
<li class="faint"><span class="mark">§</span>proved by {% for proof in row.proofs %}<code>{{ proof }}</code>{% if !loop.last %}, {% endif %}{% endfor %}</li>
{%- endif %}
</ul>
</div>
</article>
{%- endfor %}
</section>
{%- endfor %}
</main>
</body>
</html>
"#
)]
struct Page<'a> {
    system: &'a str,
    at: String,
    counts: Vec<(&'static str, &'static str, usize)>,
    families: Vec<(&'static str, Vec<Shown<'a>>)>,
}

/// A row as the page shows it.
struct Shown<'a> {
    status: &'static str,
    title: &'a str,
    citation: &'a str,
    duty: &'a str,
    what: &'a str,
    findings: Vec<(&'static str, &'static str, &'a str, &'a str)>,
    proofs: &'a [&'static str],
}

/// The report as a page.
///
/// # Errors
/// Never: the template writes to memory.
pub fn page(report: &Report) -> Result<String, askama::Error> {
    let of_family = |family: Family| {
        let rows = report.rows.iter().filter(move |it| it.control.family == family);
        (family.title(), rows.map(shown).collect())
    };
    let page = Page {
        system: &report.base,
        at: instant(report.at),
        counts: Status::ALL.into_iter().rev().map(|it| (it.name(), it.meaning(), report.count(it))).collect(),
        families: Family::ALL.into_iter().map(of_family).collect(),
    };
    page.render()
}

fn shown(row: &Row) -> Shown<'_> {
    let finding = |it: &'_ Finding| match it.verdict {
        Verdict::Holds => ("✓", "enforced"),
        Verdict::Manual => ("?", "procedure"),
        Verdict::Fails => ("✗", "failing"),
    };
    Shown {
        status: row.status.name(),
        title: row.control.title,
        citation: row.control.citation,
        duty: row.control.duty,
        what: row.control.what,
        findings: row
            .findings
            .iter()
            .map(|it| {
                let (mark, class) = finding(it);
                (mark, class, it.evidence.as_str(), it.next.as_deref().unwrap_or_default())
            })
            .collect(),
        proofs: &row.control.proofs,
    }
}
