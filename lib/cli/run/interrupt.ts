/** Ctrl-C, SIGTERM and a closed terminal. They ask the run to end instead of ending the process. */
export interface Interrupt {
  /** Aborted by the first signal. */
  readonly signal: AbortSignal;
  /** Calls back for every further signal. */
  onRepeat(callback: () => void): void;
  /** Lets signals end the process again. */
  release(): void;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** One Ctrl-C can arrive twice: from the terminal and from npm, which forwards it to its child. */
const SAME_WITHIN_MS = 500;

/** Listens from now on, so that the run can restore what it stopped before the process ends. */
export function listenForInterrupt(): Interrupt {
  const interrupted = new AbortController();
  const callbacks: (() => void)[] = [];
  let last = 0;
  const listener = () => {
    const now = performance.now();
    const repeated = interrupted.signal.aborted && now - last > SAME_WITHIN_MS;
    last = now;
    interrupted.abort();
    if (repeated) for (const callback of callbacks) callback();
  };
  for (const name of SIGNALS) process.on(name, listener);
  return {
    signal: interrupted.signal,
    onRepeat: (callback) => callbacks.push(callback),
    release: () => {
      for (const name of SIGNALS) process.off(name, listener);
    },
  };
}
