/** From what the AI SDK asks for to a chat request; what the API does not have becomes a warning. */
import type {
  LanguageModelV3CallOptions,
  LanguageModelV3Message,
  LanguageModelV3ToolResultPart,
  SharedV3Warning,
} from '@ai-sdk/provider';
import type {
  ChatCompletionCreateParams,
  ChatCompletionMessageParam,
  ChatTool,
  ChatToolCall,
} from '../chat-types.ts';

export function requestOf(
  model: string,
  options: LanguageModelV3CallOptions,
): { body: ChatCompletionCreateParams; warnings: SharedV3Warning[] } {
  const warnings: SharedV3Warning[] = [];
  const unsupported = (feature: string) => void warnings.push({ type: 'unsupported', feature });
  const tools: ChatTool[] = [];
  for (const tool of options.tools ?? []) {
    if (tool.type !== 'function') {
      unsupported(`tool ${tool.name}`);
      continue;
    }
    const { name, description, inputSchema, strict } = tool;
    tools.push({
      type: 'function',
      function: { name, description, parameters: inputSchema as Record<string, unknown>, strict },
    });
  }
  const body: ChatCompletionCreateParams = {
    model,
    messages: options.prompt.flatMap((message) => messagesOf(message, unsupported)),
    max_tokens: options.maxOutputTokens,
    temperature: options.temperature,
    top_p: options.topP,
    top_k: options.topK,
    presence_penalty: options.presencePenalty,
    frequency_penalty: options.frequencyPenalty,
    stop: options.stopSequences,
    seed: options.seed,
    response_format: formatOf(options.responseFormat),
    ...(tools.length > 0 && { tools, tool_choice: choiceOf(options.toolChoice) }),
    ...(options.providerOptions?.huozi as Partial<ChatCompletionCreateParams>),
  };
  return { body, warnings };
}

function messagesOf(
  message: LanguageModelV3Message,
  unsupported: (feature: string) => void,
): ChatCompletionMessageParam[] {
  switch (message.role) {
    case 'system':
      return [{ role: 'system', content: message.content }];
    case 'tool':
      return message.content.flatMap((part) => (part.type === 'tool-result' ? [resultOf(part)] : []));
    default: {
      let text = '';
      const calls: ChatToolCall[] = [];
      for (const part of message.content) {
        if (part.type === 'text') text += part.text;
        else if (part.type === 'tool-call') {
          const { toolCallId: id, toolName: name, input } = part;
          calls.push({ id, type: 'function', function: { name, arguments: JSON.stringify(input) } });
        }
        // What a model thought is not given back to it; anything else it cannot read.
        else if (part.type !== 'reasoning') unsupported(`${part.type} in a message`);
      }
      const { role } = message;
      return [{ role, content: text || null, ...(calls.length > 0 && { tool_calls: calls }) }];
    }
  }
}

function resultOf({ toolCallId, output }: LanguageModelV3ToolResultPart): ChatCompletionMessageParam {
  const content =
    output.type === 'execution-denied'
      ? `Denied: ${output.reason ?? 'the user said no'}`
      : typeof output.value === 'string'
        ? output.value
        : JSON.stringify(output.value);
  return { role: 'tool', tool_call_id: toolCallId, content };
}

function formatOf(
  format: LanguageModelV3CallOptions['responseFormat'],
): ChatCompletionCreateParams['response_format'] {
  if (format?.type !== 'json') return undefined;
  if (!format.schema) return { type: 'json_object' };
  const { name = 'answer', description, schema } = format;
  return {
    type: 'json_schema',
    json_schema: { name, description, schema: schema as Record<string, unknown>, strict: true },
  };
}

function choiceOf(
  choice: LanguageModelV3CallOptions['toolChoice'],
): ChatCompletionCreateParams['tool_choice'] {
  return choice?.type === 'tool' ? { type: 'function', function: { name: choice.toolName } } : choice?.type;
}
