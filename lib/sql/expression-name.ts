import type { Node } from 'libpg-query';

/** A name for an expression. PostgreSQL replaces one that is not good with a name from the surrounding expression. */
interface Guess {
  readonly name: string;
  readonly good: boolean;
}

/** Expressions that always have the same name. */
const FIXED: Readonly<Record<string, string>> = {
  GroupingFunc: 'grouping',
  MergeSupportFunc: 'merge_action',
  A_ArrayExpr: 'array',
  RowExpr: 'row',
  CoalesceExpr: 'coalesce',
  XmlSerialize: 'xmlserialize',
  JsonParseExpr: 'json',
  JsonScalarExpr: 'json_scalar',
  JsonSerializeExpr: 'json_serialize',
  JsonObjectConstructor: 'json_object',
  JsonArrayConstructor: 'json_array',
  JsonArrayQueryConstructor: 'json_array',
};

/** The operation in the parse tree contains the name: `IS_GREATEST`, `SVFOP_CURRENT_DATE`, `JSON_VALUE_OP`. */
const OPERATIONS = /^(?:IS_(?!DOCUMENT)|SVFOP_)(\w+?)(?:_N)?$|^(JSON_\w+)_OP$/;

/**
 * The name that PostgreSQL gives the column of an expression in an index (FigureIndexColname): that of the function, the
 * column, or the type of a cast. Undefined: the expression has no name.
 */
export function expressionName(expression: Node): string | undefined {
  return guess(expression)?.name;
}

function guess(node: Node | undefined): Guess | undefined {
  if (node === undefined) return undefined;
  if ('ColumnRef' in node) return good(lastName(node.ColumnRef.fields));
  if ('A_Indirection' in node) {
    return good(lastName(node.A_Indirection.indirection)) ?? guess(node.A_Indirection.arg);
  }
  if ('FuncCall' in node) return good(lastName(node.FuncCall.funcname));
  if ('A_Expr' in node) return node.A_Expr.kind === 'AEXPR_NULLIF' ? good('nullif') : undefined;
  if ('CollateClause' in node) return guess(node.CollateClause.arg);
  if ('TypeCast' in node) {
    const inner = guess(node.TypeCast.arg);
    const type = lastName(node.TypeCast.typeName?.names);
    return inner?.good || type === undefined ? inner : { name: type, good: false };
  }
  if ('CaseExpr' in node) {
    const inner = guess(node.CaseExpr.defresult);
    return inner?.good ? inner : { name: 'case', good: false };
  }
  if ('MinMaxExpr' in node) return ofOperation(node.MinMaxExpr.op);
  if ('SQLValueFunction' in node) return ofOperation(node.SQLValueFunction.op);
  if ('XmlExpr' in node) return ofOperation(node.XmlExpr.op);
  if ('JsonFuncExpr' in node) return ofOperation(node.JsonFuncExpr.op);
  return good(FIXED[Object.keys(node)[0] ?? '']);
}

function good(name: string | undefined): Guess | undefined {
  return name === undefined ? undefined : { name, good: true };
}

function ofOperation(operation: string | undefined): Guess | undefined {
  const [, plain, json] = OPERATIONS.exec(operation ?? '') ?? [];
  return good((plain ?? json)?.toLowerCase());
}

/** The last part that is a name, not `*` or a subscript. */
function lastName(names: readonly Node[] | undefined): string | undefined {
  const last = names?.findLast((name) => 'String' in name);
  return last !== undefined && 'String' in last ? last.String.sval : undefined;
}
