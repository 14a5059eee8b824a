// Declare the schedules of one agent at its running openclaw gateway, and remove those no longer wanted.
//
// usage: node schedules.mjs FILE
//   FILE: {"owner":"claw:<pod>:<agent>:","jobs":[{"key","cron","tz"|null,"message","name","channel"|null,"to"|null}]}
// stdout: {"ok":true,"created":n,"updated":n,"unchanged":n,"removed":n}     exit 0
// stderr: one line, of every job that was refused; the others are done      exit 1
//
// Every job carries its key as declaration key, so a second run changes nothing. Only jobs whose key begins with
// `owner` are ever removed: openclaw has jobs of its own, and people make some by hand.
// One process talks to the gateway for all jobs; a CLI call for each would take seconds apiece.
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

const PORT = Number(process.env.CLAW_GATEWAY_PORT || 18789);
const DEADLINE_MS = Number(process.env.CLAW_GATEWAY_DEADLINE_MS || 280000);

class Problem extends Error {}

function wanted(file) {
  let doc;
  try {
    doc = JSON.parse(readFileSync(file, 'utf8'));
  } catch (e) {
    throw new Problem(`${file}: ${e.message}`);
  }
  const { owner, jobs } = doc ?? {};
  if (typeof owner !== 'string' || !owner.endsWith(':') || owner.length < 3) throw new Problem(`${file}: "owner" must be a key prefix that ends with ":"`);
  if (!Array.isArray(jobs)) throw new Problem(`${file}: "jobs" must be a list`);
  const keys = new Set();
  for (const job of jobs) {
    for (const k of ['key', 'cron', 'message', 'name']) {
      if (typeof job?.[k] !== 'string' || !job[k]) throw new Problem(`${file}: a job's "${k}" must be a text`);
    }
    if (!job.key.startsWith(owner)) throw new Problem(`${file}: job key ${job.key} does not begin with ${owner}`);
    if (keys.has(job.key)) throw new Problem(`${file}: job key ${job.key} appears twice`);
    if (job.to && !job.channel) throw new Problem(`${file}: job ${job.key} has "to" without "channel"`);
    keys.add(job.key);
  }
  return { owner, jobs, keys };
}

// The directory of the openclaw package: where the `openclaw` on PATH really is.
function packageDir() {
  const tried = [process.env.CLAW_OPENCLAW_DIR];
  for (const dir of (process.env.PATH || '').split(delimiter)) {
    const bin = join(dir, 'openclaw');
    if (dir && existsSync(bin)) {
      tried.push(dirname(realpathSync(bin)), join(dir, '../openclaw/node_modules/openclaw'));
    }
  }
  tried.push('/opt/openclaw/node_modules/openclaw');
  for (const dir of tried) {
    if (dir && existsSync(join(dir, 'dist/plugin-sdk/gateway-runtime.js'))) return dir;
  }
  throw new Problem('the openclaw package was not found');
}

async function started() {
  const until = Date.now() + DEADLINE_MS;
  let last = 'no answer';
  for (;;) {
    try {
      const res = await fetch(`http://127.0.0.1:${PORT}/startupz`, { signal: AbortSignal.timeout(5000) });
      const body = await res.json();
      if (body.ok === true) return;
      last = body.pendingReason || body.status || `HTTP ${res.status}`;
    } catch (e) {
      last = e.cause?.code || e.name;
    }
    if (Date.now() >= until) throw new Problem(`the gateway was not ready after ${DEADLINE_MS / 1000} s: ${last}`);
    await new Promise((r) => setTimeout(r, 500));
  }
}

function spec(job) {
  // openclaw may spread jobs of the same minute over some minutes; a declared time is meant.
  const schedule = { kind: 'cron', expr: job.cron, staggerMs: 0 };
  if (job.tz) schedule.tz = job.tz;
  // A job that runs late answers nobody's question sooner by failing: delivery problems are logged, not fatal.
  const delivery = job.channel
    ? { mode: 'announce', channel: job.channel, ...(job.to ? { to: job.to } : {}), bestEffort: true }
    : { mode: 'none' };
  return {
    declarationKey: job.key,
    name: job.name,
    agentId: 'main',
    enabled: true,
    schedule,
    sessionTarget: 'isolated',
    wakeMode: 'now',
    payload: { kind: 'agentTurn', message: job.message },
    delivery,
  };
}

// Whether the job at the gateway is what we want: it may have more fields, but no other time zone or target.
function same(want, have) {
  const within = (a, b) => (a && typeof a === 'object' ? b && typeof b === 'object' && Object.keys(a).every((k) => within(a[k], b[k])) : a === b);
  return within(want, have) && want.schedule.tz === have.schedule.tz && want.delivery.to === have.delivery?.to;
}

async function main() {
  if (process.argv.length !== 3) throw new Problem('usage: node schedules.mjs FILE');
  const { owner, jobs, keys } = wanted(process.argv[2]);
  const dir = packageDir();
  await started();
  const { callGatewayFromCli } = await import(pathToFileURL(join(dir, 'dist/plugin-sdk/gateway-runtime.js')).href);
  const call = (method, params) => callGatewayFromCli(method, { timeout: '30000', json: true }, params, { progress: false });

  const have = new Map();
  for (let offset = 0; ; ) {
    const page = await call('cron.list', { includeDisabled: true, limit: 200, offset });
    for (const job of page.jobs) {
      if (job.declarationKey?.startsWith(owner)) have.set(job.declarationKey, job);
    }
    if (!page.hasMore || page.jobs.length === 0) break;
    offset += page.jobs.length;
  }
  const count = { created: 0, updated: 0, unchanged: 0, removed: 0 };
  // What is wrong with one job is no reason to leave another one undone: least of all one that is to fire no more.
  const problems = [];
  const attempt = async (key, act) => {
    try {
      count[await act()] += 1;
    } catch (e) {
      problems.push(`${key}: ${e.message}`);
    }
  };
  for (const [key, job] of have) {
    if (keys.has(key)) continue;
    await attempt(key, async () => {
      await call('cron.remove', { id: job.id });
      return 'removed';
    });
  }
  for (const job of jobs) {
    await attempt(job.key, async () => {
      const want = spec(job);
      const old = have.get(job.key);
      if (old && same(want, old)) return 'unchanged';
      return (await call('cron.add', want)).created ? 'created' : 'updated';
    });
  }
  if (problems.length > 0) throw new Problem(problems.join('; '));
  process.stdout.write(JSON.stringify({ ok: true, ...count }) + '\n', () => process.exit(0));
}

main().catch((e) => {
  const text = e instanceof Problem ? e.message : e?.stack?.split('\n')[0] || String(e);
  process.stderr.write(`schedules: ${text.replace(/\s+/g, ' ')}\n`, () => process.exit(1));
});
