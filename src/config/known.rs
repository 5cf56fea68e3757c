//! A provider's id given by the user → the provider, or an error.

use core::fmt;

use super::{Config, Provider};
use crate::option::nearest;
use crate::option::problem::Hint;
use crate::uci::Shown;

/// Why an id names no usable provider. Its `Display` lists the providers.
#[derive(Clone, Copy, Debug)]
pub struct Unusable<'a> {
    config: &'a Config,
    id: &'a str,
}

impl Config {
    /// The enabled provider with an id.
    ///
    /// # Errors
    /// There is no provider with this id, or it is disabled.
    pub fn usable<'a>(&'a self, id: &'a str) -> Result<&'a Provider, Unusable<'a>> {
        let provider = self.enabled().find(|provider| provider.id == id);
        provider.ok_or(Unusable { config: self, id })
    }
}

impl fmt::Display for Unusable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unusable { config, id } = *self;
        if config.provider(id).is_some() {
            return write!(
                f,
                "{id} is disabled in the configuration: option enabled is '0'"
            );
        }
        let ids = || config.enabled().map(|provider| provider.id.as_str());
        let hint = Hint(nearest(id, &mut ids()));
        let shown = Shown(id);
        write!(
            f,
            "there is no provider {shown}{hint}; there are: {}",
            Ids(config)
        )
    }
}

/// The ids of the enabled providers, as `isp1, isp2`.
#[derive(Clone, Copy, Debug)]
pub struct Ids<'a>(pub &'a Config);

impl fmt::Display for Ids<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, provider) in self.0.enabled().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{}", provider.id)?;
        }
        Ok(())
    }
}
