"""A headless Chromium driven through the DevTools protocol over a pipe (fds 3 and 4): no port, no package."""
import base64, json, os, shutil, subprocess, tempfile, threading, time

FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server",
         "--remote-debugging-pipe", "--hide-scrollbars"]
KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32}


class Browser:
    def __init__(self, binary="chromium"):
        self.home = tempfile.mkdtemp(prefix="page-test-")
        ours_read, theirs_write = os.pipe()
        theirs_read, ours_write = os.pipe()

        # The pipe's ends must be 3 and 4 in the browser.
        command = ["sh", "-c", f'exec "$@" 3<&{theirs_read} 4>&{theirs_write}', "sh", binary, *FLAGS, f"--user-data-dir={self.home}", "about:blank"]
        self.process = subprocess.Popen(command, pass_fds=(theirs_read, theirs_write), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(theirs_read)
        os.close(theirs_write)
        self.write, self.read = os.fdopen(ours_write, "wb", buffering=0), ours_read
        self.answers, self.listeners, self.last, self.news = {}, [], 0, threading.Condition()
        threading.Thread(target=self.pump, daemon=True).start()
        self.version = self.call("Browser.getVersion")["product"]

    def pump(self):
        rest = b""
        while piece := os.read(self.read, 1 << 20):
            *messages, rest = (rest + piece).split(b"\0")
            for message in map(json.loads, messages):
                with self.news:
                    if "id" in message:
                        self.answers[message["id"]] = message
                        self.news.notify_all()
                if "method" in message:
                    for listener in list(self.listeners):
                        listener(message)

    def send(self, method, session=None, **params):
        with self.news:
            self.last += 1
            mine = self.last
        self.write.write(json.dumps({"id": mine, "method": method, "params": params, **({"sessionId": session} if session else {})}).encode() + b"\0")
        return mine

    def call(self, method, session=None, **params):
        mine = self.send(method, session, **params)
        with self.news:
            if not self.news.wait_for(lambda: mine in self.answers, 30):
                raise TimeoutError(method)
            answer = self.answers.pop(mine)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def close(self):
        try:
            self.call("Browser.close")
            self.process.wait(10)
        except (OSError, TimeoutError, subprocess.TimeoutExpired):
            self.process.kill()
        shutil.rmtree(self.home, ignore_errors=True)


class Tab:
    """A tab in a context of its own (its own sessionStorage); `errors` has what the console showed."""

    def __init__(self, browser, url, dark=False, width=1280, height=900, phone=False):
        self.browser, self.errors = browser, []
        self.context = browser.call("Target.createBrowserContext")["browserContextId"]
        target = browser.call("Target.createTarget", url="about:blank", browserContextId=self.context)["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        browser.listeners.append(self.hear)
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2 if phone else 1, mobile=phone)
        self.call("Page.navigate", url=url)

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def hear(self, message):
        if message.get("sessionId") != self.session:
            return
        method, params = message["method"], message["params"]
        if method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.errors.append(params["entry"]["text"] + " " + params["entry"].get("url", ""))
        if method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(params["exceptionDetails"])[:400])
        if method == "Runtime.consoleAPICalled":
            self.errors.append(str([a.get("value") for a in params["args"]]))
        if method == "Page.javascriptDialogOpening":
            self.errors.append("dialog: " + params["message"])
            self.browser.send("Page.handleJavaScriptDialog", self.session, accept=True)

    def js(self, expression):
        got = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in got:
            raise AssertionError(got["exceptionDetails"].get("exception", {}).get("description") or got)
        return got["result"].get("value")

    def until(self, expression, seconds=10):
        end = time.time() + seconds
        while not (value := self.js(expression)):
            if time.time() > end:
                raise AssertionError(f"never became true: {expression}")
            time.sleep(0.05)
        return value

    def click(self, expression):
        self.js(f"({expression}).scrollIntoView({{block: 'center'}})")
        x, y = self.js(f"(() => {{ const r = ({expression}).getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; }})()")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def key(self, name):
        text = {"text": "\r"} if name == "Enter" else {"text": " "} if name == " " else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=name, code={" ": "Space"}.get(name, name), windowsVirtualKeyCode=KEYS[name], **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=name, code={" ": "Space"}.get(name, name), windowsVirtualKeyCode=KEYS[name])

    def type(self, text):
        self.call("Input.insertText", text=text)

    def picture(self, path):
        height = self.js("document.documentElement.scrollHeight")
        width = self.js("innerWidth")
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=dict(x=0, y=0, width=width, height=height, scale=1))
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))

    def close(self):
        self.browser.listeners.remove(self.hear)
        self.browser.call("Target.disposeBrowserContext", browserContextId=self.context)
