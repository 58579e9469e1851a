//! Which jobs a job does not run beside, as its file says it.

use votum_job::{Concurrency, ConcurrencyKey, ConcurrencyPolicy};

use super::{
    Problem,
    conduct::if_any,
    fields::{Fields, Reader},
    shapes::CONCURRENCY,
    tree::{Node, Value},
};

/// Reads the key, alone or with what becomes of the job if another one has it.
pub(super) fn read(reader: &mut Reader<'_>, job: &Fields<'_>) -> Option<Concurrency> {
    let node = job.find("concurrency")?;
    match &node.value {
        Value::Scalar(_) => {
            Some(Concurrency { key: key(reader, node)?, policy: ConcurrencyPolicy::default() })
        }
        Value::Null | Value::Sequence(_) | Value::Mapping(_) => {
            let fields = reader.fields(node, "`concurrency`", &CONCURRENCY);
            let policy = if_any(&fields, "policy", |node| policy(reader, node));
            let Some(node) = fields.find("key") else {
                let problem = "`concurrency` has no `key`".to_owned();
                reader.report(
                    Problem::new(fields.at(), problem)
                        .help("of all jobs with one key one is under way at a time"),
                );
                return None;
            };
            Some(Concurrency { key: key(reader, node)?, policy: policy?.unwrap_or_default() })
        }
    }
}

fn key(reader: &mut Reader<'_>, node: &Node) -> Option<ConcurrencyKey> {
    reader.parsed_substituted(node, str::parse::<ConcurrencyKey>)
}

fn policy(reader: &mut Reader<'_>, node: &Node) -> Option<ConcurrencyPolicy> {
    reader.parsed(node, |text| match text {
        "queue" => Ok(ConcurrencyPolicy::Queue),
        "reject" => Ok(ConcurrencyPolicy::Reject),
        "replace" => Ok(ConcurrencyPolicy::Replace),
        _ => Err("write `queue`, `reject` or `replace`"),
    })
}
