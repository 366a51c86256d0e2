import { useEffect } from 'preact/hooks';

/** After a look that failed the next comes so many times later. */
const failureFactor = 5;

/**
 * Looks at once and then again and again, while the component is shown and the page is not hidden; one look at a time.
 *
 * @param look true when it went well; what it throws is lost
 * @param deps a change begins anew
 */
export function usePoll(
  look: (signal: AbortSignal) => Promise<boolean>,
  everyMs: number,
  deps: readonly unknown[],
): void {
  useEffect(() => {
    const leaving = new AbortController();
    const { signal } = leaving;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isLooking = false;
    const next = async () => {
      clearTimeout(timer);
      if (isLooking || document.hidden) return;
      isLooking = true;
      const isWell = await look(signal).catch(() => false);
      isLooking = false;
      if (!signal.aborted) timer = setTimeout(next, isWell ? everyMs : everyMs * failureFactor);
    };
    document.addEventListener('visibilitychange', next, { signal });
    void next();
    return () => {
      leaving.abort();
      clearTimeout(timer);
    };
  }, deps);
}
