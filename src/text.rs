//! Texts of limited length.

use core::fmt::{self, Write};

use heapless::String;

/// A text of limited length: what does not fit is left out, between characters.
pub fn text<const N: usize>(what: fmt::Arguments<'_>) -> String<N> {
    /// Takes what fits.
    struct Cut<'a, const N: usize>(&'a mut String<N>);
    impl<const N: usize> Write for Cut<'_, N> {
        fn write_str(&mut self, s: &str) -> fmt::Result {
            s.chars()
                .try_for_each(|character| self.0.push(character).map_err(|_| fmt::Error))
        }
    }
    let mut text = String::new();
    // An error means that the text is full, which is what is wanted.
    let _ = Cut(&mut text).write_fmt(what);
    text
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
