import { patternProblem } from '../../lambdas/shared/schema-patterns.ts';
import { type FormProblem, SCHEMAS_FORM, schemasField } from './entry-fields.ts';

const FIELDS = ['schemas', 'indexes'];

/** What a registry file contains: a list of entries, or `{ schemas, indexes }`. */
interface RegistryValue {
  /** Not validated yet. Null: there is no list. */
  readonly entries: readonly unknown[] | null;
  /** For the entries that name no schema and have no `schemas`. */
  readonly schemas: readonly string[];
  /** Of the fields beside the list. */
  readonly problems: readonly FormProblem[];
}

/** Takes a registry apart. @param value what the file exports, not validated yet */
export function readRegistryValue(value: unknown): RegistryValue {
  if (Array.isArray(value)) return { entries: value, schemas: [], problems: [] };
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, 'schemas'))
    return { entries: null, schemas: [], problems: [] };
  const { indexes, schemas, ...others } = value as Record<string, unknown>;
  const problems = [...unknownFields(Object.keys(others)), ...schemasProblems(schemas)];
  return {
    entries: Array.isArray(indexes) ? indexes : null,
    schemas: problems.length === 0 ? (schemas as string[]) : [],
    problems,
  };
}

function unknownFields(fields: readonly string[]): FormProblem[] {
  const message = `unknown field; valid fields: ${FIELDS.join(', ')}`;
  return fields.map((field) => ({ rule: 'registry-file', field, message }));
}

function schemasProblems(schemas: unknown): FormProblem[] {
  if (!Array.isArray(schemas) || schemas.some((one) => typeof one !== 'string'))
    return [{ rule: 'registry-file', field: 'schemas', message: SCHEMAS_FORM }];
  const problem = patternProblem(schemas);
  if (problem === null) return [];
  return [{ rule: 'registry-file', field: schemasField(problem.at), message: problem.message }];
}
