import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { byteOffsetsIn } from '../../sql/byte-offsets.ts';

/** A node of the syntax tree of Ruby's own parser, Prism. The names of its fields are those of Prism. */
export interface RubyNode {
  readonly type: string;
  /** In bytes of UTF-8. */
  readonly location: { readonly startOffset: number; readonly length: number };
  readonly [field: string]: unknown;
}

/** A file of Ruby. */
export interface RubyFile {
  readonly text: string;
  readonly program: RubyNode;
  /** Where a node starts and ends, in UTF-16 units. */
  readonly rangeOf: (node: Pick<RubyNode, 'location'>) => { readonly start: number; readonly end: number };
  /** The comments from `#` to the end of their lines, in order. */
  readonly comments: readonly { readonly start: number; readonly end: number }[];
}

/** A text that Ruby cannot parse. */
export class RubySyntaxError extends Error {
  override readonly name = 'RubySyntaxError';
}

/** The parser is loaded for Ruby files only. */
let compiled: Promise<object> | undefined;

/** What is used of WebAssembly, whose types are those of browsers. */
interface Wasm {
  compile(bytes: Uint8Array): Promise<object>;
  instantiate(module: object, imports: object): Promise<{ exports: Record<string, () => void> }>;
}

/** @throws RubySyntaxError if Ruby cannot parse the text, or it is nested too deeply */
export async function parseRuby(text: string): Promise<RubyFile> {
  const { WebAssembly: wasm } = globalThis as unknown as { WebAssembly: Wasm };
  compiled ??= readFile(createRequire(import.meta.url).resolve('@ruby/prism/src/prism.wasm')).then(
    async (bytes) => await wasm.compile(new Uint8Array(bytes)),
  );
  const { parsePrism } = await import('@ruby/prism/src/parsePrism.js');
  // The parser reads no files and no environment, so no function of the system has to work.
  const system = new Proxy({}, { get: () => () => NOT_SUPPORTED });
  const { exports } = await wasm.instantiate(await compiled, { wasi_snapshot_preview1: system });
  exports._initialize?.();
  try {
    const { value, comments, errors } = parsePrism(exports, text);
    const [error] = errors;
    if (error !== undefined) throw new RubySyntaxError(error.message);
    const unitsBefore = byteOffsetsIn(text);
    const rangeOf = ({ location: { startOffset, length } }: Pick<RubyNode, 'location'>) => ({
      start: unitsBefore(startOffset),
      end: unitsBefore(startOffset + length),
    });
    // Plain objects: the classes of the nodes have names for their children that differ from Prism's own.
    const program = JSON.parse(JSON.stringify(value, withoutBigints)) as RubyNode;
    return { text, program, rangeOf, comments: comments.map(rangeOf) };
  } catch (error) {
    if (error instanceof RubySyntaxError) throw error;
    throw new RubySyntaxError('it cannot be parsed, or is nested too deeply', { cause: error });
  }
}

/** Large integers, such as the version of schema.rb, are no JSON. */
function withoutBigints(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}

/** ENOSYS of WASI. */
const NOT_SUPPORTED = 52;

export function isNode(value: unknown): value is RubyNode {
  return typeof value === 'object' && value !== null && 'type' in value && 'location' in value;
}

/** A child of a node. Undefined: it has none of this name. */
export function childOf(node: RubyNode | undefined, field: string): RubyNode | undefined {
  const child = node?.[field];
  return isNode(child) ? child : undefined;
}

/** The nodes in a list of a node, such as the arguments of a call. */
export function listOf(node: RubyNode | undefined, field: string): RubyNode[] {
  const list = node?.[field];
  return Array.isArray(list) ? list.filter(isNode) : [];
}

/** All children of a node, in the order of its fields. */
export function childrenOf(node: RubyNode): RubyNode[] {
  return Object.values(node).flatMap((value) =>
    Array.isArray(value) ? value.filter(isNode) : isNode(value) ? [value] : [],
  );
}
