#!/usr/bin/env bash
# `transformers serve` behind the whole product, on huozi-tiny: HUOZI_TRANSFORMERS (the program) and HUOZI_HF (the weights as
# a Hugging Face folder). What a test needs that an engine of text alone lacks is skipped there by its name.
set -euo pipefail
cd "$(dirname "$0")/../.."
port=${HUOZI_TRANSFORMERS_PORT:-18322}
log=${TMPDIR:-/tmp}/huozi-transformers-serve.log
# It samples only where the model's own settings say so.
model=$(mktemp -d)
ln -s "$(realpath "$HUOZI_HF")"/* "$model"
echo '{"do_sample": true, "top_k": 0, "bos_token_id": 1, "eos_token_id": 2}' > "$model/generation_config.json"
HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 "$HUOZI_TRANSFORMERS" serve "$model" --host 127.0.0.1 --port "$port" \
  --device cpu --dtype float32 > "$log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true; rm -r "$model"' EXIT
until curl -sf "http://127.0.0.1:$port/v1/models" >/dev/null; do
  kill -0 "$server" || { tail -20 "$log"; exit 1; }
  sleep 1
done
export HUOZI_ENGINE=openai HUOZI_UPSTREAM=http://127.0.0.1:$port
npm run -s test:typed
npx vitest run --testTimeout 240000 --hookTimeout 120000 \
  test/e2e/{openai-client,chat-options,client-gone,sdk,responses,structured}.test.ts test/conformance/injection.test.ts
