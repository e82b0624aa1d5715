import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CustomService } from '../../lib/config/services-config.ts';
import { functionArn } from '../../lib/local/local-arns.ts';

type Action = 'check' | 'stop' | 'look' | 'start';

/** What the function answers instead. `times`: only for so many calls. */
export type Answers = Partial<
  Record<Action, { returns?: unknown; throws?: string; message?: string; times?: number }>
>;

const FUNCTION = 'stop-jobs';
const CAPACITY = 3;

/** A service of the kind custom, with the function that stops and starts it: test/support/custom-function. */
export class CustomFunctionService {
  readonly service: CustomService = { kind: 'custom', name: 'jobs', function: functionArn(FUNCTION) };
  /** Each file has one writer at a time: the function writes the capacity and the calls. */
  readonly #files: { CAPACITY: string; CALLS: string; ANSWERS: string };

  constructor() {
    const folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-test-'));
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
    const file = (name: string) => join(folder, name);
    this.#files = { CAPACITY: file('capacity'), CALLS: file('calls'), ANSWERS: file('answers') };
    this.reset();
  }

  /** For `customFunctions` of a local workflow. */
  get function() {
    const directory = join(import.meta.dirname, 'custom-function');
    return { name: FUNCTION, directory, variables: this.#files };
  }

  get capacity(): number {
    return Number(readFileSync(this.#files.CAPACITY, 'utf8'));
  }

  set capacity(capacity: number) {
    this.#write(this.#files.CAPACITY, capacity);
  }

  /** The events of the function, in order. */
  get calls(): Record<string, unknown>[] {
    if (!existsSync(this.#files.CALLS)) return [];
    const lines = readFileSync(this.#files.CALLS, 'utf8').split('\n').slice(0, -1);
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  /** Replaces answers from now on. */
  answer(answers: Answers): void {
    this.#write(this.#files.ANSWERS, { since: this.calls.length, answers });
  }

  reset(): void {
    rmSync(this.#files.CALLS, { force: true });
    this.capacity = CAPACITY;
    this.answer({});
  }

  #write(file: string, value: unknown): void {
    writeFileSync(`${file}.new`, JSON.stringify(value));
    renameSync(`${file}.new`, file);
  }
}
