//! The two dialects of Routr v1.

/// Which releases of Routr v1 a configuration was written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Edition {
    /// 1.0.0-rc1 and rc2: `DID`, `dids.yml`, `ROUTR_` variables, refs from MD5; an access list denies whom it does
    /// not name.
    Rc2,
    /// 1.0.0-rc3 to 1.2.8: `Number`, `numbers.yml`, plain variables, refs from XXH32; an access list allows whom it
    /// does not name.
    #[default]
    Late,
}

impl Edition {
    /// The text in the configuration.
    pub const WORDS: [(&'static str, Edition); 2] = [("rc2", Edition::Rc2), ("late", Edition::Late)];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Edition::Rc2 => "rc2",
            Edition::Late => "late",
        }
    }
}
