import type { RunPlan } from './command-run.ts';
import type { Disturbance } from './disturbance.ts';
import { endBackend, endRunner, killFunction, restartServer } from './disturbances/kills.ts';
import { idleWriter, lockHolder, longReader, preparedTransaction } from './disturbances/sessions.ts';
import {
  addAndDropColumn,
  changePartitions,
  driftByHand,
  indexByHand,
  maintenance,
  registeredIndexByHand,
  reindexByHand,
  renameAndBack,
} from './disturbances/statements.ts';
import type { Random } from './random.ts';

/** A disturbance and when it begins. */
export interface PlannedDisturbance {
  /** Milliseconds after `from`. */
  readonly after: number;
  /** `start`: the start of the command. `work`: its first session in the database. `builds`: the session of its first build. */
  readonly from: 'start' | 'work' | 'builds';
  readonly disturbance: Disturbance;
}

/** One or two runs at the same time, with what disturbs them. */
export interface Slot {
  /** `after`: milliseconds after the start of the slot. */
  readonly runs: readonly { readonly after: number; readonly plan: RunPlan }[];
  readonly disturbances: readonly PlannedDisturbance[];
}

export interface RoundPlan {
  /** An index that cannot be built is critical. */
  readonly criticalFailure: boolean;
  readonly services: 'demo' | 'none';
  readonly slots: readonly Slot[];
  /** The last run is repeated with `--mode plan`, which must find nothing to do and change nothing. */
  readonly planAfterwards: boolean;
}

const KINDS: readonly (readonly [number, (random: Random) => Disturbance])[] = [
  [3, killFunction],
  [4, endBackend],
  [1, restartServer],
  [2, longReader],
  [3, lockHolder],
  [1, idleWriter],
  [2, preparedTransaction],
  [1, addAndDropColumn],
  [2, changePartitions],
  [1, reindexByHand],
  [1, indexByHand],
  [2, registeredIndexByHand],
  [1, driftByHand],
  [1, renameAndBack],
  [2, maintenance],
];

/** Latest start of a disturbance after what it refers to, in milliseconds. */
const LATEST_MS = 5000;

export function planRound(random: Random): RoundPlan {
  const services = random.chance(60) ? 'demo' : 'none';
  return {
    criticalFailure: random.chance(15),
    services,
    slots: Array.from({ length: random.chance(40) ? 2 : 1 }, () => planSlot(random, services)),
    planAfterwards: random.chance(25),
  };
}

function planSlot(random: Random, services: 'demo' | 'none'): Slot {
  const runs = [{ after: 0, plan: planRun(random, services) }];
  if (random.chance(20)) runs.push({ after: random.integer(0, 4000), plan: planRun(random, services) });
  const disturbances = Array.from({ length: random.integer(3, 9) }, () => planDisturbance(random));
  if (random.chance(40)) {
    disturbances.push({ ...planTime(random), disturbance: endRunner(random) });
  }
  return { runs, disturbances };
}

function planDisturbance(random: Random): PlannedDisturbance {
  const make = random.weighted(KINDS);
  return { ...planTime(random), disturbance: make(random) };
}

function planTime(random: Random): Pick<PlannedDisturbance, 'after' | 'from'> {
  const from = random.weighted<PlannedDisturbance['from']>([
    [1, 'start'],
    [3, 'work'],
    [6, 'builds'],
  ]);
  return { from, after: random.integer(0, LATEST_MS) };
}

function planRun(random: Random, services: 'demo' | 'none'): RunPlan {
  return {
    mode: random.chance(80) ? 'deploy' : 'indexes',
    services,
    flags: [
      ...['--attempts', String(random.integer(2, 4)), '--lock-timeout', String(random.integer(3, 6))],
      ...['--max-concurrent', String(random.integer(1, 5))],
      ...['--when', random.pick(['before-start', 'after-start'])],
    ],
  };
}
