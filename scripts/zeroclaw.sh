#!/bin/sh
# Put the real zeroclaw below DIR, for tests: the program of the image that claw builds of drivers/zeroclaw/Dockerfile, which is
# built first where the engine does not have it.
# usage: sh zeroclaw.sh DIR         then: DIR/bin/zeroclaw
# Nothing else is written but images. Needs docker and crates.io. IF_BUILT=1 takes the program only where the image is there, since
# building it takes a while.
set -eu

[ $# -eq 1 ] || { echo "usage: sh zeroclaw.sh DIR" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
dockerfile=$here/../drivers/zeroclaw/Dockerfile
context=$(sha256sum "$dockerfile" | cut -d ' ' -f 1)
version=$(sed -n 's/.* install zeroclaw --version \([0-9.]*\) .*/\1/p' "$dockerfile")
image=claw/zeroclaw:$version

# What claw asks an image of its own: whether it is of this Dockerfile.
is_built() {
  [ "$(docker image inspect -f '{{index .Config.Labels "claw.context"}}' "$image" 2>/dev/null)" = "$context" ]
}
if ! is_built; then
  [ -z "${IF_BUILT:-}" ] || { echo "zeroclaw.sh: no $image of this Dockerfile, and its tests are skipped: \`sh scripts/zeroclaw.sh $1\`"; exit 0; }
  base() { # name script: pulled, or made where no registry is reached
    docker image inspect "$1" >/dev/null 2>&1 || docker pull -q "$1" 2>/dev/null || sh "$here/$2" "$1"
  }
  base "$(sed -n 's/^ARG BASE_IMAGE=//p' "$dockerfile")" debian-image.sh
  base "$(sed -n 's/^ARG RUST_IMAGE=//p' "$dockerfile")" rust-image.sh
  log=$(mktemp)
  docker build --network "${CLAW_BUILD_NETWORK:-default}" --label claw.schema=1 --label "claw.context=$context" \
    -t "$image" -t claw/zeroclaw:latest - <"$dockerfile" >"$log" 2>&1 || { tail -n 30 "$log" >&2; rm "$log"; exit 1; }
  rm "$log"
fi

mkdir -p "$1"
DIR=$(cd "$1" && pwd)
if command -v flock >/dev/null; then exec 9>"$DIR/.lock"; flock 9; fi
id=$(docker image inspect -f '{{.Id}}' "$image")
if [ -f "$DIR/zeroclaw.done" ] && [ "$(cat "$DIR/zeroclaw.done")" = "$id" ]; then exit 0; fi
rm -rf "$DIR/bin" "$DIR/lib" "$DIR/zeroclaw.done"
mkdir "$DIR/bin" "$DIR/lib"
# The libraries of the image come along, and what loads them: those of this host may be older.
docker run --rm --network none --entrypoint sh "$image" -c \
  'tar -ch /usr/local/bin/zeroclaw $(ldd /usr/local/bin/zeroclaw | grep -o "/[^ ]*") 2>/dev/null' |
  tar -x -C "$DIR/lib" --transform 's,.*/,,'
loader=$(cd "$DIR/lib" && ls ld-*)
cat >"$DIR/bin/zeroclaw" <<END
#!/bin/sh
lib=\$(cd "\$(dirname "\$0")/../lib" && pwd)
exec "\$lib/$loader" --library-path "\$lib" "\$lib/zeroclaw" "\$@"
END
chmod 0755 "$DIR/bin/zeroclaw"
echo "$id" >"$DIR/zeroclaw.done"
