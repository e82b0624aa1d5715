import type { Expression, ObjectExpression, TemplateLiteral } from '@babel/types';
import { quoted } from '../../lambdas/shared/visible-text.ts';
import {
  type AnyNode,
  codeOf,
  defaultExport,
  keyOf,
  type Of,
  parseModule,
  range,
  type Statement,
  withoutTypes,
} from './module-source.ts';

/*
 * Reads the value of a registry module without running it (`--no-code`). It accepts what cannot have another value when it
 * runs: literals, constants of the same file, spread lists and objects, and defineIndexes. Everything else is refused with its
 * place. It never guesses, because an entry that it leaves out would be an entry that nobody checks.
 */

/** A part of a module whose value only its code knows. */
export class UnknownValue extends Error {
  override readonly name = 'UnknownValue';
  /** Offset in the file. */
  readonly start: number;

  constructor(reason: string, { start }: { readonly start: number }) {
    super(reason);
    this.start = start;
  }
}

/** The value of a module's default export, or of its `module.exports`. */
export type ModuleValue = { readonly value: unknown } | { readonly unknown: readonly UnknownValue[] };

/**
 * Reads the default export of a module.
 * @returns the value, or each part of it that is unknown without running the module
 * @throws SyntaxError if it is neither JavaScript nor TypeScript; `pos` is the offset
 */
export function readModuleValue(text: string): ModuleValue {
  const { program, errors } = parseModule(text);
  const [error] = errors ?? [];
  if (error !== undefined)
    throw Object.assign(new SyntaxError(`it has a syntax error (${error.reasonCode})`), { pos: error.pos });
  try {
    return new ModuleReader(program.body, text).read();
  } catch (error) {
    if (error instanceof UnknownValue) return { unknown: [error] };
    if (!(error instanceof RangeError)) throw error;
    return { unknown: [new UnknownValue('it is nested too deeply', { start: 0 })] };
  }
}

/** Limits what `[...a, ...a]` can multiply. */
const MOST_VALUES = 1_000_000;
const MOST_CHARACTERS = 50_000_000;

/** A file from which defineIndexes can be imported. */
const DEFINES =
  /(?:^|\/)(?:pg-deploy-step(?:\/define-indexes)?|define-indexes(?:\.[cm]?[jt]s)?|lib\/index\.ts)$/;

type Binding =
  | { readonly kind: 'constant'; readonly init: Expression }
  | { readonly kind: 'import'; readonly imported: string | null; readonly from: string };

class ModuleReader {
  private readonly text: string;
  private readonly statements: readonly Statement[];
  private readonly bindings = new Map<string, Binding>();
  private readonly values = new Map<string, unknown>();
  /** The constants that are being read, to detect one that contains itself. */
  private readonly reading = new Set<string>();
  private count = 0;
  private characters = 0;

  constructor(statements: readonly Statement[], text: string) {
    this.statements = statements;
    this.text = text;
  }

  read(): ModuleValue {
    let exported: AnyNode | null = null;
    for (const statement of this.statements) {
      this.visit(statement);
      const found = defaultExport(statement, this.text);
      if (found === null) continue;
      if (exported !== null) throw this.unknown(statement, 'it exports its list twice');
      if ('source' in statement && statement.source) {
        throw this.unknown(
          statement,
          `its list comes from another module (${quoted(statement.source.value)}), which is not read`,
        );
      }
      exported = found;
    }
    if (exported === null) throw new UnknownValue('it has no default export', { start: 0 });
    const list = this.listIn(exported);
    if (list === null || this.optionsIn(exported) !== null) return { value: this.valueOf(exported) };
    const unknown: UnknownValue[] = [];
    const value = list.elements.flatMap((element) => {
      try {
        return this.elementsOf(element, list);
      } catch (error) {
        if (!(error instanceof UnknownValue)) throw error;
        unknown.push(error);
        return [];
      }
    });
    return unknown.length === 0 ? { value } : { unknown };
  }

  /** The list that the module exports, if it is written out at this place, so that each unknown entry is reported. */
  private listIn(exported: AnyNode): Of<'ArrayExpression'> | null {
    const node = withoutTypes(exported);
    if (node.type === 'ArrayExpression') return node;
    if (node.type !== 'CallExpression' || !this.returnsArgument(node.callee)) return null;
    const [argument] = node.arguments;
    return argument === undefined ? null : this.listIn(argument);
  }

  /** The second argument of defineIndexes. */
  private optionsIn(node: AnyNode): AnyNode | null {
    const expression = withoutTypes(node);
    if (expression.type !== 'CallExpression' || !this.returnsArgument(expression.callee)) return null;
    if (codeOf(expression.callee, this.text) === 'Object.freeze') return null;
    const [, options, ...others] = expression.arguments;
    return others.length === 0 ? (options ?? null) : null;
  }

  /** Code that runs when the module is loaded could change the list, so a statement may only declare something. */
  private visit(statement: Statement): void {
    if (statement.type === 'ImportDeclaration') {
      for (const specifier of statement.specifiers) {
        const imported = 'imported' in specifier ? keyOf(specifier.imported) : null;
        this.bindings.set(specifier.local.name, { kind: 'import', imported, from: statement.source.value });
      }
    } else if (statement.type === 'ExportNamedDeclaration') {
      if (statement.declaration) this.visit(statement.declaration);
    } else if (statement.type === 'VariableDeclaration') this.declareVariables(statement);
    else if (!isInert(statement) && defaultExport(statement, this.text) === null) {
      throw this.unknown(
        statement,
        'it has code that runs when the module is loaded, and could change the list',
      );
    }
  }

  private declareVariables(statement: Extract<Statement, { type: 'VariableDeclaration' }>): void {
    for (const { id, init } of statement.declarations) {
      if (!init) continue;
      if (statement.kind === 'const' && id.type === 'Identifier') {
        this.bindings.set(id.name, { kind: 'constant', init });
        this.refuseEffects(init);
        continue;
      }
      const from = requiredModule(init);
      if (statement.kind !== 'const' || id.type !== 'ObjectPattern' || from === null) {
        const what =
          statement.kind === 'const'
            ? 'it takes a value apart'
            : `it declares a variable with ${statement.kind}`;
        throw this.unknown(statement, `${what}; write const NAME = VALUE`);
      }
      for (const property of id.properties) {
        if (property.type !== 'ObjectProperty' || property.value.type !== 'Identifier') {
          throw this.unknown(property, 'it takes a value apart');
        }
        this.bindings.set(property.value.name, { kind: 'import', imported: keyOf(property.key), from });
      }
    }
  }

  /** A constant that is a function is fine as long as nothing calls it. Its value is read where it is used. */
  private refuseEffects(init: Expression): void {
    const node = withoutTypes(init);
    if (/^(?:ArrowFunctionExpression|FunctionExpression|MemberExpression|Identifier)$/.test(node.type))
      return;
    if (requiredModule(node) === null) this.valueOf(node);
  }

  private valueOf(node: AnyNode): unknown {
    this.add(0);
    const expression = withoutTypes(node);
    switch (expression.type) {
      case 'StringLiteral':
        return this.textValue(expression.value);
      case 'NumericLiteral':
      case 'BooleanLiteral':
        return expression.value;
      case 'NullLiteral':
        return null;
      case 'TemplateLiteral':
        return this.template(expression, 'cooked');
      case 'TaggedTemplateExpression':
        return this.tagged(expression);
      case 'ArrayExpression':
        return expression.elements.flatMap((element) => this.elementsOf(element, expression));
      case 'ObjectExpression':
        return this.object(expression);
      case 'BinaryExpression':
        return this.joined(expression);
      case 'Identifier':
        return this.constant(expression);
      case 'CallExpression': {
        const [argument, ...others] = expression.arguments;
        if (argument !== undefined && others.length === 0 && this.returnsArgument(expression.callee)) {
          return this.valueOf(argument);
        }
        const options = this.optionsIn(expression);
        if (argument !== undefined && options !== null) {
          // As defineIndexes does it.
          return { ...Object(this.valueOf(options)), indexes: this.valueOf(argument) };
        }
        throw this.unknown(expression, `${this.excerpt(expression)} is computed by code`);
      }
      default:
        throw this.unknown(expression, `${this.excerpt(expression)} is computed by code`);
    }
  }

  private elementsOf(element: AnyNode | null, list: AnyNode): unknown[] {
    if (element === null) throw this.unknown(list, 'the list has an empty place between two commas');
    if (element.type !== 'SpreadElement') return [this.valueOf(element)];
    const inner = this.valueOf((element as AnyNode & { argument: AnyNode }).argument);
    if (!Array.isArray(inner)) throw this.unknown(element, `${this.excerpt(element)} is not a list`);
    this.add(inner.length);
    return inner;
  }

  private object(object: ObjectExpression): unknown {
    const value: Record<string, unknown> = {};
    // An own field also for the name __proto__, which an assignment would not create.
    const set = (key: string, field: unknown) =>
      Object.defineProperty(value, key, {
        value: field,
        enumerable: true,
        configurable: true,
        writable: true,
      });
    for (const property of object.properties) {
      if (property.type === 'SpreadElement') {
        const inner = this.valueOf(property.argument);
        if (typeof inner !== 'object' || inner === null) {
          throw this.unknown(property, `${this.excerpt(property)} is not an object`);
        }
        const fields = Object.entries(inner);
        this.add(fields.length);
        for (const [key, field] of fields) set(key, field);
        continue;
      }
      if (property.type !== 'ObjectProperty') throw this.unknown(property, 'a method is code');
      const key = property.computed ? this.valueOf(property.key) : keyOf(property.key);
      if (typeof key !== 'string') throw this.unknown(property, 'the name of the field is computed by code');
      if (key === '__proto__' && !property.computed && !property.shorthand) {
        throw this.unknown(property, '__proto__ sets the prototype of the object');
      }
      set(key, this.valueOf(property.value));
    }
    return value;
  }

  /** A text with the values of constants in it. */
  private template({ quasis, expressions }: TemplateLiteral, form: 'cooked' | 'raw'): string {
    const parts = quasis.map((quasi, at) => {
      const { cooked, raw } = quasi.value;
      const text = form === 'raw' ? raw : cooked;
      if (typeof text !== 'string') throw this.unknown(quasi, 'the text has an invalid escape');
      const expression = expressions[at];
      return expression === undefined ? text : text + this.insertedText(expression);
    });
    return this.textValue(parts.join(''));
  }

  private insertedText(node: AnyNode): string {
    const value = this.valueOf(node);
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
      return String(value);
    throw this.unknown(node, `${this.excerpt(node)} is not a text or a number`);
  }

  /** String.raw, and a tag `sql` that is imported: such tags return their text, and exist for editors. */
  private tagged({ tag, quasi }: Of<'TaggedTemplateExpression'>): string {
    if (codeOf(tag, this.text) === 'String.raw') return this.template(quasi, 'raw');
    const binding = tag.type === 'Identifier' ? this.bindings.get(tag.name) : undefined;
    if (tag.type === 'Identifier' && tag.name === 'sql' && binding?.kind === 'import') {
      return this.template(quasi, 'cooked');
    }
    throw this.unknown(tag, `the tag ${this.excerpt(tag)} is code`);
  }

  /** Texts joined with +. A long chain is not read by recursion. */
  private joined(expression: Of<'BinaryExpression'>): unknown {
    const parts: AnyNode[] = [];
    let left: AnyNode = expression;
    for (;;) {
      const node = withoutTypes(left);
      if (node.type !== 'BinaryExpression') break;
      if (node.operator !== '+') throw this.unknown(node, `${this.excerpt(node)} is computed by code`);
      parts.push(node.right);
      left = node.left;
    }
    const texts = [left, ...parts.reverse()].map((part) => {
      const value = this.valueOf(part);
      if (typeof value !== 'string') throw this.unknown(part, `${this.excerpt(part)} is not a text`);
      return value;
    });
    return this.textValue(texts.join(''));
  }

  private constant(identifier: Of<'Identifier'>): unknown {
    const { name } = identifier;
    if (name === 'undefined') return undefined;
    if (this.values.has(name)) return this.values.get(name);
    const binding = this.bindings.get(name);
    if (binding?.kind === 'import') {
      throw this.unknown(
        identifier,
        `${quoted(name)} comes from another module (${quoted(binding.from)}), which is not read`,
      );
    }
    if (binding === undefined || this.reading.has(name)) {
      throw this.unknown(identifier, `${quoted(name)} is not a constant of this file`);
    }
    this.reading.add(name);
    try {
      const value = this.valueOf(binding.init);
      this.values.set(name, value);
      return value;
    } finally {
      this.reading.delete(name);
    }
  }

  /** Whether a function returns its argument: defineIndexes of this package, or Object.freeze. */
  private returnsArgument(callee: AnyNode): boolean {
    const expression = withoutTypes(callee);
    if (expression.type === 'MemberExpression') {
      if (codeOf(expression, this.text) === 'Object.freeze') return !this.bindings.has('Object');
      const { object, property, computed } = expression;
      return !computed && keyOf(property) === 'defineIndexes' && this.isPackage(object);
    }
    if (expression.type !== 'Identifier') return false;
    const binding = this.bindings.get(expression.name);
    if (binding?.kind === 'import') return binding.imported === 'defineIndexes' && DEFINES.test(binding.from);
    if (binding === undefined || this.reading.has(expression.name)) return false;
    this.reading.add(expression.name);
    const returns = this.returnsArgument(binding.init);
    this.reading.delete(expression.name);
    return returns;
  }

  /** Whether a name is this package: import * as p, or const p = require(…). */
  private isPackage(node: AnyNode): boolean {
    if (node.type !== 'Identifier') return false;
    const binding = this.bindings.get((node as Of<'Identifier'>).name);
    if (binding?.kind === 'import') return binding.imported === null && DEFINES.test(binding.from);
    return binding !== undefined && DEFINES.test(requiredModule(binding.init) ?? '');
  }

  private textValue(text: string): string {
    this.characters += text.length;
    if (this.characters > MOST_CHARACTERS) {
      throw new UnknownValue(`its texts have more than ${MOST_CHARACTERS} characters`, { start: 0 });
    }
    return text;
  }

  private add(count: number): void {
    this.count += count + 1;
    if (this.count > MOST_VALUES)
      throw new UnknownValue(`it has more than ${MOST_VALUES} values`, { start: 0 });
  }

  private unknown(node: AnyNode, reason: string): UnknownValue {
    return new UnknownValue(reason, range(node));
  }

  /** The beginning of the code of a node, in quotes. */
  private excerpt(node: AnyNode): string {
    const { start, end } = range(node);
    return quoted(this.text.slice(start, end), MOST_SHOWN);
  }
}

const MOST_SHOWN = 40;

/** Statements that do nothing when the module is loaded. */
function isInert(statement: Statement): boolean {
  return /^(?:EmptyStatement|FunctionDeclaration|TSTypeAliasDeclaration|TSInterfaceDeclaration|TSDeclareFunction|ExportAllDeclaration)$/.test(
    statement.type,
  );
}

/** The module of `require('…')`. Null: the expression is something else. */
function requiredModule(init: Expression): string | null {
  const node = withoutTypes(init);
  if (node.type !== 'CallExpression' || node.callee.type !== 'Identifier' || node.callee.name !== 'require')
    return null;
  const [argument] = node.arguments;
  return argument?.type === 'StringLiteral' ? argument.value : null;
}
