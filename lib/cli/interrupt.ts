/** Ctrl-C, SIGTERM and a terminal that is closed: they ask a run to end, instead of ending the process. */
export interface Interrupt {
  /** Aborted by the first of them. */
  readonly signal: AbortSignal;
  /** Calls back for every further one. */
  onAgain(callback: () => void): void;
  /** Lets them end the process again. */
  release(): void;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** The terminal tells every process of the command and npm tells its own once more: both are one Ctrl-C. */
const SAME_WITHIN_MS = 500;

/** Listens from now on, so that whatever was stopped or started is put back before the process ends. */
export function listenForInterrupt(): Interrupt {
  const interrupted = new AbortController();
  const callbacks: (() => void)[] = [];
  let last = 0;
  const listener = () => {
    const now = performance.now();
    const again = interrupted.signal.aborted && now - last > SAME_WITHIN_MS;
    last = now;
    interrupted.abort();
    if (again) for (const callback of callbacks) callback();
  };
  for (const name of SIGNALS) process.on(name, listener);
  return {
    signal: interrupted.signal,
    onAgain: (callback) => callbacks.push(callback),
    release: () => {
      for (const name of SIGNALS) process.off(name, listener);
    },
  };
}
