// What openclaw has read of its configuration, as openclaw itself tells it: one JSON object, secrets left out by openclaw.
// usage: node reading.mjs        (where `openclaw` is on the path and its environment is set)
import { spawnSync } from "node:child_process";

function ask(...words) {
  const run = spawnSync("openclaw", ["config", ...words, "--json"], { encoding: "utf8" });
  if (run.error) throw run.error;
  const from = run.stdout.search(/[{["]/);
  let value = null;
  try {
    value = JSON.parse(run.stdout.slice(from));
  } catch {
    // Then the last line that it says is why it ended.
  }
  const said = value?.error?.message ?? ((run.stderr.trim() || run.stdout.trim()).split("\n").at(-1) || "it said nothing");
  return { code: run.status ?? run.signal, said, value };
}

const validated = ask("validate");
const judged = validated.value ?? {};
// A verdict is an object that says whether the file is valid. Anything else is a validator that broke.
const hasVerdict = typeof judged.valid === "boolean";
const broken = hasVerdict ? [] : [`its validator gave no verdict: exit ${validated.code}: ${validated.said}`];
if (judged.valid === false && (judged.issues ?? []).length === 0) broken.push(`its configuration is not valid: ${validated.said}`);
const told = (list) => (list ?? []).map((each) => (typeof each === "string" ? each : `${each.path ?? ""}: ${each.message ?? ""}`));
const configuration = {};
for (const part of ["agents", "channels", "mcp", "models", "tools"]) {
  const found = ask("get", part);
  if (found.code === 0) configuration[part] = found.value;
  // A part that is unset is an error of its own, and none to tell; of a file that is not valid it tells no part at all.
  else if (judged.valid !== false && !(found.value?.error && /is valid but unset|path not found/i.test(found.said))) broken.push(`it does not tell its ${part}: exit ${found.code}: ${found.said}`);
}

// Every model that an agent may ask, by its whole name: a text, or one with others to fall back on.
function models(part) {
  if (part === null || typeof part !== "object") return [];
  const named = (value) => (typeof value === "string" ? [value] : [value?.primary, ...(value?.fallbacks ?? [])]);
  const own = Object.entries(part).flatMap(([key, value]) => (/^model$|Model$/.test(key) ? named(value) : []));
  return [...own, ...Object.values(part).flatMap(models)].filter((name) => typeof name === "string" && name !== "");
}

const asked = [...new Set(models(configuration.agents))];
const providers = configuration.models?.providers ?? {};
// A provider without a server is asked where openclaw's own list of providers says.
const endpoint = (name) => providers[name]?.baseUrl || `default of ${name}`;
const names = [...Object.keys(providers), ...asked.map((name) => name.slice(0, Math.max(name.indexOf("/"), 0))).filter(Boolean)];
// Without a model of the configuration's it takes one of its own.
if (!asked.length && configuration.agents) names.push("openclaw");
console.log(
  JSON.stringify({
    endpoints: [...new Set(names.map(endpoint))],
    models: [...new Set(asked.map((name) => name.slice(name.indexOf("/") + 1)))],
    ignored: [],
    // openclaw refuses a key that it does not know, so that there is none it ignores.
    warnings: [...broken, ...told(judged.issues), ...told(judged.warnings)],
    configuration,
  }),
);
