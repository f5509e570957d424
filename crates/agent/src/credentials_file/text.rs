//! A credentials file as bytes: where a section is, and the same file with other keys in it. All
//! else stays byte for byte.
//!
//! It reads as botocore's parser and the AWS SDK for Rust's do where they agree. Where they don't,
//! and it matters to our section, the file is refused: a key put in the wrong place is worse than
//! none.

use std::ops::Range;

use zeroize::Zeroizing;

use super::{
    SectionName, Unclear,
    keys::{self, Keys, MARKS_OF_A_SESSION},
};

/// A file's content, wiped when dropped: it holds other people's keys too.
pub(super) type Content = Zeroizing<Vec<u8>>;

struct Text<'a> {
    bytes: &'a [u8],
    lines: Vec<Line<'a>>,
    /// Our section's lines, the header being the first.
    section: Option<Range<usize>>,
}

#[derive(Clone, Copy)]
struct Line<'a> {
    text: &'a [u8],
    /// `\n`, `\r\n`, or nothing at the end of a file that has none there.
    end: &'a [u8],
}

/// What a line of a section is.
#[derive(Clone, Copy)]
enum Kind<'a> {
    Blank,
    Comment,
    /// A key of this name.
    Key(&'a [u8]),
    /// Indented further than the key before it: part of that one's value.
    More,
}

/// `file` with these keys in the section, which is added at the end if there is none. Keys of the
/// section that are not ours stay, and so does the order.
///
/// # Errors
/// The file is such that something would be lost, or that SDKs would read it differently.
pub fn with_keys(file: &[u8], section: &SectionName, keys: &Keys) -> Result<Content, Unclear> {
    let text = Text::read(file, section)?;
    let mut writing = Writing::of(&text, keys.room() + section.as_str().len());
    let Some(ours) = text.section.clone() else {
        writing.lines(&text.lines);
        writing.line(&[b"[", section.as_str().as_bytes(), b"]"]);
        for (name, value) in keys.written() {
            writing.key(b"", name, value);
        }
        return Ok(writing.end());
    };
    text.refuse_long_term_key(ours.start + 1..ours.end)?;
    writing.lines(&text.lines[..=ours.start]);
    text.write_body(&mut writing, ours.start + 1..ours.end, keys);
    writing.lines(&text.lines[ours.end..]);
    Ok(writing.end())
}

/// Whether a session could be written there.
pub(super) fn check(file: &[u8], section: &SectionName) -> Result<(), Unclear> {
    let text = Text::read(file, section)?;
    let ours = text.section.clone();
    ours.map_or(Ok(()), |ours| text.refuse_long_term_key(ours.start + 1..ours.end))
}

/// `file` without our keys in the section, and without the section if nothing else is in it.
///
/// # Errors
/// As [`with_keys`], but for long-term keys, which are none of ours and stay.
pub fn without_keys(file: &[u8], section: &SectionName) -> Result<Content, Unclear> {
    let text = Text::read(file, section)?;
    let mut writing = Writing::of(&text, 0);
    let body = text.section.clone().map(|ours| ours.start + 1..ours.end);
    let Some(body) = body.filter(|body| text.refuse_long_term_key(body.clone()).is_ok()) else {
        writing.lines(&text.lines);
        return Ok(writing.end());
    };
    let mut is_ours = false;
    let kinds = text.kinds(body.clone());
    let kept: Vec<_> = kinds
        .filter(|(_, kind)| match kind {
            Kind::Blank | Kind::Comment => true,
            Kind::More => !is_ours,
            Kind::Key(key) => {
                is_ours = keys::position(key).is_some();
                !is_ours
            }
        })
        .collect();
    let is_empty = kept.iter().all(|(_, kind)| matches!(kind, Kind::Blank));
    writing.lines(&text.lines[..body.start - usize::from(is_empty)]);
    for (at, _) in kept {
        writing.lines(&text.lines[at..=at]);
    }
    writing.lines(&text.lines[body.end..]);
    Ok(writing.end())
}

/// The value of one key of a section, its further lines left out; `None` also for a file that is
/// refused.
pub fn setting(file: &[u8], section: &SectionName, key: &str) -> Option<String> {
    let text = Text::read(file, section).ok()?;
    let ours = text.section.clone()?;
    let line = text.kinds(ours.start + 1..ours.end).find_map(|(at, kind)| {
        matches!(kind, Kind::Key(found) if found.eq_ignore_ascii_case(key.as_bytes()))
            .then_some(text.lines[at].text)
    })?;
    let value = &line[line.iter().position(is_delimiter)? + 1..];
    Some(String::from_utf8_lossy(value.trim_ascii()).into_owned())
}

// === impl Text ===

impl<'a> Text<'a> {
    fn read(bytes: &'a [u8], section: &SectionName) -> Result<Self, Unclear> {
        let lines: Vec<_> = bytes.split_inclusive(|byte| *byte == b'\n').map(Line::of).collect();
        // UTF-16, or the line ends of a Mac of 1999.
        if lines.iter().any(|line| line.text.iter().any(|byte| matches!(byte, b'\0' | b'\r'))) {
            return Err(Unclear::NotText);
        }
        let mut ours: Option<Range<usize>> = None;
        let mut is_open = false;
        for (at, line) in lines.iter().enumerate() {
            let Some(is_ours) = line.header(section).ok_or(Unclear::Header { line: at + 1 })?
            else {
                continue;
            };
            if let Some(found) = &mut ours {
                if is_ours {
                    return Err(Unclear::Twice { first: found.start + 1, second: at + 1 });
                }
                if is_open {
                    found.end = at;
                }
            } else if is_ours {
                ours = Some(at..lines.len());
            }
            is_open = is_ours;
        }
        Ok(Self { bytes, lines, section: ours })
    }

    /// What each of these lines is, in a section's body.
    fn kinds(&self, body: Range<usize>) -> impl Iterator<Item = (usize, Kind<'a>)> {
        let mut level = None;
        let lines = &self.lines;
        body.map(move |at| (at, lines[at].kind(&mut level)))
    }

    /// One that nobody can get back once it is overwritten.
    fn refuse_long_term_key(&self, body: Range<usize>) -> Result<(), Unclear> {
        let mut found = None;
        for (at, kind) in self.kinds(body) {
            let Kind::Key(key) = kind else { continue };
            let is = |name: &str| key.eq_ignore_ascii_case(name.as_bytes());
            if MARKS_OF_A_SESSION.into_iter().any(is) {
                return Ok(());
            }
            if is(keys::ACCESS_KEY_ID) {
                found = Some(at + 1);
            }
        }
        found.map_or(Ok(()), |line| Err(Unclear::LongTermKey { line }))
    }

    /// Our keys stand where they stood; those that are new follow the last of these, or else the
    /// header. Either way they are indented like their neighbours, which would otherwise become
    /// part of their values.
    fn write_body(&self, writing: &mut Writing<'_>, body: Range<usize>, keys: &Keys) {
        let values: Vec<_> = keys.all().collect();
        let mut stand: Vec<Option<usize>> = vec![None; values.len()];
        let mut first_key = None;
        for (at, kind) in self.kinds(body.clone()) {
            let Kind::Key(key) = kind else { continue };
            first_key.get_or_insert(at);
            if let Some(which) = keys::position(key)
                && values[which].1.is_some()
            {
                stand[which].get_or_insert(at);
            }
        }
        let last = stand.iter().copied().flatten().max();
        let missing = |writing: &mut Writing<'_>, indent: &[u8]| {
            for ((name, value), stands) in values.iter().zip(&stand) {
                if let (Some(value), None) = (value, stands) {
                    writing.key(indent, name, value);
                }
            }
        };
        if last.is_none() {
            missing(writing, first_key.map_or(b"", |at| self.lines[at].indent()));
        }
        let mut is_ours = false;
        for (at, kind) in self.kinds(body) {
            match kind {
                Kind::More if is_ours => {}
                Kind::Key(key) if let Some(which) = keys::position(key) => {
                    is_ours = true;
                    let (name, value) = values[which];
                    let indent = self.lines[at].indent();
                    // A second one of the same name goes: boto3 would refuse the file.
                    if let (Some(value), true) = (value, stand[which] == Some(at)) {
                        writing.key(indent, name, value);
                    }
                    if last == Some(at) {
                        missing(writing, indent);
                    }
                }
                Kind::Key(..) => {
                    is_ours = false;
                    writing.lines(&self.lines[at..=at]);
                }
                Kind::Blank | Kind::Comment | Kind::More => writing.lines(&self.lines[at..=at]),
            }
        }
    }
}

// === impl Line ===

impl<'a> Line<'a> {
    fn of(whole: &'a [u8]) -> Self {
        let text = match whole {
            [text @ .., b'\r', b'\n'] | [text @ .., b'\n'] => text,
            text => text,
        };
        Self { text, end: &whole[text.len()..] }
    }

    fn indent(&self) -> &'a [u8] {
        &self.text[..self.text.len() - self.text.trim_ascii_start().len()]
    }

    /// Whether a section begins here, and if so, whether it is ours; `None` if that depends on who
    /// reads it.
    ///
    /// A header may be followed by anything for Python, which takes all up to the last `]` for the
    /// name; others take the first. Indented, it is a header to some and a value to others.
    fn header(&self, ours: &SectionName) -> Option<Option<bool>> {
        if !self.text.trim_ascii_start().starts_with(b"[") {
            return Some(None);
        }
        let inner = self.text.strip_prefix(b"[")?;
        let is_end = |byte: &u8| *byte == b']';
        let (first, last) = (inner.iter().position(is_end)?, inner.iter().rposition(is_end)?);
        let ours = ours.as_str().as_bytes();
        let is_like_ours = |name: &[u8]| name.trim_ascii() == ours;
        match (&inner[..first], &inner[..last]) {
            (a, b) if a == ours && b == ours => Some(Some(true)),
            (a, b) if is_like_ours(a) || is_like_ours(b) => None,
            _ => Some(Some(false)),
        }
    }

    /// `level`: how far the key before it is indented, if there was one in this section.
    fn kind(&self, level: &mut Option<usize>) -> Kind<'a> {
        let trimmed = self.text.trim_ascii();
        let indent = self.indent().len();
        match trimmed.first() {
            None => Kind::Blank,
            Some(b'#' | b';') => Kind::Comment,
            Some(_) if level.is_some_and(|level| indent > level) => Kind::More,
            Some(_) => {
                *level = Some(indent);
                let key = trimmed.split(is_delimiter).next().unwrap_or_default();
                Kind::Key(key.trim_ascii_end())
            }
        }
    }
}

/// Python takes a colon too.
fn is_delimiter(byte: &u8) -> bool {
    matches!(byte, b'=' | b':')
}

/// The file to be.
struct Writing<'a> {
    content: Content,
    /// What new lines end with.
    end: &'a [u8],
    ends_without: bool,
}

// === impl Writing ===

impl<'a> Writing<'a> {
    /// Room for it all, so that the content never moves and leaves a copy that nobody wipes.
    fn of(text: &Text<'a>, more: usize) -> Self {
        let header = text.section.as_ref().map(|ours| &text.lines[ours.start]);
        let like = header.filter(|line| !line.end.is_empty()).or(text.lines.first());
        let end = like.map(|line| line.end).filter(|end| !end.is_empty()).unwrap_or(b"\n");
        let indents = text.lines.iter().map(|line| line.indent().len()).max().unwrap_or_default();
        let room = text.bytes.len() + more + 8 * (indents + 2);
        let ends_without = text.lines.last().is_some_and(|line| line.end.is_empty());
        Self { content: Zeroizing::new(Vec::with_capacity(room)), end, ends_without }
    }

    /// As they were.
    fn lines(&mut self, lines: &[Line<'_>]) {
        for line in lines {
            self.begin();
            self.content.extend_from_slice(line.text);
            self.content.extend_from_slice(line.end);
        }
    }

    fn key(&mut self, indent: &[u8], name: &str, value: &str) {
        self.line(&[indent, name.as_bytes(), b" = ", value.as_bytes()]);
    }

    fn line(&mut self, parts: &[&[u8]]) {
        self.begin();
        for part in parts {
            self.content.extend_from_slice(part);
        }
        self.content.extend_from_slice(self.end);
    }

    /// The last line of a file may have no end, and then it is no longer the last.
    fn begin(&mut self) {
        if self.content.last().is_some_and(|byte| *byte != b'\n') {
            self.content.extend_from_slice(self.end);
        }
    }

    /// A file that had no end of line at its end has none now.
    fn end(mut self) -> Content {
        if self.ends_without {
            let length = Line::of(&self.content).text.len();
            self.content.truncate(length);
        }
        self.content
    }
}
