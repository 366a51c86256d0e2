import { adminToken } from '../../secrets.ts';
import { t } from './words.ts';

/** Never remembered: who has it can make keys and read what everybody used. */
export function Login({ wasWrong }: { wasWrong: boolean }) {
  return (
    <form
      class="card login"
      onSubmit={(event) => {
        event.preventDefault();
        adminToken.set(String(new FormData(event.currentTarget).get('token')), false);
      }}
    >
      <h2>{t('loginTitle')}</h2>
      <p class="hint">{t('loginHint')}</p>
      <label class="field">
        <span>{t('token')}</span>
        <input name="token" type="password" autocomplete="off" spellcheck={false} required />
      </label>
      {wasWrong && (
        <p class="problem" role="alert">
          {t('wrong')}
        </p>
      )}
      <button type="submit" class="main">
        {t('login')}
      </button>
    </form>
  );
}
