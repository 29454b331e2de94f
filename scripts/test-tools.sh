#!/usr/bin/env bash
# Installs, where missing, the programs that tests use: dig, dnsmasq, curl, Redis, iproute2, Chromium, Go, Python's
# venv, a newer curl (.cache/curl), and aioquic and PySocks in a virtual environment of this checkout (.cache/venv).
set -euo pipefail
cd "$(dirname "$0")/.."

packages=()
need() { command -v "$1" >/dev/null 2>&1 || packages+=("$2"); }
need curl curl
need dig bind9-dnsutils
need dnsmasq dnsmasq-base
need ip iproute2
need openssl openssl
need go golang-go
need python3 python3
need redis-server redis-server
need chromium chromium
python3 -c 'import ensurepip' 2>/dev/null || packages+=(python3-venv)
if [ "${#packages[@]}" -gt 0 ]; then
  as_root=()
  [ "$(id -u)" = 0 ] || as_root=(sudo)
  "${as_root[@]}" apt-get update -q
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -q -y --no-install-recommends "${packages[@]}"
fi

scripts/newer-curl.sh

if ! [ -x .cache/venv/bin/python ] || ! .cache/venv/bin/python -c 'import aioquic, socks' 2>/dev/null; then
  python3 -m venv .cache/venv
  .cache/venv/bin/python -m pip install -q -r test/interop/aioquic/requirements.txt -r test/interop/pysocks/requirements.txt
fi

(cd test/interop/masque-go && go build -o ../../../.cache/masque-go-client .)
echo 'test tools are in place'
