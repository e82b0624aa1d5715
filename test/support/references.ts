import type { References } from '../../lambdas/shared/registry.ts';

/** The references of an index that a test does not compile from a statement. */
export const NO_REFERENCES: References = {
  ...{ method: 'btree', columns: [], functions: [], types: [], collations: [], operatorClasses: [] },
};
