// Runs one agent on the Claude Agent SDK: messages in, answers out, schedules, one configuration that is read strictly.
//
// usage: node runner.mjs serve                 listens on loopback until it is told to stop
//        node runner.mjs ask SESSION TEXT      one message to the running agent; prints its answer
//        node runner.mjs drain                 nothing new is taken; ends once what was begun is done
//        node runner.mjs reading               what the runtime makes of its configuration, as one JSON document
//        node runner.mjs check FILE            the same for any file, without touching the agent's state; exit 1 where it is refused
//        node runner.mjs next                  reads lines of {"cron","zone","after"} and prints the next firing of each
//
// The configuration is /claw/agent.json (CLAW_AGENT names another one). The SDK is below /opt/claude-agent-sdk
// (CLAUDE_AGENT_SDK names another place). No secret is printed or logged, and none is in the environment of the agent's
// commands unless the pod put it there: the key of its model is a file that the runtime reads when it asks.
import { spawn } from 'node:child_process';
import { createServer, request as httpRequest } from 'node:http';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync, appendFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const FILE = process.env.CLAW_AGENT || '/claw/agent.json';
const SDK = process.env.CLAUDE_AGENT_SDK || '/opt/claude-agent-sdk';
const MINUTE = 60_000;
const DAY = 86_400_000;

class Problem extends Error {}

function log(event, fields = {}) {
  process.stdout.write(JSON.stringify({ time: new Date().toISOString(), event, ...fields }) + '\n');
}

// ---- Configuration: every key is known and of its kind, or the file is refused.

// The built-in tools that make sense where nobody sits beside the agent.
const TOOLS = ['Agent', 'Bash', 'Edit', 'Glob', 'Grep', 'NotebookEdit', 'Read', 'Skill', 'WebFetch', 'WebSearch', 'Write'];
const ALLOWED = ['Agent', 'Bash', 'Edit', 'Glob', 'Grep', 'Read', 'Skill', 'WebFetch', 'Write'];

const refuse = (at, what) => { throw new Problem(`\`${at}\` is not ${what}`); };
const text = (pattern, what) => (v, at) => (typeof v === 'string' && pattern.test(v) ? v : refuse(at, what));
const int = (least, most) => (v, at) => (Number.isInteger(v) && v >= least && v <= most ? v : refuse(at, `a whole number from ${least} to ${most}`));
const bool = (v, at) => (typeof v === 'boolean' ? v : refuse(at, 'true or false'));
const word = (...words) => (v, at) => (words.includes(v) ? v : refuse(at, `one of ${words.join(', ')}`));
const list = (of) => (v, at) => (Array.isArray(v) ? v.map((each, i) => of(each, `${at}[${i}]`)) : refuse(at, 'a list'));
const orNull = (of) => (v, at) => (v === null ? null : of(v, at));
const isMap = (v) => v !== null && typeof v === 'object' && !Array.isArray(v);
const dict = (key, of) => (v, at) => {
  if (!isMap(v)) refuse(at, 'a mapping');
  return Object.fromEntries(Object.entries(v).map(([k, each]) => [key(k, `${at}.${k}`), of(each, `${at}.${k}`)]));
};
const record = (need, may = {}) => (v, at) => {
  if (!isMap(v)) refuse(at || '.', 'a mapping');
  const out = {};
  for (const key of Object.keys(v)) {
    const of = Object.hasOwn(need, key) ? need[key] : Object.hasOwn(may, key) ? may[key] : undefined;
    const place = at ? `${at}.${key}` : key;
    if (!of) throw new Problem(`\`${place}\` is unknown`);
    out[key] = of(v[key], place);
  }
  for (const key of Object.keys(need)) if (!Object.hasOwn(v, key)) throw new Problem(`\`${at ? `${at}.` : ''}${key}\` is missing`);
  return out;
};

const name = text(/^[A-Za-z0-9_-]{1,64}$/, 'a name of letters, digits, `-` and `_`');
// One that a shell is told; the others only the program is.
const path = text(/^\/[A-Za-z0-9._/-]+$/, 'an absolute path of plain letters');
const place = text(/^\/\P{Cc}{1,4095}$/u, 'an absolute path');
const line = text(/^[^\n]{1,4096}$/, 'a text');
const model = text(/^[^\s,]{1,256}$/, 'the name of a model');
const url = (v, at) => {
  let parsed;
  try { parsed = new URL(v); } catch { refuse(at, 'a URL'); }
  return /^https?:$/.test(parsed.protocol) && !parsed.username && !parsed.search && !parsed.hash ? v : refuse(at, 'a plain URL');
};
// The SDK asks `<base>/v1/messages`: with `/v1` at its end it would ask `/v1/v1/messages`.
const base = (v, at) => (/\/v1\/?$|\/$/.test(v) ? refuse(at, 'a base URL without `/v1` at its end') : url(v, at));
const rule = (known) => (v, at) => {
  const parts = typeof v === 'string' && /^([A-Za-z0-9_*-]{1,200})(\([^()\n,]{1,500}\))?$/.exec(v);
  const isKnown = parts && (TOOLS.includes(parts[1]) || (known && /^mcp__[A-Za-z0-9_-]+(__[A-Za-z0-9_*-]+)?$/.test(parts[1]) && !parts[2]));
  return isKnown ? v : refuse(at, `a tool: ${TOOLS.join(', ')}${known ? ', mcp__<service>__<tool>' : ''}, with (…) behind it where it is limited`);
};
const thinking = (v, at) => (v === 'adaptive' || v === 'disabled' ? v : int(1024, 128000)(v, at));
const zone = (v, at) => {
  try { return new Intl.DateTimeFormat('en-US', { timeZone: v }) && v; } catch { return refuse(at, 'a time zone'); }
};
const cronText = (v, at) => {
  if (typeof v !== 'string') refuse(at, 'a schedule');
  try { parseCron(v); } catch (e) { throw new Problem(`\`${at}\`: ${e.message}`); }
  return v;
};

const config = record({
  schema: word(1),
  pod: line,
  service: line,
  agent: line,
  port: int(1, 65535),
  root: path,
  state: path,
  work: path,
  directories: list(place),
  endpoint: record({ base_url: base, key_file: orNull(path) }),
  models: record({ primary: model, fallback: list(model), fast: orNull(model), subagent: orNull(model) }),
  mcp_servers: dict(name, url),
  schedules: list(record({ id: name, cron: cronText, message: text(/^[^]{1,65536}$/, 'a text') })),
  timezone: orNull(zone),
  settings: record({}, {
    allowed_tools: list(rule(false)),
    disallowed_tools: list(rule(true)),
    effort: word('low', 'medium', 'high', 'xhigh', 'max'),
    max_output_tokens: int(256, 128000),
    max_parallel: int(1, 8),
    max_turns: int(1, 1000),
    memory: bool,
    thinking,
    turn_seconds: int(10, 3600),
  }),
});

function readConfig(file) {
  let doc;
  try { doc = JSON.parse(readFileSync(file, 'utf8')); } catch (e) { throw new Problem(`${file}: ${e.message}`); }
  let read;
  try { read = config(doc, ''); } catch (e) { throw e instanceof Problem ? new Problem(`${file}: ${e.message}`) : e; }
  const ids = read.schedules.map((each) => each.id);
  const twice = ids.find((id, i) => ids.indexOf(id) !== i);
  if (twice) throw new Problem(`${file}: there are two schedules called \`${twice}\``);
  read.settings = { allowed_tools: ALLOWED, disallowed_tools: [], max_parallel: 2, max_turns: 100, memory: false, turn_seconds: 600, ...read.settings };
  return read;
}

// ---- Schedules: five fields, in a time zone, to the minute.

const FIELDS = [['minute', 0, 59], ['hour', 0, 23], ['day of month', 1, 31], ['month', 1, 12], ['day of week', 0, 7]];
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

export function parseCron(written) {
  const fields = written.trim().split(/\s+/);
  if (fields.length !== 5) throw new Problem(`\`${written}\` has not five fields`);
  const cron = { sets: FIELDS.map(() => new Set()), isLast: false, isLastWeekday: false, nearest: [], nth: new Set(), lastOf: new Set() };
  const isAny = (field) => field === '*' || field === '?';
  [cron.isAnyDay, cron.isAnyWeekday] = [isAny(fields[2]), isAny(fields[4])];
  fields.forEach((field, index) => field.split(',').forEach((item, _, items) => {
    try { parseItem(cron, item, index, items.length > 1); } catch (e) {
      throw e instanceof Problem ? new Problem(`\`${item}\` as ${FIELDS[index][0]}: ${e.message}`) : e;
    }
  }));
  // One minute of one hour is a time on the wall; anything else goes by how much time passes.
  cron.isOften = /[*/]/.test(fields[0] + fields[1]) || cron.sets[0].size !== 1 || cron.sets[1].size !== 1;
  return cron;
}

function parseItem(cron, item, index, isInList) {
  const [, least, most] = FIELDS[index];
  const add = (value) => cron.sets[index].add(index === 4 ? value % 7 : value);
  const value = (written) => {
    const lower = written.toLowerCase();
    const named = index === 3 ? MONTHS.indexOf(lower) + 1 : index === 4 ? DAYS.indexOf(lower) : -1;
    const isNamed = index === 3 ? named > 0 : named >= 0;
    if (!isNamed && !/^[0-9]{1,4}$/.test(written)) throw new Problem('it is no number');
    const number = isNamed ? named : Number(written);
    if (number < least || number > most) throw new Problem(`it goes from ${least} to ${most}`);
    return number;
  };
  if (index === 2 && item === 'L') return void (cron.isLast = true);
  if (index === 2 && item === 'LW') return void (cron.isLastWeekday = true);
  if (index === 2 && item.endsWith('W')) return void cron.nearest.push(value(item.slice(0, -1)));
  if (index === 4 && /.L$/.test(item)) return void cron.lastOf.add(value(item.slice(0, -1)) % 7);
  if (index === 4 && item.includes('#')) {
    const [day, nth, ...rest] = item.split('#');
    if (rest.length || !/^[1-5]$/.test(nth)) throw new Problem('`#` takes 1 to 5');
    return void cron.nth.add(`${value(day) % 7}#${nth}`);
  }
  const [range, step, ...more] = item.split('/');
  if (more.length || (step !== undefined && !/^[0-9]{1,4}$/.test(step)) || Number(step) === 0) throw new Problem('a step is a number from 1');
  const isStar = range === '*' || (range === '?' && (index === 2 || index === 4));
  if (isStar && step === undefined && isInList) throw new Problem('`*` stands alone');
  if (!isStar && step !== undefined && !range.includes('-')) throw new Problem('a step follows `*` or a range');
  const ends = isStar ? [least, most] : range.split('-').map(value);
  if (ends.length > 2) throw new Problem('a range has two ends');
  const [first, last] = ends.length === 1 ? [ends[0], ends[0]] : ends;
  if (first > last) throw new Problem('the range ends before it starts');
  for (let each = first; each <= last; each += Number(step ?? 1)) add(each);
}

const weekday = (day) => new Date(day * DAY).getUTCDay();

// `day` is a number of days since 1970, as a calendar on the wall has them.
function isOn(cron, day) {
  const date = new Date(day * DAY);
  const [year, month, number] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()];
  if (!cron.sets[3].has(month + 1)) return false;
  const length = new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
  const firstDay = day - number + 1;
  // The weekday of this month that is nearest to one of its days.
  const nearest = (wanted) => {
    const at = weekday(firstDay + wanted - 1);
    if (at === 6) return wanted > 1 ? wanted - 1 : wanted + 2;
    if (at === 0) return wanted < length ? wanted + 1 : wanted - 2;
    return wanted;
  };
  const lastWeekday = () => {
    const at = weekday(firstDay + length - 1);
    return at === 6 ? length - 1 : at === 0 ? length - 2 : length;
  };
  const isDay = cron.sets[2].has(number) || (cron.isLast && number === length) || (cron.isLastWeekday && number === lastWeekday())
    || cron.nearest.some((wanted) => wanted <= length && nearest(wanted) === number);
  const at = weekday(day);
  const isWeekday = cron.sets[4].has(at) || cron.nth.has(`${at}#${Math.ceil(number / 7)}`) || (cron.lastOf.has(at) && number + 7 > length);
  if (cron.isAnyDay) return isWeekday;
  if (cron.isAnyWeekday) return isDay;
  return isDay || isWeekday;
}

const clocks = new Map();

// How far the wall clock of a zone is ahead of UTC at an instant, in milliseconds.
function ahead(zone, instant) {
  if (!clocks.has(zone)) {
    const shape = { timeZone: zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric' };
    clocks.set(zone, new Intl.DateTimeFormat('en-US', shape));
  }
  const at = Object.fromEntries(clocks.get(zone).formatToParts(new Date(instant)).map((part) => [part.type, Number(part.value)]));
  return Date.UTC(at.year, at.month - 1, at.day, at.hour, at.minute, at.second) - Math.floor(instant / 1000) * 1000;
}

// The instants at which a schedule fires on a day. A fixed time that a change of clocks leaves out fires right after it, one
// that it repeats fires the first time; what goes by how much time passes fires in both halves, and not in what is left out.
function firings(cron, zone, day) {
  if (!isOn(cron, day)) return [];
  const midnight = day * DAY;
  const offsets = [ahead(zone, midnight - 15 * 60 * MINUTE), ahead(zone, midnight + DAY + 15 * 60 * MINUTE)];
  const minutes = [...cron.sets[1]].flatMap((hour) => [...cron.sets[0]].map((minute) => midnight + (hour * 60 + minute) * MINUTE));
  if (offsets[0] === offsets[1]) return minutes.map((wall) => wall - offsets[0]);
  const instants = (wall) => [...new Set(offsets.map((offset) => wall - offset))].filter((at) => at + ahead(zone, at) === wall).sort((a, b) => a - b);
  return minutes.flatMap((wall) => {
    const found = instants(wall);
    if (found.length > 0) return cron.isOften ? found : found.slice(0, 1);
    if (cron.isOften) return [];
    let after = wall;
    while (instants(after).length === 0) after += MINUTE;
    return isOn(cron, Math.floor(after / DAY)) ? instants(after).slice(0, 1) : [];
  });
}

// The first firing after an instant, both in milliseconds since 1970; null where there is none in forty years.
export function next(cron, zone, after) {
  const first = Math.floor((after + ahead(zone, after)) / DAY) - 1;
  const soonest = (day) => Math.min(...firings(cron, zone, day).filter((at) => at > after));
  for (let day = first; day < first + 366 * 41; day += 1) {
    const found = soonest(day);
    if (Number.isFinite(found)) return Math.min(found, soonest(day + 1));
  }
  return null;
}

// A time as people in that zone write it.
export function shown(instant, zone) {
  if (instant === null) return null;
  const offset = Math.round(ahead(zone, instant) / MINUTE);
  const digits = (number) => String(number).padStart(2, '0');
  const sign = offset < 0 ? '-' : '+';
  return new Date(instant + offset * MINUTE).toISOString().slice(0, 19) + `${sign}${digits(Math.trunc(Math.abs(offset) / 60))}:${digits(Math.abs(offset) % 60)}`;
}

// ---- The SDK: what it is told, and what it answers.

async function loadSdk() {
  const place = join(SDK, 'node_modules/@anthropic-ai/claude-agent-sdk');
  if (!existsSync(join(place, 'sdk.mjs'))) throw new Problem(`there is no Claude Agent SDK below ${SDK}`);
  const { version } = JSON.parse(readFileSync(join(place, 'package.json'), 'utf8'));
  const { query } = await import(pathToFileURL(join(place, 'sdk.mjs')).href);
  return { version, query };
}

function skillNames(conf) {
  const folder = join(conf.root, '.claude/skills');
  return existsSync(folder) ? readdirSync(folder).filter((each) => existsSync(join(folder, each, 'SKILL.md'))).sort() : [];
}

// Everything else of its family would change where it asks, with what, or whom it tells.
const isForeign = (key) => !/^(ANTHROPIC_|CLAUDE_|OTEL_)|^DISABLE_/.test(key);

function environment(conf) {
  const { models, settings } = conf;
  const fast = models.fast ?? models.primary;
  const own = {
    ANTHROPIC_BASE_URL: conf.endpoint.base_url,
    // Each name that the program uses of itself is one of the agent's models: nothing else is ever asked for.
    ANTHROPIC_DEFAULT_FABLE_MODEL: models.primary,
    ANTHROPIC_DEFAULT_HAIKU_MODEL: fast,
    ANTHROPIC_DEFAULT_OPUS_MODEL: models.primary,
    ANTHROPIC_DEFAULT_SONNET_MODEL: models.primary,
    ANTHROPIC_SMALL_FAST_MODEL: fast,
    CLAUDE_AGENT_SDK_CLIENT_APP: 'claw',
    CLAUDE_CODE_ATTRIBUTION_HEADER: '0',
    CLAUDE_CODE_DISABLE_BACKGROUND_TASKS: '1',
    CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS: '1',
    CLAUDE_CODE_DISABLE_FEATURE_FLAGS: '1',
    CLAUDE_CODE_DISABLE_FEEDBACK_SURVEY: '1',
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    CLAUDE_CODE_DISABLE_TERMINAL_TITLE: '1',
    CLAUDE_CONFIG_DIR: join(conf.state, 'claude'),
    DISABLE_AUTOUPDATER: '1',
    DISABLE_ERROR_REPORTING: '1',
    DISABLE_GROWTHBOOK: '1',
    DISABLE_TELEMETRY: '1',
    DISABLE_UPDATES: '1',
    ENABLE_CLAUDEAI_MCP_SERVERS: '0',
    ENABLE_TOOL_SEARCH: 'false',
  };
  if (!conf.endpoint.key_file) own.ANTHROPIC_AUTH_TOKEN = 'none';
  if (models.subagent) own.CLAUDE_CODE_SUBAGENT_MODEL = models.subagent;
  if (settings.max_output_tokens) own.CLAUDE_CODE_MAX_OUTPUT_TOKENS = String(settings.max_output_tokens);
  if (conf.timezone) own.TZ = conf.timezone;
  return { ...Object.fromEntries(Object.entries(process.env).filter(([key]) => isForeign(key))), ...own };
}

// The server that the program asks, by the environment that it is given: without one it asks its maker's.
const asks = (env) => env.ANTHROPIC_BASE_URL || 'default of anthropic';

function options(conf) {
  const { models, settings } = conf;
  const bare = (each) => each.replace(/\(.*$/s, '');
  const names = skillNames(conf);
  const flags = {
    autoMemoryEnabled: settings.memory,
    // What the agent writes where it works is no instruction: the contract alone is.
    claudeMdExcludes: [`${conf.state}/**`],
    disableAllHooks: true,
    disableBundledSkills: true,
    disableWorkflows: true,
    skipWebFetchPreflight: true,
  };
  if (conf.endpoint.key_file) flags.apiKeyHelper = `cat '${conf.endpoint.key_file}'`;
  const told = {
    additionalDirectories: conf.directories,
    allowedTools: [...settings.allowed_tools, ...Object.keys(conf.mcp_servers).map((each) => `mcp__${each}`)],
    cwd: conf.work,
    disallowedTools: settings.disallowed_tools,
    env: environment(conf),
    maxTurns: settings.max_turns,
    mcpServers: Object.fromEntries(Object.entries(conf.mcp_servers).map(([key, at]) => [key, { type: 'http', url: at }])),
    mcpServersDelivery: 'initialize',
    model: models.primary,
    permissionMode: 'dontAsk',
    projectConfigRoot: conf.root,
    settingSources: ['project'],
    settings: flags,
    skills: names,
    strictMcpConfig: true,
    systemPrompt: { type: 'preset', preset: 'claude_code' },
    tools: [...new Set(settings.allowed_tools.map(bare))],
    // A message that begins with `/` or names `@a-file` is a message, and no command.
    verbatimPrompts: true,
  };
  const others = models.fallback.filter((each) => each !== models.primary);
  if (others.length) told.fallbackModel = others.join(',');
  if (settings.effort) told.effort = settings.effort;
  if (settings.thinking === 'adaptive' || settings.thinking === 'disabled') told.thinking = { type: settings.thinking };
  else if (settings.thinking) told.thinking = { type: 'enabled', budgetTokens: settings.thinking };
  return told;
}

const short = (written, most = 300) => written.replace(/\s+/g, ' ').trim().slice(0, most);

// A text without the key of the model.
function redacted(conf, written) {
  if (!conf.endpoint.key_file) return written;
  let key = '';
  try { key = readFileSync(conf.endpoint.key_file, 'utf8').trim(); } catch { /* then it cannot be in it */ }
  return key.length > 3 ? written.replaceAll(key, '<key>') : written;
}

// Names of models behind a proxy are none that the program knows, which it says each time.
const isNoise = (words) => words.startsWith('[claude-code:unrecognized_model]');

// Has one turn; `known` is the session it goes on with. Nothing is kept here but what the program keeps itself.
async function haveTurn(sdk, conf, known, prompt, abortController, onWord) {
  const session = known ?? randomUUID();
  const stderr = (words) => onWord(redacted(conf, short(words)));
  const told = { ...options(conf), abortController, stderr, ...(known ? { resume: known } : { sessionId: session }) };
  let result;
  try {
    for await (const message of sdk.query({ prompt, options: told })) if (message.type === 'result') result = message;
  } catch (e) {
    // What the program said before it ended is better than the code it ended with.
    if (!result) throw e;
  }
  if (!result) throw new Problem('it ended without an answer');
  if (result.subtype === 'success' && !result.is_error) return { session, reply: result.result, turns: result.num_turns };
  const why = [result.result, ...(result.errors ?? [])].filter(Boolean).join('; ') || result.subtype;
  throw new Problem(result.subtype === 'success' ? why : `${result.subtype}: ${why}`);
}

// Waits until a process has ended; one that takes longer than that many milliseconds is killed.
function gone(child, most) {
  if (!child?.pid || child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), most);
    child.once('exit', () => { clearTimeout(timer); resolve(); });
  });
}

// Starts the program as a turn would and asks it what it has; no model is asked.
async function inspect(sdk, conf) {
  let end;
  const ended = new Promise((resolve) => { end = resolve; });
  async function* nothing() { await ended; }
  const said = [];
  let child;
  let given;
  // As the SDK would start it, so that it is known what it is given and when it has ended.
  const spawnClaudeCodeProcess = ({ command, args, cwd, env, signal }) => {
    given = env;
    child = spawn(command, args, { cwd, env, signal, stdio: ['pipe', 'pipe', 'pipe'] });
    child.stderr.setEncoding('utf8').on('data', (words) => said.push(words));
    return child;
  };
  const run = sdk.query({ prompt: nothing(), options: { ...options(conf), persistSession: false, spawnClaudeCodeProcess } });
  const drained = (async () => { for await (const _ of run); })();
  const failed = drained.then(() => new Promise(() => {}), (e) => { throw new Problem(short(redacted(conf, said.join(' ') || e.message))); });
  const late = new Promise((_, reject) => setTimeout(() => reject(new Problem('it did not start in 60 seconds')), 60_000).unref());
  try {
    const about = await Promise.race([run.initializationResult(), failed, late]);
    let servers = [];
    for (let tries = 0; tries < 50; tries += 1) {
      servers = await Promise.race([run.mcpServerStatus(), failed, late]);
      if (!servers.some(({ status }) => status === 'pending')) break;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    const account = await Promise.race([run.accountInfo(), failed, late]);
    return {
      agents: (about.agents ?? []).map((each) => each.name),
      asks: asks(given),
      key_from: account?.apiKeySource ?? account?.tokenSource ?? null,
      mcp_servers: servers.map(({ name: key, status, error, tools }) => ({ name: key, status, error: error && short(error), tools: tools?.map((each) => each.name) })),
      said: said.map((words) => redacted(conf, short(words))).filter((words) => words && !isNoise(words)),
      skills: (about.commands ?? []).map((each) => each.name).filter((each) => options(conf).skills.includes(each)),
    };
  } finally {
    end();
    run.close?.();
    failed.catch(() => {});
    // It writes until it has ended, into a folder that may be taken away next.
    await Promise.race([drained.catch(() => {}), new Promise((resolve) => { setTimeout(resolve, 3000).unref(); })]);
    await gone(child, 3000);
  }
}

// ---- The agent: one turn at a time in a session, a few at once, the rest wait.

const WAITING_MOST = 64;

function writeWhole(file, value) {
  writeFileSync(`${file}.new`, JSON.stringify(value) + '\n', { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

function readWhole(file) {
  try { const value = JSON.parse(readFileSync(file, 'utf8')); return isMap(value) ? value : {}; } catch { return {}; }
}

class Busy extends Problem {}

class Agent {
  constructor(conf, sdk) {
    Object.assign(this, { conf, sdk, running: new Map(), waiting: [], isDraining: false, idle: [], lastTurn: null, lastError: null });
    this.file = join(conf.state, 'sessions.json');
    this.sessions = readWhole(this.file);
  }

  // Queues a message; `isNew` begins the session anew. Resolves to {reply, turns, ms}.
  say(session, prompt, isNew = false) {
    if (this.isDraining) return Promise.reject(new Busy('it is about to be stopped and takes nothing new'));
    if (this.waiting.length >= WAITING_MOST) return Promise.reject(new Busy(`${WAITING_MOST} messages wait already`));
    return new Promise((resolve, reject) => {
      this.waiting.push({ session, prompt, isNew, resolve, reject });
      this.begin();
    });
  }

  begin() {
    for (;;) {
      if (this.running.size >= this.conf.settings.max_parallel) return;
      const at = this.waiting.findIndex((each) => !this.running.has(each.session));
      if (at < 0) break;
      const [one] = this.waiting.splice(at, 1);
      this.have(one);
    }
    if (this.running.size === 0 && this.waiting.length === 0) this.idle.splice(0).forEach((resolve) => resolve());
  }

  async have({ session, prompt, isNew, resolve, reject }) {
    const abort = new AbortController();
    const began = Date.now();
    this.running.set(session, { began, abort });
    const limit = this.conf.settings.turn_seconds;
    let isLate = false;
    const timer = setTimeout(() => { isLate = true; abort.abort(); }, limit * 1000);
    const onWord = (words) => { if (words && !isNoise(words)) log('program', { session, text: words }); };
    const known = isNew ? undefined : this.sessions[session];
    try {
      const answer = await haveTurn(this.sdk, this.conf, known, prompt, abort, onWord).catch((e) => {
        // What is remembered of a session is deleted by the program after some weeks without a word.
        if (!known || !/No conversation found/i.test(e.message)) throw e;
        log('session', { session, text: 'what was remembered of it is gone, it begins anew' });
        return haveTurn(this.sdk, this.conf, undefined, prompt, abort, onWord);
      });
      if (this.sessions[session] !== answer.session) {
        this.sessions[session] = answer.session;
        writeWhole(this.file, this.sessions);
      }
      const ms = Date.now() - began;
      this.lastTurn = { session, at: new Date().toISOString(), ms, turns: answer.turns };
      this.lastError = null;
      log('turn', { session, ms, turns: answer.turns });
      resolve({ reply: answer.reply, turns: answer.turns, ms });
    } catch (e) {
      const why = isLate ? `it was not done in ${limit} seconds` : redacted(this.conf, short(e.message, 600));
      this.lastError = { session, at: new Date().toISOString(), error: why };
      log('turn failed', { session, ms: Date.now() - began, error: why });
      reject(new Problem(why));
    } finally {
      clearTimeout(timer);
      this.running.delete(session);
      this.begin();
    }
  }

  // Takes nothing new; resolves once what was begun is done.
  drain() {
    this.isDraining = true;
    return new Promise((resolve) => { this.idle.push(resolve); this.begin(); });
  }

  abort() {
    this.isDraining = true;
    this.waiting.splice(0).forEach((each) => each.reject(new Busy('it is being stopped')));
    this.running.forEach((each) => each.abort.abort());
  }
}

// How late a firing may be. What is later is left out, so that a clock that jumps does not fire everything at once.
const GRACE = MINUTE;
const LONGEST_SLEEP = 30_000;
const LOG_MOST = 1024 * 1024;

class Scheduler {
  constructor(agent, clock = Date.now) {
    Object.assign(this, { agent, clock, seen: clock(), zone: agent.conf.timezone ?? 'UTC' });
    this.file = join(agent.conf.state, 'schedules.json');
    this.log = join(agent.conf.state, 'schedules.jsonl');
    this.last = readWhole(this.file);
    this.rows = agent.conf.schedules.map((each) => {
      const cron = parseCron(each.cron);
      // From the last firing on, so that one that a short restart fell on is still had.
      const last = Date.parse(this.last[each.id]?.at ?? '');
      const since = last <= this.seen ? Math.max(last, this.seen - GRACE) : this.seen;
      return { ...each, parsed: cron, next: next(cron, this.zone, since), isWaiting: false };
    });
  }

  tick() {
    const now = this.clock();
    if (this.seen - now > GRACE) this.rows.forEach((row) => { row.next = next(row.parsed, this.zone, now); });
    this.seen = now;
    for (const row of this.rows) {
      while (row.next !== null && row.next <= now) {
        const at = row.next;
        const isMissed = at < now - GRACE;
        row.next = next(row.parsed, this.zone, isMissed ? now - GRACE - 1 : at);
        const when = shown(at, this.zone);
        if (isMissed) log('schedule', { id: row.id, at: when, status: 'skipped', why: `${Math.round((now - at) / 1000)} s too late` });
        else if (row.isWaiting) log('schedule', { id: row.id, at: when, status: 'skipped', why: 'the one before it is not done' });
        else if (!this.agent.isDraining) this.fire(row, when);
      }
    }
    const soonest = Math.min(...this.rows.map((row) => row.next ?? Infinity));
    return Math.max(0, Math.min(LONGEST_SLEEP, soonest - this.clock()));
  }

  // A firing is a session of its own, so that what was said last week is not read, and paid for, again.
  async fire(row, at) {
    row.isWaiting = true;
    const done = await this.agent.say(`schedule-${row.id}`.slice(0, 64), row.message, true)
      .then(({ reply }) => ({ status: 'answered', reply: reply.slice(0, 4000) }), (e) => (e instanceof Busy ? null : { status: 'failed', error: e.message }));
    row.isWaiting = false;
    // What was not begun counts as not fired: whoever runs next fires it.
    if (!done) return log('schedule', { id: row.id, at, status: 'not fired' });
    log('schedule', { id: row.id, at, status: done.status });
    this.last[row.id] = { at, status: done.status };
    try {
      writeWhole(this.file, this.last);
      if (existsSync(this.log) && statSync(this.log).size > LOG_MOST) renameSync(this.log, `${this.log}.1`);
      appendFileSync(this.log, JSON.stringify({ id: row.id, at, ...done }) + '\n', { mode: 0o600 });
    } catch (e) {
      log('schedule', { id: row.id, at, status: 'not written down', why: short(e.message) });
    }
  }

  run() {
    if (this.rows.length === 0) return;
    const turn = () => { this.timer = setTimeout(turn, this.tick()); };
    turn();
  }

  described() {
    return this.rows.map(({ id, next: at }) => ({ id, next: shown(at, this.zone), last: this.last[id]?.at ?? null, last_status: this.last[id]?.status ?? null }));
  }
}

// ---- Commands.

function health(agent, scheduler) {
  return {
    status: 'healthy',
    ready: true,
    draining: agent.isDraining,
    model: agent.conf.models.primary,
    sessions: Object.keys(agent.sessions).length,
    running: [...agent.running].map(([session, { began }]) => ({ session, seconds: Math.round((Date.now() - began) / 1000) })),
    waiting: agent.waiting.length,
    last_turn: agent.lastTurn,
    last_error: agent.lastError,
    schedules: scheduler.described(),
  };
}

const BODY_MOST = 1024 * 1024;

async function bodyOf(request) {
  const parts = [];
  let size = 0;
  for await (const part of request) {
    size += part.length;
    if (size > BODY_MOST) throw new Problem('the message is too long');
    parts.push(part);
  }
  try { return JSON.parse(Buffer.concat(parts).toString('utf8')); } catch { throw new Problem('the body is no JSON'); }
}

const message = record({ text: text(/\S/, 'a text') }, { session: name });

async function serve() {
  const conf = readConfig(FILE);
  let agent;
  let scheduler;
  let isStopping = false;
  const answer = (response, status, body) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body) + '\n');
  };
  const handle = async (request, response) => {
    const route = `${request.method} ${request.url}`;
    if (!agent) return answer(response, 503, { status: 'starting', ready: false });
    if (route === 'GET /health') return answer(response, 200, health(agent, scheduler));
    if (route === 'POST /drain') {
      log('drain', { running: agent.running.size, waiting: agent.waiting.length });
      await agent.drain();
      return answer(response, 200, { ok: true });
    }
    if (route !== 'POST /message') return answer(response, 404, { error: 'there is no such thing' });
    let asked;
    try { asked = message(await bodyOf(request), ''); } catch (e) { return answer(response, 400, { error: e.message }); }
    try {
      const session = asked.session ?? 'main';
      return answer(response, 200, { session, ...(await agent.say(session, asked.text)) });
    } catch (e) {
      return answer(response, e instanceof Busy ? 503 : 502, { error: e.message });
    }
  };
  const server = createServer((request, response) => {
    handle(request, response).catch((e) => { log('request failed', { error: short(e.message) }); response.destroy(); });
  });
  // A turn takes as long as it takes; the connection says nothing until then.
  server.requestTimeout = 0;
  await new Promise((resolve, reject) => { server.once('error', reject); server.listen(conf.port, '127.0.0.1', resolve); });
  const stop = async (signal) => {
    if (isStopping) return;
    isStopping = true;
    log('stop', { signal, running: agent?.running.size ?? 0 });
    clearTimeout(scheduler?.timer);
    agent?.abort();
    const ended = agent ? agent.drain() : Promise.resolve();
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 5000))]);
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => stop(signal));
  for (const folder of [conf.state, conf.work, join(conf.state, 'claude')]) mkdirSync(folder, { recursive: true });
  if (!existsSync(join(conf.root, 'CLAUDE.md'))) log('contract', { text: `there is none at ${conf.root}/CLAUDE.md` });
  const sdk = await loadSdk();
  const has = await inspect(sdk, conf);
  if (isStopping) return;
  const ready = new Agent(conf, sdk);
  scheduler = new Scheduler(ready);
  agent = ready;
  log('ready', { sdk: sdk.version, model: conf.models.primary, endpoint: has.asks, skills: has.skills, mcp_servers: has.mcp_servers.map(({ name: key, status }) => ({ name: key, status })), schedules: scheduler.described() });
  scheduler.run();
}

function call(method, route, body) {
  const { port } = readConfig(FILE);
  return new Promise((resolve, reject) => {
    const asked = httpRequest({ host: '127.0.0.1', port, method, path: route, headers: { 'content-type': 'application/json' } }, async (response) => {
      const parts = [];
      for await (const part of response) parts.push(part);
      const said = Buffer.concat(parts).toString('utf8');
      let answer;
      try { answer = JSON.parse(said); } catch { return reject(new Problem(`it answered ${response.statusCode}`)); }
      return response.statusCode === 200 ? resolve(answer) : reject(new Problem(answer.error ?? `it is ${answer.status ?? response.statusCode}`));
    });
    asked.on('error', (e) => reject(new Problem(`it does not answer: ${e.code ?? e.message}`)));
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

// The configuration as it is read, what the SDK is told by it, and what the program made of that. A key that is not known is no
// part of it: such a file is refused.
async function reading(file, isThrowAway) {
  const conf = readConfig(file);
  const sdk = await loadSdk();
  const told = options(conf);
  const { env, ...others } = told;
  const folder = mkdtempSync(join(tmpdir(), 'claw-'));
  try {
    const at = isThrowAway ? { ...conf, root: folder, state: folder, work: folder, directories: [], mcp_servers: {} } : { ...conf, state: folder };
    const program = await inspect(sdk, at);
    const own = Object.fromEntries(Object.entries(env).filter(([key]) => !isForeign(key)).sort());
    const { primary, fallback, fast, subagent } = conf.models;
    const broken = program.mcp_servers.filter(({ status }) => status === 'failed').map((each) => `MCP server ${each.name}: ${each.error ?? each.status}`);
    return {
      endpoints: [program.asks],
      models: [...new Set([primary, ...fallback, fast, subagent].filter(Boolean))],
      ignored: [],
      warnings: [...program.said, ...broken],
      configuration: { file, sdk: sdk.version, read: conf, options: { ...others, env: own }, program },
    };
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}

async function nextOfEach() {
  const lines = readFileSync(0, 'utf8').split('\n').filter(Boolean);
  for (const each of lines) {
    const { cron, zone: at, after } = JSON.parse(each);
    let said;
    try { said = shown(next(parseCron(cron), at, Date.parse(after)), at); } catch (e) { said = `wrong: ${e.message}`; }
    process.stdout.write(`${said}\n`);
  }
}

const print = (words) => new Promise((resolve) => { process.stdout.write(`${words}\n`, resolve); });

async function main([command, ...words]) {
  if (command === 'serve' && words.length === 0) return serve();
  if (command === 'ask' && words.length === 2) {
    const { reply } = await call('POST', '/message', { session: words[0], text: words[1] });
    await print(reply);
  } else if (command === 'drain' && words.length === 0) await print(JSON.stringify(await call('POST', '/drain')));
  else if (command === 'reading' && words.length === 0) await print(JSON.stringify(await reading(FILE, false)));
  else if (command === 'check' && words.length === 1) await print(JSON.stringify(await reading(words[0], true)));
  else if (command === 'next' && words.length === 0) await nextOfEach();
  else throw new Problem('usage: runner.mjs serve | ask SESSION TEXT | drain | reading | check FILE | next');
  return process.exit(0);
}

main(process.argv.slice(2)).catch((e) => {
  const why = e instanceof Problem ? e.message : e?.stack?.split('\n').slice(0, 2).join(' ') ?? String(e);
  process.stderr.write(`runner: ${short(why, 1000)}\n`, () => process.exit(1));
});
