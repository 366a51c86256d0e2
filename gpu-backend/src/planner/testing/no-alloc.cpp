// Asks llama.cpp what it would allocate, on a machine without a GPU: made llama-no-alloc.json beside this file.
//
// It registers stand-in GPUs that compute nothing but claim every operation, with the traits of the CUDA backend
// that decide about memory: own buffers, pinned host buffers, alignment 128, rows padded to 512 values, offload
// from 32 tokens on, events (so that several run as a pipeline), 16-bit scratch for a quantised KV cache.
//
//   S=<llama.cpp v0.4.0 source>  B=node_modules/@node-llama-cpp/linux-x64/bins/linux-x64
//   g++ -std=c++17 -O1 -I$S/include -I$S/src -I$S/ggml/include -I$S/ggml/src no-alloc.cpp -o no-alloc \
//     -L$B -l:libllama.v0.4.0.so -l:libggml.v0.4.0.so -l:libggml-base.so -Wl,-rpath,$B -Wl,--allow-shlib-undefined
//   ./no-alloc $B MODEL.gguf GPU_BYTES,… GPU_LAYERS CPU_EXPERT_LAYERS CONTEXT SLOTS BATCH KV_TYPE
//
// One JSON object a call. MODEL may be a header without weights (gguf/testing/synthetic.ts).
#include "ggml-backend-impl.h"
#include "ggml-impl.h"
#include "llama-ext.h"
#include "llama.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

struct StandIn {
    std::string name;
    size_t memory;
    ggml_backend_buffer_type buffers, host;
    ggml_backend_device device;
};
static std::vector<StandIn *> gpus;
static StandIn * of(ggml_backend_dev_t device) { return (StandIn *) device->context; }

static ggml_backend_buffer_t allocate(ggml_backend_buffer_type_t type, size_t size) {
    static const ggml_backend_buffer_i nothing = {
        nullptr, [](ggml_backend_buffer_t b) { return b->size ? (void *) 4096 : nullptr; },
        nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr,
        [](ggml_backend_buffer_t, uint8_t) {}, nullptr };
    return ggml_backend_buffer_init(type, nothing, nullptr, size);
}

// ggml_backend_cuda_buffer_type_get_alloc_size
static size_t allocationSize(ggml_backend_buffer_type_t, const ggml_tensor * t) {
    size_t size = ggml_nbytes(t);
    if (t->op == GGML_OP_FLASH_ATTN_EXT) {
        for (int i = 1; i <= 2; i++) {
            if (t->src[i]->type != GGML_TYPE_F16) size = GGML_PAD(size, 128) + 2*ggml_nelements(t->src[i]);
        }
    }
    if (ggml_is_quantized(t->type) && t->ne[0] % 512 != 0) size += ggml_row_size(t->type, 512 - t->ne[0] % 512);
    return size;
}

// get_op_batch_size in ggml-cuda.cu
static bool offloads(ggml_backend_dev_t, const ggml_tensor * op) {
    switch (op->op) {
        case GGML_OP_GET_ROWS:   return false;
        case GGML_OP_MUL_MAT:    return op->ne[1] >= 32;
        case GGML_OP_MUL_MAT_ID:
        case GGML_OP_ROPE:       return op->ne[2] >= 32;
        default:                 return ggml_nrows(op) >= 32;
    }
}

static ggml_backend_t startBackend(ggml_backend_dev_t device, const char *) {
    static uint8_t guid[16] = { 1 };
    auto * backend = new ggml_backend{};
    backend->guid = (ggml_guid_t) guid;
    backend->device = device;
    backend->iface.get_name = [](ggml_backend_t b) { return of(b->device)->name.c_str(); };
    backend->iface.free = [](ggml_backend_t b) { delete b; };
    backend->iface.synchronize = [](ggml_backend_t) {};
    backend->iface.graph_compute = [](ggml_backend_t, ggml_cgraph *) { return GGML_STATUS_FAILED; };
    return backend;
}

static void registerGpu(size_t memory) {
    auto * gpu = new StandIn{ "gpu" + std::to_string(gpus.size()), memory, {}, {}, {} };
    auto name = [](ggml_backend_dev_t d) { return of(d)->name.c_str(); };
    gpu->buffers = { { [](ggml_backend_buffer_type_t t) { return of(t->device)->name.c_str(); }, allocate,
        [](ggml_backend_buffer_type_t) -> size_t { return 128; }, nullptr, allocationSize, nullptr }, &gpu->device, gpu };
    gpu->host = { { [](ggml_backend_buffer_type_t) { return "pinned"; }, allocate,
        [](ggml_backend_buffer_type_t) -> size_t { return 128; }, nullptr, nullptr,
        [](ggml_backend_buffer_type_t) { return true; } }, &gpu->device, gpu };
    static ggml_backend_reg registry = { GGML_BACKEND_API_VERSION, {
        [](ggml_backend_reg_t) { return "stand-in"; }, [](ggml_backend_reg_t) { return gpus.size(); },
        [](ggml_backend_reg_t, size_t i) { return &gpus[i]->device; }, nullptr }, nullptr };
    gpu->device = { {
        name, name,
        [](ggml_backend_dev_t d, size_t * free, size_t * total) { *free = *total = of(d)->memory; },
        [](ggml_backend_dev_t) { return GGML_BACKEND_DEVICE_TYPE_GPU; },
        [](ggml_backend_dev_t d, ggml_backend_dev_props * p) {
            *p = { of(d)->name.c_str(), "stand-in", of(d)->memory, of(d)->memory, GGML_BACKEND_DEVICE_TYPE_GPU, nullptr,
                   { true, true, false, true, true } };
        },
        startBackend,
        [](ggml_backend_dev_t d) { return &of(d)->buffers; },
        [](ggml_backend_dev_t d) { return &of(d)->host; },
        nullptr,
        [](ggml_backend_dev_t, const ggml_tensor *) { return true; },
        [](ggml_backend_dev_t d, ggml_backend_buffer_type_t t) { return t == &of(d)->buffers; },
        offloads,
        [](ggml_backend_dev_t d) { return new ggml_backend_event{ d, nullptr }; },
        [](ggml_backend_dev_t, ggml_backend_event_t e) { delete e; },
        [](ggml_backend_dev_t, ggml_backend_event_t) {} }, &registry, gpu };
    gpus.push_back(gpu);
}

int main(int argc, char ** argv) {
    if (argc != 10) return 64;
    llama_log_set([](ggml_log_level level, const char * text, void *) {
        if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr); }, nullptr);
    ggml_backend_load_all_from_path(argv[1]);
    std::string sizes = argv[3];
    for (size_t at = 0; at < sizes.size(); at = std::min(sizes.find(',', at), sizes.size() - 1) + 1) {
        registerGpu((size_t) atof(sizes.c_str() + at));
    }
    if (!gpus.empty()) ggml_backend_register(gpus[0]->device.reg);
    llama_backend_init();

    auto model_params = llama_model_default_params();
    model_params.no_alloc = true;
    model_params.load_mode = LLAMA_LOAD_MODE_NONE;
    model_params.n_gpu_layers = atoi(argv[4]);
    std::vector<std::string> patterns;
    for (int i = 0; i < atoi(argv[5]); i++) {
        patterns.push_back("blk\\." + std::to_string(i) + "\\.ffn_(up|down|gate)_exps");
    }
    std::vector<llama_model_tensor_buft_override> overrides;
    for (auto & pattern : patterns) overrides.push_back({ pattern.c_str(), ggml_backend_cpu_buffer_type() });
    overrides.push_back({ nullptr, nullptr });
    if (!patterns.empty()) model_params.tensor_buft_overrides = overrides.data();
    auto * model = llama_model_load_from_file(argv[2], model_params);
    if (!model) return 1;

    // As native/context.ts sets them.
    auto params = llama_context_default_params();
    params.n_ctx = atoi(argv[6]);
    params.n_seq_max = params.n_outputs_max = atoi(argv[7]);
    params.n_batch = atoi(argv[8]);
    params.n_ubatch = std::min(512u, params.n_batch);
    params.kv_unified = true;
    const std::string kv = argv[9];
    params.type_k = params.type_v = kv == "q8_0" ? GGML_TYPE_Q8_0 : kv == "q4_0" ? GGML_TYPE_Q4_0 : GGML_TYPE_F16;
    auto * context = llama_init_from_model(model, params);
    if (!context) return 2;

    std::vector<llama_memory_breakdown_data> used(gpus.size() + 1);
    for (auto & [type, data] : llama_get_memory_breakdown(context)) {
        auto * device = ggml_backend_buft_get_device(type);
        size_t i = gpus.size();
        for (size_t g = 0; g < gpus.size(); g++) if (device == &gpus[g]->device && !ggml_backend_buft_is_host(type)) i = g;
        used[i].model += data.model; used[i].context += data.context; used[i].compute += data.compute;
    }
    printf("{\"vram\":[%s],\"gpuLayers\":%s,\"cpuExpertLayers\":%s,\"context\":%s,\"slots\":%s,\"batch\":%s,\"kvType\":\"%s\",\"devices\":[",
        argv[3], argv[4], argv[5], argv[6], argv[7], argv[8], argv[9]);
    for (size_t i = 0; i < used.size(); i++) {
        printf("%s{\"weights\":%zu,\"kv\":%zu,\"compute\":%zu}", i ? "," : "", used[i].model, used[i].context, used[i].compute);
    }
    printf("]}\n");
}
