//! Runs the demo's scripts as a worker would, and reads what they leave.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use votum_job::{Graph, InputSpec, JobSpec, Program};

use super::*;

/// One directory for each task of the job.
struct Bench {
    root: tempfile::TempDir,
    spec: JobSpec,
}

impl Bench {
    fn new(sources: &Path, lock: Option<&Path>, more: &[(&str, &str)]) -> Self {
        let mut params = vec![("sources".to_owned(), sources.to_string_lossy().into_owned())];
        params.extend(lock.map(|lock| ("lock".to_owned(), lock.to_string_lossy().into_owned())));
        params.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let given = GivenParams::new(params);
        let spec = job_file::parse(NAME, JOB_FILE.as_bytes(), None, &given, MissingParams::Refused);
        Self { root: tempfile::tempdir().unwrap(), spec: spec.unwrap() }
    }

    /// Runs every task in the order of the graph, up to the first that fails.
    fn run(&self) -> Result<(), (String, Output)> {
        let graph = Graph::check(&self.spec).unwrap();
        for &position in graph.order() {
            let task = graph.name(position).as_str();
            let output = self.run_task(task);
            if !output.status.success() {
                return Err((task.to_owned(), output));
            }
        }
        Ok(())
    }

    fn run_task(&self, name: &str) -> Output {
        let task = &self.spec.tasks[&name.parse().unwrap()];
        let Program::Script { text, interpreter } = &task.program else { panic!("{name}") };
        let work = self.root.path().join(name).join("work");
        fs::create_dir_all(&work).unwrap();
        let script = self.root.path().join(name).join("script");
        fs::write(&script, text).unwrap();
        let mut env: BTreeMap<String, PathBuf> = BTreeMap::new();
        for output in task.outputs.keys() {
            env.insert(variable("OUTPUT", output.as_str()), self.output(name, output.as_str()));
        }
        for (input, source) in &task.inputs {
            let InputSpec::TaskOutput { task, output } = source else { panic!("{name}.{input}") };
            env.insert(
                variable("INPUT", input.as_str()),
                self.output(task.as_str(), output.as_str()),
            );
        }
        let params = self.spec.params.iter().map(|(name, value)| (variable("PARAM", name), value));
        fs::create_dir_all(self.root.path().join(name).join("out")).unwrap();
        Command::new(&interpreter[0])
            .args(&interpreter[1..])
            .arg(&script)
            .current_dir(&work)
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap())
            .envs(&self.spec.env)
            .envs(env)
            .envs(params)
            .env("VOTUM_JOB_ID", "dependency-audit-test0001")
            .env("VOTUM_WORKER", "s3")
            .output()
            .unwrap()
    }

    fn output(&self, task: &str, output: &str) -> PathBuf {
        let spec = &self.spec.tasks[&task.parse().unwrap()];
        let path = &spec.outputs[&output.parse().unwrap()].path;
        self.root.path().join(task).join("out").join(path)
    }

    fn read(&self, task: &str, output: &str) -> String {
        fs::read_to_string(self.output(task, output)).unwrap()
    }
}

fn variable(kind: &str, name: &str) -> String {
    format!("VOTUM_{kind}_{}", votum_job::mangled(name))
}

fn write(path: PathBuf, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Three crates with everything that is hard to read in a crate.
fn three_crates() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join("index").join(path);
    write(
        at("alpha-1.0.0/Cargo.toml"),
        "[package]\nname = \"alpha\"\nversion = \"1.0.0\"\nlicense = \"MIT OR Apache-2.0\"\n\
         description = \"First, with \\\"quotes\\\" </script>\"\n[dependencies]\nlicense = \"none\"\n",
    );
    write(at("alpha-1.0.0/build.rs"), "fn main() {}\n");
    write(at("alpha-1.0.0/LICENSE-MIT"), "the MIT text\n");
    write(at("alpha-1.0.0/README.md"), "Parses flamingo feathers.\n");
    write(
        at("alpha-1.0.0/src/lib.rs"),
        "// unsafe in a comment\n/* unsafe\n   in a block */\n\npub unsafe fn pounce() { unsafe { } }\n\
         pub struct NightHeron; // unsafe\n",
    );
    write(
        at("beta-0.2.0/Cargo.toml"),
        "[package]\nname = \"beta\"\nversion = \"0.2.0\"\nlicense = \"GPL-3.0-only\"\n\
         description = \"\"\"\nSecond, over\ntwo lines.\n\"\"\"\n[lib]\nproc-macro = true\n",
    );
    write(at("beta-0.2.0/src/lib.rs"), "pub fn stork() {}\n");
    write(
        at("gamma-3.1.4-rc.1/Cargo.toml"),
        "[package]\nname = \"gamma\"\nversion = \"3.1.4-rc.1\"\n\
         license = \"(MIT OR Apache-2.0) AND Unicode-3.0\"\n",
    );
    write(at("gamma-3.1.4-rc.1/src/lib.rs"), "");
    root
}

#[test]
fn the_audit_tells_licences_size_and_unsafe_code_apart() {
    let crates = three_crates();
    let bench = Bench::new(crates.path(), None, &[]);
    bench.run().unwrap();
    let licences = fs::read_to_string(bench.output("licences", "licences").join("licences.csv"));
    assert_eq!(
        licences.unwrap(),
        "crate,version,licence,verdict,runs at build time\n\
         alpha,1.0.0,\"MIT OR Apache-2.0\",allowed,\"build script\"\n\
         beta,0.2.0,\"GPL-3.0-only\",look,\"procedural macro\"\n\
         gamma,3.1.4-rc.1,\"(MIT OR Apache-2.0) AND Unicode-3.0\",allowed,\"\"\n"
    );
    assert_eq!(
        bench.read("statistics", "statistics"),
        "crate,version,files,lines,code,unsafe\nalpha,1.0.0,2,7,3,2\nbeta,0.2.0,1,1,1,0\n\
         gamma,3.1.4-rc.1,0,0,0,0\n"
    );
    let texts = bench.output("licences", "licences").join("texts/alpha-1.0.0/LICENSE-MIT");
    assert_eq!(fs::read_to_string(texts).unwrap(), "the MIT text\n");
}

#[test]
fn the_index_leads_from_words_to_crates() {
    let crates = three_crates();
    let bench = Bench::new(crates.path(), None, &[]);
    bench.run().unwrap();
    let index: serde_json::Value = serde_json::from_str(&bench.read("index", "index")).unwrap();
    assert_eq!(index["crates"][0], "alpha 1.0.0");
    for word in ["pounce", "nightheron", "night", "heron", "flamingo", "alpha"] {
        assert_eq!(index["words"][word], serde_json::json!([0]), "{word}");
    }
    assert_eq!(index["words"]["stork"], serde_json::json!([1]));
    assert!(index["words"]["the"].is_null());
}

#[test]
fn the_report_holds_its_data_and_nothing_from_the_network() {
    let crates = three_crates();
    let bench = Bench::new(crates.path(), None, &[]);
    bench.run().unwrap();
    let page = bench.read("report", "report");
    let rows: serde_json::Value = serde_json::from_str(embedded(&page, "rows")).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 3);
    assert_eq!(rows[0][9], "First, with \"quotes\" </script>");
    assert_eq!(rows[1][9], "Second, over two lines.");
    assert_eq!((&rows[1][3], &rows[0][7]), (&"look".into(), &2.into()));
    let _: serde_json::Value = serde_json::from_str(embedded(&page, "index")).unwrap();
    assert!(!page.contains("src=\"http") && !page.contains("<link"), "nothing is loaded");
}

fn embedded<'a>(page: &'a str, id: &str) -> &'a str {
    let start = format!("<script id=\"{id}\" type=\"application/json\">");
    let (_, rest) = page.split_once(&start).unwrap();
    rest.split_once("</script>").unwrap().0
}

#[test]
fn a_strict_audit_fails_on_a_licence_that_is_not_allowed() {
    let crates = three_crates();
    let (task, output) = Bench::new(crates.path(), None, &[("strict", "yes")]).run().unwrap_err();
    assert_eq!((task.as_str(), output.status.code()), ("licences", Some(65)));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("beta 0.2.0: GPL-3.0-only"), "{told}");
}

#[test]
fn a_lock_file_chooses_the_crates_and_tells_the_absent_ones() {
    let crates = three_crates();
    let lock = crates.path().join("Cargo.lock");
    let entry = |name: &str, version: &str| {
        format!(
            "[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n\
             source = \"registry+https://registry.example/index\"\n\n"
        )
    };
    let own = "[[package]]\nname = \"mine\"\nversion = \"0.1.0\"\n\n";
    fs::write(&lock, [own, &entry("beta", "0.2.0"), &entry("delta", "9.0.0")].concat()).unwrap();
    let bench = Bench::new(crates.path(), Some(&lock), &[]);
    assert!(bench.run_task("inventory").status.success());
    assert!(bench.read("inventory", "crates").starts_with("beta\t0.2.0\t"));
    assert_eq!(bench.read("inventory", "crates").lines().count(), 1);
    assert_eq!(bench.read("inventory", "absent"), "delta 9.0.0\n");
}

#[test]
fn without_crates_the_audit_says_so() {
    let empty = tempfile::tempdir().unwrap();
    let output = Bench::new(empty.path(), None, &[]).run_task("inventory");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("no crates below"));
}

#[test]
fn the_crates_of_this_project_can_be_audited() {
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock");
    let bench = Bench::new(&sources().unwrap(), Some(&lock), &[]);
    bench.run().unwrap();
    let crates = bench.read("inventory", "crates");
    assert!(crates.lines().any(|line| line.starts_with("serde\t")), "{crates}");
    let statistics = bench.read("statistics", "statistics");
    let code = |name: &str| -> u64 {
        let line = statistics.lines().find(|line| line.starts_with(&format!("{name},"))).unwrap();
        line.split(',').nth(4).unwrap().parse().unwrap()
    };
    assert!(code("serde") > 500 && code("tokio") > 10_000);
    let index: serde_json::Value = serde_json::from_str(&bench.read("index", "index")).unwrap();
    assert!(index["words"].as_object().unwrap().len() > 1_000);
}
