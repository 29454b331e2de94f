#!/usr/bin/env bash
# Runs the tests on the newest Node, taken from the npm package that carries its binary for this platform.
set -euo pipefail
cd "$(dirname "$0")/.."

platform=$(node -p '`${process.platform}-${process.arch}`')
folder=.cache/newest-node
if ! [ -x "$folder/node_modules/node-$platform/bin/node" ]; then
  mkdir -p "$folder"
  version=$(npm view node version)
  npm install --silent --no-save --ignore-scripts --no-audit --no-fund --prefix "$folder" "node-$platform@$version"
fi
newest=$PWD/$folder/node_modules/node-$platform/bin
"$newest/node" --version
PATH="$newest:$PATH" "$newest/node" scripts/test.mjs
