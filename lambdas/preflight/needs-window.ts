import type { ExecutionInput } from '../shared/execution-input.ts';
import {
  leadingOnline,
  notMarkedOnline,
  ONLINE_MARK,
  type WindowPolicy,
} from '../shared/online-migrations.ts';
import { listed } from '../shared/text.ts';
import type { PendingMigrations } from './check-objects.ts';

/** The pending files by when they are applied, in their order, without .sql. */
export interface OnlineFiles {
  /** Those that are applied before anything is stopped. */
  readonly online: readonly string[];
  /** Those that are not marked as online. Some marked ones can come after them. */
  readonly offline: readonly string[];
}

/** @param directory folder with the SQL files @param pending names of all pending files, in their order */
export async function onlineFilesOf(
  directory: string,
  pending: readonly string[],
  window: WindowPolicy,
): Promise<OnlineFiles> {
  if (window === 'always') return { online: [], offline: pending };
  return {
    online: await leadingOnline(directory, pending),
    offline: await notMarkedOnline(directory, pending),
  };
}

interface Pending extends OnlineFiles {
  readonly may: PendingMigrations;
}

/** Whether a deploy with work to do stops the services for it. */
export function needsWindow(
  { window }: { readonly window: WindowPolicy },
  { mode, force }: ExecutionInput,
  { may, online, offline }: Pending,
): boolean {
  if (mode !== 'deploy') return false;
  // A task of the application says that something is pending, and not what.
  const isUnnamed = may === 'pending' && online.length === 0;
  return window === 'always' || force || may === 'unknown' || isUnnamed || offline.length > 0;
}

/** Files that a message names. */
const MOST_FILES = 20;

/** Why a deploy is refused because services may never be stopped, and what to do. Null: it needs no window. */
export function refusalWithoutWindow(
  { window }: { readonly window: WindowPolicy },
  { force }: ExecutionInput,
  { offline }: Pending,
): string | null {
  if (window !== 'never') return null;
  const use = 'set "window" of the environment to "when-needed"';
  if (offline.length > 0) {
    const files = listed(
      offline.map((name) => `${name}.sql`),
      MOST_FILES,
    );
    return (
      `These pending migrations are not marked as online, and the environment has "window": "never": ${files}. ` +
      `If one takes no lock for longer than a moment, write "${ONLINE_MARK}" at its top; pg-deploy-step lint says what it must not do. Otherwise ${use} for it.`
    );
  }
  return force
    ? `The input has "force": true, which stops the services, and the environment has "window": "never". Start the deploy without it, or ${use}.`
    : null;
}
