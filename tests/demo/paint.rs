//! Colours of the demo, on a terminal only.

use std::io::IsTerminal;

/// Colours, on a terminal only.
pub(crate) struct Paint {
    pub(crate) terminal: bool,
    colours: bool,
}

impl Paint {
    pub(crate) fn for_terminal() -> Paint {
        let terminal = std::io::stdout().is_terminal();
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Paint {
            terminal,
            colours: terminal && !unwanted,
        }
    }

    fn with(&self, code: &str, text: &str) -> String {
        if self.colours {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    pub(crate) fn bold(&self, text: &str) -> String {
        self.with("1", text)
    }

    pub(crate) fn dim(&self, text: &str) -> String {
        self.with("2", text)
    }

    pub(crate) fn red(&self, text: &str) -> String {
        self.with("31", text)
    }

    /// The number of the provider, on its own colour; or a dot.
    pub(crate) fn cell(&self, provider: Option<u8>) -> String {
        match provider {
            Some(1) => self.with("30;42", "1"),
            Some(other) => self.with("30;44", &other.to_string()),
            None => self.with("1;31", "·"),
        }
    }
}
