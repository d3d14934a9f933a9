//! Drives a browser with `WebDriver` (W3C): JSON over HTTP/1.1 to chromedriver, on a
//! plain socket. The crates that do this bring in a hundred others.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The result of a call to the browser, or why it failed.
pub(crate) type Result<T> = std::result::Result<T, String>;

/// How long any single command may take on a loaded machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// Becomes chromedriver at the first line of input: by then there is somebody to end it.
const DRIVER: &str = "read go && exec chromedriver --port=0";
/// Waits for the end of its input, which comes when whoever started it is gone, however
/// that happened: a test that is killed cleans nothing up. It then kills the browser with
/// everything that belongs to it, and removes the folder that they wrote into.
const KEEPER: &str = "cat >/dev/null; kill -KILL \"-$1\"; \
                      while ! rm -rf -- \"$TMPDIR\"; do :; done";

/// A headless Chromium of its own.
pub(crate) struct Browser {
    driver: Child,
    keeper: Child,
    port: u16,
    session: String,
}

impl Browser {
    /// Starts one, with its files below `folder`; `None` if there is no chromedriver.
    pub(crate) fn start(folder: &Path) -> Result<Option<Browser>> {
        match Command::new("chromedriver").arg("--version").output() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(error) => return Err(format!("start chromedriver: {error}")),
            Ok(_) => {}
        }
        let own = folder.join(format!("browser-{}", std::process::id()));
        std::fs::create_dir_all(&own)
            .map_err(|error| format!("make {}: {error}", own.display()))?;
        let mut driver = shell(&own, DRIVER, &[])?;
        let keeper = match shell(&own, KEEPER, &[&driver.id().to_string()]) {
            Ok(keeper) => keeper,
            Err(error) => {
                let _ = driver.kill();
                return Err(error);
            }
        };
        let mut it = Browser { driver, keeper, port: 0, session: String::new() };
        let go = it.driver.stdin.take();
        go.ok_or("chromedriver has no input")?
            .write_all(b"go\n")
            .map_err(|error| format!("start chromedriver: {error}"))?;
        it.port = it.read_port()?;
        let options = json!({"args": [
            "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
            "--window-size=1440,900", "--force-device-scale-factor=1",
        ]});
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let made = it.call("POST", "/session", &wanted)?;
        let session = made["sessionId"].as_str();
        it.session = session.ok_or("chromedriver gave no session")?.to_owned();
        Ok(Some(it))
    }

    /// Reads the port on which chromedriver says it is listening.
    fn read_port(&mut self) -> Result<u16> {
        let out = self.driver.stdout.take().ok_or("chromedriver has no output")?;
        let (send, receive) = mpsc::channel();
        // Reads to the end, so that the driver never blocks on a full pipe.
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(std::io::Result::ok) {
                let port = line.rsplit_once("successfully on port ");
                let port = port.and_then(|(_, it)| it.trim_end_matches('.').parse().ok());
                if let Some(port) = port {
                    let _ = send.send(port);
                }
            }
        });
        receive
            .recv_timeout(DEADLINE)
            .map_err(|_| "chromedriver does not say its port".to_owned())
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let say = |error: std::io::Error| format!("{method} {path}: {error}");
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).map_err(say)?;
        socket.set_read_timeout(Some(DEADLINE)).map_err(say)?;
        let body = if method == "GET" { String::new() } else { body.to_string() };
        let length = body.len();
        write!(
            socket,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: \
             application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
        .map_err(say)?;
        let mut reader = BufReader::new(socket);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).map_err(say)?;
            if line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut answer = vec![0; length];
        reader.read_exact(&mut answer).map_err(say)?;
        let answer: Value = serde_json::from_slice(&answer)
            .map_err(|error| format!("{method} {path}: {error}"))?;
        match answer["value"]["error"].as_str() {
            Some(error) => {
                Err(format!("{method} {path}: {error}: {}", answer["value"]["message"]))
            }
            None => Ok(answer["value"].clone()),
        }
    }

    fn on(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        self.call(method, &format!("/session/{}{path}", self.session), body)
    }

    /// Opens a page and waits until it is loaded.
    pub(crate) fn open(&self, address: &str) -> Result<()> {
        self.on("POST", "/url", &json!({ "url": address })).map(drop)
    }

    /// Runs a script in the page and returns its result.
    pub(crate) fn run(&self, script: &str) -> Result<Value> {
        self.on("POST", "/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Runs a script that calls its last argument when it is done.
    pub(crate) fn run_async(&self, script: &str) -> Result<Value> {
        self.on("POST", "/execute/async", &json!({ "script": script, "args": [] }))
    }

    /// Runs a script again and again until it returns true.
    pub(crate) fn until(&self, what: &str, script: &str) -> Result<()> {
        let begin = Instant::now();
        while self.run(script)? != Value::Bool(true) {
            if begin.elapsed() > DEADLINE {
                return Err(format!("{what}: not within {DEADLINE:?}"));
            }
        }
        Ok(())
    }

    /// Presses keys, one after another.
    pub(crate) fn keys(&self, keys: &str) -> Result<()> {
        let keys: Vec<Value> = keys
            .chars()
            .flat_map(|key| {
                ["keyDown", "keyUp"].map(|what| json!({"type": what, "value": key}))
            })
            .collect();
        let actions =
            json!({"actions": [{"type": "key", "id": "keys", "actions": keys}]});
        self.on("POST", "/actions", &actions).map(drop)
    }

    /// Scrolls the element of a selector into view and moves the pointer onto it.
    pub(crate) fn point_at(&self, selector: &str) -> Result<()> {
        let find = json!({"using": "css selector", "value": selector});
        let element = self.on("POST", "/element", &find)?;
        self.run(&format!(
            "document.querySelector({selector:?}).scrollIntoView({{block: 'center'}})"
        ))?;
        let moves = json!({"actions": [{"type": "pointer", "id": "mouse", "actions": [
            {"type": "pointerMove", "duration": 0, "origin": element, "x": 0, "y": 0},
        ]}]});
        self.on("POST", "/actions", &moves).map(drop)
    }

    /// The port of its chromedriver.
    #[allow(dead_code, reason = "a test asks whether it is still there")]
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Sends a command of Chromium's own protocol.
    pub(crate) fn chromium(&self, command: &str, params: &Value) -> Result<Value> {
        let body = json!({"cmd": command, "params": params});
        self.on("POST", "/goog/cdp/execute", &body)
    }

    /// What the console has shown since this was last asked, without the harmless lines.
    pub(crate) fn complaints(&self) -> Result<Vec<String>> {
        let log = self.on("POST", "/se/log", &json!({"type": "browser"}))?;
        let entries = log.as_array().cloned().unwrap_or_default();
        let complaints = entries.iter().filter(|it| it["level"] != "INFO");
        Ok(complaints.map(|it| it["message"].to_string()).collect())
    }

    /// Resets the browser to its initial state: no emulation.
    pub(crate) fn reset(&self) -> Result<()> {
        self.chromium("Emulation.setScriptExecutionDisabled", &json!({"value": false}))?;
        self.chromium(
            "Emulation.setEmulatedMedia",
            &json!({"media": "", "features": []}),
        )?;
        self.chromium("Emulation.clearDeviceMetricsOverride", &json!({}))?;
        self.open("about:blank")?;
        self.complaints().map(drop)
    }

    /// Emulates a system set to light or dark colours.
    pub(crate) fn colours(&self, scheme: &str) -> Result<()> {
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        let media = json!({"media": "", "features": [feature]});
        self.chromium("Emulation.setEmulatedMedia", &media).map(drop)
    }

    /// Gives the page a window of this size in pixels.
    pub(crate) fn size(&self, width: u32, height: u32) -> Result<()> {
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.chromium("Emulation.setDeviceMetricsOverride", &metrics).map(drop)
    }

    /// Takes a screenshot of the window: a PNG in base64.
    #[allow(
        dead_code,
        reason = "the tests take no picture; the program that makes one does"
    )]
    pub(crate) fn picture(&self) -> Result<String> {
        let picture = self.on("GET", "/screenshot", &Value::Null)?;
        picture.as_str().map(str::to_owned).ok_or_else(|| "no picture".to_owned())
    }
}

/// Starts a shell in a process group of its own, which Ctrl-C does not reach. Whatever
/// Chromium stores for its user goes into the folder too.
fn shell(folder: &Path, script: &str, words: &[&str]) -> Result<Child> {
    let mut shell = Command::new("sh");
    for name in ["TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"] {
        shell.env(name, folder);
    }
    shell
        .args(["-c", script, "sh"])
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut shell, 0);
    shell.spawn().map_err(|error| format!("start sh: {error}"))
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            let _ = self.on("DELETE", "", &json!({}));
        }
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
        let _ = self.driver.wait();
    }
}
