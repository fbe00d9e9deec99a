//! The report as a page: one file, no script, charts drawn in it.

use crate::audit::report::{DAY, Usage, day_name};
use crate::fhir::date_time::instant;
use askama::Template;

/// Every value is escaped by the template.
#[derive(Template)]
#[template(
    ext = "html",
    source = r##"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>The trail from {{ from }} to {{ to }}</title>
<style>
:root { color-scheme: light; --ink: #1d2327; --faint: #5d6770; --line: #d9dee2; --phi: #35507a; --other: #a9b8cc; --bad: #a3161f }
* { box-sizing: border-box }
body { margin: 0; background: #f3f5f6; color: var(--ink); font: 15px/1.5 system-ui, "Segoe UI", "Liberation Sans", sans-serif }
main { max-width: 60rem; margin: 2rem auto; padding: 2.5rem 3rem; background: #fff; border: 1px solid var(--line) }
h1 { margin: 0 0 .3rem; font-size: 1.6rem } h2 { margin: 2rem 0 .5rem; font-size: 1.1rem }
.faint { color: var(--faint) }
dl { display: grid; grid-template-columns: repeat(5, 1fr); gap: .8rem; margin: 1.4rem 0 0 }
dl div { padding: .6rem .9rem; border: 1px solid var(--line); border-top: 4px solid var(--phi) }
dt { color: var(--faint); font-size: .85rem } dd { margin: 0; font-size: 1.5rem; font-weight: 700 }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .3rem .5rem; text-align: right; border-bottom: 1px solid var(--line) }
th:first-child, td:first-child { text-align: left; overflow-wrap: anywhere } th { font-size: .85rem; color: var(--faint) }
td.bar { width: 30%; text-align: left } tr { break-inside: avoid }
svg { display: block; width: 100%; height: auto } text { font: 10px system-ui, "Liberation Sans", sans-serif; fill: var(--faint) }
.phi { fill: var(--phi) } .other { fill: var(--other) } .bad { fill: var(--bad) }
@page { margin: 16mm 14mm }
@media print { body { background: none; font-size: 10pt } main { max-width: none; margin: 0; padding: 0; border: 0 } * { print-color-adjust: exact; -webkit-print-color-adjust: exact } }
@media (max-width: 40rem) { main { margin: 0; padding: 1rem } dl { grid-template-columns: 1fr 1fr } }
</style>
</head>
<body>
<main>
<h1>The trail</h1>
<p class="faint">{{ system }} · from {{ from }} to {{ to }}</p>
<dl>
{%- for (name, number) in totals %}
<div><dt>{{ name }}</dt><dd>{{ number }}</dd></div>
{%- endfor %}
</dl>
<h2>By day</h2>
<svg viewBox="0 0 900 190" role="img" aria-label="Events by day: accesses to patients' data, other events, failures">
{%- for bar in days %}
<g><title>{{ bar.day }}: {{ bar.events }} events, {{ bar.phi_count }} to patients' data, {{ bar.failed_count }} failed</title>
<rect class="other" x="{{ bar.x }}" y="{{ bar.other_y }}" width="{{ bar.width }}" height="{{ bar.other }}"/>
<rect class="phi" x="{{ bar.x }}" y="{{ bar.phi_y }}" width="{{ bar.width }}" height="{{ bar.phi }}"/>
<rect class="bad" x="{{ bar.x }}" y="158" width="{{ bar.width }}" height="{{ bar.failed }}"/></g>
{%- if bar.is_labelled %}<text x="{{ bar.x }}" y="186">{{ bar.day }}</text>{% endif %}
{%- endfor %}
<line x1="0" x2="900" y1="157" y2="157" stroke="#5d6770"/>
</svg>
<p class="faint">Dark: patients' data was touched. Light: other events. Red, below: failures (cut off at 12).</p>
<h2>By event</h2>
<table><tr><th>event</th><th></th><th>events</th><th>failures</th></tr>
{%- for (name, width, events, failures) in kinds %}
<tr><td>{{ name }}</td><td class="bar"><svg viewBox="0 0 100 6"><rect class="phi" width="{{ width }}" height="6"/></svg></td><td>{{ events }}</td><td>{{ failures }}</td></tr>
{%- endfor %}
</table>
<h2>By user</h2>
<table><tr><th>user or system</th><th>events</th><th>failures</th><th>patients' data</th><th>patients</th></tr>
{%- for it in usage.agents %}
<tr><td>{{ it.agent }}</td><td>{{ it.events }}</td><td>{{ it.failures }}</td><td>{{ it.about_patients }}</td><td>{{ it.patients }}</td></tr>
{%- endfor %}
</table>
<h2>By patient</h2>
<table><tr><th>patient</th><th>events</th><th>users</th></tr>
{%- for it in usage.patients %}
<tr><td>{% match it.id %}{% when Some with (id) %}Patient/{{ id }}{% when None %}no longer known{% endmatch %}</td><td>{{ it.events }}</td><td>{{ it.agents }}</td></tr>
{%- endfor %}
</table>
</main>
</body>
</html>
"##
)]
struct Page<'a> {
    system: &'a str,
    from: String,
    to: String,
    totals: [(&'static str, i64); 5],
    days: Vec<Bar>,
    kinds: Vec<(String, i64, i64, i64)>,
    usage: &'a Usage,
}

/// A day in the chart.
struct Bar {
    day: String,
    events: i64,
    phi_count: i64,
    failed_count: i64,
    x: i64,
    width: i64,
    other_y: i64,
    other: i64,
    phi_y: i64,
    phi: i64,
    failed: i64,
    is_labelled: bool,
}

/// How high the chart is, and how wide.
const HEIGHT: i64 = 150;
const WIDTH: i64 = 900;
/// Where the days stand.
const GROUND: i64 = 156;

/// The report as a page. `system` is the FHIR base.
///
/// # Errors
/// Never: the template writes to memory.
pub fn page(usage: &Usage, system: &str) -> Result<String, askama::Error> {
    let most = usage.kinds.iter().map(|it| it.events).max().unwrap_or(1).max(1);
    let kinds = usage.by_kind();
    let most_of_kind = kinds.first().map_or(most, |it| it.events.max(1));
    let page = Page {
        system,
        from: moment(usage.from),
        to: moment(usage.to),
        totals: [
            ("events", usage.events()),
            ("failures", usage.failures()),
            ("accesses to patients' data", usage.about_patients()),
            ("users and systems", i64::try_from(usage.agents.len()).unwrap_or(i64::MAX)),
            ("patients", usage.touched),
        ],
        days: bars(usage),
        kinds: kinds
            .into_iter()
            .map(|it| (it.name, (it.events * 100 / most_of_kind).max(1), it.events, it.failures))
            .collect(),
        usage,
    };
    page.render()
}

/// A time, without the hour where it is midnight.
fn moment(microseconds: i64) -> String {
    let text = instant(microseconds);
    text.strip_suffix("T00:00:00.000000Z").map(str::to_owned).unwrap_or(text)
}

fn bars(usage: &Usage) -> Vec<Bar> {
    let first = usage.from.div_euclid(DAY);
    let count = ((usage.to - 1).div_euclid(DAY) - first + 1).max(1);
    let most = usage.days.iter().map(|it| it.events).max().unwrap_or(1).max(1);
    let step = (WIDTH / count).max(1);
    let label_every = (100 / step).max(1);
    let bar = |it: &crate::store::audit_counts::DayCount| {
        let phi = it.about_patients * HEIGHT / most;
        let all = it.events * HEIGHT / most;
        let at = it.day - first;
        Bar {
            day: day_name(it.day),
            events: it.events,
            phi_count: it.about_patients,
            failed_count: it.failures,
            x: at * step,
            width: (step * 4 / 5).clamp(1, 40),
            other_y: GROUND - all,
            other: all - phi,
            phi_y: GROUND - phi,
            phi,
            failed: it.failures.min(12),
            is_labelled: at % label_every == 0,
        }
    };
    usage.days.iter().map(bar).collect()
}
