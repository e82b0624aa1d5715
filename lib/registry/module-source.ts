import { parse } from '@babel/parser';
import type { Expression, File } from '@babel/types';
import {
  literalText,
  type NoList,
  type RegistrySource,
  type SourceField,
  type SourceList,
  type SourceValue,
} from './registry-source.ts';

type Statement = File['program']['body'][number];
type Of<Type extends Expression['type']> = Extract<Expression, { type: Type }>;
/** Any node of the syntax tree. */
interface AnyNode {
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
  const { program } = parse(text, {
    sourceType: 'unambiguous',
    plugins: ['typescript', 'decorators'],
    errorRecovery: true,
    attachComment: false,
    createParenthesizedExpressions: true,
    allowReturnOutsideFunction: true,
  });
  const objects = objectsIn(program).map((object) => sourceValue(object, text));
  return { list: exportedList(program.body, text), objects: objects.sort((a, b) => a.start - b.start) };
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

/** The list of a module's default export. */
function exportedList(statements: readonly Statement[], text: string): SourceList | NoList {
  const bindings = new Map(statements.flatMap((statement) => bindingsOf(statement, text)));
  const exported = statements
    .map((statement) => defaultExport(statement, text))
    .find((node) => node !== null);
  return exported === undefined ? { reason: 'it has no default export', start: 0 } : listOf(exported, []);

  /** @param seen the variables on the way to this node */
  function listOf(node: AnyNode, seen: readonly string[]): SourceList | NoList {
    const expression = withoutTypes(node);
    if (expression.type === 'ArrayExpression') return listLiteral(expression, text);
    if (expression.type === 'CallExpression' && returnsArgument(expression.callee, [])) {
      return listOf(expression.arguments[0] ?? expression, seen);
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
function defaultExport(statement: Statement, text: string): AnyNode | null {
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
function keyOf(node: AnyNode): string | null {
  if ('name' in node) return String(node.name);
  return 'value' in node ? String(node.value) : null;
}

/** An expression without parentheses, `as`, `satisfies`, `!`, `<T>` and type arguments. */
function withoutTypes(node: AnyNode): Expression {
  const isWrapper = /^(ParenthesizedExpression|TS\w+(Expression|Assertion))$/.test(node.type);
  return isWrapper && 'expression' in node ? withoutTypes(node.expression as AnyNode) : (node as Expression);
}

/** The code of a node, without white space. */
function codeOf(node: AnyNode, text: string): string {
  const { start, end } = range(node);
  return text.slice(start, end).replaceAll(/\s/g, '');
}

function range({ start, end }: AnyNode): { start: number; end: number } {
  return { start: start ?? 0, end: end ?? 0 };
}

/** Every object literal of a syntax tree. */
function objectsIn(node: unknown): Of<'ObjectExpression'>[] {
  if (typeof node !== 'object' || node === null) return [];
  const inner = Object.values(node).flatMap(objectsIn);
  return 'type' in node && node.type === 'ObjectExpression'
    ? [node as Of<'ObjectExpression'>, ...inner]
    : inner;
}
