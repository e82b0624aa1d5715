import { type Node, type ParseError, parseTree, printParseErrorCode } from 'jsonc-parser';
import { literalText, type RegistrySource, type SourceField, type SourceValue } from './registry-source.ts';

const STRICT = { disallowComments: true, allowTrailingComma: false, allowEmptyContent: false };

/** Reads a JSON file; as much of it as is valid. */
export function readJson(text: string): RegistrySource {
  const root = parseTree(text, [], STRICT);
  if (root?.type !== 'array') return { list: { reason: 'it is not a JSON array', start: 0 }, objects: [] };
  const elements = (root.children ?? []).map((node) => sourceValue(node, text));
  const list = {
    start: root.offset,
    close: root.offset + root.length - 1,
    elements,
    hasTrailingComma: false,
  };
  return { list, objects: elements };
}

/**
 * Where a text stops being JSON, and why if `JSON.parse` does not say it; null: it is valid. JSON.parse reports the place
 * of some errors only, and not of the most frequent one, a comma too many.
 */
export function jsonSyntaxError(text: string): { offset: number; reason: string | null } | null {
  const errors: ParseError[] = [];
  parseTree(text, errors, STRICT);
  const [first] = errors;
  if (first === undefined) return null;
  const isComment = printParseErrorCode(first.error) === 'InvalidCommentToken';
  return { offset: first.offset, reason: isComment ? 'JSON allows no comments; remove this one' : null };
}

function sourceValue({ type, offset, length, value, children = [] }: Node, text: string): SourceValue {
  const place = { start: offset, end: offset + length };
  if (type === 'string') return { ...place, text: literalText(text, place, value) };
  if (type !== 'object') return place;
  const fields = children.flatMap(({ children: [key, field] = [] }): [string, SourceField][] =>
    key === undefined || field === undefined
      ? []
      : [[key.value, { start: key.offset, value: sourceValue(field, text) }]],
  );
  return { ...place, fields: new Map(fields) };
}
