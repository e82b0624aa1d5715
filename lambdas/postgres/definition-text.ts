/*
 * The text of a definition as pg_get_indexdef returns it from USING on:
 * USING method (columns) INCLUDE (columns) NULLS NOT DISTINCT WITH (storage options) WHERE predicate.
 */

interface DefinitionParts {
  /** Up to the storage options. */
  structure: string;
  /** The predicate from ` WHERE ` on. Empty: the index is not partial. */
  predicate: string;
}

const OPTIONS = ' WITH (';
const PREDICATE = ' WHERE ';

/** Separates a definition into its parts, and omits the storage options. */
export function splitDefinition(definition: string): DefinitionParts {
  let structureEnd = definition.length;
  for (const { at, depth } of unquoted(definition)) {
    if (depth !== 0) continue;
    if (definition.startsWith(OPTIONS, at)) structureEnd = Math.min(structureEnd, at);
    if (definition.startsWith(PREDICATE, at)) {
      return {
        structure: definition.slice(0, Math.min(structureEnd, at)),
        predicate: definition.slice(at),
      };
    }
  }
  return { structure: definition.slice(0, structureEnd), predicate: '' };
}

const TABLESPACE =
  /(?<![\p{L}\p{N}_$])tablespace\s+(?:"(?<quoted>(?:[^"]|"")+)"|(?<word>[\p{L}_][\p{L}\p{N}_$]*))\s*/iuy;
const WHERE = /(?<![\p{L}\p{N}_$])where(?![\p{L}\p{N}_$])/iuy;

/**
 * Separates the TABLESPACE clause from a definition of the registry.
 * @returns the definition without the clause, and the name of the tablespace. Null: it has no such clause
 */
export function splitTablespace(definition: string): { definition: string; tablespace: string | null } {
  for (const { at, depth } of unquoted(definition)) {
    if (depth !== 0) continue;
    WHERE.lastIndex = at;
    if (WHERE.test(definition)) break;
    TABLESPACE.lastIndex = at;
    const clause = TABLESPACE.exec(definition);
    if (clause === null) continue;
    const { quoted, word } = clause.groups ?? {};
    return {
      definition: `${definition.slice(0, at)}${definition.slice(at + clause[0].length)}`,
      tablespace: quoted?.replaceAll('""', '"') ?? word?.toLowerCase() ?? null,
    };
  }
  return { definition, tablespace: null };
}

/** The characters outside of quotes, with the number of parentheses that are open before each. A quote in quotes is doubled. */
function* unquoted(text: string): Generator<{ at: number; depth: number }> {
  let depth = 0;
  let quote: string | undefined;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (quote !== undefined) {
      if (character === quote) quote = undefined;
      continue;
    }
    if (character === "'" || character === '"') quote = character;
    else yield { at, depth };
    if (character === '(') depth += 1;
    if (character === ')') depth -= 1;
  }
}
