//! The messages between daemon and client on the control socket.
//!
//! A frame is a length (two bytes, little-endian), the protocol's version (one byte), and a message as
//! [`crate::wire::codec`] has it, of at most [`crate::limits::FRAME_MAX`] bytes in all. A client sends one [`Request`]; the
//! daemon answers with the frames named there, the last of which is [`Reply::Done`] or [`Reply::Error`], and closes.

use core::fmt;

use heapless::String;

use crate::types::{Cause, DeviceName, Family, Kind, Name, Repeats, Subject};
use crate::wire::codec::{Codec, Message};
use crate::wire::snapshot::{Header, History, Path, ProviderHead, Word};

/// The protocol's version. A client of another version gets an error.
pub const VERSION: u8 = 7;

/// Longest text of a warning or an error.
pub const TEXT_MAX: usize = 240;
/// A text for the user.
pub type Text = String<TEXT_MAX>;

/// A client's request.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Request {
    /// [`Reply::Header`], a [`Reply::Warning`] each, a [`Reply::Provider`] each, followed by a [`Reply::Path`] for each of
    /// its managed families, [`Reply::Done`].
    #[default]
    Status,
    /// Pin a provider, or none.
    Use(Option<Name>),
    /// Disable a provider.
    Disable(Name),
    /// Enable it again.
    Enable(Name),
    /// Re-read the configuration: a [`Reply::Note`] for each problem.
    Reload,
    /// A [`Reply::Entry`] each, oldest first.
    Log,
    /// A netifd interface has changed, or any of them: ask netifd again.
    Refresh(Option<Name>),
    /// The frames of [`Request::Status`], of one provider, or of all.
    Explain(Option<Name>),
    /// A [`Reply::Entry`] for each after this instant ([`Entry::at_micros`]), oldest first, up to one that may still grow.
    Follow(u64),
    /// The frames of [`Request::Status`], with a [`Reply::History`] after each path, then those of [`Request::Log`].
    Page,
}

impl Request {
    /// Whether it only queries: then members of `control_group` may send it.
    pub fn only_asks(&self) -> bool {
        match self {
            Request::Status
            | Request::Log
            | Request::Explain(_)
            | Request::Follow(_)
            | Request::Page => true,
            Request::Use(_)
            | Request::Disable(_)
            | Request::Enable(_)
            | Request::Reload
            | Request::Refresh(_) => false,
        }
    }
}

/// The error for a member of `control_group` that sends another request.
pub const NOT_PERMITTED: &str = "not permitted: members of control_group may ask for status, explain and log; the rest is for root";

/// A part of the daemon's answer.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(clippy::large_enum_variant)] // one at a time, on the stack of a client or in a slot of its own
pub enum Reply {
    /// the daemon as a whole
    Header(Header),
    /// one thing that the user should correct
    Warning(Warning),
    /// one provider, whose paths follow
    Provider(ProviderHead),
    /// one path of the last [`Reply::Provider`]
    Path(Path),
    /// the history of the last [`Reply::Path`]
    History(History),
    /// one line of the journal
    Entry(Entry),
    /// a line for the user, before the end
    Note(Text),
    /// the end of the answer
    #[default]
    Done,
    /// the request was not carried out, and why
    Error(Text),
}

/// One thing that the user should correct.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Warning {
    /// for programs, as `rp-filter`
    pub code: Word,
    /// the provider, if it concerns one
    pub provider: Option<Name>,
    /// the problem, as text
    pub text: Text,
    /// what to do, if that is known
    pub cure: Option<Cure>,
    /// of `diverted`: the route that traffic takes
    pub diversion: Option<Diversion>,
    /// the time since when it holds
    pub since_ms: u64,
}

/// Traffic that does not leave by the leading provider.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diversion {
    /// its family
    pub family: Family,
    /// the device by which it leaves; null if it is refused
    pub device: Option<DeviceName>,
    /// the table of the route
    pub table: Option<u32>,
    /// the preference of the rule that looks up the table, if it is known
    pub preference: Option<u32>,
}

/// What the user can do about a [`Warning`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cure {
    /// whether it is a command, which can be copied; otherwise a sentence
    pub is_command: bool,
    /// without "cure: " before it
    pub text: Text,
}

/// The problem, then the cure, in one sentence.
impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        match &self.cure {
            None => Ok(()),
            Some(cure) => write!(f, "; {cure}"),
        }
    }
}

impl fmt::Display for Cure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = if self.is_command { "cure: " } else { "" };
        f.write_str(label)?;
        f.write_str(&self.text)
    }
}

/// One line of the journal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// the age, in milliseconds: the client knows the wall-clock time
    pub ago_ms: u64,
    /// when, in microseconds of the monotonic clock, which goes on when the daemon is restarted
    pub at_micros: u64,
    /// the provider and family that it is about
    pub subject: Subject,
    /// what happened
    pub kind: Kind,
    /// why
    pub cause: Cause,
    /// how many transitions it stands for; the kind and the cause are those of the last one
    pub repeats: Repeats,
}

impl Message for Request {
    fn pass(&mut self, codec: &mut Codec<'_>) {
        let mut tag = match self {
            Request::Status => 0,
            Request::Use(_) => 1,
            Request::Disable(_) => 2,
            Request::Enable(_) => 3,
            Request::Reload => 4,
            Request::Log => 5,
            Request::Refresh(_) => 6,
            Request::Explain(_) => 7,
            Request::Follow(_) => 8,
            Request::Page => 9,
        };
        codec.byte(&mut tag);
        if codec.reads() {
            *self = match tag {
                0 => Request::Status,
                1 => Request::Use(None),
                2 => Request::Disable(Name::new()),
                3 => Request::Enable(Name::new()),
                4 => Request::Reload,
                5 => Request::Log,
                6 => Request::Refresh(None),
                7 => Request::Explain(None),
                8 => Request::Follow(0),
                9 => Request::Page,
                _ => return codec.fail(),
            };
        }
        match self {
            Request::Status | Request::Reload | Request::Log | Request::Page => {}
            Request::Use(name) | Request::Refresh(name) | Request::Explain(name) => {
                codec.optional_text(name);
            }
            Request::Disable(name) | Request::Enable(name) => codec.text(name),
            Request::Follow(after) => codec.long(after),
        }
    }
}

impl Message for Reply {
    fn pass(&mut self, codec: &mut Codec<'_>) {
        let mut tag = match self {
            Reply::Header(_) => 0,
            Reply::Warning(_) => 1,
            Reply::Provider(_) => 2,
            Reply::Path(_) => 3,
            Reply::Entry(_) => 4,
            Reply::Note(_) => 5,
            Reply::Done => 6,
            Reply::Error(_) => 7,
            Reply::History(_) => 8,
        };
        codec.byte(&mut tag);
        if codec.reads() {
            *self = match tag {
                0 => Reply::Header(Header::default()),
                1 => Reply::Warning(Warning::default()),
                2 => Reply::Provider(ProviderHead::default()),
                3 => Reply::Path(Path::default()),
                4 => Reply::Entry(Entry::default()),
                5 => Reply::Note(Text::new()),
                6 => Reply::Done,
                7 => Reply::Error(Text::new()),
                8 => Reply::History(History::default()),
                _ => return codec.fail(),
            };
        }
        match self {
            Reply::Header(header) => header.pass(codec),
            Reply::Warning(warning) => warning.pass(codec),
            Reply::Provider(head) => head.pass(codec),
            Reply::Path(path) => path.pass(codec),
            Reply::History(history) => history.pass(codec),
            Reply::Entry(entry) => entry.pass(codec),
            Reply::Note(text) | Reply::Error(text) => codec.text(text),
            Reply::Done => {}
        }
    }
}

impl Message for Warning {
    fn pass(&mut self, codec: &mut Codec<'_>) {
        codec.text(&mut self.code);
        codec.optional_text(&mut self.provider);
        codec.text(&mut self.text);
        codec.optional(&mut self.cure, |codec, cure| {
            codec.flag(&mut cure.is_command);
            codec.text(&mut cure.text);
        });
        codec.optional(&mut self.diversion, |codec, diversion| {
            codec.choice(&mut diversion.family, &Family::ALL);
            codec.optional_text(&mut diversion.device);
            codec.optional_number(&mut diversion.table);
            codec.optional_number(&mut diversion.preference);
        });
        codec.long(&mut self.since_ms);
    }
}
