#!/usr/bin/env bash
# Packs bauta, installs the package in an empty folder with no cargo in the path, and sends one datagram
# through a tunnel. Prints the time from the start of the installation to the echoed datagram.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(mktemp -d)
remove=$(command -v rm)
trap '"$remove" -rf "$folder"' EXIT
npm pack --ignore-scripts --silent --pack-destination "$folder" >/dev/null
mkdir "$folder/app" "$folder/bin"
for program in node npm sh bash env uname dirname sed; do
  ln -s "$(command -v "$program")" "$folder/bin/$program"
done
cd "$folder/app"
export PATH="$folder/bin"
if command -v cargo >/dev/null; then
  echo 'cargo is still in the path' >&2
  exit 1
fi
began=$(node -p 'Date.now()')
npm init -y >/dev/null
npm install --silent --no-audit --no-fund "$folder"/bauta-*.tgz
node node_modules/bauta/dist/src/cli/main.js demo --json
ended=$(node -p 'Date.now()')
echo "from the start of the installation to the echo: $((ended - began)) ms"
