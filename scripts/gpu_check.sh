#!/usr/bin/env bash
# Measures mjxwm on this machine's accelerator: tests, benchmarks and short trainings.
#
#   scripts/gpu_check.sh [--out FOLDER] [PART ...]
#
# Each part takes at most 10 minutes, keeps its output as FOLDER/PART.log (and .json, and a run's
# curve), and is skipped when it is done already: start the script again and it goes on. FOLDER is
# docs/results/<device>-<date> by default. A part that fails is named at the end, with status 1.
# Without network, install first with scripts/wheelhouse.sh.
#
# Parts: doctor tests sim sim-humanoid replay learner planner iteration scaling
#        hopper ant muscle-humanoid
set -uo pipefail

LIMIT=${LIMIT:-600} # seconds a part
ALL="doctor tests sim sim-humanoid replay learner planner iteration scaling hopper ant muscle-humanoid"
FAST=${FAST:-} # set: the smallest sizes, to see on any machine that everything starts

fail() { echo "gpu_check: $*" >&2; exit 2; }

command_of() {
  local out=$1 part=$2
  local json="--json $out/$part.json"
  local minutes="--minutes 7 --folder $out/runs --run $part --no-video $json"
  if [ -n "$FAST" ]; then
    minutes="--minutes 0.05 --env-steps 20000 --worlds 16 --capacity 4000 --folder $out/runs --run $part --no-video $json"
  fi
  case $part in
    doctor) echo "$MJXWM doctor $json" ;;
    tests) echo "python -m pytest -q -m gpu tests" ;;
    sim) echo "$MJXWM bench sim --engine ${ENGINES} --preset pwm-hopper --worlds ${WORLDS} $json" ;;
    sim-humanoid) echo "$MJXWM bench sim --engine ${ENGINES%% *} --task humanoid --preset pwm-humanoid --worlds ${WORLDS} $json" ;;
    replay) echo "$MJXWM bench replay ${FAST:+--samples 1} $json" ;;
    learner) echo "$MJXWM bench learner --sizes ${SIZES} ${FAST:+--samples 1 --seconds 0} --no-peer $json" ;;
    planner) echo "$MJXWM bench planner ${FAST:+--size 1M --turns 1 --seconds 0} --no-peer $json" ;;
    iteration) echo "$MJXWM bench train --preset ${PRESET} ${FAST:+--samples 1 --iterations 1} $json" ;;
    scaling) echo "$MJXWM bench scaling --preset ${PRESET} --worlds ${WORLDS} ${FAST:+--samples 1 --worlds-per-device 8} $json" ;;
    hopper | ant | muscle-humanoid) echo "$MJXWM train pwm-$part $minutes" ;;
    *) return 1 ;;
  esac
}

MJXWM="python -m mjxwm.cli"
out="" parts=()
while [ $# -gt 0 ]; do
  case $1 in
    --out) [ $# -ge 2 ] || fail "--out needs a folder"; out=$2; shift 2 ;;
    -h | --help) sed -n '2,13s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) [[ " $ALL " == *" $1 "* ]] || fail "part '$1' is unknown; there are: $ALL"; parts+=("$1"); shift ;;
  esac
done
[[ $out != *[[:space:]]* ]] || fail "--out '$out' has a space in it; name a folder without"
[ ${#parts[@]} -gt 0 ] || read -ra parts <<< "$ALL"

found=$(python -c 'import jax; d = jax.devices()[0]; print(d.platform, d.device_kind)' 2>&1 | tail -n 1) || fail "JAX does not start: $found"
read -r platform kind <<< "$found"
if [ "$platform" = cpu ]; then
  [ -n "$FAST" ] || echo "gpu_check: JAX found no GPU here; these are figures of a CPU"
  ENGINES=native WORLDS="256 1024" SIZES=1M PRESET=debug
else
  ENGINES="warp native" WORLDS="1024 4096 8192" SIZES="1M 5M 19M 48M" PRESET=pwm-hopper
fi
[ -z "$FAST" ] || WORLDS=16
slug=$(echo "$kind" | tr '[:upper:] ' '[:lower:]-' | tr -cd 'a-z0-9-')
out=${out:-docs/results/$slug-$(date +%Y-%m-%d)}
mkdir -p "$out"

failed=()
for part in "${parts[@]}"; do
  if [ -e "$out/$part.done" ]; then echo "$part: done before"; continue; fi
  command=$(command_of "$out" "$part")
  echo "== $part: $command"
  rm -rf "$out/runs/$part" # what an interrupted training left
  start=$SECONDS
  { echo "\$ $command"; timeout "$LIMIT" $command; } > "$out/$part.log" 2>&1
  status=$?
  # pytest says 5 where no test is for this machine.
  if [ $status -eq 0 ] || { [ "$part" = tests ] && [ $status -eq 5 ]; }; then
    touch "$out/$part.done"
    if [ -d "$out/runs/$part" ]; then cp "$out/runs/$part"/{metrics.jsonl,config.yaml} "$out/" && (cd "$out" && mv metrics.jsonl "$part.jsonl" && mv config.yaml "$part.yaml"); fi
    echo "   $((SECONDS - start)) s"
  else
    failed+=("$part")
    echo "   failed with status $status after $((SECONDS - start)) s:"
    tail -n 3 "$out/$part.log" | sed 's/^/   /'
  fi
done
[ ${#failed[@]} -eq 0 ] || { echo "failed: ${failed[*]}; the same command tries them again"; exit 1; }
echo "all done: $out"
