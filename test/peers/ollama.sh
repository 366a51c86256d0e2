#!/usr/bin/env bash
# Ollama behind the whole product, on huozi-tiny with the Modelfile that we write: HUOZI_OLLAMA is its program, which no
# registry has whole (its Go module lacks the headers that its C++ includes; in its repository `go build .` makes it).
# What a test needs that an engine of text alone lacks is skipped there by its name.
set -euo pipefail
cd "$(dirname "$0")/../.."
port=${HUOZI_OLLAMA_PORT:-18323}
log=${TMPDIR:-/tmp}/huozi-ollama.log
home=$(mktemp -d)
# One model, kept, with as many answers at once as our node has slots for it; the model's end is not waited for.
HOME=$home OLLAMA_MODELS=$home/models OLLAMA_HOST=127.0.0.1:$port OLLAMA_NUM_PARALLEL=8 OLLAMA_KEEP_ALIVE=-1 \
  OLLAMA_MAX_QUEUE=4096 OMP_NUM_THREADS=1 "$HUOZI_OLLAMA" serve > "$log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; rm -r "$home"' EXIT
until curl -sf "http://127.0.0.1:$port/api/version" >/dev/null; do
  kill -0 "$server" || { tail -20 "$log"; exit 1; }
  sleep 0.2
done
npx huozi-gpu-backend ollama gpu-backend/models/huozi-tiny/huozi-tiny-q8_0.gguf --out "$home/Modelfile"
HOME=$home OLLAMA_HOST=127.0.0.1:$port "$HUOZI_OLLAMA" create huozi -f "$home/Modelfile"
export HUOZI_ENGINE=ollama HUOZI_UPSTREAM=http://127.0.0.1:$port
npm run -s test:typed
npx vitest run --testTimeout 240000 --hookTimeout 120000 \
  test/e2e/{openai-client,chat-options,client-gone,heldout,sdk,responses,structured}.test.ts \
  test/conformance/{injection,options}.test.ts
