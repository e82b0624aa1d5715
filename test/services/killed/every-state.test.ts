import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  BUILD_INDEXES,
  DEPLOY,
  ECS,
  HOLD,
  MIGRATIONS_END,
  RECOVERY,
  START_SERVICES,
  WINDOW,
} from '../../../lib/workflow/state-names.ts';
import { type Scenario, statesOf } from './kill-in-each-state.ts';
import { World } from './world.ts';

/*
 * The states come from the definitions. A state that no scenario reaches fails the first test, so a new state needs a scenario,
 * and a state that a scenario does not reach fails the scenario.
 */

/**
 * No scenario reaches these states. For the first, a function would have to return what its own schema refuses. For the
 * second, all attempts of the function report would have to fail. For the third, scaling would have to omit its suspended
 * state, which the local AWS always returns. The next ones need more than ten saved states, which saved-states.test.ts has,
 * and a blue/green deployment, which the local AWS does not have.
 */
const NOT_REACHED = [
  `build-indexes: ${BUILD_INDEXES.unreadableResult}`,
  // Of entries with a schema for each tenant: test/tenants/batches.test.ts.
  `build-indexes: ${BUILD_INDEXES.buildBatches}`,
  `build-indexes: ${BUILD_INDEXES.buildBatch}`,
  `build-indexes: ${BUILD_INDEXES.batchFailed}`,
  `deploy: ${DEPLOY.reportFailed}`,
  `maintenance-window: ${ECS.recordScalingNotSuspended}`,
  // A migration that continues after its state has failed, or for longer than 16 minutes: test/workflow/migration-end.test.ts.
  `maintenance-window: ${MIGRATIONS_END.lock.wait}`,
  `maintenance-window: ${MIGRATIONS_END.lock.count}`,
  `maintenance-window: ${MIGRATIONS_END.stillRunning}`,
  `start-services: ${MIGRATIONS_END.stillRunning}`,
  `maintenance-window: ${WINDOW.savedStates.listMore}`,
  `start-services: ${START_SERVICES.savedStates.listMore}`,
  `deploy: ${DEPLOY.hold.stopped.listMore}`,
  `start-services: ${ECS.describeOtherTargets}`,
  `start-services: ${ECS.countOtherTargets}`,
  `start-services: ${ECS.enoughOtherTargets}`,
];

/** States that a start on request has in a hold. */
const OF_START: readonly string[] = [HOLD.shouldEnd, HOLD.end, HOLD.deleteMarker];

/** States of a recovery, in which killed-recovery.test.ts kills it. */
const OF_RECOVERY: readonly string[] = [
  ...Object.values(RECOVERY),
  ...Object.values(HOLD).filter((state) => !OF_START.includes(state)),
  START_SERVICES.startAsRecovery,
  START_SERVICES.hasDeployEnded,
  START_SERVICES.describeDeploy,
  START_SERVICES.isDeployRunning,
  START_SERVICES.deployStillRunning,
  START_SERVICES.readIncident,
  START_SERVICES.isSameIncident,
  START_SERVICES.knownIncident,
  START_SERVICES.useCountOfIncident,
  START_SERVICES.deleteIncident,
  START_SERVICES.prepareAlert,
  START_SERVICES.prepareAlertNotStarted,
  START_SERVICES.prepareAlertHeld,
  START_SERVICES.alert,
  START_SERVICES.alertSent,
  START_SERVICES.incidentNotRecorded,
  START_SERVICES.savedByOtherDeploy,
  START_SERVICES.listIncomplete,
].map((state) => `start-services: ${state}`);

const SCENARIOS = join(import.meta.dirname, 'scenarios');

/** The scenarios of all files, by the name under which a test file imports them. */
async function readScenarios(): Promise<Map<string, readonly Scenario[]>> {
  const modules = await Promise.all(
    readdirSync(SCENARIOS).map(
      async (file): Promise<Record<string, Scenario | readonly Scenario[]>> =>
        await import(join(SCENARIOS, file)),
    ),
  );
  return new Map(
    modules.flatMap((module) => Object.entries(module).map(([name, one]) => [name, [one].flat()])),
  );
}

test('the scenarios kill the deploy once in every state of the definitions, except the listed ones', async () => {
  const names = new Set<string>();
  for (const online of [false, true]) {
    const world = await World.open({ online });
    for (const name of world.workflow.stateNames()) names.add(name);
    await world.close();
  }
  const defined = [...names];
  const killedIn = [...(await readScenarios()).values()].flat().flatMap(statesOf);

  const missed = defined.filter((state) => !killedIn.includes(state) && !OF_RECOVERY.includes(state));
  expect(missed.toSorted()).toEqual(NOT_REACHED.toSorted());
  expect(killedIn.filter((state) => !defined.includes(state))).toEqual([]);
  expect(killedIn.toSorted()).toEqual([...new Set(killedIn)].toSorted());
});

test('each scenario is in a test file', async () => {
  const files = readdirSync(import.meta.dirname).filter((file) => file.endsWith('.test.ts'));
  const code = files.map((file) => readFileSync(join(import.meta.dirname, file), 'utf8'));
  const calls = code.flatMap((text) => /killInEachState\((.*)\)/s.exec(text)?.[1] ?? []).join(' ');

  const names = [...(await readScenarios()).keys()];
  expect(names.filter((name) => !new RegExp(`\\b${name}\\b`).test(calls))).toEqual([]);
});
