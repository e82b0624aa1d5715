import { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

/*
 * A function as a user writes it, for a service with a capacity, which is a file. Another file replaces its answers:
 * { "look": { "returns": … } } or { "stop": { "throws": "Name" } }.
 */

const { CALLS, CAPACITY, ANSWERS } = process.env;
const read = (file) => JSON.parse(readFileSync(file, 'utf8'));

function setCapacity(capacity) {
  // Someone else may read the file at any time.
  const draft = `${CAPACITY}.${process.pid}`;
  writeFileSync(draft, JSON.stringify(capacity));
  renameSync(draft, CAPACITY);
}

export async function handler(event) {
  const { action, state } = event;
  appendFileSync(CALLS, `${JSON.stringify(event)}\n`);
  const replaced = answerOf(action);
  if (replaced?.throws !== undefined) {
    throw Object.assign(new Error(replaced.message ?? 'as requested'), { name: replaced.throws });
  }
  if (replaced !== undefined) return replaced.returns;
  switch (action) {
    case 'check':
      return { usable: true, state: { capacity: read(CAPACITY) } };
    case 'stop':
      return setCapacity(0);
    case 'look':
      return { stopped: read(CAPACITY) === 0, started: read(CAPACITY) === state.capacity };
    case 'start':
      return setCapacity(state.capacity);
  }
}

/** `times`: only for so many calls after `since`. */
function answerOf(action) {
  if (!existsSync(ANSWERS)) return undefined;
  const { since, answers } = read(ANSWERS);
  const answer = answers[action];
  if (answer?.times === undefined) return answer;
  const lines = readFileSync(CALLS, 'utf8').trimEnd().split('\n').slice(since);
  const calls = lines.filter((line) => JSON.parse(line).action === action).length;
  return calls <= answer.times ? answer : undefined;
}
