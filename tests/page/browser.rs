//! A headless Chromium, driven by the DevTools protocol over a pair of pipes.
//!
//! No library and no port: the browser reads commands from descriptor 3 and
//! writes answers to descriptor 4, each a JSON text with a zero byte behind it.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use votum_tests::within;

/// A browser with one page.
pub(crate) struct Browser {
    child: Child,
    commands: File,
    messages: Receiver<Value>,
    session: Option<String>,
    asked: u64,
    complaints: Vec<String>,
    _home: TempDir,
}

/// Light or dark, as the machine is set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl Browser {
    /// Starts a browser; none if this machine has none.
    pub(crate) fn start() -> Option<Self> {
        let program = program()?;
        let home = tempfile::Builder::new().prefix("votum-page-").tempdir().unwrap();
        let (commands, command_file) = pipe(home.path(), "commands");
        let (answers, answer_file) = pipe(home.path(), "answers");
        // The shell gives the pipes the numbers that the browser looks for.
        let line =
            format!("exec \"$0\" \"$@\" 3<{} 4>{}", command_file.display(), answer_file.display());
        let child = Command::new("sh")
            .args(["-c", &line, program])
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", home.path().join("profile").display()))
            .env("HOME", home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(home.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let (sender, messages) = sync_channel(MESSAGES_MAX);
        thread::spawn(move || {
            for text in BufReader::new(answers).split(0) {
                let Some(message) = text.ok().and_then(|text| serde_json::from_slice(&text).ok())
                else {
                    return;
                };
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let (session, complaints) = (None, Vec::new());
        let mut browser =
            Self { child, commands, messages, session, asked: 0, complaints, _home: home };
        let target = browser.ask("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.ask("Target.attachToTarget", attach);
        browser.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            browser.ask(domain, json!({}));
        }
        browser.looks(1280, Scheme::Light);
        Some(browser)
    }

    /// Sets the width of the page and what the machine prefers.
    pub(crate) fn looks(&mut self, width: u32, scheme: Scheme) {
        let size = json!({"width": width, "height": 860, "deviceScaleFactor": 1, "mobile": false});
        self.ask("Emulation.setDeviceMetricsOverride", size);
        let value = if scheme == Scheme::Dark { "dark" } else { "light" };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": value}]});
        self.ask("Emulation.setEmulatedMedia", features);
    }

    /// Goes to an address.
    pub(crate) fn open(&mut self, address: &str) {
        self.ask("Page.navigate", json!({"url": address}));
        self.until("the page is there", "document.readyState === 'complete'");
    }

    /// Goes to an address that the browser does not show, and returns why.
    pub(crate) fn open_in_vain(&mut self, address: &str) -> String {
        let answer = self.ask("Page.navigate", json!({"url": address}));
        answer["errorText"].as_str().unwrap_or_default().to_owned()
    }

    /// Takes every certificate from here on, as a person does who has imported the authority's.
    pub(crate) fn trust(&mut self) {
        self.ask("Security.setIgnoreCertificateErrors", json!({"ignore": true}));
    }

    /// Draws what is shown, wide and narrow, below `VOTUM_PICTURES`, for people to look at.
    pub(crate) fn draw(&mut self, name: &str) {
        let Some(folder) = std::env::var_os("VOTUM_PICTURES").map(PathBuf::from) else { return };
        std::fs::create_dir_all(&folder).unwrap();
        for (width, scheme, word) in [(390, Scheme::Dark, "dark"), (1280, Scheme::Light, "light")] {
            self.looks(width, scheme);
            self.eval(
                "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))",
            );
            self.picture(&folder.join(format!("{name}-{width}-{word}.png")));
        }
    }

    /// Evaluates an expression in the page, and waits for it if it is a promise.
    #[track_caller]
    pub(crate) fn eval(&mut self, expression: &str) -> Value {
        let arguments =
            json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let answer = self.ask("Runtime.evaluate", arguments);
        let thrown = &answer["exceptionDetails"];
        assert!(thrown.is_null(), "{expression}: {thrown}");
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, expression: &str) {
        let found = within(PATIENCE, || (self.eval(expression) == json!(true)).then_some(()));
        if found.is_none() {
            let text = self.eval("document.body.innerText");
            panic!("not within {PATIENCE:?}: {what}; the page says: {text}; {:?}", self.complaints);
        }
    }

    /// Waits until the page says something.
    #[track_caller]
    pub(crate) fn until_it_says(&mut self, text: &str) {
        self.until(text, &format!("document.body?.innerText.includes({}) === true", json!(text)));
    }

    /// Presses the button that says this, once it is there.
    #[track_caller]
    pub(crate) fn press(&mut self, words: &str) {
        let button = format!(
            "[...document.querySelectorAll('button')].filter(one => one.textContent.trim() === \
             {} && !one.disabled).at(-1)",
            json!(words)
        );
        self.until(words, &format!("Boolean({button})"));
        self.eval(&format!("({button}).click()"));
    }

    /// Follows the link that says this, once it is there.
    #[track_caller]
    pub(crate) fn press_link(&mut self, words: &str) {
        let link = format!(
            "[...document.querySelectorAll('a')].find(one => one.textContent.trim() === {})",
            json!(words)
        );
        self.until(words, &format!("Boolean({link})"));
        self.eval(&format!("({link}).click()"));
    }

    /// Types into the field that a selector finds, in place of what stood there.
    #[track_caller]
    pub(crate) fn fill(&mut self, selector: &str, text: &str) {
        let field = format!("document.querySelector({})", json!(selector));
        self.until(selector, &format!("Boolean({field})"));
        self.eval(&format!("{field}.focus(), {field}.select()"));
        self.ask("Input.insertText", json!({"text": text}));
    }

    /// Presses a key.
    pub(crate) fn key(&mut self, key: &str) {
        // What is no letter has a number, and what writes nothing no text.
        let (code, text) = match key {
            "Enter" => (13, "\r"),
            "Escape" => (27, ""),
            "ArrowLeft" => (37, ""),
            letter => (0, letter),
        };
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({"type": kind, "key": key, "windowsVirtualKeyCode": code});
            if kind == "keyDown" && !text.is_empty() {
                event["text"] = json!(text);
            }
            self.ask("Input.dispatchKeyEvent", event);
        }
    }

    /// Writes a picture of the whole page.
    pub(crate) fn picture(&mut self, file: &Path) {
        let size = self.eval("[innerWidth, Math.min(document.documentElement.scrollHeight, 2400)]");
        let clip = json!({"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1});
        let arguments = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let taken = self.ask("Page.captureScreenshot", arguments);
        std::fs::write(file, decoded(taken["data"].as_str().unwrap())).unwrap();
    }

    /// Returns what the console was told to complain about.
    pub(crate) fn complaints(&mut self) -> Vec<String> {
        self.eval("0");
        self.complaints.clone()
    }

    #[track_caller]
    fn ask(&mut self, method: &str, arguments: Value) -> Value {
        self.asked += 1;
        let mut command = json!({"id": self.asked, "method": method, "params": arguments});
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        self.commands.write_all(format!("{command}\0").as_bytes()).unwrap();
        loop {
            let mut message = match self.messages.recv_timeout(PATIENCE) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("the browser does not answer to {method}")
                }
            };
            if message["id"] == self.asked {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].take();
            }
            self.hear(&message);
        }
    }

    fn hear(&mut self, message: &Value) {
        let event = &message["params"];
        let complains = match message["method"].as_str() {
            Some("Runtime.exceptionThrown" | "Page.javascriptDialogOpening") => true,
            // Interfaces that come and go on this machine end requests; the page asks again.
            Some("Log.entryAdded") => {
                let text = event["entry"]["text"].as_str().unwrap_or_default();
                event["entry"]["level"] == "error" && !text.contains("ERR_NETWORK_CHANGED")
            }
            Some("Runtime.consoleAPICalled") => event["type"] == "error",
            Some(_) | None => false,
        };
        if complains {
            self.complaints.push(event.to_string());
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> Option<&'static str> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there =
        |program: &&str| std::env::split_paths(&path).any(|folder| folder.join(*program).is_file());
    PROGRAMS.into_iter().find(is_there)
}

/// Makes a named pipe, and opens it so that nobody waits for the other end.
fn pipe(home: &Path, name: &str) -> (File, PathBuf) {
    let file = home.join(name);
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &file, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    (OpenOptions::new().read(true).write(true).open(&file).unwrap(), file)
}

/// Reads base64.
fn decoded(text: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut kept, mut bits) = (0_u32, 0);
    for letter in text.bytes() {
        let Some(value) = LETTERS.iter().position(|one| *one == letter) else { break };
        kept = kept << 6 | value as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((kept >> bits & 0xff) as u8);
        }
    }
    bytes
}

/// What Chromium is called on different systems.
const PROGRAMS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];
const FLAGS: [&str; 8] = [
    "--headless=new",
    // The tests may run as root, and open only what they serve themselves.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--remote-debugging-pipe",
];
const MESSAGES_MAX: usize = 4096;
const PATIENCE: Duration = Duration::from_secs(60);
