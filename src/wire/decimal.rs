//! Numbers with three decimals: milliseconds with microsecond resolution, percentages. Many routers have no hardware
//! floating point, and it is not needed for these.

use core::fmt;

/// A number, counted in thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decimal {
    /// the number times 1000
    pub thousandths: u32,
}

impl Decimal {
    /// A number from its thousandths.
    pub const fn new(thousandths: u32) -> Decimal {
        Decimal { thousandths }
    }
}

/// With as many decimals as needed, and at least one: `0.0`, `12.5`, `0.125`.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.thousandths / 1000, self.thousandths % 1000);
        let (rest, decimals) = match rest {
            _ if rest % 100 == 0 => (rest / 100, 1),
            _ if rest % 10 == 0 => (rest / 10, 2),
            _ => (rest, 3),
        };
        write!(f, "{whole}.{rest:0decimals$}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_the_decimals_that_it_needs() {
        for (thousandths, text) in [
            (0, "0.0"),
            (1, "0.001"),
            (20, "0.02"),
            (12_345, "12.345"),
            (99_900, "99.9"),
            (100_000, "100.0"),
            (u32::MAX, "4294967.295"),
        ] {
            assert_eq!(Decimal::new(thousandths).to_string(), text);
        }
    }
}
