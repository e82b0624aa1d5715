import type { Node } from 'libpg-query';
import { stringsIn } from '../parse-tree.ts';
import { quoteWhereNeeded } from '../quote-where-needed.ts';

/** The values of variables, by their names. */
export type Values = ReadonlyMap<string, string>;

const NONE: Values = new Map();

/**
 * The text of an expression that consists of literals and known variables only: a string, `||`, format, quote_ident and the like.
 * Undefined: it depends on more.
 */
export function constantText(node: Node | undefined, values = NONE): string | undefined {
  if (node === undefined) return undefined;
  if ('ColumnRef' in node) {
    const names = stringsIn(node.ColumnRef.fields);
    return names.length === 1 ? values.get(names[0] ?? '') : undefined;
  }
  if ('A_Const' in node) return node.A_Const.sval?.sval ?? numberText(node.A_Const.ival?.ival);
  if ('TypeCast' in node) return constantText(node.TypeCast.arg, values);
  if ('A_Expr' in node && stringsIn(node.A_Expr.name).join() === '||') {
    const [left, right] = [constantText(node.A_Expr.lexpr, values), constantText(node.A_Expr.rexpr, values)];
    return left === undefined || right === undefined ? undefined : left + right;
  }
  if (!('FuncCall' in node)) return undefined;
  const texts: string[] = [];
  for (const arg of node.FuncCall.args ?? []) {
    const text = constantText(arg, values);
    if (text === undefined) return undefined;
    texts.push(text);
  }
  return callText(stringsIn(node.FuncCall.funcname).at(-1) ?? '', texts);
}

function numberText(value: number | undefined): string | undefined {
  return value === undefined ? undefined : String(value);
}

/** The texts of an array of constants. Undefined: it is none. */
export function constantTexts(node: Node | undefined, values = NONE): string[] | undefined {
  if (node !== undefined && 'TypeCast' in node) return constantTexts(node.TypeCast.arg, values);
  if (node === undefined || !('A_ArrayExpr' in node)) return undefined;
  const texts = (node.A_ArrayExpr.elements ?? []).map((element) => constantText(element, values));
  return texts.every((text) => text !== undefined) ? texts : undefined;
}

function callText(name: string, texts: readonly string[]): string | undefined {
  const [first = '', ...others] = texts;
  switch (name) {
    case 'quote_ident':
      return quoteWhereNeeded(first);
    case 'quote_literal':
      return quoteLiteral(first);
    case 'concat':
      return texts.join('');
    case 'format':
      return formatted(first, others);
    default:
      return undefined;
  }
}

function quoteLiteral(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** The function format with %s, %I, %L and %%. Undefined: it uses positions or widths, or has too few values. */
function formatted(pattern: string, values: readonly string[]): string | undefined {
  let used = 0;
  let isKnown = true;
  const text = pattern.replaceAll(/%(.?)/gs, (_all, kind: string) => {
    if (kind === '%') return '%';
    const value = values[used];
    used += 1;
    if (value !== undefined && kind === 's') return value;
    if (value !== undefined && kind === 'I') return quoteWhereNeeded(value);
    if (value !== undefined && kind === 'L') return quoteLiteral(value);
    isKnown = false;
    return '';
  });
  return isKnown ? text : undefined;
}
