import type { PreflightResult } from '../../../lambdas/shared/preflight-result.ts';

/** The phases of a run, in order, with their titles. */
export const PHASES = {
  preflight: 'Preflight',
  migrateOnline: 'Apply online migrations',
  stop: 'Stop services',
  drain: 'Wait for sessions',
  migrate: 'Run migrations',
  build: 'Build indexes',
  start: 'Start services',
  online: 'Build indexes online',
  report: 'Report',
  alert: 'Alert',
} as const;
export type PhaseKey = keyof typeof PHASES;

export interface Phase {
  readonly key: PhaseKey;
  readonly title: string;
  state: 'pending' | 'running' | 'done' | 'failed' | 'skipped';
  /** Milliseconds since 1970. */
  startedAt: number | null;
  endedAt: number | null;
  /** The result in a few words. */
  result: string;
}

/** The phases that each decision of the preflight leads to. Other phases are added when the run enters them. */
const EXPECTED: Record<PreflightResult['decision'], readonly PhaseKey[]> = {
  deploy: ['stop', 'migrate', 'build', 'start', 'report'],
  indexes: ['online', 'report'],
  'start-services': ['start', 'report'],
  plan: ['report'],
  nothing: ['report'],
  refused: ['report'],
};

/** The phases of a run in order: those that it has entered and those that it is expected to enter. */
export class Phases {
  #phases: Phase[] = [];

  get all(): readonly Phase[] {
    return this.#phases;
  }

  find(key: PhaseKey): Phase | undefined {
    return this.#phases.find((phase) => phase.key === key);
  }

  expect(decision: PreflightResult['decision']): void {
    for (const key of EXPECTED[decision]) this.#add(key);
  }

  /** Enters a phase. @returns false when it was already running */
  enter(key: PhaseKey, at: number): boolean {
    const phase = this.#add(key);
    const entered = phase.state !== 'running';
    if (entered) {
      phase.state = 'running';
      phase.startedAt ??= at;
      phase.endedAt = null;
    }
    for (const earlier of this.#phases.slice(0, this.#phases.indexOf(phase))) {
      if (earlier.state === 'pending') earlier.state = 'skipped';
    }
    return entered;
  }

  /** Ends a phase. A failed phase stays failed. */
  end(key: PhaseKey, at: number, state: 'done' | 'failed' = 'done', result?: string): void {
    const phase = this.#add(key);
    if (result !== undefined) phase.result = result;
    if (phase.state === 'failed') return;
    phase.state = state;
    phase.startedAt ??= at;
    phase.endedAt ??= at;
  }

  /** Marks a phase as failed, even if it has already ended as done. */
  fail(key: PhaseKey): void {
    this.#add(key).state = 'failed';
  }

  /** Ends the running phases and skips the pending ones, because the execution has ended. */
  endAll(at: number, state: 'done' | 'failed'): void {
    for (const phase of this.#phases) {
      if (phase.state === 'running') this.end(phase.key, at, state);
      if (phase.state === 'pending') phase.state = 'skipped';
    }
  }

  #add(key: PhaseKey): Phase {
    const known = this.find(key);
    if (known !== undefined) return known;
    const order = Object.keys(PHASES);
    const phase: Phase = {
      ...{ key, title: PHASES[key], state: 'pending', startedAt: null, endedAt: null, result: '' },
    };
    this.#phases = [...this.#phases, phase].toSorted((a, b) => order.indexOf(a.key) - order.indexOf(b.key));
    return phase;
  }
}
