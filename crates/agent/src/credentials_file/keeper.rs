//! Who keeps a section fresh, and when it is written.

use std::{
    convert::Infallible,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rolekeeper::{Event, EventKind, RefreshableCredentials, Session};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{
    Error, Keys, SectionName, Unclear,
    lock::{Lock, Refused},
    target::{Found, Stamp, Target},
    text::{self, Content},
};

/// How often it is looked whether somebody has changed the file, who may have written an older
/// section over ours.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// The pause after a first write that failed; each further one is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause: a session that lasts 15 minutes is refreshed some minutes before its end.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How often others may change the file between our reading and our replacing it.
const MOST_TRIES: usize = 20;

/// Keeps one section of one file, and nobody else does for as long as it lives.
#[derive(Clone)]
pub struct Keeper {
    inner: Arc<Inner>,
}

struct Inner {
    file: PathBuf,
    section: SectionName,
    state: Mutex<State>,
    /// Our own.
    _section_lock: Lock,
}

#[derive(Default)]
struct State {
    /// The session that was written, and the file as it was after that.
    written: Option<(u64, Option<Stamp>)>,
    /// Nothing is written any more.
    has_ended: bool,
}

/// What is told while a section is kept.
pub enum Told<'a> {
    /// The section could not be written; told once, and again when the reason is another. The next
    /// try comes by itself.
    Failed(&'a Error),
    /// It could again.
    Recovered,
}

// === impl Keeper ===

impl Keeper {
    /// Takes the section, and looks whether it can be written. Blocks for some milliseconds.
    ///
    /// # Errors
    /// Somebody else keeps it, or the file is such that it can't be written.
    pub fn open(file: impl Into<PathBuf>, section: SectionName) -> Result<Self, Error> {
        let file = file.into();
        let target = Target::of(&file)?;
        let lock = Lock::take(target.section_lock_path(&section)).map_err(|refused| {
            let (file, section) = (file.clone(), section.clone());
            match refused {
                Refused::Held(pid) => Error::Kept { file, section, pid },
                Refused::Failed(error) => Error::file("cannot lock", &file)(error),
            }
        })?;
        let found = target.read()?;
        text::check(&found.content, &section).map_err(|why| Error::Unclear {
            file: file.clone(),
            section: section.clone(),
            why,
        })?;
        let state = Mutex::default();
        Ok(Self { inner: Arc::new(Inner { file, section, state, _section_lock: lock }) })
    }

    /// Writes this session, unless the file has it already.
    ///
    /// # Errors
    /// What was in the way; the file is as it was.
    pub async fn write(&self, session: Arc<Session>) -> Result<(), Error> {
        self.work(move |inner| inner.write(&session)).await
    }

    /// Writes each new session as it comes, for as long as this is polled, and again whatever could
    /// not be written.
    pub async fn keep(
        &self,
        credentials: &RefreshableCredentials,
        mut tell: impl FnMut(Told<'_>),
    ) -> Infallible {
        let mut events = credentials.events();
        let mut pause = FIRST_PAUSE;
        let mut told: Option<String> = None;
        loop {
            let wait = match credentials.current() {
                None => LOOK_EVERY,
                Some(current) => match self.write(current.share()).await {
                    Ok(()) => {
                        if told.take().is_some() {
                            tell(Told::Recovered);
                        }
                        pause = FIRST_PAUSE;
                        LOOK_EVERY
                    }
                    Err(error) => {
                        let words = error.to_string();
                        if told.as_ref() != Some(&words) {
                            tell(Told::Failed(&error));
                            told = Some(words);
                        }
                        let wait = pause;
                        pause = (2 * pause).min(LONGEST_PAUSE);
                        wait
                    }
                },
            };
            tokio::select! {
                () = new_session(&mut events) => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Takes our keys out, and the section if nothing else is in it. Nothing is written after that.
    ///
    /// # Errors
    /// What was in the way; the file is as it was.
    pub async fn remove(&self) -> Result<(), Error> {
        self.work(Inner::remove).await
    }

    /// A disk may be slow, and a lock be held: not on a thread that serves others.
    async fn work(
        &self,
        work: impl FnOnce(&Inner) -> Result<(), Error> + Send + 'static,
    ) -> Result<(), Error> {
        let inner = Arc::clone(&self.inner);
        match tokio::task::spawn_blocking(move || work(&inner)).await {
            Ok(done) => done,
            Err(error) => {
                Err(Error::file("cannot write", &self.inner.file)(std::io::Error::other(error)))
            }
        }
    }
}

// === impl Inner ===

impl Inner {
    fn write(&self, session: &Session) -> Result<(), Error> {
        let mut state = self.state();
        let target = Target::of(&self.file)?;
        let generation = session.generation();
        if state.has_ended || state.written == Some((generation, target.stamp())) {
            return Ok(());
        }
        let keys = Keys::of(session).map_err(|why| self.unclear(why))?;
        let (stamp, is_new) =
            self.change(&target, |old| text::with_keys(old, &self.section, &keys))?;
        state.written = Some((generation, stamp));
        if is_new {
            tracing::info!(
                section = %self.section,
                expiration = %session.expiration(),
                "wrote a session to the credentials file"
            );
        }
        Ok(())
    }

    fn remove(&self) -> Result<(), Error> {
        let mut state = self.state();
        state.has_ended = true;
        let target = Target::of(&self.file)?;
        self.change(&target, |old| text::without_keys(old, &self.section)).map(drop)
    }

    /// Reads the file, changes it, and replaces it, with no other writer of ours in between. Those
    /// that know no lock are noticed up to the last moment. Returns what file is there now, and
    /// whether there was anything to change.
    fn change(
        &self,
        target: &Target,
        change: impl Fn(&[u8]) -> Result<Content, Unclear>,
    ) -> Result<(Option<Stamp>, bool), Error> {
        let _lock = Lock::wait(&target.lock_path()).map_err(|refused| match refused {
            Refused::Held(pid) => Error::Locked { file: self.file.clone(), pid },
            Refused::Failed(error) => Error::file("cannot lock", target.path())(error),
        })?;
        for _ in 0..MOST_TRIES {
            let found: Found = target.read()?;
            let content = change(&found.content).map_err(|why| self.unclear(why))?;
            if *content == *found.content {
                return Ok((found.stamp(), false));
            }
            let fresh = target.prepare(&content, &found)?;
            if target.is_still(&found) {
                return fresh.take_place().map(|stamp| (stamp, true));
            }
        }
        Err(Error::Locked { file: self.file.clone(), pid: None })
    }

    fn unclear(&self, why: Unclear) -> Error {
        Error::Unclear { file: self.file.clone(), section: self.section.clone(), why }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn new_session(events: &mut Receiver<Event>) {
    loop {
        match events.recv().await {
            Ok(Event { kind: EventKind::Fetched { .. } | EventKind::Adopted { .. }, .. })
            | Err(RecvError::Lagged(_)) => return,
            Ok(_) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}
