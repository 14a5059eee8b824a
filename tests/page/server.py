#!/usr/bin/env python3
"""A mock of the operator side of cllama: the page, /state, /events, /keys, /budgets, /reload.

    python3 server.py [PORT]      tokens: op-token (operator), read-token (read)
"""
import base64, copy, hashlib, json, pathlib, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = pathlib.Path(__file__).parents[2] / "src/proxy/page.html"
TOKENS = {"op-token": "operator", "read-token": "read"}
EVIL = "<img src=x onerror=alert(1)>"


def csp(page):
    """The policy of the page: its only script is allowed by the hash of its exact bytes."""
    start = page.index(b"<script>") + len(b"<script>")
    digest = base64.b64encode(hashlib.sha256(page[start:page.index(b"</script>", start)]).digest()).decode()
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; connect-src 'self'"


def budget(scope, window, action, **more):
    empty = dict(limit_usd=None, spent_usd="0", reserved_usd="0", remaining_usd=None, limit_tokens=None, spent_tokens=0,
                 limit_requests=None, spent_requests=0, resets_at=None)
    return dict(scope=scope, window=window, action=action, **{**empty, **more})


def model(provider, name, requests, cost, status="exact"):
    return dict(provider=provider, model=name, requests=requests, tokens_in=requests * 1431, tokens_out=requests * 212, cost_usd=cost, pricing_status=status)


def agent(name, service, **more):
    return dict(agent=name, service=service, **{**dict(requests=0, denied=0, tokens_in=0, tokens_out=0, cost_usd="0", unpriced_requests=0,
                                                       in_flight=0, score=None, budgets=[], models=[]), **more})


def sample(now):
    s, m, h = 1000, 60_000, 3_600_000
    pod = budget("pod", "day", "soft_alert", limit_usd="25.00", spent_usd="7.104312", reserved_usd="0.18", remaining_usd="17.715688", resets_at=now + 9 * h)
    return {
        "schema": "claw.cllama.state.v1", "pod": "desk", "type": "passthrough", "version": "0.1.0", "now": now, "started_at": now - 5 * h,
        "alarms": [{"at": now - 4 * m, "text": "the ledger's disk is nearly full: 212 MB left"}, {"at": now - 50 * m, "text": f"pricing of {EVIL} is unknown"}],
        "totals": {"requests": 4812, "denied": 23, "unpriced_requests": 2, "cost_usd": "7.104312"},
        "agents": [
            agent("writer-0", "writer", requests=3120, denied=3, tokens_in=4_464_720, tokens_out=661_440, cost_usd="1.2", in_flight=2, score=0.93, budgets=[
                budget("agent", "day", "hard_stop", limit_usd="5.00", spent_usd="1.2", reserved_usd="0.1", remaining_usd="3.7", resets_at=now + 9 * h),
                budget("agent", "hour", "rate_limit", limit_tokens=900_000, spent_tokens=741_002, limit_requests=600, spent_requests=120, resets_at=now + 23 * m), pod],
                models=[model("openai", "gpt-4o", 3000, "1.15"), model("openrouter", "qwen/qwen3-235b-a22b", 120, "0.05", "estimated")]),
            agent("writer-1", "writer", requests=1204, tokens_in=1_722_924, tokens_out=255_248, cost_usd="5.004312", denied=19, in_flight=0, score=0.71, budgets=[
                budget("agent", "day", "downgrade", limit_usd="5.00", spent_usd="5.004312", reserved_usd="0", remaining_usd="-0.004312", resets_at=now + 9 * h), pod],
                models=[model("anthropic", "claude-haiku-4-5", 1204, "5.004312")]),
            agent("researcher", "researcher", requests=486, tokens_in=695_466, tokens_out=103_032, cost_usd="0.9", in_flight=1, unpriced_requests=2, budgets=[
                budget("agent", "month", "soft_alert", spent_usd="0.9")], models=[model("openai", "gpt-4o-mini", 484, "0.9"), model("ollama", "llama3", 2, "0", "unpriced")]),
            agent(EVIL, "\u202egpj.exe" + "x" * 60, requests=2, denied=1, cost_usd="0.0000025", budgets=[
                budget("agent", EVIL, "hard_stop", limit_usd="0.01", spent_usd="0.0084", reserved_usd="0.001", remaining_usd="0.0006", resets_at=now + 40 * s)],
                models=[model(EVIL, "</script><script>alert(2)</script>", 2, "0.0000025", EVIL)]),
            agent("__proto__", "constructor"),
        ],
        "live": [
            {"request_id": "req_01JD3V6M2Q8Z", "agent": "writer-0", "provider": "openai", "model": "gpt-4o", "stream": True, "started_at": now - 12 * s, "phase": "streaming"},
            {"request_id": "req_01JD3V6N77AB", "agent": "writer-0", "provider": "openai", "model": "gpt-4o", "stream": False, "started_at": now - 3 * s, "phase": "waiting"},
            {"request_id": EVIL, "agent": "researcher", "provider": "openai", "model": EVIL, "stream": True, "started_at": now - 95 * s, "phase": "draining"},
        ],
        "interventions": [
            {"at": now - 65 * m, "agent": "writer-1", "kind": "budget", "detail": "spent 5.004312 of 5.00 USD this day: downgraded to slot fallback"},
            {"at": now - 20 * s, "agent": "writer-0", "kind": "model_clamped", "detail": "openai/o3 is not allowed: openai/gpt-4o used"},
            {"at": now - 8 * m, "agent": EVIL, "kind": "model_refused", "detail": f"{EVIL}: no such model"},
            {"at": now - 3 * h, "agent": "researcher", "kind": "tool_removed", "detail": "tool shell.exec is not in the agent's list"},
            {"at": now - 49 * h, "agent": "researcher", "kind": "policy", "detail": "policy amended the request (rule pii-2)"},
        ],
        "keys": [
            {"provider": "openai", "key": "OPENAI_API_KEY", "state": "ready", "until": None, "since": now - 5 * h, "evidence": "429 for gpt-4o by writer-0",
             "models": [{"model": "gpt-4o", "state": "cooldown", "until": now + 31 * s}]},
            {"provider": "openai", "key": "OPENAI_API_KEY_1", "state": "exhausted", "until": now + 9 * h, "since": now - 2 * h, "evidence": "402 insufficient_quota for gpt-4o by writer-0", "models": []},
            {"provider": "anthropic", "key": "ANTHROPIC_API_KEY", "state": "suspect", "until": None, "since": now - 6 * m, "evidence": f"401 for claude-haiku-4-5 by {EVIL}", "models": []},
            {"provider": "openrouter", "key": "OPENROUTER_API_KEY", "state": "dead", "until": None, "since": now - 30 * h, "evidence": "401 invalid_api_key for 2 agents", "models": []},
            {"provider": EVIL, "key": EVIL, "state": "disabled", "until": None, "since": now - 1 * h, "evidence": "disabled by an operator", "models": []},
        ],
        "prices": {"as_of": "2026-11-20", "source": "built in, LiteLLM table", "is_stale": False},
    }


class Mock:
    """The server with its state; a test changes `state` under `change()` and reads what was asked in `seen`."""

    def __init__(self, port=0):
        self.page, self.policy = PAGE.read_bytes(), csp(PAGE.read_bytes())
        self.lock, self.version, self.epoch = threading.Condition(), 0, 0
        self.seen, self.posts, self.down, self.line_end, self.slow = [], [], False, "\n", 0
        self.state = sample(int(time.time() * 1000))
        mock = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            log_message = lambda *_: None

            def reply(self, status, body, kind="application/json", **headers):
                body = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in {"content-type": kind, "content-length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def role(self):
                kind, _, token = (self.headers.get("authorization") or "").partition(" ")
                return TOKENS.get(token) if kind == "Bearer" else None

            def handle_one(self):
                mock.seen.append((self.command, self.path, dict(self.headers)))
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                if mock.down:
                    self.close_connection = True
                    return self.connection.close()
                if self.path == "/":
                    return self.reply(200, mock.page, "text/html; charset=utf-8", **{"content-security-policy": mock.policy})
                if self.role() is None:
                    return self.reply(401, {"error": {"type": "unauthorized", "message": "no such token"}})
                if self.command == "POST":
                    return self.post(body)
                if self.path == "/state":
                    state = mock.snapshot(self.role())
                    time.sleep(mock.slow)
                    return self.reply(200, state)
                if self.path == "/events":
                    return self.events()
                self.reply(404, {"error": {"message": "no such route"}})

            do_GET = do_POST = handle_one

            def post(self, body):
                if self.role() != "operator":
                    return self.reply(403, {"error": {"message": "this token may only read"}})
                if self.headers.get("content-type") != "application/json":
                    return self.reply(415, {"error": {"message": "want application/json"}})
                asked = json.loads(body)
                mock.posts.append((self.path, asked))
                if self.path == "/budgets" and asked["usd"] == "999":
                    return self.reply(400, {"error": {"message": f"over the pod's limit {EVIL}"}})
                with mock.change() as state:
                    if self.path == "/keys":
                        for key in state["keys"]:
                            if (key["provider"], key["key"]) == (asked["provider"], asked["key"]):
                                key.update(state=asked["state"], since=int(time.time() * 1000), evidence="by an operator", until=None)
                    if self.path == "/budgets":
                        for one in state["agents"]:
                            for b in one["budgets"]:
                                if (one["agent"], b["scope"], b["window"]) == (asked["agent"], "agent", asked["window"]):
                                    b["limit_usd"] = asked["usd"]
                self.reply(200, {"ok": True})

            def events(self):
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("connection", "close")
                self.end_headers()
                self.close_connection = True
                epoch, sent, end = mock.epoch, None, mock.line_end
                try:
                    while mock.epoch == epoch and not mock.down:
                        if sent != mock.version:
                            sent = mock.version
                            text = json.dumps(mock.snapshot(self.role()), ensure_ascii=False)
                            # Awkward on purpose: a comment, no space, two data lines, pieces cut inside a character.
                            first, _, rest = text.partition(", ")
                            wire = end.join([": hello", "retry: 1", "event: state", f"data:{first},", f"data: {rest}", "", ""]).encode()
                            for at in range(0, len(wire), 1021):
                                self.wfile.write(wire[at:at + 1021])
                                self.wfile.flush()
                        with mock.lock:
                            mock.lock.wait(1)
                except OSError:
                    pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def snapshot(self, role):
        with self.lock:
            return {**copy.deepcopy(self.state), "role": role, "now": int(time.time() * 1000)}

    def change(self):
        mock = self

        class Change:
            def __enter__(self):
                mock.lock.acquire()
                return mock.state

            def __exit__(self, *_):
                mock.version += 1
                mock.lock.notify_all()
                mock.lock.release()
        return Change()

    def drop(self):
        """Ends every stream; new ones are served unless `down`."""
        with self.lock:
            self.epoch += 1
            self.lock.notify_all()


if __name__ == "__main__":
    mock = Mock(int(sys.argv[1]) if len(sys.argv) > 1 else 32768)
    print(f"{mock.url}#token=op-token\n{mock.url}#token=read-token", flush=True)
    while True:
        time.sleep(2)
        with mock.change() as state:
            state["agents"][0]["requests"] += 1
