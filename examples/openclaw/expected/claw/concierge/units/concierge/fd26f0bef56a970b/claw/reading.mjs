// What openclaw has read of its configuration, as openclaw itself tells it: one JSON object, secrets left out by openclaw.
// usage: node reading.mjs        (where `openclaw` is on the path and its environment is set)
import { spawnSync } from "node:child_process";

function ask(...words) {
  const run = spawnSync("openclaw", ["config", ...words, "--json"], { encoding: "utf8" });
  if (run.error) throw run.error;
  const from = run.stdout.search(/[{["]/);
  try {
    return { code: run.status, value: JSON.parse(run.stdout.slice(from)) };
  } catch {
    return { code: run.status, value: null };
  }
}

const judged = ask("validate").value ?? {};
const told = (list) => (list ?? []).map((each) => (typeof each === "string" ? each : `${each.path ?? ""}: ${each.message ?? ""}`));
const configuration = {};
for (const part of ["agents", "channels", "mcp", "models", "tools"]) {
  const found = ask("get", part);
  // A part that is not there is an error of its own.
  if (found.code === 0) configuration[part] = found.value;
}
const providers = configuration.models?.providers ?? {};
const model = configuration.agents?.defaults?.model ?? {};
const bare = (name) => name.slice(name.indexOf("/") + 1);
console.log(
  JSON.stringify({
    endpoints: Object.values(providers).map((provider) => provider.baseUrl),
    models: [model.primary, ...(model.fallbacks ?? [])].filter(Boolean).map(bare),
    ignored: [],
    // openclaw refuses a key that it does not know, so that there is none it ignores.
    warnings: [...told(judged.issues), ...told(judged.warnings)],
    configuration,
  }),
);
