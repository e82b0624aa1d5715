import { findNodeAtLocation, type Node, type ParseError, parseTree, printParseErrorCode } from 'jsonc-parser';
import { messageOf } from '../../lambdas/shared/errors.ts';
import { type Place, placesIn } from '../sql/places.ts';
import { literalText, type RegistrySource, type SourceField, type SourceValue } from './registry-source.ts';

const STRICT = { disallowComments: true, allowTrailingComma: false, allowEmptyContent: false };

/**
 * Reads a JSON file.
 * @throws SyntaxError if it is not valid; `pos` is the offset.
 */
export function readJson(text: string): RegistrySource {
  const error = jsonSyntaxError(text);
  if (error !== null) throw Object.assign(new SyntaxError(error.message), { pos: error.offset });
  const root = treeOf(text, []);
  const options = root?.type === 'object' ? sourceValue(root, text).fields : undefined;
  const node = options?.has('schemas') && root ? findNodeAtLocation(root, ['indexes']) : root;
  if (node?.type !== 'array') return { list: { reason: 'it is not a list', start: 0 }, objects: [] };
  const elements = (node.children ?? []).map((element) => sourceValue(element, text));
  const list = {
    start: node.offset,
    close: node.offset + node.length - 1,
    elements,
    hasTrailingComma: false,
  };
  return { list, options, objects: elements };
}

/**
 * The first syntax error of a text; null if it is valid JSON. `JSON.parse` reports the place of some errors only, and not of
 * the most frequent one, a comma too many.
 */
export function jsonSyntaxError(text: string): { readonly message: string; readonly offset: number } | null {
  const errors: ParseError[] = [];
  try {
    treeOf(text, errors);
  } catch (error) {
    if (error instanceof SyntaxError) return { message: error.message, offset: 0 };
    throw error;
  }
  const [first] = errors;
  if (first === undefined) return null;
  const isComment = printParseErrorCode(first.error) === 'InvalidCommentToken';
  const message = isComment ? 'JSON allows no comments; remove this one' : messageOfJsonParse(text);
  return { message, offset: first.offset };
}

/** Finds the values in a valid JSON text by their paths. A path without a value has the place of the beginning. */
export function placesOfJson(text: string): (path: readonly (string | number)[]) => Place {
  const root = treeOf(text, []);
  const placeOf = placesIn(text);
  return (path) => placeOf((root && findNodeAtLocation(root, [...path]))?.offset ?? 0);
}

/** @throws SyntaxError if the text is nested too deeply for the parser */
function treeOf(text: string, errors: ParseError[]): Node | undefined {
  try {
    return parseTree(text, errors, STRICT);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw Object.assign(new SyntaxError('it is nested too deeply', { cause: error }), { pos: 0 });
  }
}

function messageOfJsonParse(text: string): string {
  try {
    JSON.parse(text);
    return 'syntax error';
  } catch (error) {
    return messageOf(error).replace(/ in JSON at position .*/, '');
  }
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
