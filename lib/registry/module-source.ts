import { runInNewContext } from 'node:vm';
import { type ParseResult, parse } from '@babel/parser';
import type { Expression, File } from '@babel/types';
import { visitValues } from '../sql/parse-tree.ts';
import {
  literalText,
  type NoList,
  type RegistrySource,
  type SourceField,
  type SourceList,
  type SourceValue,
} from './registry-source.ts';

export type Statement = File['program']['body'][number];
export type Of<Type extends Expression['type']> = Extract<Expression, { type: Type }>;
/** Any node of the syntax tree. */
export interface AnyNode {
  readonly type: string;
  readonly start?: number | null;
  readonly end?: number | null;
}

/** A name of the module's top level: a variable with its value, or an import with its name in the other module. */
type Binding = { readonly value: Expression } | { readonly imported: string | null; readonly from: string };

/**
 * Reads a module, JavaScript or TypeScript. The TypeScript plugin reads every JavaScript file that Node.js runs.
 * @throws SyntaxError if it is neither; `pos` is the offset.
 */
export function readModule(text: string): RegistrySource {
  const { program } = parseModule(text);
  const objects = objectsIn(program).map((object) => sourceValue(object, text));
  return { ...exportedList(program.body, text), objects: objects.sort((a, b) => a.start - b.start) };
}

/** Time to parse a module, in milliseconds. A registry of thousands of entries takes less than a second. */
const LIMIT_MS = 10_000;

/**
 * The syntax tree of a module.
 * @param limitMs some texts of a hundred characters would keep the parser busy for years: it tries two readings at each level
 * @throws SyntaxError if it is neither JavaScript nor TypeScript, is nested too deeply, or takes too long; `pos` is the offset.
 */
export function parseModule(text: string, limitMs = LIMIT_MS): ParseResult<File> {
  const run = () =>
    parse(text, {
      sourceType: 'unambiguous',
      plugins: ['typescript', 'decorators'],
      errorRecovery: true,
      attachComment: false,
      createParenthesizedExpressions: true,
      allowReturnOutsideFunction: true,
    });
  try {
    // The timeout of a script ends everything that it calls. The script itself is only this call.
    return runInNewContext('run()', { run }, { timeout: limitMs });
  } catch (error) {
    // This error belongs to the context of the script, so it is no instance of Error here.
    if (Reflect.get(Object(error), 'code') === 'ERR_SCRIPT_EXECUTION_TIMEOUT') {
      throw syntaxError(`it cannot be parsed within ${limitMs / 1000} s: look for deep nesting`, error);
    }
    if (error instanceof RangeError) throw syntaxError('it is nested too deeply', error);
    throw error;
  }
}

function syntaxError(message: string, cause: unknown): SyntaxError {
  return Object.assign(new SyntaxError(message, { cause }), { pos: 0 });
}

/** Offset of the syntax error that makes a module unreadable; null if it has none. */
export function moduleSyntaxError(text: string): number | null {
  try {
    readModule(text);
    return null;
  } catch (error) {
    return error instanceof SyntaxError && 'pos' in error ? Number(error.pos) : null;
  }
}

/** The list of a module's default export, and the fields beside it. */
function exportedList(
  statements: readonly Statement[],
  text: string,
): Pick<RegistrySource, 'list' | 'options'> {
  const bindings = new Map(statements.flatMap((statement) => bindingsOf(statement, text)));
  const exported = statements
    .map((statement) => defaultExport(statement, text))
    .find((node) => node !== null);
  let options: RegistrySource['options'];
  const list =
    exported === undefined ? { reason: 'it has no default export', start: 0 } : listOf(exported, []);
  return { list, options };

  /** @param seen the variables on the way to this node */
  function listOf(node: AnyNode, seen: readonly string[]): SourceList | NoList {
    const expression = withoutTypes(node);
    if (expression.type === 'ArrayExpression') return listLiteral(expression, text);
    if (expression.type === 'CallExpression' && returnsArgument(expression.callee, [])) {
      const [argument, others] = expression.arguments;
      if (others !== undefined) options = sourceValue(others, text).fields;
      return listOf(argument ?? expression, seen);
    }
    if (expression.type === 'ObjectExpression') {
      const indexes = expression.properties.find(
        (property) =>
          property.type === 'ObjectProperty' && !property.computed && keyOf(property.key) === 'indexes',
      );
      options = sourceValue(expression, text).fields;
      if (options?.has('schemas') && indexes?.type === 'ObjectProperty') return listOf(indexes.value, seen);
    }
    const { start } = range(expression);
    const name = expression.type === 'Identifier' ? expression.name : '';
    const binding = seen.includes(name) ? undefined : bindings.get(name);
    if (binding === undefined) return { reason: 'code computes its default export', start };
    if ('from' in binding) return { reason: `its list comes from another module (${binding.from})`, start };
    return listOf(binding.value, [...seen, name]);
  }

  /** True for defineIndexes, whatever the module calls it, and for Object.freeze. */
  function returnsArgument(callee: AnyNode, seen: readonly string[]): boolean {
    const expression = withoutTypes(callee);
    if (expression.type === 'MemberExpression') {
      return /^Object\.freeze$|\.defineIndexes$/.test(codeOf(expression, text));
    }
    if (expression.type !== 'Identifier' || seen.includes(expression.name)) return false;
    if (expression.name === 'defineIndexes') return true;
    const binding = bindings.get(expression.name);
    if (binding === undefined || 'from' in binding) return binding?.imported === 'defineIndexes';
    return returnsArgument(binding.value, [...seen, expression.name]);
  }
}

/** The names that a statement declares. `export { … } from '…'` counts as an import. */
function bindingsOf(statement: Statement, text: string): [string, Binding][] {
  if (statement.type === 'ExportNamedDeclaration' && statement.declaration) {
    return bindingsOf(statement.declaration, text);
  }
  if ('specifiers' in statement && statement.source) {
    const from = statement.source.value;
    return (statement.specifiers ?? []).flatMap((specifier): [string, Binding][] => {
      const name = 'local' in specifier ? keyOf(specifier.local) : null;
      const imported = 'imported' in specifier ? keyOf(specifier.imported) : null;
      return name === null ? [] : [[name, { imported, from }]];
    });
  }
  if (statement.type !== 'VariableDeclaration') return [];
  return statement.declarations.flatMap(({ id, init }): [string, Binding][] => {
    if (!init) return [];
    if (id.type === 'Identifier') return [[id.name, { value: init }]];
    if (id.type !== 'ObjectPattern') return [];
    // const { defineIndexes: d } = require('…')
    const from = codeOf(init, text);
    return id.properties.flatMap((property) =>
      property.type === 'ObjectProperty' && property.value.type === 'Identifier'
        ? [[property.value.name, { imported: keyOf(property.key), from }]]
        : [],
    );
  });
}

/** The expression that a statement exports by default: export default …, export { … as default }, module.exports = …. */
export function defaultExport(statement: Statement, text: string): AnyNode | null {
  if (statement.type === 'ExportDefaultDeclaration') return statement.declaration;
  if (statement.type === 'ExportNamedDeclaration') {
    const specifier = statement.specifiers.find(({ exported }) => keyOf(exported) === 'default');
    return specifier?.type === 'ExportSpecifier' ? specifier.local : (specifier ?? null);
  }
  if (statement.type !== 'ExpressionStatement') return null;
  const { expression } = statement;
  if (expression.type !== 'AssignmentExpression') return null;
  return codeOf(expression.left, text) === 'module.exports' ? expression.right : null;
}

function listLiteral(list: Of<'ArrayExpression'>, text: string): SourceList {
  const { start, end } = range(list);
  return {
    start,
    close: end - 1,
    // A hole in the list has no node.
    elements: list.elements.map((element) =>
      element ? sourceValue(element, text) : { start, end: start + 1 },
    ),
    hasTrailingComma: list.extra?.trailingComma !== undefined,
  };
}

function sourceValue(node: AnyNode, text: string): SourceValue {
  const place = range(node);
  if (node.type === 'SpreadElement') return { ...place, isSpread: true };
  const expression = withoutTypes(node);
  if (expression.type === 'ObjectExpression') return { ...place, fields: fieldsOf(expression, text) };
  const [part, ...others] = expression.type === 'TemplateLiteral' ? expression.quasis : [];
  const value =
    expression.type === 'StringLiteral' ? expression.value : others.length === 0 && part?.value.cooked;
  return typeof value === 'string' ? { ...place, text: literalText(text, range(expression), value) } : place;
}

function fieldsOf(object: Of<'ObjectExpression'>, text: string): Map<string, SourceField> {
  const fields = new Map<string, SourceField>();
  for (const property of object.properties) {
    if (property.type !== 'ObjectProperty') continue;
    const isComputed = property.computed && property.key.type !== 'StringLiteral';
    const name = isComputed ? null : keyOf(property.key);
    if (name !== null)
      fields.set(name, { start: range(property).start, value: sourceValue(property.value, text) });
  }
  return fields;
}

/** The name that an identifier or a string stands for, as the key of a field, an import or an export. */
export function keyOf(node: AnyNode): string | null {
  if ('name' in node) return String(node.name);
  return 'value' in node ? String(node.value) : null;
}

/** An expression without parentheses, `as`, `satisfies`, `!`, `<T>` and type arguments. */
export function withoutTypes(node: AnyNode): Expression {
  let inner = node;
  while (isWrapper(inner)) inner = inner.expression;
  return inner as Expression;
}

function isWrapper(node: AnyNode): node is AnyNode & { readonly expression: AnyNode } {
  return /^(ParenthesizedExpression|TS\w+(Expression|Assertion))$/.test(node.type) && 'expression' in node;
}

/** The code of a node, without white space. */
export function codeOf(node: AnyNode, text: string): string {
  const { start, end } = range(node);
  return text.slice(start, end).replaceAll(/\s/g, '');
}

export function range({ start, end }: AnyNode): { start: number; end: number } {
  return { start: start ?? 0, end: end ?? 0 };
}

/** Every object literal of a syntax tree. */
function objectsIn(tree: unknown): Of<'ObjectExpression'>[] {
  const objects: Of<'ObjectExpression'>[] = [];
  visitValues(tree, (value) => {
    const node = value as AnyNode | null;
    if (typeof node === 'object' && node?.type === 'ObjectExpression') {
      objects.push(node as Of<'ObjectExpression'>);
    }
  });
  return objects;
}
