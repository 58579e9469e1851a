//! The job file: from the text somebody wrote to a checked [`JobSpec`], or to every problem in it.
//!
//! The text becomes a tree that knows where each node stands; the tree is read
//! field by field, so that one look shows all problems and each points at its
//! line.

mod diagnostics;
mod fields;
mod limits;
mod locate;
mod lower;
mod output;
mod params;
mod quantity;
mod suggestion;
mod task;
mod yaml;

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use votum_job::JobSpec;

pub(crate) use self::{
    diagnostics::Rejection,
    params::{GivenParams, MissingParams},
};
use self::{diagnostics::Problem, fields::Reader, limits::FILE_BYTES_MAX};

/// Reads the bytes of a job file, at most one more than a job file may have; `-` is standard input.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = FILE_BYTES_MAX as u64 + 1;
    if path == Path::new("-") {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)?;
    } else {
        File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// Makes a checked job of a file's bytes, or says everything that is wrong with them.
pub(crate) fn parse(
    file_name: &str,
    bytes: &[u8],
    given: &GivenParams,
    missing: MissingParams,
) -> Result<JobSpec, Rejection> {
    let reject = |source: &str, problems| Rejection::new(file_name, source, problems);
    let source = limits::text(bytes).map_err(|problem| reject("", vec![problem]))?;
    let root = yaml::parse(source).map_err(|problem| reject(source, vec![problem]))?;
    let mut reader = Reader::new(source);
    let spec = lower::job(&mut reader, &root, given, missing);
    match (spec, reader.into_problems()) {
        (Some(spec), problems) if problems.is_empty() => check(&root, &spec)
            .map(|()| spec)
            .map_err(|problems| reject(source, problems)),
        (_, problems) => Err(reject(source, problems)),
    }
}

fn check(_root: &yaml::Node, _spec: &JobSpec) -> Result<(), Vec<Problem>> {
    Ok(())
}
