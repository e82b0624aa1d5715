import { randomUUID } from 'node:crypto';
import { beforeEach, expect, test, vi } from 'vitest';
import type { Definition } from '../../lib/local/engine/definition.ts';

/* The validator needs longer than all other checks of a definition, so it checks each definition once. */

const calls = vi.hoisted(() => ({ count: 0 }));
vi.mock('asl-validator', async (original) => {
  const { default: validate } = await original<typeof import('asl-validator')>();
  return {
    default: (definition: unknown) => {
      calls.count += 1;
      return validate(definition);
    },
  };
});

/** As in another process: nothing is kept in memory. */
async function checkInNewProcess(definition: Definition) {
  vi.resetModules();
  const { checked } = await import('../../lib/local/engine/checks.ts');
  return checked(definition, () => true);
}

const oneState = (state: object) => {
  const name = `State ${randomUUID()}`;
  return { StartAt: name, States: { [name]: state } } as unknown as Definition;
};

beforeEach(() => {
  calls.count = 0;
});

test('a definition that an earlier process has validated is not validated again, but checked', async () => {
  const definition = oneState({ Type: 'Succeed' });

  await checkInNewProcess(definition);
  const level = await checkInNewProcess(definition);

  expect(calls.count).toBe(1);
  expect(level.StartAt).toBe(definition.StartAt);
});

test('a definition that is not valid is refused each time', async () => {
  const definition = oneState({ Type: 'Succeed', Next: 'Elsewhere' });

  for (const attempt of [1, 2]) {
    await expect(checkInNewProcess(definition)).rejects.toThrow('The definition is not valid');
    expect(calls.count).toBe(attempt);
  }
});
