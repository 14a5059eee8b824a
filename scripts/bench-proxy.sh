#!/bin/sh
# Measures the proxy against a mock provider and, in the same rounds, a relay that does nothing: what that takes is the host's own.
# Arguments go to `load bench`, e.g. `--quick` or `--json FILE`.
set -eu
newest() { ls -t "$@" 2>/dev/null | head -n 1; }
claw=$(newest target/*/release/claw target/release/claw)
load=$(newest target/*/release/examples/load target/release/examples/load)
mock=127.0.0.1:18997
relay=127.0.0.1:18996
exec "$load" bench --claw "$claw" --mock "$mock" --peer-url "http://$relay" \
    --peer-cmd "exec $load relay --listen $relay --upstream $mock" "$@"
