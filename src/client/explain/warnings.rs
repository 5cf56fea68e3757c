//! The warnings: what is wrong, since when, and what to do.

use super::Page;
use crate::client::text::{plain, wrap};
use crate::linux::connection::Answer;
use crate::wire::control::Warning;

impl Page<'_> {
    /// The warnings about the providers that are explained, and about none in particular.
    pub(super) fn warnings(&mut self, answer: &Answer) {
        for warning in &answer.warnings {
            let mut shown = answer.providers.iter().map(|provider| &provider.head.id);
            if warning
                .provider
                .as_ref()
                .is_none_or(|of| shown.any(|id| id == of))
            {
                self.warning(warning);
            }
        }
    }

    fn warning(&mut self, warning: &Warning) {
        let since = self.ago(warning.since_ms);
        let (id, comma) = match &warning.provider {
            Some(id) => (id.as_str(), ", "),
            None => ("", ""),
        };
        let (code, what) = (&warning.code, &warning.text);
        self.say(format_args!(
            "Warning {code}, {id}{comma}since {since}: {what}."
        ));
        if let Some(cure) = &warning.cure {
            let cure = plain(cure);
            wrap(&mut self.out, "  ", &cure);
        }
    }
}
