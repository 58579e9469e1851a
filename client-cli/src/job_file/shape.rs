//! How the parts of a job file are described: one description for the reader, the published schema
//! and the reference.
//!
//! The reader refuses every field that a shape does not have; the schema and the
//! tables of `docs/jobs.md` are made of the same shapes. Tests hold that each
//! field of a shape is read, and that reader and schema refuse the same.

/// A part of a job file with named fields.
#[derive(Debug)]
pub(crate) struct Shape {
    /// What it is called, in the schema and in the marks of the reference.
    pub name: &'static str,
    /// What it is, in one sentence.
    pub about: &'static str,
    /// Its fields, in the order in which people should read of them.
    pub fields: &'static [Field],
    /// Of these fields exactly one is given; none if it is empty.
    pub one_of: &'static [&'static str],
    /// Pairs of fields: the first is given only beside the second.
    pub beside: &'static [(&'static str, &'static str)],
}

/// A field of a shape.
#[derive(Debug)]
pub(crate) struct Field {
    /// Its name in the file.
    pub name: &'static str,
    /// What may stand there.
    pub holds: Holds,
    /// What it means, in Markdown.
    pub about: &'static str,
    /// What holds when it is left out, in Markdown.
    pub default: &'static str,
    /// Whether it must be given.
    pub must: bool,
}

/// What may stand in a field.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Holds {
    /// Always this number.
    Always(u32),
    /// Any text; numbers, dates, `true` and `false` are taken as they were written.
    Text,
    /// A name of this kind.
    Name(Name),
    /// A whole number from the first to the second.
    Whole(u32, u32),
    /// `true` or `false`.
    Flag,
    /// A duration, such as `1h 30m`.
    Duration,
    /// A size in bytes, such as `4GiB`.
    Size,
    /// Processor cores, such as `1.5`.
    Cores,
    /// Permission bits, octal.
    Mode,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Names with texts.
    Texts,
    /// A list.
    List(&'static Self),
    /// Names of this kind, each with what may stand there, at least and at most so many.
    Many(Name, &'static Self, usize, usize),
    /// Fields of their own.
    Fields(&'static Shape),
    /// Either of the two; the first is the shorthand.
    Either(&'static Self, &'static Self),
}

/// A kind of names.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Name {
    /// Of a job, which leaves room for the end of its id.
    Job,
    /// Of a task, an effect, a step, an output, an input or a parameter.
    Inner,
    /// Of an output of a task, as `task.output`.
    Output,
}

impl Shape {
    /// Returns the field of this name.
    pub(crate) fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Returns the names of all fields.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.fields.iter().map(|field| field.name)
    }
}

/// Makes a field that may be left out.
pub(super) const fn field(
    name: &'static str,
    holds: Holds,
    about: &'static str,
    default: &'static str,
) -> Field {
    Field { name, holds, about, default, must: false }
}

/// Makes a field that must be given.
pub(super) const fn must(name: &'static str, holds: Holds, about: &'static str) -> Field {
    Field { name, holds, about, default: "must be given", must: true }
}
