//! The classes in which elements are sealed: who may see one class need not see another.

use std::ops::Range;

/// Why an element is sealed. Its number is stored with the section and never changes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SealClass {
    /// Names, identifiers, addresses, birth dates: who the person is.
    Identity,
    /// Narratives, notes, attachments, free text.
    Narrative,
    /// What the person has.
    Diagnosis,
    /// What is done about it.
    Treatment,
    /// Substance use treatment records, 42 CFR Part 2.
    Part2,
    /// HIV and AIDS.
    Hiv,
    /// Behavioural health.
    Behavioural,
    /// Reproductive and sexual health.
    Reproductive,
}

/// A value to seal: where its text stands in the resource.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SealedSpan {
    /// The bytes of the value, quotes or brackets included.
    pub span: Range<usize>,
    /// The class it is sealed under.
    pub class: SealClass,
}

/// A set of classes: those that a permit lets through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SealClasses(u8);

impl SealClass {
    /// Every class, by number.
    pub const ALL: [SealClass; 8] = [
        SealClass::Identity,
        SealClass::Narrative,
        SealClass::Diagnosis,
        SealClass::Treatment,
        SealClass::Part2,
        SealClass::Hiv,
        SealClass::Behavioural,
        SealClass::Reproductive,
    ];

    /// The number to store.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            SealClass::Identity => 0,
            SealClass::Narrative => 1,
            SealClass::Diagnosis => 2,
            SealClass::Treatment => 3,
            SealClass::Part2 => 4,
            SealClass::Hiv => 5,
            SealClass::Behavioural => 6,
            SealClass::Reproductive => 7,
        }
    }

    /// The class with that stored number.
    #[must_use]
    pub fn from_code(code: u8) -> Option<SealClass> {
        SealClass::ALL.get(usize::from(code)).copied()
    }

    /// The name used in sealing rules and key derivation.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            SealClass::Identity => "identity",
            SealClass::Narrative => "narrative",
            SealClass::Diagnosis => "diagnosis",
            SealClass::Treatment => "treatment",
            SealClass::Part2 => "part2",
            SealClass::Hiv => "hiv",
            SealClass::Behavioural => "behavioural",
            SealClass::Reproductive => "reproductive",
        }
    }

    /// The class of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<SealClass> {
        SealClass::ALL.into_iter().find(|class| class.name() == name)
    }
}

impl SealClasses {
    /// Every class.
    pub const ALL: SealClasses = SealClasses(u8::MAX);
    /// No class.
    pub const NONE: SealClasses = SealClasses(0);

    /// These and one more.
    #[must_use]
    pub fn with(self, class: SealClass) -> SealClasses {
        SealClasses(self.0 | 1 << class.code())
    }

    /// These without one.
    #[must_use]
    pub fn without(self, class: SealClass) -> SealClasses {
        SealClasses(self.0 & !(1 << class.code()))
    }

    /// Those that are among these and the others.
    #[must_use]
    pub fn and(self, others: SealClasses) -> SealClasses {
        SealClasses(self.0 & others.0)
    }

    /// Whether the class is among them.
    #[must_use]
    pub fn contains(self, class: SealClass) -> bool {
        self.0 & 1 << class.code() != 0
    }
}
