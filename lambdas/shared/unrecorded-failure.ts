import * as z from './zod.ts';

/** A failure that could not be written to the ledger. The state carries it until the report. */
export const unrecordedFailureSchema = z.object({
  /** The item: see build-item.ts. */
  index: z.string(),
  sqlstate: z.nullable(z.string()),
  /** Shortened, because the state carries it. */
  message: z.string(),
});
export type UnrecordedFailure = z.infer<typeof unrecordedFailureSchema>;
