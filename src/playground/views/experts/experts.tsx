import { strings } from '../../language.ts';

const t = strings({ zh: { soon: '即将到来。' }, en: { soon: 'Not built yet.' } });

export function Experts() {
  return <p class="empty">{t('soon')}</p>;
}
