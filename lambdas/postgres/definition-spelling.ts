import type { CompiledIndex } from '../shared/registry.ts';
import type { Client } from './client.ts';
import { splitDefinition } from './definition-text.ts';
import type { ComparedDefinition } from './index-definition.ts';

/*
 * The compiled registry has most definitions as pg_get_indexdef prints them, so that they can be compared without asking the
 * server to normalize them. Which names are quoted differs between versions of the server, so the server decides that.
 */

/** A definition as the server prints it, as far as that is known. */
export interface Spelling {
  /** The definition. Null: parts of it are unknown. */
  readonly definition: ComparedDefinition | null;
  /** Whether an existing definition can be this one. False: it is certainly another one. */
  fits(existing: ComparedDefinition): boolean;
}

const PART = /"((?:[^"]|"")+)"|(\*)|[^"*]+/g;
const UNKNOWN = '\0';

/** Reads the spellings of entries, by the entry. Entries of which nothing is known are omitted. One query, or none. */
export async function readSpellings(
  client: Client,
  entries: readonly CompiledIndex[],
): Promise<Map<CompiledIndex, Spelling>> {
  const texts = new Set(entries.flatMap(({ spelling }) => spelling?.text ?? []));
  if (texts.size === 0) return new Map();
  const quotedNames = await quoteAsServer(client, [...texts].flatMap(namesIn));
  const printed = new Map(
    [...texts].map((text) => [
      text,
      text.replace(PART, (part, name: string | undefined, unknown: string | undefined) => {
        if (unknown !== undefined) return UNKNOWN;
        return name === undefined ? part : (quotedNames.get(unquoted(name)) ?? part);
      }),
    ]),
  );
  return new Map(
    entries.flatMap((entry) => {
      const text = printed.get(entry.spelling?.text ?? '');
      return text === undefined ? [] : [[entry, spellingOf(entry, text)]];
    }),
  );
}

function spellingOf({ unique, spelling }: CompiledIndex, text: string): Spelling {
  const parts = text.split(UNKNOWN);
  return {
    definition:
      spelling?.complete === true
        ? { text: `${unique ? 'unique ' : ''}${text}`, unique, options: [], ...splitDefinition(text) }
        : null,
    fits: (existing) =>
      existing.unique === unique && hasParts(existing.structure + existing.predicate, parts),
  };
}

/** Whether a text begins with the first part, ends with the last, and has the others in this order between them. */
function hasParts(text: string, parts: readonly string[]): boolean {
  const [first = '', ...others] = parts;
  const last = others.pop();
  if (last === undefined) return text === first;
  if (!text.startsWith(first) || !text.endsWith(last)) return false;
  const end = text.length - last.length;
  let at = first.length;
  for (const part of others) {
    const found = text.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return at <= end;
}

function namesIn(text: string): string[] {
  return [...text.matchAll(PART)].flatMap(([, name]) => (name === undefined ? [] : unquoted(name)));
}

function unquoted(name: string): string {
  return name.replaceAll('""', '"');
}

async function quoteAsServer(client: Client, names: readonly string[]): Promise<Map<string, string>> {
  const { rows } = await client.query<{ name: string; quoted: string }>(
    'select name, quote_ident(name) as quoted from unnest($1::text[]) as names (name)',
    [[...new Set(names)]],
  );
  return new Map(rows.map(({ name, quoted }) => [name, quoted]));
}
