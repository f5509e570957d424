//! Runs cases: drives a face by a case's steps, and tells what was not as it says.

use std::{
    collections::BTreeMap,
    fs,
    ops::RangeInclusive,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use rolekeeper_core::FailureKind;

use crate::{
    case::{Case, Preset, Step},
    face::{Face, Facts, Outcome},
    words::{Bounds, Count, Lapse, NextTry, Point, Span, Target, Value},
};

/// A machine that stood still for long in the middle of a case says nothing of the case; so often
/// it is run again.
const RUNS: u32 = 8;

/// Steps that a range is watched over so many seeds for: both ends are seen.
const MANY_SEEDS: u64 = 100;

/// What a run of all cases has come to.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Cases that ran, each once for each of its rows and policies.
    pub(crate) ran: usize,
    /// Those that say nothing of this face.
    pub(crate) left_out: usize,
    pub(crate) wrong: Vec<String>,
}

/// What was seen at a step over all seeds: the narrowest range that holds it.
#[derive(Debug, Default)]
struct Spread(BTreeMap<(usize, &'static str), (String, RangeInclusive<f64>, bool)>);

/// One run of a case.
struct Run<'a, F> {
    face: F,
    spread: &'a mut Spread,
    /// Who waits.
    waiting: u64,
    calls_before: u64,
}

/// All cases of the folder, in order.
pub(crate) fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/cases");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .expect("the folder of cases")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    let read =
        |file: &std::path::PathBuf| Case::of_file(file).unwrap_or_else(|why| panic!("{why}"));
    files.iter().flat_map(read).collect()
}

/// Runs each case against a face.
pub(crate) fn run<F: Face>(cases: &[Case]) -> Report {
    let mut report = Report::default();
    for case in cases {
        for preset in &case.policies {
            if case.why_not.contains_key(&F::NAME) {
                report.left_out += 1;
                continue;
            }
            report.ran += 1;
            if let Err(why) = run_case::<F>(case, *preset) {
                let Case { file, name, row, .. } = case;
                let told = format!("{file}: {name} [{preset:?}, {row}]: by {:?}: {why}", F::NAME);
                report.wrong.push(told);
            }
        }
    }
    report
}

fn run_case<F: Face>(case: &Case, preset: Preset) -> Result<(), String> {
    let seeds = case.seeds.filter(|_| F::IS_REPEATABLE).unwrap_or(1);
    let mut spread = Spread::default();
    for seed in 0..seeds {
        run_seed::<F>(case, preset, seed, &mut spread)
            .map_err(|why| format!("seed {seed}: {why}"))?;
    }
    if seeds >= MANY_SEEDS { spread.check() } else { Ok(()) }
}

fn run_seed<F: Face>(
    case: &Case,
    preset: Preset,
    seed: u64,
    spread: &mut Spread,
) -> Result<(), String> {
    let mut run_number = 0;
    loop {
        run_number += 1;
        let face = F::open(preset.with(case.settings), seed, case.source);
        let mut run = Run { face, spread: &mut *spread, waiting: 0, calls_before: 0 };
        let mut was_held_up = false;
        let mut outcome = Ok(());
        for (number, step) in case.steps.iter().enumerate() {
            for _ in 0..step.repeat.unwrap_or(1) {
                outcome = outcome.and_then(|()| caught(|| run.step(number, step)));
                was_held_up |= run.face.was_held_up();
            }
            if let Err(why) = outcome {
                outcome = Err(format!("step {}: {why}", number + 1));
                break;
            }
        }
        if outcome.is_ok() || !was_held_up || run_number == RUNS {
            return outcome;
        }
    }
}

/// What `step` comes to, if it is not that something panics.
fn caught(step: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|panic| {
        let why = panic.downcast_ref::<String>().map(String::as_str);
        let why = why.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("expected no panic, got: {}", why.unwrap_or("one without words")))
    })
}

// === impl Run ===

impl<F: Face> Run<'_, F> {
    fn step(&mut self, number: usize, step: &Step) -> Result<(), String> {
        self.let_pass(step)?;
        if let Some(behaviour) = step.source {
            self.face.source(behaviour);
        }
        if let Some(key) = &step.reject {
            let held = self.face.facts().key.unwrap_or_else(|| "nothing".into());
            self.face.reject(if key == "current" { &held } else { key });
        }
        self.readers(step)?;
        let mut looks = 0;
        loop {
            let facts = self.face.facts();
            match self.look(number, step, &facts) {
                Err(_) if self.face.may_still_come(looks) => looks += 1,
                outcome => {
                    self.calls_before = facts.calls;
                    return outcome;
                }
            }
        }
    }

    fn let_pass(&mut self, step: &Step) -> Result<(), String> {
        if let Some(lapse) = step.pass {
            self.face.pass(match lapse {
                Lapse::Whole(duration) => duration,
                Lapse::JustUnder(duration) => duration.saturating_sub(F::INSTANT),
                Lapse::Instant => F::INSTANT,
            });
        }
        if let Some(Target { point, just_before }) = step.to {
            let facts = self.face.facts();
            let wait = match point {
                Point::Left(left) => facts.remaining.checked_sub(left),
                Point::NextTry => facts.next_try,
                Point::Refresh => facts.next_refresh,
            };
            let wait = wait.ok_or_else(|| format!("expected {point:?} ahead, got {facts:?}"))?;
            self.face.pass(if just_before { wait.saturating_sub(F::INSTANT) } else { wait });
        }
        if let Some(Span(duration)) = step.sleep {
            self.face.sleep(duration);
        }
        if let Some(Span(duration)) = step.pause {
            self.face.pause(duration);
        }
        if let Some(by) = step.step_wall {
            self.face.step_wall(by.0);
        }
        Ok(())
    }

    fn readers(&mut self, step: &Step) -> Result<(), String> {
        if let Some(key) = &step.serves {
            equal("a reader", &Outcome::Served(key.clone()), &self.face.read())?;
        }
        if let Some(kind) = step.refuses {
            equal("a reader", &Outcome::Refused(kind.into()), &self.face.read())?;
        }
        for _ in 0..step.reads.unwrap_or(0) {
            if self.face.read() == Outcome::Waits {
                return Err("expected a reader to come back, got one that waits".into());
            }
        }
        if let Some(readers) = step.waits {
            self.face.come(readers);
            self.waiting += readers;
            self.all_waiters(&Outcome::Waits, false)?;
        }
        if let Some(key) = &step.waiters_get {
            self.all_waiters(&Outcome::Served(key.clone()), true)?;
        }
        if let Some(kind) = step.waiters_refused {
            self.all_waiters(&Outcome::Refused(kind.into()), true)?;
        }
        Ok(())
    }

    fn all_waiters(&mut self, expected: &Outcome, is_over: bool) -> Result<(), String> {
        let waiters = self.face.waiters(is_over);
        if waiters.len() as u64 != self.waiting || self.waiting == 0 {
            return Err(format!("expected {} who wait, got {}", self.waiting, waiters.len()));
        }
        if is_over {
            self.waiting = 0;
        }
        waiters.iter().try_for_each(|outcome| equal("each who waits", expected, outcome))
    }

    fn look(&mut self, number: usize, step: &Step, facts: &Facts) -> Result<(), String> {
        if facts.most_at_once > 1 {
            return Err(format!("expected one call at a time, got {}", facts.most_at_once));
        }
        let late = F::LATE.as_secs_f64();
        let spread = &mut *self.spread;
        let mut within = |what, bounds: Option<Bounds<Count>>, value| match bounds {
            Some(bounds) => spread.within((number, what), bounds, Count(value), 0.0),
            None => Ok(()),
        };
        within("calls", step.calls, facts.calls)?;
        within("new calls", step.new_calls, facts.calls - self.calls_before)?;
        match (step.next_try, facts.next_try) {
            (None, _) | (Some(NextTry::Never), None) => {}
            (Some(NextTry::In(bounds)), Some(wait)) => {
                spread.within((number, "next try"), bounds, Span(wait), late)?;
            }
            (Some(expected), got) => {
                return Err(format!("expected the next try {expected:?}, got {got:?}"));
            }
        }
        if let Some(bounds) = step.refresh_in {
            let Some(wait) = facts.next_refresh else {
                return Err(format!("expected a refresh in {bounds}, got none"));
            };
            spread.within((number, "refresh in"), bounds, Span(wait), late)?;
        }
        if let Some(bounds) = step.remaining {
            spread.within((number, "remaining"), bounds, Span(facts.remaining), late)?;
        }
        if let Some(key) = &step.holds {
            let held = facts.key.as_deref().unwrap_or("nothing");
            equal("what is held", &key.as_str(), &held)?;
        }
        if let Some(kind) = &step.last_error {
            equal("the last error", &kind.as_str(), &facts.last_error.map_or("none", word))?;
        }
        match step.rejected {
            Some(rejected) => equal("whether it is marked", &rejected, &facts.is_rejected),
            None => Ok(()),
        }
    }
}

/// A failure's group as cases write it.
fn word(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Unavailable => "unavailable",
        FailureKind::Denied => "denied",
        FailureKind::NeedsPerson => "needs-person",
        FailureKind::Misconfigured => "misconfigured",
        FailureKind::BadAnswer => "bad-answer",
    }
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, expected: &T, got: &T) -> Result<(), String> {
    if expected == got {
        return Ok(());
    }
    Err(format!("{what}: expected {expected:?}, got {got:?}"))
}

// === impl Spread ===

impl Spread {
    fn within<T: Value>(
        &mut self,
        (step, what): (usize, &'static str),
        bounds: Bounds<T>,
        value: T,
        late: f64,
    ) -> Result<(), String> {
        if !bounds.hold(value, late) {
            return Err(format!("{what}: expected {bounds}, got {value}"));
        }
        let number = value.number();
        let (_, seen, is_filled) = self
            .0
            .entry((step, what))
            .or_insert_with(|| (bounds.to_string(), number..=number, false));
        *seen = seen.start().min(number)..=seen.end().max(number);
        *is_filled = bounds.are_filled(seen);
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        let unfilled = self.0.iter().find(|(_, (_, _, is_filled))| !is_filled);
        match unfilled {
            Some(((step, what), (bounds, seen, _))) => {
                let step = step + 1;
                Err(format!("step {step}: {what}: expected all of {bounds}, got only {seen:?}"))
            }
            None => Ok(()),
        }
    }
}

// === impl Report ===

impl Report {
    /// All that ran was as it should be, and enough ran.
    #[track_caller]
    pub(crate) fn is_well(&self, least: usize, most_left_out: usize) {
        let Self { ran, left_out, wrong } = self;
        assert!(wrong.is_empty(), "{} of {ran} cases:\n{}", wrong.len(), wrong.join("\n"));
        assert!(*ran >= least, "only {ran} cases ran");
        assert!(*left_out <= most_left_out, "{left_out} cases are left out");
    }
}
