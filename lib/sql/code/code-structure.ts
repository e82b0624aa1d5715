import type { SqlToken } from '../tokens.ts';

/** A part of some code, in UTF-16 units. */
export interface CodeRange {
  readonly start: number;
  /** Offset after its last token. */
  readonly end: number;
}

/** A statement of PL/pgSQL with the statements in it. */
export type CodeStatement =
  /** One without others in it: SQL, or RETURN, RAISE, EXECUTE, an assignment and the like. */
  | { readonly kind: 'simple'; readonly tokens: readonly SqlToken[] }
  /** IF or CASE: one branch runs, or none. */
  | { readonly kind: 'branches'; readonly branches: readonly CodeBranch[] }
  /** The body runs any number of times. */
  | { readonly kind: 'loop'; readonly head: readonly SqlToken[]; readonly body: readonly CodeStatement[] }
  | {
      readonly kind: 'block';
      /** Of DECLARE. */
      readonly declarations: readonly (readonly SqlToken[])[];
      readonly body: readonly CodeStatement[];
      /** The statements after WHEN … THEN of EXCEPTION. Null: an error of the body is an error of the block. */
      readonly handlers: readonly CodeStatement[] | null;
    };

export interface CodeBranch {
  /** The condition of IF and ELSIF. Null: a branch of CASE. Undefined: ELSE. */
  readonly condition: readonly SqlToken[] | null | undefined;
  readonly body: readonly CodeStatement[];
}

/** Deeper code is not read: its statements are in no block of the result. */
const DEEPEST = 100;

/** The statements of PL/pgSQL code. Null: it is not PL/pgSQL, or nested too deeply. */
export function codeStructure(tokens: readonly SqlToken[]): readonly CodeStatement[] | null {
  try {
    const reader = new Reader(tokens);
    const statements = reader.statements([]);
    return reader.isAtEnd() ? statements : null;
  } catch (error) {
    if (error instanceof NotReadable) return null;
    throw error;
  }
}

class NotReadable extends Error {
  override readonly name = 'NotReadable';
}

class Reader {
  private readonly tokens: readonly SqlToken[];
  private at = 0;
  private depth = 0;

  constructor(tokens: readonly SqlToken[]) {
    this.tokens = tokens;
  }

  isAtEnd(): boolean {
    return this.at >= this.tokens.length;
  }

  /** @param ends the words that end the list; they stay unread */
  statements(ends: readonly string[]): CodeStatement[] {
    this.depth += 1;
    if (this.depth > DEEPEST) throw new NotReadable();
    const found: CodeStatement[] = [];
    while (!this.isAtEnd() && !ends.includes(this.word())) {
      const one = this.statement();
      if (one !== null) found.push(one);
    }
    this.depth -= 1;
    return found;
  }

  private statement(): CodeStatement | null {
    const word = this.word();
    if (word === ';') return this.skip(1);
    // A label: << name >>
    if (word === '<<') return this.skip(3);
    if (word === 'declare' || word === 'begin') return this.block();
    if (word === 'if') return this.condition();
    if (word === 'case') return this.cases();
    if (['loop', 'while', 'for', 'foreach'].includes(word)) return this.loop();
    return { kind: 'simple', tokens: this.upTo([';']) };
  }

  private block(): CodeStatement {
    const declarations: (readonly SqlToken[])[] = [];
    if (this.word() === 'declare') {
      this.skip(1);
      while (!this.isAtEnd() && this.word() !== 'begin') declarations.push(this.upTo([';']));
    }
    this.expect('begin');
    const body = this.statements(['exception', 'end']);
    let handlers: CodeStatement[] | null = null;
    if (this.word() === 'exception') {
      this.skip(1);
      handlers = [];
      while (this.word() === 'when') {
        this.until('then');
        handlers.push(...this.statements(['when', 'end']));
      }
    }
    this.end([]);
    return { kind: 'block', declarations, body, handlers };
  }

  private condition(): CodeStatement {
    const branches: CodeBranch[] = [];
    while (['if', 'elsif', 'elseif'].includes(this.word())) {
      this.skip(1);
      const condition = this.until('then');
      branches.push({ condition, body: this.statements(['elsif', 'elseif', 'else', 'end']) });
    }
    this.otherwise(branches);
    this.end(['if']);
    return { kind: 'branches', branches };
  }

  private cases(): CodeStatement {
    this.skip(1);
    if (this.word() !== 'when') this.until('when', true);
    const branches: CodeBranch[] = [];
    while (this.word() === 'when') {
      this.until('then');
      branches.push({ condition: null, body: this.statements(['when', 'else', 'end']) });
    }
    this.otherwise(branches);
    this.end(['case']);
    return { kind: 'branches', branches };
  }

  private otherwise(branches: CodeBranch[]): void {
    if (this.word() !== 'else') return;
    this.skip(1);
    branches.push({ condition: undefined, body: this.statements(['end']) });
  }

  private loop(): CodeStatement {
    const head = this.until('loop');
    const body = this.statements(['end']);
    this.end(['loop']);
    return { kind: 'loop', head, body };
  }

  /** END with its words and a label. */
  private end(words: readonly string[]): void {
    for (const word of ['end', ...words]) this.expect(word);
    if (this.isAtEnd()) return;
    this.upTo([';']);
  }

  private expect(word: string): void {
    if (this.word() !== word) throw new NotReadable();
    this.skip(1);
  }

  /** The tokens up to a word outside of parentheses, which is read too, unless `stays`. */
  private until(word: string, stays = false): readonly SqlToken[] {
    const start = this.at;
    let parentheses = 0;
    for (; !this.isAtEnd(); this.at += 1) {
      const one = this.word();
      if (one === word && parentheses === 0) {
        const tokens = this.tokens.slice(start, this.at);
        if (!stays) this.at += 1;
        return tokens;
      }
      if (one === '(') parentheses += 1;
      else if (one === ')') parentheses -= 1;
    }
    throw new NotReadable();
  }

  /** The tokens up to a sign or the end of the code; the sign is read too. */
  private upTo(signs: readonly string[]): readonly SqlToken[] {
    const start = this.at;
    while (!this.isAtEnd() && !signs.includes(this.word())) this.at += 1;
    const tokens = this.tokens.slice(start, this.at);
    this.at += 1;
    return tokens;
  }

  private skip(count: number): null {
    this.at += count;
    return null;
  }

  /** The next token in lower case. Empty: the end, a string or a quoted name. */
  private word(): string {
    const token = this.tokens[this.at];
    return token === undefined || token.isString || token.text.startsWith('"')
      ? ''
      : token.text.toLowerCase();
  }
}
