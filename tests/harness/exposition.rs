//! The metrics of a daemon as Prometheus reads them: fetched, and parsed without indulgence.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

/// What one look has found: each sample by its name with its labels, as written.
#[derive(Debug, Clone, Default)]
pub struct Exposition {
    samples: BTreeMap<String, f64>,
    /// The declared families, with their types.
    pub families: BTreeMap<String, String>,
}

impl Exposition {
    /// Looks at `/metrics` of an address.
    ///
    /// # Errors
    /// Says what was answered instead of metrics, or what is wrong with them.
    pub fn of(address: &str) -> Result<Self, String> {
        let (head, body) = fetched(address, "/metrics").map_err(|error| error.to_string())?;
        if !head.starts_with("HTTP/1.1 200 ") {
            return Err(format!("{head}\n{body}"));
        }
        let head = head.to_ascii_lowercase();
        if !head.contains("content-type: application/openmetrics-text; version=1.0.0") {
            return Err(format!("not announced as OpenMetrics: {head}"));
        }
        Self::parsed(&body)
    }

    /// Reads the text as OpenMetrics 1.0 has it.
    ///
    /// # Errors
    /// Names the line and the rule that it breaks.
    pub fn parsed(text: &str) -> Result<Self, String> {
        let body = text.strip_suffix("# EOF\n").ok_or("it does not end with # EOF")?;
        let mut parsed = Self::default();
        let mut current = String::new();
        for line in body.lines() {
            let broken = |rule: &str| format!("{rule}: {line}");
            if let Some(comment) = line.strip_prefix("# ") {
                let mut words = comment.splitn(3, ' ');
                let (kind, name) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
                let rest = words.next().ok_or_else(|| broken("a comment has three parts"))?;
                match kind {
                    "TYPE" => {
                        name.clone_into(&mut current);
                        parsed.families.insert(name.to_owned(), rest.to_owned());
                    }
                    "HELP" | "UNIT" => {
                        // HELP and UNIT may come before TYPE.
                        if kind == "UNIT" && !name.ends_with(&format!("_{rest}")) {
                            return Err(broken("a name ends with its unit"));
                        }
                    }
                    _other => return Err(broken("no such comment")),
                }
                continue;
            }
            let (series, value) =
                line.rsplit_once(' ').ok_or_else(|| broken("a sample has a value"))?;
            let name = series.split('{').next().unwrap_or(series);
            let kind = parsed.families.get(&current).map_or("", String::as_str);
            let suffix = name
                .strip_prefix(current.as_str())
                .ok_or_else(|| broken("a sample belongs to the family before it"))?;
            if !suffixes(kind).contains(&suffix) {
                return Err(broken(&format!("a {kind} has no sample {suffix:?}")));
            }
            let labels = series.strip_prefix(name).unwrap_or("");
            if !labels.is_empty() && !is_label_set(labels) {
                return Err(broken("these are no labels"));
            }
            let value: f64 = value.parse().map_err(|_| broken("a value is a number"))?;
            if kind != "gauge" && value < 0.0 {
                return Err(broken("what counts is not negative"));
            }
            if parsed.samples.insert(series.to_owned(), value).is_some() {
                return Err(broken("a sample comes once"));
            }
        }
        parsed.check_histograms()?;
        Ok(parsed)
    }

    /// Returns a sample by its name with its labels as they are written; 0 if there is none.
    #[must_use]
    pub fn value(&self, series: &str) -> f64 {
        self.samples.get(series).copied().unwrap_or(0.0)
    }

    /// Returns the sum of all samples of a name whose labels contain all of these.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let is_meant = |series: &&String| {
            series.split('{').next() == Some(name)
                && labels.iter().all(|label| series.contains(label))
        };
        self.samples.keys().filter(is_meant).map(|series| self.samples[series]).sum()
    }

    /// Returns every series, for those who look for what must not be in it.
    pub fn series(&self) -> impl Iterator<Item = &str> {
        self.samples.keys().map(String::as_str)
    }

    /// Checks that buckets grow and end at what was counted.
    fn check_histograms(&self) -> Result<(), String> {
        let mut last: Option<(String, f64, f64)> = None;
        for (name, kind) in &self.families {
            if kind != "histogram" {
                continue;
            }
            let prefix = format!("{name}_bucket{{");
            let mut buckets: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
            for (series, value) in self.samples.iter().filter(|(one, _)| one.starts_with(&prefix)) {
                let labels = series.trim_start_matches(&prefix).trim_end_matches('}');
                let (bound, others): (Vec<_>, Vec<_>) =
                    labels.split(',').partition(|label| label.starts_with("le="));
                let bound = bound.first().ok_or_else(|| format!("no le: {series}"))?;
                let bound = bound.trim_start_matches("le=\"").trim_end_matches('"');
                let bound = if bound == "+Inf" { f64::INFINITY } else { number(bound)? };
                buckets.entry(others.join(",")).or_default().push((bound, *value));
            }
            for (labels, mut buckets) in buckets {
                buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
                for (bound, count) in &buckets {
                    if let Some((of, _, before)) = &last
                        && *of == format!("{name}{labels}")
                        && before > count
                    {
                        return Err(format!("the bucket {bound} of {name} shrinks"));
                    }
                    last = Some((format!("{name}{labels}"), *bound, *count));
                }
                let set = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
                let all = self.value(&format!("{name}_count{set}"));
                let (end, counted) = buckets.last().copied().unwrap_or((0.0, 0.0));
                if end.is_finite() || (counted - all).abs() > 0.5 {
                    return Err(format!("{name}{set} counts {all}, its last bucket {counted}"));
                }
            }
        }
        Ok(())
    }
}

fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}

/// Returns how the samples of a family of this type may be called beyond its name.
fn suffixes(kind: &str) -> &'static [&'static str] {
    match kind {
        "counter" => &["_total", "_created"],
        "gauge" => &[""],
        "histogram" => &["_bucket", "_sum", "_count"],
        "info" => &["_info"],
        _other => &[],
    }
}

/// Says whether this is `{name="value",…}`; no value of ours needs an escape.
fn is_label_set(text: &str) -> bool {
    let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
    inner.is_some_and(|inner| {
        inner.split(',').all(|label| {
            label.split_once('=').is_some_and(|(name, value)| {
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
                !name.is_empty()
                    && name.bytes().all(plain)
                    && value.len() >= 2
                    && value.starts_with('"')
                    && value.ends_with('"')
                    && !value[1..value.len() - 1].contains(['"', '\\', '\n'])
            })
        })
    })
}

/// Asks for a path over HTTP/1.1; returns the head and the body.
fn fetched(address: &str, path: &str) -> std::io::Result<(String, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    Ok((head.to_owned(), body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_prometheus_would_take_is_refused() {
        for wrong in [
            "# TYPE a counter\na_total 1\n",
            "# TYPE a counter\na 1\n# EOF\n",
            "# TYPE a gauge\nb 1\n# EOF\n",
            "# TYPE a gauge\na 1\na 2\n# EOF\n",
            "# TYPE a gauge\na{b=c} 1\n# EOF\n",
            "# TYPE a_seconds gauge\n# UNIT a_seconds bytes\na_seconds 1\n# EOF\n",
            "# TYPE a histogram\na_sum 1\na_count 2\na_bucket{le=\"+Inf\"} 1\n# EOF\n",
        ] {
            assert!(Exposition::parsed(wrong).is_err(), "{wrong}");
        }
        let right = "# HELP a Help.\n# TYPE a counter\na_total{b=\"c\"} 1\n# EOF\n";
        assert!(Exposition::parsed(right).is_ok());
    }
}
