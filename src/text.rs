//! Texts of limited length.

use core::fmt::{self, Write};

use heapless::string::{String, StringView};

/// A text of limited length: what does not fit is left out, between characters.
pub fn text<const N: usize>(what: fmt::Arguments<'_>) -> String<N> {
    let mut text = String::new();
    // An error means that the text is full, which is what is wanted.
    let _ = Cut(&mut text).write_fmt(what);
    text
}

/// Takes what fits.
struct Cut<'a>(&'a mut StringView);

impl Write for Cut<'_> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        s.chars()
            .try_for_each(|character| self.0.push(character).map_err(|_| fmt::Error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let cut: String<4> = text(format_args!("{}→{}", "ab", "c"));
        assert_eq!(cut.as_str(), "ab");
    }
}
