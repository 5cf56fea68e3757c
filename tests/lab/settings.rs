//! The daemon's configuration in a lab, as UCI text.

use std::fmt::{self, Display};

use super::topology::{Family, Kind, Lab, Provider, target};

/// Sections with their options, in order. Its `Display` is UCI text.
#[derive(Clone, Debug)]
pub struct Settings {
    sections: Vec<Section>,
}

#[derive(Clone, Debug)]
struct Section {
    kind: &'static str,
    name: String,
    /// `option` or `list`, name, value
    options: Vec<(&'static str, String, String)>,
}

impl Settings {
    /// All providers of the lab with their gateways, a ping to the first target in each family, `profile fast`.
    pub fn fast(lab: &Lab) -> Settings {
        let settings = Settings::learning(lab);
        lab.providers
            .iter()
            .fold(settings, |settings, provider| settings.gateways(provider))
    }

    /// The same without gateways: they are learned, or not needed.
    pub fn learning(lab: &Lab) -> Settings {
        let mut settings = Settings {
            sections: Vec::new(),
        }
        .with("globals", "globals", "profile", "fast");
        for provider in &lab.providers {
            settings = settings.with("provider", &provider.name, "device", &provider.device);
        }
        settings
            .ping("google", Family::V4)
            .ping("google6", Family::V6)
    }

    /// A ping to the first target of a family.
    #[must_use]
    pub fn ping(self, name: &str, family: Family) -> Settings {
        self.with("check", name, "type", "ping").with(
            "check",
            name,
            "target",
            &target(family).to_string(),
        )
    }

    fn gateways(self, provider: &Provider) -> Settings {
        if provider.kind == Kind::PointToPoint {
            return self;
        }
        let families = if provider.ipv6 {
            &Family::ALL[..]
        } else {
            &[Family::V4]
        };
        families.iter().fold(self, |settings, family| {
            let gateway = provider.gateway_address(*family).to_string();
            settings.list("provider", &provider.name, "gateway", &gateway)
        })
    }

    /// Sets an option of `globals`.
    #[must_use]
    pub fn global(self, option: &str, value: &str) -> Settings {
        self.with("globals", "globals", option, value)
    }

    /// Sets an option of a provider.
    #[must_use]
    pub fn provider(self, name: &str, option: &str, value: &str) -> Settings {
        self.with("provider", name, option, value)
    }

    /// Sets an option of a section, which is added if it does not exist.
    #[must_use]
    pub fn with(mut self, kind: &'static str, name: &str, option: &str, value: &str) -> Settings {
        let section = self.section(kind, name);
        section.options.retain(|(_, other, _)| other != option);
        section
            .options
            .push(("option", option.to_owned(), value.to_owned()));
        self
    }

    /// Adds to a list of a section.
    #[must_use]
    pub fn list(mut self, kind: &'static str, name: &str, list: &str, value: &str) -> Settings {
        let section = self.section(kind, name);
        section
            .options
            .push(("list", list.to_owned(), value.to_owned()));
        self
    }

    /// Removes an option or a list.
    #[must_use]
    pub fn without(mut self, kind: &'static str, name: &str, option: &str) -> Settings {
        let section = self.section(kind, name);
        section.options.retain(|(_, other, _)| other != option);
        self
    }

    /// Removes a whole section.
    #[must_use]
    pub fn without_section(mut self, kind: &'static str, name: &str) -> Settings {
        self.sections
            .retain(|section| (section.kind, section.name.as_str()) != (kind, name));
        self
    }

    /// Gives a section another name.
    #[must_use]
    pub fn renamed(mut self, name: &str, other: &str) -> Settings {
        for section in &mut self.sections {
            if section.name == name {
                other.clone_into(&mut section.name);
            }
        }
        self
    }

    fn section(&mut self, kind: &'static str, name: &str) -> &mut Section {
        let known = self
            .sections
            .iter()
            .position(|s| s.kind == kind && s.name == name);
        let place = known.unwrap_or_else(|| {
            let (name, options) = (name.to_owned(), Vec::new());
            self.sections.push(Section {
                kind,
                name,
                options,
            });
            self.sections.len() - 1
        });
        &mut self.sections[place]
    }
}

impl Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Section {
            kind,
            name,
            options,
        } in &self.sections
        {
            writeln!(f, "config {kind} '{name}'")?;
            for (word, option, value) in options {
                writeln!(f, "\t{word} {option} '{value}'")?;
            }
        }
        Ok(())
    }
}
