import { z } from 'zod';
import type { PublishedVersion } from '../published-versions.ts';
import type { RolePermissions } from '../role-permissions.ts';

/** A state machine in Amazon States Language, as it was written. */
export interface Definition {
  readonly StartAt: string;
  readonly States: Readonly<Record<string, { readonly Type: string; readonly [field: string]: unknown }>>;
  readonly [field: string]: unknown;
}

export interface Machine {
  readonly name: string;
  readonly arn: string;
  readonly definition: Definition;
  /** The version that was published of this definition. @default none */
  readonly version?: PublishedVersion;
  /** What the role of the state machine allows. @default everything */
  readonly permissions?: RolePermissions;
}

/** A rule of a Choice state. Beside And, Or and Not it has a Variable and an operator such as StringEquals. */
export interface ChoiceRule {
  readonly Next?: string;
  readonly And?: readonly ChoiceRule[];
  readonly Or?: readonly ChoiceRule[];
  readonly Not?: ChoiceRule;
  readonly Variable?: string;
  readonly [operator: string]: unknown;
}

/** The states from one StartAt to their ends: of a state machine, of a Map or of a branch. */
export interface Level {
  readonly StartAt: string;
  readonly States: Readonly<Record<string, State>>;
  readonly TimeoutSeconds?: number | undefined;
}

export type State = z.output<typeof stateSchema>;
export type Retrier = z.output<typeof retrierSchema>;

const only = (value: string) => {
  const error = ({ input }: { input?: unknown }) =>
    `${String(input)}; the local engine supports ${value} only`;
  return z.literal(value, { error }).optional();
};
const pathOrNull = z.string().nullable().optional();
const template = z.unknown().optional();
const text = z.string().optional();
const number = z.number().optional();
const names = z.array(z.string());

const retrierSchema = z.strictObject({
  Comment: text,
  ErrorEquals: names,
  IntervalSeconds: z.number().default(1),
  MaxAttempts: z.number().default(3),
  BackoffRate: z.number().default(2),
  MaxDelaySeconds: z.number().default(Number.POSITIVE_INFINITY),
  JitterStrategy: z.enum(['FULL', 'NONE']).default('NONE'),
});
const catcherSchema = z.strictObject({
  ...{ Comment: text, ErrorEquals: names, Next: z.string(), ResultPath: pathOrNull, Output: template },
});

/** The fields that the engine supports. asl-validator checks which of them each type of state has. */
const fieldsSchema = z.strictObject({
  Type: z.enum(['Choice', 'Fail', 'Map', 'Parallel', 'Pass', 'Succeed', 'Task', 'Wait']),
  ...{ Comment: text, QueryLanguage: z.enum(['JSONPath', 'JSONata']).optional() },
  ...{ Next: text, End: z.boolean().optional() },
  // Of Task states that use JSONata
  ...{ Arguments: template, Output: template },
  ...{ InputPath: pathOrNull, OutputPath: pathOrNull, ResultPath: pathOrNull },
  ...{ Parameters: template, ResultSelector: template },
  ...{ Retry: z.array(retrierSchema).default([]), Catch: z.array(catcherSchema).default([]) },
  // Choice
  ...{ Choices: z.array(z.custom<ChoiceRule>()).default([]), Default: text },
  // Fail
  ...{ Error: text, ErrorPath: text, Cause: text, CausePath: text },
  // Map; Iterator and Parameters are the older names of ItemProcessor and ItemSelector
  ...{ ItemProcessor: z.lazy(() => levelSchema).optional(), Iterator: z.lazy(() => levelSchema).optional() },
  ...{ ItemsPath: text, ItemSelector: template, MaxConcurrency: number, MaxConcurrencyPath: text },
  // Parallel
  Branches: z.array(z.lazy(() => levelSchema)).default([]),
  // Pass
  Result: z.unknown().optional(),
  // Task
  ...{ Resource: z.string().default(''), TimeoutSeconds: number, TimeoutSecondsPath: text },
  // Wait
  ...{ Seconds: number, SecondsPath: text, Timestamp: text, TimestampPath: text },
});

const stateSchema = fieldsSchema.refine(
  ({ Type, QueryLanguage }) => QueryLanguage !== 'JSONata' || Type === 'Task',
  { path: ['QueryLanguage'], error: 'JSONata; the local engine supports it in Task states only' },
);

export const levelSchema: z.ZodType<Level> = z.strictObject({
  ...{ Comment: text, Version: text, QueryLanguage: only('JSONPath'), TimeoutSeconds: number },
  ProcessorConfig: z.strictObject({ Mode: only('INLINE') }).optional(),
  StartAt: z.string(),
  States: z.record(z.string(), stateSchema),
});

/** The levels inside of a Map or a Parallel state. */
export function levelsIn({ ItemProcessor, Iterator: older, Branches }: State): readonly Level[] {
  return [ItemProcessor, older, ...Branches].filter((level) => level !== undefined);
}

/** Names of all states of a level, those inside of its Map and Parallel states included. */
export function namesOf({ States }: Level): string[] {
  return Object.entries(States).flatMap(([name, state]) => [name, ...levelsIn(state).flatMap(namesOf)]);
}
