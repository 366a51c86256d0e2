#!/usr/bin/env bash
# One vLLM over several machines: the same on each of them, RANK 0 first. Rank 0 is a node of ours with its vLLM, the others are
# vLLM alone and are started again when they end, as they do when a rank is lost.
#
#   HUOZI_NODE_TOKEN=… rank.sh RANK RANKS ADDRESS_OF_RANK_0 MODEL [flags of vllm serve]
#   rank.sh 1 2 10.0.0.5 huozi3.5/ --tensor-parallel-size 8 --pipeline-parallel-size 2
#
# VLLM: the program (default vllm). SERVE: what starts our node (default npx huozi-gpu-backend serve), with flags of its own.
# SLOTS, CONTEXT: answers at the same time (default 256) and the longest, in tokens (default 32768), the same on all machines.
# MASTER_PORT: where ranks find each other (default 29501); like all that vLLM opens between machines it asks no one for
# a password, so the network between them must be theirs alone.
set -euo pipefail
rank=$1 ranks=$2 master=$3 model=$4
shift 4
vllm=${VLLM:-vllm} slots=${SLOTS:-256} context=${CONTEXT:-32768}
place=(--nnodes "$ranks" --node-rank "$rank" --master-addr "$master" --master-port "${MASTER_PORT:-29501}")

if [ "$rank" = 0 ]; then
  # shellcheck disable=SC2086
  exec ${SERVE:-npx huozi-gpu-backend serve} --engine vllm --engine-command "$vllm" --model "$model" \
    --slots "$slots" --context "$context" -- "$@" "${place[@]}"
fi
# Each vLLM leads a process group of its own, so that its workers end with it also where it is killed; and where this script is
# killed, vLLM is told to end.
set -m
with_us=()
if command -v setpriv >/dev/null; then with_us=(setpriv --pdeathsig TERM); fi
child=
end_group() { kill -KILL -- "-$child" 2>/dev/null || true; }
trap 'trap - TERM INT; [ -z "$child" ] || { kill "$child" 2>/dev/null; wait; end_group; }; exit 0' TERM INT
while true; do
  "${with_us[@]}" "$vllm" serve "$model" --max-num-seqs "$slots" --max-model-len "$context" --scheduling-policy priority \
    "$@" "${place[@]}" --headless &
  child=$!
  wait "$child" || true
  end_group
  sleep 2
done
