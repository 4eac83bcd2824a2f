#!/usr/bin/env bash
# Make the environment of this checkout: setup.sh FOLDER. Called by the Makefile.
# On Debian and Ubuntu missing system packages are installed when run as root; otherwise the one
# line that installs them is printed.
set -euo pipefail
venv="$1"

# What Qt needs for a window, and a virtual display with software GL.
packages=(xvfb xauth libgl1-mesa-dri libegl1 libopengl0 libxkbcommon-x11-0 libxcb-cursor0
  libxcb-icccm4 libxcb-keysyms1 libxcb-shape0 libxcb-xinerama0 libxcb-image0 libxcb-render-util0
  libdbus-1-3 libfontconfig1)

find_python() {
  local name
  for name in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
    if [ -n "$name" ] && command -v "$name" >/dev/null &&
      "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$name"
      return
    fi
  done
}

is_installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

python="$(find_python)"
missing=()
if command -v dpkg-query >/dev/null; then
  for package in "${packages[@]}"; do
    is_installed "$package" || missing+=("$package")
  done
  if [ -z "$python" ]; then
    missing+=(python3 python3-venv)
  elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    missing+=("$(basename "$python")-venv")
  fi
elif [ "$(uname)" = Linux ]; then
  echo "Not Debian or Ubuntu: should no window open, install the equivalents of: ${packages[*]}"
fi

if [ "${#missing[@]}" -gt 0 ]; then
  if [ "$(id -u)" = 0 ]; then
    echo "Installing system packages: ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}"
  else
    echo "error: System packages are missing. Run this, then make again:" >&2
    echo "sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
fi

python="$(find_python)"
if [ -z "$python" ]; then
  echo "error: Python 3.11 or newer is due. Install it, or name it: make PYTHON=/path/to/python" >&2
  exit 1
fi

if [ ! -x "$venv/bin/python" ]; then
  "$python" -m venv "$venv"
fi
# The groups of pyproject.toml need pip 25.1.
"$venv/bin/python" -m pip install --quiet --upgrade "pip>=25.1"
"$venv/bin/python" -m pip install --quiet -c constraints.txt -e ".[all]" --group dev --group bench
