import { counted, shortened } from '../../lambdas/shared/text.ts';
import { visible } from '../../lambdas/shared/visible-text.ts';
import type { Place } from '../sql/places.ts';
import type { SqlStatement } from '../sql/read-sql.ts';
import { placeholderName } from './placeholders.ts';

const MOST_NAMES = 5;

/** Whether what a statement does to indexes depends on a placeholder whose value is unknown. */
export function dependsOnPlaceholder({ placeholders, error, node }: SqlStatement): boolean {
  if (placeholders.length === 0) return false;
  return error !== undefined || node?.IndexStmt !== undefined || dropsIndex(node);
}

function dropsIndex(node: SqlStatement['node']): boolean {
  return node?.DropStmt?.removeType === 'OBJECT_INDEX';
}

/** The statements of one file that cannot be read, because the values of placeholders are unknown: one line for all of them. */
export class UnknownPlaceholders {
  private readonly statements: SqlStatement[] = [];
  private readonly text: string;

  /** @param text the text of the source, with the placeholders */
  constructor(text: string) {
    this.text = text;
  }

  add(statement: SqlStatement): void {
    this.statements.push(statement);
  }

  /** The place of the first statement. Null: there is none. */
  get first(): Place | null {
    return this.statements[0] ?? null;
  }

  /** The statement, or `2 statements with ${schema}`. */
  get what(): string {
    const [first] = this.statements;
    if (first === undefined || this.statements.length > 1) {
      return `${counted(this.statements.length, 'statement')} with ${this.names}`;
    }
    const excerpt = shortened(this.text.slice(first.start, first.end).replaceAll(/\s+/g, ' ').trim(), 60);
    return `${first.node?.IndexStmt === undefined ? 'statement' : 'index on'} "${excerpt}"`;
  }

  get reason(): string {
    const placeholders = this.statements.flatMap((statement) => statement.placeholders);
    const flag = `--placeholder '${visible(placeholderName(placeholders[0] ?? ''))}=VALUE'`;
    const drops = this.statements.filter(({ node }) => dropsIndex(node)).length;
    if (this.statements.length > 1) {
      const dropped = drops > 0 ? `; ${drops} of them drop indexes, whose entries may have to go` : '';
      return `the values are unknown here; give them with ${flag}${dropped}`;
    }
    return drops === 1
      ? `the index that it drops depends on ${this.names}; remove the entry of that index yourself, or give the value with ${flag}`
      : `it contains ${this.names}, and the value is unknown here; give it with ${flag}`;
  }

  private get names(): string {
    const names = new Set(
      this.statements.flatMap(({ placeholders }) => placeholders.map((one) => visible(one))),
    );
    const more = names.size > MOST_NAMES ? `, … (${names.size})` : '';
    return `${[...names].slice(0, MOST_NAMES).join(', ')}${more}`;
  }
}
