import type { ExaminedEntry } from '../../registry/examine-registry.ts';
import type { RegistryRuleName } from '../../registry/rules.ts';

/** What a rule has against an entry that can be used. */
export interface EntryWarning {
  readonly rule: RegistryRuleName;
  readonly entry: ExaminedEntry;
  readonly message: string;
  /** Another entry that it is about as much: it may accept the warning as well. */
  readonly other?: ExaminedEntry;
}
