import { causeKey } from '../../../lambdas/shared/failure-groups.ts';

/** Lines about failed builds that a terminal keeps above the picture. */
const MOST_KEPT_LINES = 20;

interface FailedBuild {
  readonly id: string;
  readonly table: string;
  readonly critical: boolean;
  readonly message: string;
}

/** How to show a failure. */
interface Shown {
  /** The index whose line already shows the same cause. Null: this one is the first. */
  readonly sameAs: string | null;
  /** A picture has no room for the line. */
  readonly logOnly: boolean;
}

/** The causes of failed builds that a run has shown, so that a cause is shown once and not for each index. */
export class ShownCauses {
  readonly #firstIndex = new Map<string, string>();
  #keptLines = 0;

  /**
   * Adds a failure.
   * @param kind failed attempts and failed indexes are shown separately
   */
  add(kind: 'attempt' | 'index', { id, table, critical, message }: FailedBuild): Shown {
    const names = [id, table, ...id.split(' @ '), ...id.split('.'), ...table.split('.')];
    const key = `${kind}|${causeKey({ sqlstate: null, message, names })}`;
    const first = this.#firstIndex.get(key) ?? id;
    this.#firstIndex.set(key, first);
    const isRepeated = first !== id;
    // A critical failure is kept even if its cause is known.
    const isKept = this.#keptLines < MOST_KEPT_LINES && (!isRepeated || (critical && kind === 'index'));
    if (isKept) this.#keptLines += 1;
    return { sameAs: isRepeated ? first : null, logOnly: !isKept };
  }
}
