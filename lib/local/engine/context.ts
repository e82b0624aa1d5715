import type { Machine } from '../engine.ts';
import { ACCOUNT } from '../local-arns.ts';

/** What $$ of a definition leads to. */
export function contextOf(
  machine: Machine,
  arn: string,
  name: string,
  input: unknown,
): Record<string, unknown> {
  const StartTime = new Date().toISOString();
  return {
    // The library keeps an Execution of its own, which is another one in each Map iteration: see rewritePaths.
    RootExecution: {
      Id: arn,
      Name: name,
      StartTime,
      RoleArn: `arn:aws:iam::${ACCOUNT}:role/local`,
      RedriveCount: 0,
      // A copy each time: States.JsonMerge writes into what it is given.
      get Input() {
        return structuredClone(input);
      },
    },
    StateMachine: { Id: machine.arn, Name: machine.name },
    State: {
      get EnteredTime() {
        return new Date().toISOString();
      },
    },
  };
}
