import type { GatedVerdict } from '../../explain/gate.ts';
import type { Format } from '../../lint/format-result.ts';

/** The flags of `explain` as commander parses them. */
export interface ExplainFlags {
  databaseUrl?: string;
  query?: string;
  param?: string[];
  queries?: string;
  indexes?: string;
  searchPath?: string[];
  tenantColumn?: string;
  failOn?: GatedVerdict[];
  minRows?: number;
  baseline?: string;
  updateBaseline?: boolean;
  analyze?: boolean;
  timeout: number;
  format?: Format;
  json?: boolean;
  /** False for --no-code. */
  code: boolean;
}
