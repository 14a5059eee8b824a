#!/usr/bin/env python3
"""Opens page.html in a real browser against the mock and looks at what it shows. Usage: page_test.py [PICTURE_DIRECTORY]"""
import os, pathlib, re, shutil, sys, time, traceback

from browser import Browser, Tab
from server import EVIL, PAGE, Mock

TESTS = []
LIVE = "document.body.dataset.connection === 'live' && document.querySelectorAll('#agents > tbody').length > 0"
FIND = """const rows = (s) => [...document.querySelectorAll(s)];
const agent = (n) => rows('tbody[data-agent]').find((r) => r.dataset.agent === n);
const key = (n) => rows('#keys-rows > tr').find((r) => r.dataset.key === n);
const field = (r, n) => r.querySelector('[data-field=' + n + ']').textContent;
const shown = (e) => !!e && e.checkVisibility();"""
CONTRAST = """(() => {
  const rgb = (c) => c.match(/[\\d.]+/g).map(Number), lum = ([r, g, b]) => { const f = (v) => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; return .2126 * f(r) + .7152 * f(g) + .0722 * f(b); };
  const ground = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
  const bad = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) { const e = walk.currentNode.parentElement; if (!walk.currentNode.data.trim() || !e.checkVisibility()) continue;
    const [a, b] = [lum(rgb(getComputedStyle(e).color)), lum(ground(e))].sort((x, y) => y - x), ratio = (a + .05) / (b + .05);
    if (ratio < 4.5) bad.push(walk.currentNode.data + ' ' + ratio.toFixed(2)); }
  return bad; })()"""


def test(function):
    TESTS.append(function)
    return function


class World:
    def __init__(self, browser):
        self.browser, self.mock, self.tabs = browser, Mock(), []

    def open(self, token="op-token", **how):
        tab = Tab(self.browser, self.mock.url + (f"#token={token}" if token else ""), **how)
        self.tabs.append(tab)
        tab.until("document.readyState === 'complete' && document.body.dataset.connection")
        return tab

    def signed_in(self, token="op-token", **how):
        tab = self.open(token, **how)
        tab.until(LIVE)
        tab.ask = lambda expression: tab.js(f"(() => {{ {FIND} return {expression}; }})()")
        tab.wait = lambda expression, seconds=10: tab.until(f"(() => {{ {FIND} return {expression}; }})()", seconds)
        tab.find = lambda expression: f"(() => {{ {FIND} return {expression}; }})()"
        return tab

    def close(self):
        self.mock.server.shutdown()
        self.mock.down = True
        self.mock.drop()
        for tab in self.tabs:
            tab.close()


def same(got, want):
    assert got == want, f"\n   got  {got!r}\n   want {want!r}"


@test
def the_token_leaves_the_address_and_goes_into_the_header_only(w):
    tab = w.signed_in()
    same(tab.js("location.href"), w.mock.url)
    same(tab.js("sessionStorage.getItem('claw.cllama.token')"), "op-token")
    same(tab.js("history.length <= 2 && document.documentElement.outerHTML.includes('op-token')"), False)
    assert not [path for _, path, _ in w.mock.seen if "op-token" in path or "?" in path]
    asked = {path: headers for _, path, headers in w.mock.seen}
    same({path: asked[path].get("authorization") for path in ("/state", "/events")}, {"/state": "Bearer op-token", "/events": "Bearer op-token"})
    assert "Cookie" not in asked["/state"] and "Referer" not in asked["/state"], asked["/state"]


@test
def a_reload_stays_signed_in(w):
    tab = w.signed_in()
    tab.call("Page.reload")
    time.sleep(0.2)
    tab.until(LIVE)


@test
def the_header_tells_pod_type_version_connection_and_spend(w):
    tab = w.signed_in()
    same(tab.js("['pod','type','version','connection','total-cost','total-requests','total-denied','total-unpriced','role'].map((i) => document.getElementById(i).textContent)"),
         ["desk", "passthrough", "0.1.0", "live", "$7.104312", "4,812", "23", "2", "operator"])
    same(tab.js("document.title"), "desk – cllama")


@test
def agents_are_rows_with_their_figures(w):
    tab = w.signed_in()
    same(tab.ask("rows('#agents > tbody').map((r) => r.dataset.agent)"), ["writer-0", "writer-1", "researcher", EVIL, "__proto__"])
    same(tab.ask("['in_flight','requests','denied','unpriced_requests','tokens_in','tokens_out','score','cost_usd'].map((f) => field(agent('writer-0'), f))"),
         ["2", "3,120", "3", "0", "4,464,720", "661,440", "0.93", "$1.2"])
    same(tab.ask("field(agent('researcher'), 'score')"), "–")


@test
def a_budget_shows_spent_reserved_and_remaining(w):
    tab = w.signed_in()
    line = "agent('writer-0').querySelector('[data-scope=agent][data-window=day] [data-kind=usd]')"
    same(tab.ask(f"['spent','reserved','remaining'].map((f) => field({line}, f))"), ["$1.2 of $5.00 spent", "$0.1 reserved", "$3.7 left"])
    bar = f"{line}.querySelector('.bar')"
    widths = tab.ask(f"(() => {{ const b = {bar}, all = b.clientWidth; return [...b.children].map((c) => Math.round(c.getBoundingClientRect().width / all * 100)); }})()")
    same(widths, [24, 2])
    same(tab.ask(f"[{bar}.getAttribute('role'), {bar}.getAttribute('aria-valuenow'), {line}.dataset.level]"), ["meter", "24", "fine"])
    same(tab.ask("rows('[data-window=hour] .line').map((l) => [l.dataset.kind, l.dataset.level, field(l, 'spent')])"),
         [["tokens", "near", "741,002 of 900,000 tokens"], ["requests", "fine", "120 of 600 requests"]])
    same(tab.ask("(() => { const l = agent('writer-1').querySelector('[data-action=downgrade] .line'); return [l.dataset.level, field(l, 'reserved'), field(l, 'remaining'), l.querySelector('.level').textContent]; })()"),
         ["full", "", "-$0.004312 left", "used up"])
    same(tab.ask("(() => { const l = agent('researcher').querySelector('.line'); return [field(l, 'spent'), shown(l.querySelector('.bar'))]; })()"), ["$0.9 spent, no limit", False])


@test
def models_are_folded_under_their_agent(w):
    tab = w.signed_in()
    details = "agent('writer-0').querySelector('details.models')"
    same(tab.ask(f"[{details}.open, {details}.querySelector('summary').textContent]"), [False, "2 models"])
    tab.click(tab.find(f"{details}.querySelector('summary')"))
    same(tab.ask(f"[...{details}.querySelectorAll('tr[data-model]')].map((r) => [r.dataset.provider, r.dataset.model, field(r, 'cost_usd'), shown(r), r.querySelector('.badge').textContent])"),
         [["openai", "gpt-4o", "$1.15", True, "exact"], ["openrouter", "qwen/qwen3-235b-a22b", "$0.05", True, "estimated"]])
    same(tab.ask("agent('researcher').querySelector('.models > summary').textContent"), "2 models, 1 unpriced")


@test
def a_live_call_runs_on_by_itself(w):
    tab = w.signed_in()
    row = "rows('#live-rows > tr').find((r) => r.dataset.request === 'req_01JD3V6M2Q8Z')"
    same(tab.ask(f"[{row}.dataset.agent, {row}.cells[2].textContent, {row}.querySelector('.badge').dataset.state]"), ["writer-0", "openai/gpt-4o", "streaming"])
    before = tab.ask(f"{row}.querySelector('time').textContent")
    assert re.fullmatch(r"\d\d s", before), before
    tab.wait(f"{row}.querySelector('time').textContent !== {before!r}", 3)
    with w.mock.change() as state:
        state["live"] = []
    tab.wait("shown(document.getElementById('live-empty')) && rows('#live-rows > tr').length === 0")


@test
def interventions_are_newest_first_with_the_absolute_time_in_the_title(w):
    tab = w.signed_in()
    same(tab.ask("rows('#interventions-rows > tr').map((r) => [r.dataset.kind, r.cells[0].textContent])")[1:],
         [["model_refused", "8 min ago"], ["budget", "1 h ago"], ["tool_removed", "3 h ago"], ["policy", "2 d ago"]])
    first = "rows('#interventions-rows > tr')[0]"
    same(tab.ask(f"[1, 2, 3].map((i) => {first}.cells[i].textContent)"), ["writer-0", "model clamped", "openai/o3 is not allowed: openai/gpt-4o used"])
    assert re.search(r"20\d\d", tab.ask(f"{first}.querySelector('time').title"))
    with w.mock.change() as state:
        state["interventions"].append({"at": int(time.time() * 1000), "agent": "writer-1", "kind": "brake", "detail": "stopped"})
    tab.wait(f"{first}.dataset.kind === 'brake'")


@test
def alarms_are_told_to_assistive_technology(w):
    tab = w.signed_in()
    same(tab.ask("[shown(document.getElementById('alarms')), document.getElementById('alarms-list').getAttribute('aria-live'), rows('#alarms-list > li').length]"), [True, "polite", 2])
    with w.mock.change() as state:
        state["alarms"] = []
    tab.wait("!shown(document.getElementById('alarms'))")


@test
def keys_tell_their_health_and_per_model_cooling(w):
    tab = w.signed_in()
    same(tab.ask("rows('#keys-rows > tr').map((r) => [r.dataset.key, r.dataset.state, shown(r.querySelector('[data-control=enable]')), shown(r.querySelector('[data-control=disable]'))])"),
         [["OPENAI_API_KEY", "ready", False, True], ["OPENAI_API_KEY_1", "exhausted", True, True], ["ANTHROPIC_API_KEY", "suspect", True, True],
          ["OPENROUTER_API_KEY", "dead", True, True], [EVIL, "disabled", True, False]])
    assert re.fullmatch(r"gpt-4o cooldown in \d\d s", tab.ask("key('OPENAI_API_KEY').querySelector('[data-model=gpt-4o]').textContent"))
    assert "429 for gpt-4o by writer-0" in tab.ask("key('OPENAI_API_KEY').textContent")


@test
def disabling_a_key_posts_it_and_the_focus_stays_on_the_row(w):
    tab = w.signed_in()
    tab.js(tab.find("key('OPENAI_API_KEY').querySelector('[data-control=disable]').focus()"))
    tab.key("Enter")
    tab.wait("key('OPENAI_API_KEY').dataset.state === 'disabled'")
    same(w.mock.posts, [("/keys", {"provider": "openai", "key": "OPENAI_API_KEY", "state": "disabled"})])
    same(tab.js("document.getElementById('notice').textContent"), "openai OPENAI_API_KEY is disabled")
    same(tab.ask("document.activeElement === key('OPENAI_API_KEY').querySelector('[data-control=enable]')"), True)
    tab.click(tab.find("key('OPENAI_API_KEY').querySelector('[data-control=enable]')"))
    tab.wait("key('OPENAI_API_KEY').dataset.state === 'ready'")
    same(tab.ask("document.activeElement === key('OPENAI_API_KEY').querySelector('[data-control=disable]')"), True)
    tab.click(tab.find(f"key({EVIL!r}).querySelector('[data-control=enable]')"))
    tab.wait(f"key({EVIL!r}).dataset.state === 'ready'")
    same(w.mock.posts[2], ("/keys", {"provider": EVIL, "key": EVIL, "state": "ready"}))
    same(tab.errors, [])


@test
def a_state_that_comes_late_is_not_drawn_over_a_newer_one(w):
    tab = w.signed_in()
    w.mock.slow = 1
    tab.click(tab.find("key('OPENAI_API_KEY').querySelector('[data-control=disable]')"))
    tab.wait("document.getElementById('notice').textContent === 'openai OPENAI_API_KEY is disabled'")
    # The page has asked for the state by now, and is told that of now in a second.
    time.sleep(0.3)
    with w.mock.change() as state:
        next(key for key in state["keys"] if key["key"] == "OPENAI_API_KEY")["state"] = "ready"
    tab.wait("key('OPENAI_API_KEY').dataset.state === 'ready'")
    time.sleep(1.5)
    same(tab.ask("key('OPENAI_API_KEY').dataset.state"), "ready")
    same(tab.errors, [])


@test
def a_budget_is_overridden_and_a_refusal_is_told(w):
    tab = w.signed_in()
    override = "agent('writer-0').querySelector('[data-scope=agent][data-window=day] .override')"
    tab.click(tab.find(f"{override}.querySelector('summary')"))
    tab.click(tab.find(f"{override}.querySelector('input')"))
    tab.type("abc")
    tab.key("Enter")
    same(w.mock.posts, [])
    tab.js(tab.find(f"{override}.querySelector('input').select()"))
    tab.type("999")
    tab.key("Enter")
    tab.wait("document.getElementById('notice').dataset.kind === 'bad'")
    same(tab.js("document.getElementById('notice').textContent"), f"not done: 400 over the pod's limit {EVIL}")
    tab.js(tab.find(f"{override}.querySelector('input').select()"))
    tab.type("1.50")
    tab.click(tab.find(f"{override}.querySelector('[data-control=override-set]')"))
    tab.wait("agent('writer-0').querySelector('[data-window=day][data-scope=agent] [data-field=spent]').textContent === '$1.2 of $1.50 spent'")
    same(w.mock.posts[-1], ("/budgets", {"agent": "writer-0", "window": "day", "usd": "1.50"}))
    tab.wait(f"!{override}.open && document.activeElement === {override}.querySelector('summary')")
    same(tab.ask("rows('[data-scope=pod] .override').length"), 0)


@test
def the_configuration_is_reloaded(w):
    tab = w.signed_in()
    tab.click("document.getElementById('reload')")
    tab.until("document.getElementById('notice').textContent === 'the configuration is read again'")
    same(w.mock.posts, [("/reload", {})])


@test
def the_read_role_has_no_controls(w):
    tab = w.signed_in("read-token")
    same(tab.js("document.getElementById('role').textContent"), "read")
    same(tab.ask("[rows('[data-control]').length, shown(document.getElementById('reload')), shown(document.getElementById('keys-actions')), rows('#agents > tbody').length]"), [0, False, False, 5])


@test
def controls_follow_a_role_that_changes(w):
    import server
    tab = w.signed_in()
    server.TOKENS["op-token"] = "read"
    try:
        w.mock.drop()
        tab.wait("document.body.dataset.role === 'read' && rows('[data-control]').length === 0")
    finally:
        server.TOKENS["op-token"] = "operator"
    w.mock.drop()
    tab.wait("document.body.dataset.role === 'operator' && rows('[data-control]').length > 0")


@test
def without_a_token_there_is_a_sign_in_form_and_no_request(w):
    tab = w.open(None)
    same(tab.js("['signin','main','header'].map((i) => document.getElementById(i).checkVisibility())"), [True, False, False])
    same([path for _, path, _ in w.mock.seen if path not in ("/", "/favicon.ico")], [])
    same(tab.js("[document.activeElement.id, document.activeElement.type]"), ["signin-token", "password"])
    tab.type("op-token")
    tab.key("Enter")
    tab.until(LIVE)
    same(tab.js("['signin','main'].map((i) => document.getElementById(i).checkVisibility())"), [False, True])
    same(tab.js("location.href"), w.mock.url)


@test
def a_wrong_token_is_refused_and_forgotten(w):
    tab = w.open("wrong")
    tab.until("document.getElementById('signin').checkVisibility()")
    same(tab.js("[document.getElementById('signin-error').textContent, sessionStorage.length, document.getElementById('main').checkVisibility()]"), ["the token was not accepted", 0, False])
    tab.type("n\u00f6")
    tab.key("Enter")
    tab.until("document.getElementById('signin-error').textContent === 'that is not a token'")


@test
def a_token_that_ends_hides_everything(w):
    import server
    tab = w.signed_in()
    server.TOKENS.pop("op-token")
    try:
        w.mock.drop()
        tab.until("document.getElementById('signin').checkVisibility()")
        same(tab.js("[document.querySelectorAll('#agents > tbody').length, sessionStorage.length]"), [0, 0])
    finally:
        server.TOKENS["op-token"] = "operator"


@test
def signing_out_forgets_the_token(w):
    tab = w.signed_in()
    tab.click("document.getElementById('signout')")
    tab.until("document.getElementById('signin').checkVisibility()")
    same(tab.js("[sessionStorage.length, document.body.dataset.connection, document.querySelectorAll('tbody[data-agent]').length]"), [0, "none", 0])


@test
def a_new_address_in_the_same_tab_signs_in_again(w):
    tab = w.signed_in("read-token")
    tab.call("Page.navigate", url=w.mock.url + "#token=op-token")
    tab.until("document.body.dataset.role === 'operator'")
    same(tab.js("location.hash"), "")


@test
def a_lost_connection_is_told_and_comes_back(w):
    tab = w.signed_in()
    w.mock.down = True
    w.mock.drop()
    tab.until("document.getElementById('connection').dataset.state === 'lost'")
    assert re.match(r"not connected since \d", tab.js("document.getElementById('connection').textContent"))
    same(tab.js("document.getElementById('reconnect').checkVisibility()"), True)
    run = "document.querySelector('#live-rows time').textContent"
    before = tab.js(run)
    time.sleep(1.6)
    same(tab.js(run), before)
    w.mock.down = False
    with w.mock.change() as state:
        state["agents"][0]["requests"] = 3121
    tab.click("document.getElementById('reconnect')")
    tab.wait("document.body.dataset.connection === 'live' && field(agent('writer-0'), 'requests') === '3,121'")
    same(tab.js("document.getElementById('connection').textContent"), "live")


@test
def updates_keep_open_details_focus_typed_text_and_scroll(w):
    tab = w.signed_in(width=900, height=500)
    override = "agent('writer-1').querySelector('.override')"
    tab.click(tab.find("agent('writer-1').querySelector('details.models > summary')"))
    tab.click(tab.find(f"{override}.querySelector('summary')"))
    tab.click(tab.find(f"{override}.querySelector('input')"))
    tab.type("2.2")
    tab.js("window.row = document.activeElement; window.top0 = row.getBoundingClientRect().top")
    with w.mock.change() as state:
        one = state["agents"]
        one[0], one[1] = one[1], one[0]
        one[0]["requests"] = 1999
        state["alarms"].insert(0, {"at": int(time.time() * 1000), "text": "new"})
    tab.wait("field(agent('writer-1'), 'requests') === '1,999'")
    same(tab.ask("rows('#agents > tbody').map((r) => r.dataset.agent).slice(0, 2)"), ["writer-1", "writer-0"])
    same(tab.ask(f"[document.activeElement === window.row, window.row.value, {override}.open, agent('writer-1').querySelector('details.models').open, scrollY > 0]"), [True, "2.2", True, True, True])
    y = tab.js("scrollY")
    with w.mock.change() as state:
        state["agents"][0]["requests"] = 2000
    tab.wait("field(agent('writer-1'), 'requests') === '2,000'")
    same(tab.js("scrollY"), y)


@test
def hostile_names_are_text(w):
    tab = w.signed_in()
    for details in range(tab.js("document.querySelectorAll('details').length")):
        tab.js(f"document.querySelectorAll('details')[{details}].open = true")
    same(tab.js("[document.querySelectorAll('img').length, document.scripts.length, document.querySelectorAll('iframe, link, object, [onerror]').length]"), [0, 1, 0])
    same(tab.ask(f"agent({EVIL!r}).querySelector('.name').textContent"), EVIL)
    assert "\\u{202e}gpj.exe" in tab.ask(f"agent({EVIL!r}).textContent")
    same(tab.ask("agent('__proto__') && field(agent('__proto__'), 'requests')"), "0")
    same(tab.js("({}).polluted === undefined"), True)
    same(tab.js("document.documentElement.scrollWidth <= innerWidth"), True)
    same(tab.errors, [])


@test
def strange_states_do_not_end_the_page(w):
    tab = w.signed_in()
    with w.mock.change() as state:
        kept = dict(state)
        state.update(alarms=None, agents=[None, {}, {"agent": "thin", "budgets": [{}], "models": [{}]}], live=[{}, {}], interventions=[{"at": 1e300}], keys=[{}], prices=None, totals=None)
    tab.wait("!!agent('thin')")
    with w.mock.change() as state:
        state["schema"] = "other"
    tab.until("document.getElementById('notice').textContent.includes('its schema is other')")
    with w.mock.change() as state:
        state.update(kept)
    tab.wait("!!agent('writer-0')")
    same(tab.errors, [])


@test
def line_ends_of_the_stream_do_not_matter(w):
    for end in ("\r\n", "\r"):
        w.mock.line_end = end
        tab = w.signed_in()
        w.mock.state["agents"][0]["requests"] = 7
        with w.mock.change() as state:
            state["agents"][1]["requests"] = 8
        tab.wait("field(agent('writer-1'), 'requests') === '8'")
        with w.mock.change() as state:
            state["agents"][1]["requests"] = 9


@test
def a_stale_price_table_warns(w):
    tab = w.signed_in()
    same(tab.js("[document.getElementById('prices-as-of').textContent, document.getElementById('prices-warning').checkVisibility()]"), ["2026-11-20", False])
    with w.mock.change() as state:
        state["prices"]["is_stale"] = True
    tab.until("document.getElementById('prices-warning').checkVisibility() && document.getElementById('prices').dataset.stale === 'true'")


@test
def everything_is_reached_by_keyboard_with_a_visible_focus(w):
    tab = w.signed_in()
    reached = []
    for _ in range(60):
        tab.key("Tab")
        what = tab.js("(() => { const e = document.activeElement; return [e.id || e.dataset.control || e.localName + '.' + e.className, getComputedStyle(e).outlineStyle]; })()")
        if what[0].startswith("body"):
            break
        reached.append(what)
    assert {style for _, style in reached} == {"solid"}, reached
    for name in ("reload", "signout", "summary.", "div.scroll", "enable", "disable"):
        assert name in [n for n, _ in reached], (name, reached)


@test
def tables_keep_their_meaning_on_every_width(w):
    for how in ({"width": 1440}, {"width": 390, "height": 844, "phone": True}):
        tab = w.signed_in(**how)
        nodes = tab.call("Accessibility.getFullAXTree")["nodes"]
        seen = [(n["role"]["value"], n.get("name", {}).get("value", "")) for n in nodes if not n.get("ignored")]
        tables = [name.strip() for role, name in seen if role == "table"]
        same(sorted(name.split()[0] for name in tables), ["Agents", "Interventions", "Keys", "Live"])
        roles = [role for role, _ in seen]
        assert roles.count("row") > 15 and roles.count("columnheader") > 20 and "rowheader" in roles, {r: roles.count(r) for r in set(roles)}
        assert "agent budget per day, usd" in [name for role, name in seen if role == "meter"]
        for opened in (False, True):
            tab.js(f"document.querySelectorAll('details').forEach((d) => d.open = {str(opened).lower()})")
            same(tab.js("document.documentElement.scrollWidth"), how["width"])
            same(tab.js("[...document.querySelectorAll('section')].filter((s) => [...s.querySelectorAll('.bar, td, th, summary, button')].some((e) => !e.closest('details.models, thead') && e.getBoundingClientRect().right > s.getBoundingClientRect().right)).length"), 0)


@test
def text_has_contrast_in_light_and_dark(w):
    for dark in (False, True):
        tab = w.signed_in(dark=dark)
        tab.js("document.querySelectorAll('details').forEach((d) => d.open = true)")
        same(tab.js(CONTRAST), [])
        w.mock.down = True
        w.mock.drop()
        tab.until("document.body.dataset.connection === 'lost'")
        same(tab.js(CONTRAST), [])
        w.mock.down = False
        tab.click("document.getElementById('signout')")
        same(tab.js(CONTRAST), [])


@test
def the_policy_blocks_nothing_and_the_console_is_silent(w):
    tab = w.signed_in()
    tab.click("document.getElementById('reload')")
    tab.until("document.getElementById('notice').textContent !== ''")
    time.sleep(1.2)
    same(tab.errors, [])
    same(tab.js("getComputedStyle(document.body).margin"), "0px")
    tab.js("(() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s); })()")
    same(tab.js("window.ran === undefined"), True)
    assert any("Content Security Policy" in e for e in tab.errors), tab.errors


@test
def the_file_is_small_and_has_one_script_and_no_handler_attribute(w):
    text = PAGE.read_text()
    same([len(text.splitlines()) <= 600, len(text.encode()) < 40_000, text.count("<script"), text.count("</script")], [True, True, 1, 1])
    same(re.findall(r"<[^>]+\s(?:on\w+|style)\s*=|innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|https?://|\bsrc=|<link", text), [])


def pictures(w, folder):
    folder.mkdir(parents=True, exist_ok=True)
    opened = "document.querySelectorAll('details').forEach((d, i) => d.open = i < 3)"
    for name, how, before in (("light", {"width": 1440}, ""), ("dark", {"width": 1440, "dark": True}, opened), ("middle", {"width": 900}, ""),
                              ("phone", {"width": 390, "height": 844, "phone": True}, opened), ("phone-dark", {"width": 390, "height": 844, "phone": True, "dark": True}, "")):
        tab = w.signed_in(**how)
        tab.js(before)
        tab.picture(folder / f"{name}.png")
        if name in ("light", "phone"):
            tab.click("document.getElementById('signout')")
            tab.picture(folder / f"signin-{name}.png")
    tab = w.tabs[1]
    with w.mock.change() as state:
        state["prices"]["is_stale"] = True
    tab.until("document.getElementById('prices').dataset.stale === 'true'")
    w.mock.down = True
    w.mock.drop()
    tab.until("document.body.dataset.connection === 'lost'")
    tab.picture(folder / "lost-dark.png")


def main():
    start, failed = time.time(), 0
    browser = Browser(os.environ.get("BROWSER_BINARY") or shutil.which("chromium") or "google-chrome")
    print(f"{browser.version}, ready after {time.time() - start:.1f} s")
    wanted = os.environ.get("ONLY", "")
    try:
        for function in TESTS:
            if wanted not in function.__name__:
                continue
            begin, world = time.time(), World(browser)
            try:
                function(world)
                print(f"ok    {function.__name__} ({time.time() - begin:.1f} s)", flush=True)
            except Exception as error:
                failed += 1
                print(f"FAIL  {function.__name__}: {error}", flush=True)
                traceback.print_exc(limit=-2)
                print("      console:", [e for t in world.tabs for e in t.errors][:5])
            finally:
                world.close()
        if len(sys.argv) > 1:
            world = World(browser)
            pictures(world, pathlib.Path(sys.argv[1]))
            world.close()
    finally:
        browser.close()
    ran = len([f for f in TESTS if wanted in f.__name__])
    print(f"{ran - failed} passed, {failed} failed")
    print(f"took {time.time() - start:.1f} s")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
