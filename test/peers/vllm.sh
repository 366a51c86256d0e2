#!/usr/bin/env bash
# vLLM behind the whole product, on huozi-tiny: HUOZI_VLLM (the program) and HUOZI_HF (the weights as a Hugging Face folder).
# Tensor parallel 1 and 2 in turn: greedy answers beside ours, then the edge's end-to-end tests and the injection corpus with
# vLLM behind the node; then two ranks of one vLLM, and answers amid which either engine is killed.
set -euo pipefail
cd "$(dirname "$0")/../.."
export VLLM_CPU_KVCACHE_SPACE=1 VLLM_CPU_OMP_THREADS_BIND=nobind OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1
port=${HUOZI_VLLM_PORT:-18001}
server=
trap '[ -z "$server" ] || { kill "$server" 2>/dev/null; wait "$server" 2>/dev/null; } || true' EXIT

for tensor in 1 2; do
  "$HUOZI_VLLM" serve "$HUOZI_HF" --host 127.0.0.1 --port "$port" --served-model-name huozi --dtype float32 \
    --max-model-len 4096 --max-num-seqs 16 --enforce-eager --enable-prompt-tokens-details --generation-config vllm \
    --scheduling-policy priority --tensor-parallel-size "$tensor" > "${TMPDIR:-/tmp}/huozi-vllm-$tensor.log" 2>&1 &
  server=$!
  until curl -sf "http://127.0.0.1:$port/health" >/dev/null; do
    kill -0 "$server" || { tail -20 "${TMPDIR:-/tmp}/huozi-vllm-$tensor.log"; exit 1; }
    sleep 1
  done
  export HUOZI_UPSTREAM=http://127.0.0.1:$port
  npm run -s test:vllm -- agree
  HUOZI_ENGINE=vllm npx vitest run --testTimeout 120000 --hookTimeout 120000 \
    test/e2e/{openai-client,chat-options,client-gone,sdk,structured,responses,heldout}.test.ts test/conformance
  kill "$server"
  wait "$server" || true
  server=
done
npm run -s test:vllm -- ranks
npm run -s test:vllm -- migrate
