//! One page of the browser: what a person does with it, and what scripts can see of it.

use std::path::Path;
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::devtools::DevTools;
use crate::support::{PATIENCE, wait_for};

/// What a page wrote to its console, or what the browser had to say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `log`, `info`, `warning`, `error`; an exception that nobody caught is an `error`.
    pub level: String,
    /// What it says.
    pub text: String,
}

/// A page. It stays open until the browser ends.
#[derive(Debug)]
pub struct Page {
    tools: DevTools,
    messages: Vec<Message>,
}

impl Page {
    pub(super) fn new(mut tools: DevTools) -> Self {
        for domain in ["Page", "Runtime", "Log"] {
            tools.call(&format!("{domain}.enable"), json!({}));
        }
        tools.call("Page.setLifecycleEventsEnabled", json!({ "enabled": true }));
        // Every page believes that it is the one in front.
        tools.call("Emulation.setFocusEmulationEnabled", json!({ "enabled": true }));
        Self { tools, messages: Vec::new() }
    }

    /// Opens an address, and waits until the page is there with all that belongs to it. A page that is
    /// already open at this address, up to a `#`, is not loaded again.
    pub fn goto(&mut self, url: &str) {
        let started = self.tools.call("Page.navigate", json!({ "url": url }));
        if let Some(reason) = started["errorText"].as_str() {
            panic!("{url}: {reason}");
        }
        // None where only the part behind the `#` has changed.
        let Some(loader) = started["loaderId"].as_str() else { return };
        let is_loaded = |event: &Value| {
            let about = &event["params"];
            event["method"] == "Page.lifecycleEvent" && about["loaderId"] == loader && about["name"] == "load"
        };
        let came = self.tools.wait_for(Instant::now() + 2 * PATIENCE, is_loaded);
        assert!(came.is_some(), "{url} is not loaded in {:?}", 2 * PATIENCE);
        self.collect();
    }

    /// The value of an expression. A promise is waited for. What is no JSON, such as an element, is `{}`.
    pub fn eval(&mut self, js: &str) -> Value {
        self.try_eval(js).unwrap_or_else(|reason| panic!("{js}: {reason}"))
    }

    /// The value of an expression, or what was thrown, or why there is none, as when the page goes away.
    pub fn try_eval(&mut self, js: &str) -> Result<Value, String> {
        let how = json!({
            "expression": js,
            "returnByValue": true,
            "awaitPromise": true,
            // As in a script of the page that a person has set going.
            "userGesture": true,
        });
        let mut answer = self.tools.try_call("Runtime.evaluate", how)?;
        self.collect();
        match answer.get("exceptionDetails") {
            Some(details) => Err(thrown(details)),
            None => Ok(answer["result"]["value"].take()),
        }
    }

    /// Waits until a condition holds, over the loading of other pages. What it throws is "not yet".
    pub fn wait_for(&mut self, condition: &str, within: Duration) {
        let condition = format!("!!({condition})");
        let mut last = Ok(Value::Null);
        let came = wait_for(within, || {
            last = self.try_eval(&condition);
            (last == Ok(Value::Bool(true))).then_some(())
        });
        if came.is_none() {
            let seen = self.try_eval("location.href + '\\n' + document.body.innerText");
            panic!("not in {within:?}: {condition}: {last:?}\nthe page: {seen:?}\n{:?}", self.messages);
        }
    }

    /// Clicks the middle of the first element that a CSS selector finds, as the mouse would.
    pub fn click(&mut self, selector: &str) {
        let js = format!(
            "(() => {{ const e = document.querySelector({}); if (!e) return null;
               e.scrollIntoView({{ block: 'center', inline: 'center', behavior: 'instant' }});
               const r = e.getClientRects()[0]; return r && [r.x + r.width / 2, r.y + r.height / 2]; }})()",
            json!(selector)
        );
        let place = self.eval(&js);
        let (Some(x), Some(y)) = (place[0].as_f64(), place[1].as_f64()) else {
            panic!("nothing to click at {selector}")
        };
        for (kind, buttons) in [("mouseMoved", 0), ("mousePressed", 1), ("mouseReleased", 0)] {
            let button = if kind == "mouseMoved" { "none" } else { "left" };
            let event = json!({
                "type": kind, "x": x, "y": y, "button": button, "buttons": buttons, "clickCount": 1,
            });
            self.tools.call("Input.dispatchMouseEvent", event);
        }
    }

    /// Types where the cursor is: see [`Page::click`] for how it gets there.
    pub fn type_text(&mut self, text: &str) {
        self.tools.call("Input.insertText", json!({ "text": text }));
    }

    /// Presses and releases a key that is no text: `Enter`, `Tab`, `Escape`, `Backspace`, `ArrowUp`, ..
    pub fn press(&mut self, key: &str) {
        let code = match key {
            "Backspace" => 8,
            "Tab" => 9,
            "Enter" => 13,
            "Escape" => 27,
            "PageUp" => 33,
            "PageDown" => 34,
            "End" => 35,
            "Home" => 36,
            "ArrowLeft" => 37,
            "ArrowUp" => 38,
            "ArrowRight" => 39,
            "ArrowDown" => 40,
            "Delete" => 46,
            other => panic!("no key {other}"),
        };
        let mut event = json!({ "type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": code });
        if key == "Enter" {
            event["text"] = json!("\r");
        }
        self.tools.call("Input.dispatchKeyEvent", event.clone());
        event["type"] = json!("keyUp");
        event.as_object_mut().unwrap().remove("text");
        self.tools.call("Input.dispatchKeyEvent", event);
    }

    /// Makes the window as large as this, in CSS pixels; a `mobile` one has a finger for a mouse, and
    /// twice the pixels; `dark` is what the person prefers.
    pub fn emulate(&mut self, width: u32, height: u32, mobile: bool, dark: bool) {
        let scale = if mobile { 2 } else { 1 };
        let screen =
            json!({ "width": width, "height": height, "deviceScaleFactor": scale, "mobile": mobile });
        self.tools.call("Emulation.setDeviceMetricsOverride", screen);
        self.tools.call("Emulation.setTouchEmulationEnabled", json!({ "enabled": mobile }));
        let scheme = if dark { "dark" } else { "light" };
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.tools.call("Emulation.setEmulatedMedia", json!({ "features": [feature] }));
    }

    /// A picture of what the window shows, as PNG.
    pub fn screenshot(&mut self, path: &Path) {
        let picture = self.tools.call("Page.captureScreenshot", json!({ "format": "png" }));
        let bytes = BASE64.decode(picture["data"].as_str().unwrap().as_bytes()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// What the page has written to its console and what the browser said of it, so far.
    pub fn messages(&mut self) -> &[Message] {
        // The answer comes after everything that happened before.
        let _ = self.try_eval("0");
        &self.messages
    }

    /// The messages that say that something is wrong.
    pub fn problems(&mut self) -> Vec<String> {
        let wrong = self.messages().iter().filter(|message| matches!(&*message.level, "error" | "warning"));
        wrong.map(|message| format!("{}: {}", message.level, message.text)).collect()
    }

    /// Keeps what is worth it of what has happened.
    fn collect(&mut self) {
        for event in self.tools.events.drain(..) {
            let about = &event["params"];
            let (level, text) = match event["method"].as_str() {
                Some("Runtime.consoleAPICalled") => (about["type"].as_str(), console(about)),
                Some("Runtime.exceptionThrown") => (Some("error"), thrown(&about["exceptionDetails"])),
                Some("Log.entryAdded") => {
                    let entry = &about["entry"];
                    let (text, url) = (entry["text"].as_str(), entry["url"].as_str());
                    let text = format!("{} ({})", text.unwrap_or_default(), url.unwrap_or_default());
                    (entry["level"].as_str(), text)
                }
                Some("Page.javascriptDialogOpening") => {
                    (Some("error"), format!("a dialog: {}", about["message"]))
                }
                _ => continue,
            };
            self.messages.push(Message { level: level.unwrap_or_default().to_owned(), text });
        }
    }
}

/// What was written to the console, as one line.
fn console(about: &Value) -> String {
    let arguments = about["args"].as_array().into_iter().flatten();
    let words = arguments.map(|argument| match (&argument["value"], argument["description"].as_str()) {
        (Value::String(text), _) => text.clone(),
        (_, Some(description)) => description.to_owned(),
        (value, None) => value.to_string(),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// What was thrown, with the place.
fn thrown(details: &Value) -> String {
    let what = details["exception"]["description"].as_str().or(details["text"].as_str());
    format!("{} at line {}", what.unwrap_or_default(), details["lineNumber"])
}
