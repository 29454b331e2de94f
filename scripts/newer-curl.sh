#!/usr/bin/env bash
# Puts a curl of 8.3 or newer into .cache/curl where the machine's own is older (--proxy-http2 came with 8.1, a trace
# of what a proxy says over it with 8.3): the one of Debian's backports, beside the machine's packages and without their list.
set -euo pipefail
cd "$(dirname "$0")/.."

new_enough() {
  local version
  version=$("$1" --version 2>/dev/null | sed -nE '1s/^curl ([0-9]+)\.([0-9]+).*/\1 \2/p')
  [ -n "$version" ] || return 1
  local major=${version% *} minor=${version#* }
  [ "$major" -gt 8 ] || { [ "$major" -eq 8 ] && [ "$minor" -ge 3 ]; }
}

if new_enough curl || new_enough .cache/curl/curl; then exit 0; fi

release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
sources=/etc/apt/sources.list.d/debian.sources
if ! [ -f "$sources" ]; then
  echo 'no curl of 8.3 or newer, and no Debian sources to take one from' >&2
  exit 1
fi

folder=$PWD/.cache/curl
mkdir -p "$folder"/apt/{sources,lists/partial,cache/archives/partial} "$folder/files"
# The machine's own mirror, keys and components, with the suite of the backports.
awk -v suite="$release-backports" '
  BEGIN { RS = ""; ORS = "\n\n" }
  !/-security/ { sub(/Suites:[^\n]*/, "Suites: " suite); print; exit }
' "$sources" >"$folder/apt/sources/backports.sources"
options=(
  -o Dir::Etc::SourceList=/dev/null
  -o Dir::Etc::SourceParts="$folder/apt/sources"
  -o Dir::State::Lists="$folder/apt/lists"
  -o Dir::Cache="$folder/apt/cache"
  -o APT::Sandbox::User="$(id -un)"
)
apt-get "${options[@]}" -q update
(cd "$folder/apt/cache" && apt-get "${options[@]}" -q download curl libcurl4)
for package in "$folder"/apt/cache/*.deb; do dpkg -x "$package" "$folder/files"; done
libraries=$(dirname "$(find "$folder/files" -name 'libcurl.so.4' | head -n 1)")
cat >"$folder/curl" <<SCRIPT
#!/bin/sh
LD_LIBRARY_PATH='$libraries' exec '$folder/files/usr/bin/curl' "\$@"
SCRIPT
chmod +x "$folder/curl"
rm -rf "$folder/apt"
new_enough "$folder/curl"
