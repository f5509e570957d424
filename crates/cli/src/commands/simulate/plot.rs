//! The calls of STS over the day, drawn: a panel for each rule, on one scale.

use std::fmt::{self, Write};

use super::{
    QUOTA, Run,
    day::FAIL_OVER_TAKES,
    figures::{Counts, peak, sum},
    reads,
    rule::Rule,
    table::{duration, grouped},
    time::{HOUR, Micros, SECOND, length},
};

const WIDTH: u32 = 1000;
const HEIGHT: u32 = TOP + 4 * (PANEL + GAP) + BOTTOM;
/// Around the panels: for titles, and for what is written along the axes.
const LEFT: u32 = 80;
const RIGHT: u32 = 30;
const TOP: u32 = 78;
const BOTTOM: u32 = 46;
/// One panel's height, and the room above it for its name.
const PANEL: u32 = 110;
const GAP: u32 = 30;

/// The drawn width: one busiest second for each of these.
const COLUMNS: u32 = WIDTH - LEFT - RIGHT;

/// The scale's end as a power of ten: 300,000 calls a second, more than a million workers make.
const DECADES: f64 = 5.5;

/// The height between no call and one call a second, as a share of a power of ten: a logarithm has
/// no nought.
const NOUGHT_TO_ONE: f64 = 0.4;

/// Where STS' quota is named.
const LEGEND: u32 = WIDTH - RIGHT - 160;

/// Okabe and Ito's colours, which people of all kinds of sight tell apart.
fn colour(rule: Rule) -> &'static str {
    match rule {
        Rule::Shared => "#009e73",
        Rule::Alone => "#0072b2",
        Rule::Sdks => "#cc79a7",
        Rule::Botocore => "#d55e00",
    }
}

pub(super) fn svg(run: &Run) -> String {
    let mut svg = String::new();
    // A string takes everything.
    let _ = draw(&mut svg, run);
    svg
}

fn draw(svg: &mut String, run: &Run) -> fmt::Result {
    writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"Helvetica, Arial, sans-serif\" \
         font-size=\"12\" fill=\"#222\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>"
    )?;
    title(svg, run)?;
    happenings(svg, run)?;
    for (top, (rule, figures)) in panels().zip(&run.figures) {
        scale(svg, top)?;
        writeln!(
            svg,
            "<text x=\"{LEFT}\" y=\"{y}\"><tspan font-weight=\"bold\" fill=\"{colour}\">{name}\
             </tspan><tspan dx=\"8\">{calls} calls, at most {peak} a second</tspan></text>",
            y = top - 7,
            colour = colour(*rule),
            name = rule.description(),
            calls = grouped(sum(figures.calls.all())),
            peak = grouped(peak(figures.calls.all())),
        )?;
        line(svg, top, *rule, &figures.calls)?;
        // Over the line, which is measured by it.
        let y = height(QUOTA, top);
        quota(svg, LEFT, LEFT + COLUMNS, y)?;
    }
    hours(svg, run.day.end)?;
    writeln!(svg, "</svg>")
}

/// The upper edge of each.
fn panels() -> impl Iterator<Item = u32> {
    (0..).map(|place| TOP + place * (PANEL + GAP) + GAP)
}

fn title(svg: &mut String, run: &Run) -> fmt::Result {
    writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"28\" font-size=\"18\" font-weight=\"bold\">Calls of STS by {} \
         workers with one role, sessions of {}</text>\n\
         <text x=\"{LEFT}\" y=\"48\" fill=\"#555\">The busiest second of every {} s; a logarithmic \
         scale. Each worker reads its credentials every {} s.</text>\n\
         <text x=\"{x}\" y=\"48\">STS' quota: {QUOTA} a second</text>",
        grouped(run.day.workers.into()),
        duration(length(run.day.session)),
        (run.day.end / SECOND).div_ceil(COLUMNS.into()),
        reads::EVERY / SECOND,
        x = LEGEND,
    )?;
    quota(svg, LEGEND - 48, LEGEND - 8, 44.0)
}

fn quota(svg: &mut String, from: u32, to: u32, y: f64) -> fmt::Result {
    writeln!(
        svg,
        "<line x1=\"{from}\" x2=\"{to}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#222\" \
         stroke-dasharray=\"6 4\"/>"
    )
}

/// What befalls them all, behind all panels.
fn happenings(svg: &mut String, run: &Run) -> fmt::Result {
    let (day, y) = (&run.day, TOP + 12);
    let deployments = || day.deployments().filter(|at| *at < day.end);
    let deploys = deployments().next().zip(deployments().last());
    let outage = day.outage.as_ref().map(|outage| (outage.start, outage.end));
    let failed_over = run.figures.iter().find_map(|(_, figures)| figures.failed_over);
    let all = [
        ("rolling deploy", deploys),
        ("STS is gone", outage.filter(|(from, _)| *from < day.end)),
        ("the store fails over", failed_over.map(|at| (at, at + FAIL_OVER_TAKES))),
    ];
    for (name, from, until) in
        all.into_iter().filter_map(|(name, span)| span.map(|(from, until)| (name, from, until)))
    {
        let (x, end) = (across(from, day.end), across(until, day.end));
        writeln!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"{tall}\" \
             fill=\"#f0e442\" fill-opacity=\"0.4\"/>\n\
             <text x=\"{x:.1}\" y=\"{above}\" fill=\"#555\">{name}</text>",
            width = (end - x).max(2.0),
            tall = HEIGHT - BOTTOM - y,
            above = y - 5,
        )?;
    }
    Ok(())
}

fn line(svg: &mut String, top: u32, rule: Rule, calls: &Counts) -> fmt::Result {
    let all = calls.all();
    let floor = height(0, top);
    let mut path = format!("M{LEFT} {floor:.1}");
    let from = |column: u32| column as usize * all.len() / COLUMNS as usize;
    for column in 0..COLUMNS {
        let seconds = &all[from(column)..from(column + 1)];
        let most = seconds.iter().copied().max().unwrap_or(0);
        let x = LEFT + column;
        write!(path, "L{x} {y:.1}H{right}", y = height(most, top), right = x + 1)?;
    }
    let colour = colour(rule);
    writeln!(
        svg,
        "<path d=\"{path}L{right} {floor:.1}Z\" fill=\"{colour}\" fill-opacity=\"0.3\" \
         stroke=\"{colour}\" stroke-linejoin=\"round\"/>",
        right = LEFT + COLUMNS,
    )
}

/// The powers of ten, every second one with its name.
fn scale(svg: &mut String, top: u32) -> fmt::Result {
    let end = LEFT + COLUMNS;
    for (calls, name) in
        [(1, "1"), (10, ""), (100, "100"), (1000, ""), (10_000, "10,000"), (100_000, "")]
    {
        let y = height(calls, top);
        writeln!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{end}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>\n\
             <text x=\"{x}\" y=\"{middle:.1}\" text-anchor=\"end\">{name}</text>",
            x = LEFT - 8,
            middle = y + 4.0,
        )?;
    }
    let (x, y, floor) = (22, top + PANEL / 2, height(0, top));
    writeln!(
        svg,
        "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\" transform=\"rotate(-90 {x} {y})\">\
         calls a second</text>\n\
         <line x1=\"{LEFT}\" x2=\"{end}\" y1=\"{floor:.1}\" y2=\"{floor:.1}\" stroke=\"#888\"/>"
    )
}

fn hours(svg: &mut String, end: Micros) -> fmt::Result {
    let y = HEIGHT - BOTTOM + 16;
    for hour in 0..=end / HOUR {
        let x = across(hour * HOUR, end);
        writeln!(svg, "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{hour}</text>")?;
    }
    writeln!(
        svg,
        "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">hours since the start</text>",
        x = LEFT + COLUMNS / 2,
        y = y + 18,
    )
}

fn across(at: Micros, end: Micros) -> f64 {
    // Seconds of two days: exact in 32 bits.
    let seconds = |at: Micros| f64::from(u32::try_from(at / SECOND).unwrap_or(u32::MAX));
    f64::from(LEFT) + f64::from(COLUMNS) * (seconds(at.min(end)) / seconds(end))
}

fn height(calls: u32, top: u32) -> f64 {
    let decade = f64::from(PANEL) / (NOUGHT_TO_ONE + DECADES);
    let up = if calls == 0 { 0.0 } else { NOUGHT_TO_ONE + f64::from(calls).log10().min(DECADES) };
    f64::from(top + PANEL) - decade * up
}
