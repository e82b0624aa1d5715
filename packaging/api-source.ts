import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parse } from '@babel/parser';
import type { Comment, Node, Statement } from '@babel/types';

/** The comment of a declaration, in parts. */
export interface Documentation {
  readonly text: string;
  readonly default: string | null;
  readonly throws: readonly string[];
}

/** A declaration that the package exports, with the text of its file. */
export interface Exported {
  readonly name: string;
  readonly declaration: Node;
  readonly documentation: Documentation;
  readonly source: string;
}

/**
 * What a module exports by name, in the order of its text.
 * @throws Error when a name is not declared where it is exported from
 */
export function exportsOf(file: string): Exported[] {
  return statementsOf(file).statements.flatMap((statement) => {
    if (statement.type !== 'ExportNamedDeclaration' || statement.source == null) return [];
    const from = join(dirname(file), statement.source.value);
    return statement.specifiers.map((specifier) => {
      if (specifier.type !== 'ExportSpecifier') throw new Error(`${file}: only names can be exported.`);
      return declared(from, specifier.local.name);
    });
  });
}

function declared(file: string, name: string): Exported {
  const { source, statements } = statementsOf(file);
  for (const statement of statements) {
    if (statement.type !== 'ExportNamedDeclaration' || statement.declaration == null) continue;
    const { declaration } = statement;
    if (!('id' in declaration) || declaration.id == null || !('name' in declaration.id)) continue;
    if (declaration.id.name !== name) continue;
    return { name, declaration, documentation: documentationOf(statement), source };
  }
  throw new Error(`${file} does not declare ${name}, which lib/index.ts exports.`);
}

function statementsOf(file: string): { source: string; statements: readonly Statement[] } {
  const source = readFileSync(file, 'utf8');
  const { program } = parse(source, { sourceType: 'module', plugins: ['typescript'] });
  return { source, statements: program.body };
}

/** The last comment before a node, without its stars. */
export function documentationOf({ leadingComments }: Pick<Node, 'leadingComments'>): Documentation {
  const comment = leadingComments?.findLast(isDocumentation);
  const text = (comment?.value ?? '').replaceAll(/^[ \t]*\*+ ?/gm, '').trim();
  const [description = '', ...tags] = text.split(/(?:^|(?<=\s))@(?=(?:default|throws|returns|param)\b)/);
  const valuesOf = (tag: string) =>
    tags.filter((one) => one.startsWith(tag)).map((one) => inOneLine(one.slice(tag.length)));
  return {
    text: description.trim(),
    default: valuesOf('default')[0] ?? null,
    throws: valuesOf('throws'),
  };
}

function isDocumentation({ type, value }: Comment): boolean {
  return type === 'CommentBlock' && value.startsWith('*');
}

export function inOneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim();
}
