#!/usr/bin/env bash
# Measures mjxwm on this machine's accelerator, most important first: within 15 minutes by default.
#
#   scripts/gpu_check.sh [--out FOLDER] [--minutes M] [PART ...]
#
# Each part has a limit of its own and starts only if enough of the M minutes is left. It keeps its
# output, line by line, as FOLDER/PART.log (and .json, and a run's curve) and is skipped when it is
# done already: start the script again and it goes on. FOLDER is docs/results/<device>-<date> by
# default. A part that fails is named at the end, with status 1. Without network, install first with
# scripts/wheelhouse.sh.
#
# Parts: doctor kernels ant iteration sim humanoid planner hopper muscle-humanoid tests learner
#        sim-few scaling replay
set -uo pipefail

ALL="doctor kernels ant iteration sim humanoid planner hopper muscle-humanoid tests learner sim-few scaling replay"
FAST=${FAST:-} # set: the smallest sizes, to see on any machine that everything starts
export PYTHONUNBUFFERED=1 MPLBACKEND=Agg

fail() { echo "gpu_check: $*" >&2; exit 2; }

# Seconds that a part takes at most, and those that must be left for it to start.
limits_of() {
  case $1 in
    doctor) echo "120 10" ;;
    ant | humanoid | hopper | muscle-humanoid) echo "300 120" ;;
    *) echo "180 45" ;;
  esac
}

command_of() {
  local out=$1 part=$2
  local json="--json $out/$part.json"
  local train="--minutes 3 --folder $out/runs --run $part --no-video $json"
  if [ -n "$FAST" ]; then
    train="--minutes 0.05 --env-steps 20000 --worlds 16 --capacity 4000 --folder $out/runs --run $part --no-video $json"
  fi
  case $part in
    doctor) echo "$MJXWM doctor $json" ;;
    kernels) echo "$MJXWM bench kernels --preset ${PRESET} --programs model\ update actor\ and\ critics\ update collection ${FAST:+--samples 1} $json" ;;
    iteration) echo "$MJXWM bench train --preset ${PRESET} ${FAST:+--samples 1 --iterations 1} $json" ;;
    sim) echo "$MJXWM bench sim --engine ${ENGINE} --preset ${PRESET} --worlds ${MOST} --samples ${SAMPLES} $json" ;;
    sim-few) echo "$MJXWM bench sim --engine ${ENGINE} --preset ${PRESET} --worlds ${FEW} --samples ${SAMPLES} $json" ;;
    planner) echo "$MJXWM bench planner ${FAST:+--size 1M --turns 1 --seconds 0} --no-peer $json" ;;
    learner) echo "$MJXWM bench learner --sizes ${SIZES} ${FAST:+--samples 1 --seconds 0} --no-peer $json" ;;
    tests) echo "python -m pytest -q -x -m gpu tests" ;;
    scaling) echo "$MJXWM bench scaling --preset ${PRESET} --worlds ${FEW} ${FAST:+--samples 1 --worlds-per-device 8} $json" ;;
    replay) echo "$MJXWM bench replay ${FAST:+--samples 1} $json" ;;
    hopper | ant | humanoid | muscle-humanoid) echo "$MJXWM train pwm-$part $train" ;;
    *) return 1 ;;
  esac
}

MJXWM="python -m mjxwm.cli"
out="" minutes=15 parts=()
while [ $# -gt 0 ]; do
  case $1 in
    --out) [ $# -ge 2 ] || fail "--out needs a folder"; out=$2; shift 2 ;;
    --minutes) [[ ${2:-} =~ ^[0-9]+$ ]] || fail "--minutes needs a whole number"; minutes=$2; shift 2 ;;
    -h | --help) sed -n '2,14s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) [[ " $ALL " == *" $1 "* ]] || fail "part '$1' is unknown; there are: $ALL"; parts+=("$1"); shift ;;
  esac
done
[[ $out =~ ^[[:alnum:]_./~+=@:,-]*$ ]] || fail "--out '$out' has a space or another special character in it; name a folder without"
[ ${#parts[@]} -gt 0 ] || read -ra parts <<< "$ALL"
end=$((SECONDS + 60 * minutes))

found=$(python -c 'import jax; d = jax.devices()[0]; print(d.platform, d.device_kind)' 2>&1 | tail -n 1) || fail "JAX does not start: $found"
read -r platform kind <<< "$found"
if [ "$platform" = cpu ]; then
  [ -n "$FAST" ] || echo "gpu_check: JAX found no GPU here; these are figures of a CPU"
  ENGINE=native MOST=1024 FEW=256 SIZES=1M PRESET=debug SAMPLES=3
else
  ENGINE=warp MOST=4096 FEW="256 1024 8192" SIZES="5M 19M" PRESET=pwm-ant SAMPLES=5
fi
[ -z "$FAST" ] || MOST=16 FEW=16 SAMPLES=1
slug=$(echo "$kind" | tr '[:upper:] ' '[:lower:]-' | tr -cd 'a-z0-9-')
out=${out:-docs/results/$slug-$(date +%Y-%m-%d)}
mkdir -p "$out"

# A run's curve is kept also where it was stopped.
keep_run() {
  local run="$out/runs/$1"
  [ ! -e "$run/metrics.jsonl" ] || cp "$run/metrics.jsonl" "$out/$1.jsonl"
  [ ! -e "$run/config.yaml" ] || cp "$run/config.yaml" "$out/$1.yaml"
}

failed=() left_out=()
for part in "${parts[@]}"; do
  if [ -e "$out/$part.done" ]; then echo "$part: done before"; continue; fi
  read -r limit least <<< "$(limits_of "$part")"
  left=$((end - SECONDS))
  if [ $left -lt "$least" ]; then left_out+=("$part"); continue; fi
  [ "$limit" -lt $left ] || limit=$left
  command=$(command_of "$out" "$part")
  echo "== $part, at most $limit s: $command"
  rm -rf "$out/runs/$part" # what an interrupted training left
  start=$SECONDS
  echo "\$ $command" > "$out/$part.log"
  eval "timeout $limit $command" >> "$out/$part.log" 2>&1
  status=$?
  keep_run "$part"
  # pytest says 5 where no test is for this machine.
  if [ $status -eq 0 ] || { [ "$part" = tests ] && [ $status -eq 5 ]; }; then
    touch "$out/$part.done"
    echo "   $((SECONDS - start)) s"
  else
    failed+=("$part")
    echo "   failed with status $status after $((SECONDS - start)) s:"
  fi
  tail -n 3 "$out/$part.log" | sed 's/^/   /'
done
[ ${#left_out[@]} -eq 0 ] || echo "no time left for: ${left_out[*]}; the same command goes on with them"
[ ${#failed[@]} -eq 0 ] || { echo "failed: ${failed[*]}; the same command tries them again"; exit 1; }
[ ${#left_out[@]} -gt 0 ] || echo "all done: $out"
