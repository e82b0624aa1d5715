import { childOf, listOf, type RubyFile, type RubyNode } from './parse-ruby.ts';

/**
 * What is known about a value without running the code: a string or a symbol, a number, a list, a hash. A string can contain
 * `${code}` for a part that is known only when the code runs, as a placeholder of a migration tool.
 */
export type RubyValue = string | number | boolean | null | readonly RubyValue[] | RubyHash;
export type RubyHash = ReadonlyMap<string, RubyValue>;

/** The names that the code of a migration can use. */
export interface RubyNames {
  readonly constants: ReadonlyMap<string, RubyValue>;
  readonly locals: ReadonlyMap<string, RubyValue>;
}

export function rubyValue(node: RubyNode | undefined, file: RubyFile, names: RubyNames): RubyValue {
  if (node === undefined) return null;
  const inner = (field: string) => rubyValue(childOf(node, field), file, names);
  switch (node.type) {
    case 'SymbolNode':
    case 'StringNode':
      return String((node.unescaped as { value?: string } | undefined)?.value ?? '');
    case 'InterpolatedStringNode':
    case 'InterpolatedSymbolNode':
      return listOf(node, 'parts')
        .map((part) => textOf(rubyValue(part, file, names)))
        .join('');
    case 'EmbeddedStatementsNode':
    case 'ParenthesesNode':
      return onlyOf(node, file, names) ?? unknown(node, file);
    case 'IntegerNode':
    case 'FloatNode':
      return Number(node.value);
    case 'TrueNode':
      return true;
    case 'FalseNode':
      return false;
    case 'NilNode':
      return null;
    case 'ArrayNode':
      return listOf(node, 'elements').flatMap((element): readonly RubyValue[] => {
        const isSplat = element.type === 'SplatNode';
        const value = rubyValue(isSplat ? childOf(element, 'expression') : element, file, names);
        return isSplat && Array.isArray(value) ? value : [value];
      });
    case 'HashNode':
    case 'KeywordHashNode':
      return hashOf(node, file, names);
    case 'ConstantReadNode':
    case 'ConstantPathNode':
      return names.constants.get(String(node.name)) ?? unknown(node, file);
    case 'LocalVariableReadNode':
      return names.locals.get(String(node.name)) ?? unknown(node, file);
    case 'CallNode':
      return resultOf(node, inner('receiver'), file) ?? unknown(node, file);
    default:
      return unknown(node, file);
  }
}

/** The text of a value in SQL or in a name. */
export function textOf(value: RubyValue): string {
  return typeof value === 'string' ? value : value === null ? '' : String(value);
}

/** Whether a part of a text is known only when the code runs. */
export function isUnknown(text: string): boolean {
  return text.includes('${');
}

/** The key of options that are known only when the code runs: `**options`. */
export const UNKNOWN_OPTIONS = '**';

function hashOf(node: RubyNode, file: RubyFile, names: RubyNames): RubyHash {
  const pairs = listOf(node, 'elements').flatMap((element): [string, RubyValue][] => {
    const value = rubyValue(childOf(element, 'value'), file, names);
    if (element.type === 'AssocSplatNode')
      return value instanceof Map ? [...value] : [[UNKNOWN_OPTIONS, value]];
    return [[textOf(rubyValue(childOf(element, 'key'), file, names)), value]];
  });
  return new Map(pairs);
}

function onlyOf(node: RubyNode, file: RubyFile, names: RubyNames): RubyValue | undefined {
  const statements = childOf(node, 'statements') ?? childOf(node, 'body');
  const [first, ...others] = listOf(statements, 'body');
  return first === undefined || others.length > 0 ? undefined : rubyValue(first, file, names);
}

/** The result of a method that changes only the form of its receiver. Undefined: it is another method. */
function resultOf(call: RubyNode, receiver: RubyValue, file: RubyFile): RubyValue | undefined {
  if (receiver === null) return undefined;
  const name = String(call.name);
  if (['freeze', 'to_s', 'to_sym', 'dup', 'to_a', 'html_safe', 'strip_heredoc'].includes(name))
    return receiver;
  if (typeof receiver !== 'string') return undefined;
  if (name === 'squish') return receiver.replaceAll(/\s+/g, ' ').trim();
  if (name === 'strip') return receiver.trim();
  if (name !== '+') return undefined;
  const [other] = listOf(childOf(call, 'arguments'), 'arguments');
  const added =
    other === undefined ? '' : rubyValue(other, file, { constants: new Map(), locals: new Map() });
  return receiver + textOf(added);
}

/** A placeholder that names the code. */
function unknown(node: RubyNode, file: RubyFile): string {
  const { start, end } = file.rangeOf(node);
  const code = file.text
    .slice(start, end)
    .replaceAll(/[^\w.:]+/g, '_')
    .slice(0, 40);
  return `\${${code}}`;
}
