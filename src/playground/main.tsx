// First, so that the views' own rules come after it.
import './style.css';
import { effect } from '@preact/signals';
import { render } from 'preact';
import { language } from './language.ts';
import { Shell } from './shell.tsx';

effect(() => {
  document.documentElement.lang = language.value === 'zh' ? 'zh-CN' : 'en';
});
render(<Shell />, document.body);
