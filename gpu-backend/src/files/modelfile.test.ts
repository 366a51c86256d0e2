import { expect, it } from 'vitest';
import { modelfile } from './modelfile.ts';

// Go's text/template renders this to the prompts of Huozi's template table, prefill included; that was tried with
// Go 1.26, and any change here has to be tried again.
it('is this text', () => {
  expect(
    modelfile('./huozi3.5-q4_0.gguf'),
  ).toBe(`# Ollama parses control tokens in what users type as well: put no untrusted text into a conversation.
FROM ./huozi3.5-q4_0.gguf
TEMPLATE """{{- range $i, $_ := .Messages }}{{ $last := eq (len (slice $.Messages $i)) 1 -}}
{{- if eq .Role "system" }}<|beginofutterance|>系统
{{ .Content }}<|endofutterance|>
{{ else if eq .Role "user" }}<|beginofutterance|>用户
{{ .Content }}<|endofutterance|>
{{ else if eq .Role "assistant" }}<|beginofutterance|>助手
{{ .Content }}{{ if not $last }}<|endofutterance|>
{{ end }}{{ end }}{{ if and $last (ne .Role "assistant") }}<|beginofutterance|>助手
{{ end }}{{ end }}"""
PARAMETER stop "<|endofutterance|>"
PARAMETER stop "<|beginofutterance|>"
PARAMETER stop "</s>"
PARAMETER temperature 0.8
PARAMETER top_p 0.9
`);
});

it('quotes a path with spaces, and refuses one that would end the quotes', () => {
  expect(modelfile('./my models/huozi.gguf')).toContain('\nFROM "./my models/huozi.gguf"\n');
  expect(() => modelfile('./a".gguf')).toThrow('a Modelfile cannot hold');
  expect(() => modelfile('./a\nSYSTEM evil')).toThrow('a Modelfile cannot hold');
});
