import type { Client } from '../../lambdas/postgres/client.ts';
import { hideIndex } from '../../lambdas/postgres/hypothetical-index.ts';
import type { RegistryEntry } from '../../lambdas/shared/registry.ts';
import { listed } from '../../lambdas/shared/text.ts';

/** A retired index that exists, in the plans of a session. */
export interface RetiredInPlans {
  readonly entry: RegistryEntry;
  /** The planner of the session does not use it. */
  readonly hidden: boolean;
}

/**
 * Hides the retired indexes from the planner of a session, where hypopg can do that: from version 1.4 on.
 * @returns the retired entries whose indexes exist. Those of entries with `schemas` are left out
 */
export async function hideRetired(
  client: Client,
  {
    retired,
    firstSchema,
    hypopg,
  }: {
    readonly retired: readonly RegistryEntry[];
    readonly firstSchema: string | null;
    /** Schema of the extension. Undefined: it is not installed, or not trusted. */
    readonly hypopg: string | undefined;
  },
): Promise<RetiredInPlans[]> {
  const found: RetiredInPlans[] = [];
  for (const entry of retired) {
    if (entry.schemas !== undefined) continue;
    const index = { schema: entry.schema ?? firstSchema ?? 'public', name: entry.name };
    const hidden = await hideIndex(client, index, hypopg);
    if (hidden !== null) found.push({ entry, hidden });
  }
  return found;
}

/** What the message of a query says about the retired indexes that name it in `serves`. Empty: there are none. */
export function describeRetired(retired: readonly RetiredInPlans[], query: string): string {
  const serving = retired.filter(({ entry }) => entry.serves.includes(query));
  const names = (hidden: boolean) => serving.flatMap((one) => (one.hidden === hidden ? one.entry.name : []));
  const [without, shown] = [names(true), names(false)];
  return [
    without.length === 0
      ? ''
      : ` This is the plan without ${listed(without)}, which the registry has retired.`,
    shown.length === 0
      ? ''
      : ` The registry has retired ${listed(shown)}, and the plan without it was not simulated: that needs hypopg 1.4 or newer.`,
  ].join('');
}
