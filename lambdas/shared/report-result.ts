import { reportSchema } from './report-schema.ts';
import * as z from './zod.ts';

/** What Report returns. Its own bundle contains only the types. */
export const reportResultSchema = z.object({
  report: reportSchema,
  status: z.enum(['succeeded', 'failed']),
  /** The Cause of the execution's failure. Empty: it succeeded. */
  failure: z.string(),
  alert: z.object({ needed: z.boolean(), subject: z.string(), message: z.string() }),
});
export type ReportResult = z.infer<typeof reportResultSchema>;
