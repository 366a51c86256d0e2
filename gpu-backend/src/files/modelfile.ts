/**
 * What `ollama create` needs to know of Huozi. The template is Go's text/template; a last message of the assistant
 * is gone on with, as Ollama's own templates do it. Ollama puts the one BOS before it, as the GGUF file asks.
 */
import { huoziMarkers } from '../string-prompt.ts';
import { FileToolError } from './errors.ts';

const { begin, end } = huoziMarkers;

const template = `{{- range $i, $_ := .Messages }}{{ $last := eq (len (slice $.Messages $i)) 1 -}}
{{- if eq .Role "system" }}${begin}系统
{{ .Content }}${end}
{{ else if eq .Role "user" }}${begin}用户
{{ .Content }}${end}
{{ else if eq .Role "assistant" }}${begin}助手
{{ .Content }}{{ if not $last }}${end}
{{ end }}{{ end }}{{ if and $last (ne .Role "assistant") }}${begin}助手
{{ end }}{{ end }}`;

/** @param model path of the GGUF file, absolute or from the Modelfile's folder */
export function modelfile(model: string): string {
  if (/["\r\n]/.test(model)) throw new FileToolError(model, 'has a name that a Modelfile cannot hold');
  return `# Ollama parses control tokens in what users type as well: put no untrusted text into a conversation.
FROM ${/\s/.test(model) ? `"${model}"` : model}
TEMPLATE """${template}"""
PARAMETER stop "${end}"
PARAMETER stop "${begin}"
PARAMETER stop "</s>"
PARAMETER temperature 0.8
PARAMETER top_p 0.9
`;
}
