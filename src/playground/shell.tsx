/** What surrounds every view: its name, the tabs, language, theme, key. */
import { IconButton } from './icons.tsx';
import { KeyDialog } from './key-dialog.tsx';
import { language, setLanguage, strings } from './language.ts';
import { isKeyAsked } from './secrets.ts';
import { theme, toggleTheme } from './theme.ts';
import { shown, views } from './views.ts';

const t = strings({
  zh: {
    name: '活字',
    skip: '跳到内容',
    views: '视图',
    chat: '对话',
    experts: '专家',
    operator: '运维',
    language: 'English',
    dark: '深色',
    light: '浅色',
    key: '密钥',
  },
  en: {
    name: 'Huozi',
    skip: 'Skip to content',
    views: 'Views',
    chat: 'Chat',
    experts: 'Experts',
    operator: 'Operator',
    language: '中文',
    dark: 'Dark',
    light: 'Light',
    key: 'Key',
  },
});

export function Shell() {
  const { id, component: View } = shown.value;
  const other = theme() === 'dark' ? 'light' : 'dark';
  document.title = `${t(id)} · ${t('name')}`;
  return (
    <>
      <button type="button" class="skip" onClick={() => document.getElementById('main')?.focus()}>
        {t('skip')}
      </button>
      <header class="bar">
        <h1 class="brand">{t('name')}</h1>
        <nav aria-label={t('views')}>
          {views.map((view) => (
            <a key={view.id} href={`#/${view.id}`} aria-current={view.id === id ? 'page' : undefined}>
              {t(view.id)}
            </a>
          ))}
        </nav>
        <div class="tools">
          <button
            type="button"
            class="quiet"
            lang={language.value === 'zh' ? 'en' : 'zh-CN'}
            onClick={() => setLanguage(language.value === 'zh' ? 'en' : 'zh')}
          >
            {t('language')}
          </button>
          <IconButton
            icon={other === 'dark' ? 'moon' : 'sun'}
            label={t(other)}
            look="quiet square"
            onClick={toggleTheme}
          />
          <IconButton
            icon="key"
            label={t('key')}
            look="quiet square"
            onClick={() => {
              isKeyAsked.value = true;
            }}
          />
        </div>
      </header>
      <main key={id} id="main" tabIndex={-1} class={`view ${id}`}>
        <View />
      </main>
      {isKeyAsked.value && <KeyDialog onClose={() => (isKeyAsked.value = false)} />}
    </>
  );
}
