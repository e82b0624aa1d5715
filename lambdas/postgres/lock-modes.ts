/** Modes of relation locks, the weakest first, as pg_locks shows them. */
const LOCK_MODES = [
  'AccessShareLock',
  'RowShareLock',
  'RowExclusiveLock',
  'ShareUpdateExclusiveLock',
  'ShareLock',
  'ShareRowExclusiveLock',
  'ExclusiveLock',
  'AccessExclusiveLock',
] as const;

export type LockMode = (typeof LOCK_MODES)[number];

/**
 * PostgreSQL's table of conflicting lock modes
 * (https://www.postgresql.org/docs/current/explicit-locking.html#TABLE-LOCK-COMPATIBILITY). Except for SHARE, which does not
 * conflict with itself, the modes that conflict with a mode are the strongest ones.
 */
const CONFLICTS: Record<LockMode, readonly LockMode[]> = {
  AccessShareLock: LOCK_MODES.slice(7),
  RowShareLock: LOCK_MODES.slice(6),
  RowExclusiveLock: LOCK_MODES.slice(4),
  ShareUpdateExclusiveLock: LOCK_MODES.slice(3),
  ShareLock: LOCK_MODES.filter((mode, at) => at >= 2 && mode !== 'ShareLock'),
  ShareRowExclusiveLock: LOCK_MODES.slice(2),
  ExclusiveLock: LOCK_MODES.slice(1),
  AccessExclusiveLock: LOCK_MODES,
};

/** The modes that another session must not hold while a session acquires a lock. */
export function conflictingModes(mode: LockMode): readonly LockMode[] {
  return CONFLICTS[mode];
}

/** Whether a lock that is held keeps another session from acquiring a lock. False for modes that block nobody, like SIReadLock. */
export function conflicts(wanted: string, held: string): boolean {
  const modes: readonly string[] = wanted in CONFLICTS ? CONFLICTS[wanted as LockMode] : [];
  return modes.includes(held);
}
