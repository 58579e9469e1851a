//! Where an output becomes visible.

use votum_ids::{Existing, Target, TargetKind};
use votum_proto::v1;

use crate::{
    Fault, Malformed, Translate,
    translate::{Numbered, enumerated_if_any, number, numbered, set},
};

impl Translate for Target {
    type Proto = v1::PublishTarget;

    fn to_proto(&self) -> v1::PublishTarget {
        let (path, existing) = (self.path.clone(), self.existing.number());
        let keep_versions =
            self.generations_kept.map(|kept| i32::try_from(kept).unwrap_or(i32::MAX));
        let target = match self.kind {
            TargetKind::File => {
                let mode = self.mode.map(|mode| format!("{mode:04o}")).unwrap_or_default();
                v1::publish_target::Target::File(v1::FileTarget {
                    path,
                    mode,
                    existing,
                    keep_versions,
                })
            }
            TargetKind::Tree => {
                v1::publish_target::Target::Tree(v1::TreeTarget { path, existing, keep_versions })
            }
        };
        v1::PublishTarget { target: Some(target) }
    }

    fn from_proto(proto: v1::PublishTarget) -> Result<Self, Malformed> {
        match set("target", proto.target)? {
            v1::publish_target::Target::File(file) => Ok(Self {
                kind: TargetKind::File,
                mode: read_mode("file.mode", &file.mode)?,
                existing: read_existing("file.existing", file.existing)?,
                generations_kept: read_kept("file.keep_versions", file.keep_versions)?,
                path: file.path,
            }),
            v1::publish_target::Target::Tree(tree) => Ok(Self {
                kind: TargetKind::Tree,
                mode: None,
                existing: read_existing("tree.existing", tree.existing)?,
                generations_kept: read_kept("tree.keep_versions", tree.keep_versions)?,
                path: tree.path,
            }),
        }
    }
}

numbered!(Existing, v1::ExistingPolicy { Replace = Replace, Fail = Fail });

fn read_existing(field: &str, number: i32) -> Result<Existing, Malformed> {
    Ok(enumerated_if_any(field, number)?.unwrap_or_default())
}

fn read_kept(field: &str, given: Option<i32>) -> Result<Option<u32>, Malformed> {
    given.map(|given| number(field, given)).transpose()
}

fn read_mode(field: &str, text: &str) -> Result<Option<u32>, Malformed> {
    if text.is_empty() {
        return Ok(None);
    }
    let digits = text.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| digits && *mode <= MODE_MAX);
    mode.map(Some).ok_or_else(|| Malformed::new(field, Fault::form(text, "octal, up to 7777")))
}

/// Every permission bit.
const MODE_MAX: u32 = 0o7777;
