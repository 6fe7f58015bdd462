#!/usr/bin/env bash
# Installs mjxwm where there is no network: a folder of wheels, made on one machine for another.
#
#   scripts/wheelhouse.sh make FOLDER [--python 3.12] [--platform manylinux_2_28_x86_64]
#                                     [--extras suites,muscles] [--have jax,torch,...]
#   scripts/wheelhouse.sh install FOLDER [--python PROGRAM]
#
# `make` downloads the wheels of mjxwm and of what it needs, for that Python and platform, and
# splits what is larger than 60 MB. `--have` names what the other machine has already: it is left
# out, and so is all that only JAX for CUDA needs (add `jax[cuda13]` there, or name an image that
# has it). `install` joins the parts, checks every file's SHA-256, and installs without looking
# anywhere else.
set -euo pipefail

PART=60000000

fail() { echo "wheelhouse: $*" >&2; exit 2; }

usage() { sed -n '2,13s/^# \{0,1\}//p' "$0"; exit "${1:-0}"; }

make_house() {
  local folder=$1 python=3.12 platform=manylinux_2_28_x86_64 extras=suites,playground,baselines,muscles have=""
  shift
  while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || fail "option $1 needs a value"
    case $1 in
      --python) python=$2 ;;
      --platform) platform=$2 ;;
      --extras) extras=$2 ;;
      --have) have=$2 ;;
      *) fail "option $1 is unknown; there are --python, --platform, --extras and --have" ;;
    esac
    shift 2
  done
  [[ $python =~ ^3\.1[123]$ ]] || fail "--python $python: mjxwm runs on 3.11, 3.12 and 3.13"
  [ -f pyproject.toml ] || fail "run it from the root of the checkout"
  [ -z "$(ls -A "$folder" 2>/dev/null)" ] || fail "$folder is not empty"
  mkdir -p "$folder"
  python -m pip wheel --quiet --no-deps --wheel-dir "$folder" .
  local own
  own=$(ls "$folder"/mjxwm-*.whl)
  local tags=()
  while read -r tag; do tags+=(--platform "$tag"); done < <(older "$platform")
  python -m pip download --quiet --only-binary=:all: --dest "$folder" \
    --python-version "$python" "${tags[@]}" "$own${extras:+[$extras]}"
  drop "$folder" "$have"
  (cd "$folder" && sha256sum ./*.whl > SHA256SUMS)
  find "$folder" -name '*.whl' -size +${PART}c | while read -r wheel; do
    split -b $PART -d "$wheel" "$wheel.part"
    rm "$wheel"
  done
  echo "$(du -sh "$folder" | cut -f1) in $(find "$folder" -type f | wc -l) files of at most $((PART / 1000000)) MB"
}

older() { # platform: it and all that run on it, for pip takes tags by the letter
  echo "$1"
  if [[ $1 =~ ^manylinux_2_([0-9]+)_(.+)$ ]]; then
    local minor
    for ((minor = BASH_REMATCH[1] - 1; minor >= 5; minor--)); do
      echo "manylinux_2_${minor}_${BASH_REMATCH[2]}"
    done
    for old in manylinux2014 manylinux2010 manylinux1; do echo "${old}_${BASH_REMATCH[2]}"; done
  fi
}

drop() { # folder names,separated,by,commas
  local name
  for name in ${2//,/ }; do
    name=$(echo "$name" | tr '[:upper:]-.' '[:lower:]__')
    find "$1" -iname "$name-[0-9]*.whl" -delete
  done
}

install_house() {
  local folder=$1 program=python
  shift
  if [ $# -gt 0 ]; then
    [ "$1" = --python ] && [ $# -eq 2 ] || fail "install takes --python PROGRAM and nothing else"
    program=$2
  fi
  [ -f "$folder/SHA256SUMS" ] || fail "$folder has no SHA256SUMS; make it with \`make\`"
  local first wheel
  for first in "$folder"/*.part00; do
    [ -e "$first" ] || continue
    wheel=${first%.part00}
    cat "$wheel".part[0-9]* > "$wheel.tmp" && mv "$wheel.tmp" "$wheel"
  done
  (cd "$folder" && sha256sum --quiet -c SHA256SUMS) || fail "files in $folder are missing or damaged"
  "$program" -m pip install --quiet --no-index --no-deps "$folder"/*.whl
  "$program" -m pip check || echo "wheelhouse: what is missing above was named with --have; is it there?"
}

case ${1:-} in
  make | install) [ $# -ge 2 ] || usage 2 ;;
  -h | --help | help) usage ;;
  *) usage 2 ;;
esac
what=$1
shift
"${what}_house" "$@"
