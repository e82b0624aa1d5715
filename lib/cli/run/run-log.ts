import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createLogFolder } from '../../files/temporary-folder.ts';

/**
 * The log of a run. It is in a private folder of its own with a random name, so that no other user can read it or put a link
 * in its place. The folder exists from the first line on, and outlives a run that fails.
 */
export class RunLog {
  #opened: { readonly file: string; readonly handle: number } | null = null;

  /** Its path. Null: nothing was written. */
  get file(): string | null {
    return this.#opened?.file ?? null;
  }

  write(line: string): void {
    if (this.#opened === null) {
      const file = join(createLogFolder(), 'functions.log');
      this.#opened = { file, handle: openSync(file, 'ax', 0o600) };
    }
    writeSync(this.#opened.handle, `${line}\n`);
  }

  /** Removes the log. A line that is written later starts another one. */
  remove(): void {
    if (this.#opened === null) return;
    const { file, handle } = this.#opened;
    this.#opened = null;
    closeSync(handle);
    rmSync(dirname(file), { recursive: true, force: true });
  }
}
