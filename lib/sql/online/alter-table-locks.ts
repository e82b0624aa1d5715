import type { AlterTableCmd, AlterTableStmt, ColumnDef, Constraint, Node, RangeVar } from 'libpg-query';
import { columnConstraints } from '../column-constraints.ts';
import { nodesIn, stringsIn } from '../parse-tree.ts';
import type { Duration, LockMode, StatementLock } from './lock-modes.ts';

/** What the statements before this one have created. */
export interface OnlineContext {
  /** Whether a relation is unused: the same file creates it, or it is temporary. */
  readonly isNew: (relation: RangeVar | undefined) => boolean;
  /** Whether a partitioned table may have a default partition. */
  readonly hasDefaultPartition: (relation: RangeVar | undefined) => boolean;
  /** Whether a type is a domain, whose constraints are checked for each row. */
  readonly isDomain: (name: string) => boolean;
}

type Kind = NonNullable<AlterTableCmd['subtype']>;
interface Row {
  readonly what: string;
  readonly mode: LockMode;
  readonly lasts: Duration;
  readonly instead?: string;
}

const REWRITES =
  'It rewrites the table. Add a new column, copy the values in batches, and switch to it in a later release.';

/** ALTER TABLE: what each of its forms locks, and for how long. Those that depend on more are functions below. */
export const ALTER_TABLE: Partial<Record<Kind, Row>> = {
  AT_ColumnDefault: { what: 'SET DEFAULT', mode: 'ACCESS EXCLUSIVE', lasts: 'moment' },
  AT_DropNotNull: { what: 'DROP NOT NULL', mode: 'ACCESS EXCLUSIVE', lasts: 'moment' },
  AT_SetNotNull: {
    what: 'SET NOT NULL',
    mode: 'ACCESS EXCLUSIVE',
    lasts: 'long',
    instead:
      'It reads the whole table. Add CHECK (column IS NOT NULL) NOT VALID in one file and VALIDATE CONSTRAINT in the next one: with that constraint it reads nothing, so allow it there with a comment.',
  },
  AT_DropExpression: { what: 'DROP EXPRESSION', mode: 'ACCESS EXCLUSIVE', lasts: 'moment' },
  AT_SetExpression: { what: 'SET EXPRESSION', mode: 'ACCESS EXCLUSIVE', lasts: 'long', instead: REWRITES },
  AT_SetStatistics: { what: 'SET STATISTICS', mode: 'SHARE UPDATE EXCLUSIVE', lasts: 'moment' },
  AT_SetOptions: { what: 'ALTER COLUMN … SET (…)', mode: 'SHARE UPDATE EXCLUSIVE', lasts: 'moment' },
  AT_ResetOptions: { what: 'ALTER COLUMN … RESET (…)', mode: 'SHARE UPDATE EXCLUSIVE', lasts: 'moment' },
  AT_SetStorage: { what: 'SET STORAGE', mode: 'ACCESS EXCLUSIVE', lasts: 'moment' },
  AT_SetCompression: { what: 'SET COMPRESSION', mode: 'ACCESS EXCLUSIVE', lasts: 'moment' },
  AT_DropColumn: { what: 'DROP COLUMN', mode: 'ACCESS EXCLUSIVE', lasts: 'moment' },
  AT_AlterConstraint: { what: 'ALTER CONSTRAINT', mode: 'ACCESS EXCLUSIVE', lasts: 'long' },
  AT_ValidateConstraint: { what: 'VALIDATE CONSTRAINT', mode: 'SHARE UPDATE EXCLUSIVE', lasts: 'long' },
  AT_DropConstraint: { what: 'DROP CONSTRAINT', mode: 'ACCESS EXCLUSIVE', lasts: 'moment' },
  AT_AlterColumnType: {
    what: 'ALTER COLUMN … TYPE',
    mode: 'ACCESS EXCLUSIVE',
    lasts: 'long',
    instead: `${REWRITES} A longer varchar, or text instead of varchar, rewrites nothing: allow that with a comment.`,
  },
  AT_ChangeOwner: { what: 'OWNER TO', mode: 'ACCESS EXCLUSIVE', lasts: 'moment' },
  AT_ClusterOn: { what: 'CLUSTER ON', mode: 'SHARE UPDATE EXCLUSIVE', lasts: 'moment' },
  AT_DropCluster: { what: 'SET WITHOUT CLUSTER', mode: 'SHARE UPDATE EXCLUSIVE', lasts: 'moment' },
  AT_SetLogged: { what: 'SET LOGGED', mode: 'ACCESS EXCLUSIVE', lasts: 'long' },
  AT_SetUnLogged: { what: 'SET UNLOGGED', mode: 'ACCESS EXCLUSIVE', lasts: 'long' },
  AT_SetAccessMethod: { what: 'SET ACCESS METHOD', mode: 'ACCESS EXCLUSIVE', lasts: 'long' },
  AT_SetTableSpace: { what: 'SET TABLESPACE', mode: 'ACCESS EXCLUSIVE', lasts: 'long' },
  // Most options take a weaker lock, and user_catalog_table and those of views take this one.
  AT_SetRelOptions: { what: 'SET (…)', mode: 'ACCESS EXCLUSIVE', lasts: 'moment' },
  AT_ResetRelOptions: { what: 'RESET (…)', mode: 'ACCESS EXCLUSIVE', lasts: 'moment' },
  AT_EnableTrig: { what: 'ENABLE TRIGGER', mode: 'SHARE ROW EXCLUSIVE', lasts: 'moment' },
  AT_EnableAlwaysTrig: { what: 'ENABLE ALWAYS TRIGGER', mode: 'SHARE ROW EXCLUSIVE', lasts: 'moment' },
  AT_EnableReplicaTrig: { what: 'ENABLE REPLICA TRIGGER', mode: 'SHARE ROW EXCLUSIVE', lasts: 'moment' },
  AT_DisableTrig: { what: 'DISABLE TRIGGER', mode: 'SHARE ROW EXCLUSIVE', lasts: 'moment' },
  AT_EnableTrigAll: { what: 'ENABLE TRIGGER ALL', mode: 'SHARE ROW EXCLUSIVE', lasts: 'moment' },
  AT_DisableTrigAll: { what: 'DISABLE TRIGGER ALL', mode: 'SHARE ROW EXCLUSIVE', lasts: 'moment' },
  AT_EnableTrigUser: { what: 'ENABLE TRIGGER USER', mode: 'SHARE ROW EXCLUSIVE', lasts: 'moment' },
  AT_DisableTrigUser: { what: 'DISABLE TRIGGER USER', mode: 'SHARE ROW EXCLUSIVE', lasts: 'moment' },
  AT_EnableRule: { what: 'ENABLE RULE', mode: 'ACCESS EXCLUSIVE', lasts: 'moment' },
  AT_EnableAlwaysRule: { what: 'ENABLE ALWAYS RULE', mode: 'ACCESS EXCLUSIVE', lasts: 'moment' },
  AT_EnableReplicaRule: { what: 'ENABLE REPLICA RULE', mode: 'ACCESS EXCLUSIVE', lasts: 'moment' },
  AT_DisableRule: { what: 'DISABLE RULE', mode: 'ACCESS EXCLUSIVE', lasts: 'moment' },
  AT_AddInherit: { what: 'INHERIT', mode: 'ACCESS EXCLUSIVE', lasts: 'moment' },
  AT_DropInherit: { what: 'NO INHERIT', mode: 'ACCESS EXCLUSIVE', lasts: 'moment' },
  AT_ReplicaIdentity: { what: 'REPLICA IDENTITY', mode: 'ACCESS EXCLUSIVE', lasts: 'moment' },
  AT_EnableRowSecurity: { what: 'ENABLE ROW LEVEL SECURITY', mode: 'ACCESS EXCLUSIVE', lasts: 'moment' },
  AT_DisableRowSecurity: { what: 'DISABLE ROW LEVEL SECURITY', mode: 'ACCESS EXCLUSIVE', lasts: 'moment' },
  AT_ForceRowSecurity: { what: 'FORCE ROW LEVEL SECURITY', mode: 'ACCESS EXCLUSIVE', lasts: 'moment' },
  AT_NoForceRowSecurity: { what: 'NO FORCE ROW LEVEL SECURITY', mode: 'ACCESS EXCLUSIVE', lasts: 'moment' },
  AT_DetachPartition: { what: 'DETACH PARTITION', mode: 'ACCESS EXCLUSIVE', lasts: 'moment' },
  AT_AddIdentity: { what: 'ADD GENERATED AS IDENTITY', mode: 'ACCESS EXCLUSIVE', lasts: 'moment' },
  AT_SetIdentity: { what: 'SET GENERATED', mode: 'ACCESS EXCLUSIVE', lasts: 'moment' },
  AT_DropIdentity: { what: 'DROP IDENTITY', mode: 'ACCESS EXCLUSIVE', lasts: 'moment' },
};

/** The locks of ALTER TABLE. Null: a form of it is not known. */
export function alterTableLocks(
  { relation, cmds = [] }: AlterTableStmt,
  context: OnlineContext,
): StatementLock[] | null {
  const locks = cmds.map((node) => {
    const command: AlterTableCmd = 'AlterTableCmd' in node ? node.AlterTableCmd : {};
    return commandLocks(relation, command, context);
  });
  return locks.includes(null) ? null : locks.flatMap((some) => some ?? []);
}

function commandLocks(
  relation: RangeVar | undefined,
  { subtype, def }: AlterTableCmd,
  context: OnlineContext,
): StatementLock[] | null {
  if (subtype === 'AT_AddColumn' && def !== undefined && 'ColumnDef' in def)
    return addedColumn(relation, def.ColumnDef, context);
  if (subtype === 'AT_AddConstraint' && def !== undefined && 'Constraint' in def)
    return addedConstraint(relation, def.Constraint, context);
  if (subtype === 'AT_AttachPartition' && def !== undefined && 'PartitionCmd' in def)
    return attachedPartition(relation, def.PartitionCmd.name, context);
  const row = subtype === undefined ? undefined : ALTER_TABLE[subtype];
  return row === undefined ? null : [{ ...row, relation, what: `ALTER TABLE … ${row.what}` }];
}

/** A new partition, or one that is attached, changes what may be in the default partition: that is read while it is locked. */
const DEFAULT_PARTITION =
  'The default partition is read while reads and writes of it wait. Add a CHECK constraint to it that excludes the new rows, and allow the statement with a comment.';

function attachedPartition(
  relation: RangeVar | undefined,
  partition: RangeVar | undefined,
  context: OnlineContext,
): StatementLock[] {
  const what = 'ALTER TABLE … ATTACH PARTITION';
  return [
    { what, relation, mode: 'SHARE UPDATE EXCLUSIVE', lasts: 'moment' },
    {
      ...{ what, relation: partition, mode: 'ACCESS EXCLUSIVE', lasts: 'long' },
      instead:
        'The table that becomes a partition is read while it is locked. Add a CHECK constraint that implies the bounds, NOT VALID in one file and VALIDATE CONSTRAINT in the next one, and allow the statement with a comment.',
    },
    ...defaultPartition(what, relation, context),
  ];
}

/** The lock of the default partition, whose name is not known. */
export function defaultPartition(
  what: string,
  parent: RangeVar | undefined,
  { hasDefaultPartition }: OnlineContext,
): StatementLock[] {
  if (!hasDefaultPartition(parent)) return [];
  return [{ what, relation: undefined, mode: 'ACCESS EXCLUSIVE', lasts: 'long', instead: DEFAULT_PARTITION }];
}

function addedColumn(
  relation: RangeVar | undefined,
  { typeName, constraints, raw_default: rawDefault }: ColumnDef,
  context: OnlineContext,
): StatementLock[] {
  const what = 'ALTER TABLE … ADD COLUMN';
  const all = columnConstraints(constraints);
  const value = rawDefault ?? all.find(({ contype }) => contype === 'CONSTR_DEFAULT')?.raw_expr;
  const type = stringsIn(typeName?.names).at(-1) ?? '';
  const reason = slowColumn(all, type, value, context);
  const own: StatementLock = {
    ...{ what, relation, mode: 'ACCESS EXCLUSIVE' },
    lasts: reason === null ? 'moment' : 'long',
    ...(reason !== null && { instead: reason }),
  };
  // Without a default nothing is checked. DEFAULT NULL counts as one.
  const keys = all.filter(({ contype }) => contype === 'CONSTR_FOREIGN');
  return [
    own,
    ...keys.flatMap((key) =>
      addedConstraint(relation, { ...key, skip_validation: value === undefined }, context),
    ),
  ];
}

const SERIAL = ['serial', 'bigserial', 'smallserial', 'serial2', 'serial4', 'serial8'];

/** Why a new column reads or writes all rows, and what to do instead. Null: it does not. */
function slowColumn(
  constraints: readonly Constraint[],
  type: string,
  value: Node | undefined,
  { isDomain }: OnlineContext,
): string | null {
  const has = (...kinds: string[]) => constraints.some(({ contype = '' }) => kinds.includes(contype));
  const inSteps = 'Add the column without it, then set the default, and fill old rows in batches.';
  if (SERIAL.includes(type) || has('CONSTR_IDENTITY'))
    return `Each row gets a number, so the table is rewritten. ${inSteps}`;
  const generated = constraints.find(({ contype }) => contype === 'CONSTR_GENERATED');
  // s: STORED. PostgreSQL 17 and older have no other kind.
  if (generated !== undefined && generated.generated_kind !== 'v')
    return 'A stored generated column rewrites the table. Use a plain column that the application or a trigger fills.';
  if (has('CONSTR_UNIQUE', 'CONSTR_PRIMARY', 'CONSTR_EXCLUSION'))
    return 'It builds an index while the table is locked. Add the column alone, and write the constraint into the registry.';
  if (has('CONSTR_CHECK'))
    return 'The constraint is checked for all rows. Add the column alone, then ADD CONSTRAINT … CHECK … NOT VALID, and VALIDATE CONSTRAINT in the next file.';
  if (isDomain(type)) return 'The constraints of the domain are checked for all rows. Use the base type.';
  if (value !== undefined && !isConstant(value))
    return `The default may differ from row to row, and then the table is rewritten. ${inSteps}`;
  return null;
}

/** Functions whose value is the same for all rows of a statement. */
const STABLE = [
  'now',
  'transaction_timestamp',
  'statement_timestamp',
  'current_setting',
  'to_timestamp',
  'timezone',
];

/** Whether a default is evaluated once, and not for each row. */
function isConstant(value: Node): boolean {
  const isVolatile = nodesIn(value, 'FuncCall').some(
    (call) => !STABLE.includes(stringsIn((call as { funcname?: Node[] }).funcname).at(-1) ?? ''),
  );
  return !isVolatile && !nodesIn(value, 'NextValueExpr').length && !nodesIn(value, 'SubLink').length;
}

const IN_REGISTRY =
  'It builds an index while the table is locked. Write the constraint into the registry: the deploy builds its index concurrently.';

/** The locks of ADD CONSTRAINT. */
function addedConstraint(
  relation: RangeVar | undefined,
  { contype, pktable, indexname, skip_validation: isNotValid = false }: Constraint,
  { isNew }: OnlineContext,
): StatementLock[] {
  // Nothing is checked in a table that is empty.
  const lasts: Duration = isNotValid || isNew(relation) ? 'moment' : 'long';
  const validated = (kind: string) =>
    `It reads the whole table. Write ADD CONSTRAINT … ${kind} … NOT VALID, and VALIDATE CONSTRAINT in the next file.`;
  switch (contype) {
    case 'CONSTR_FOREIGN': {
      const key = {
        what: 'ADD FOREIGN KEY',
        mode: 'SHARE ROW EXCLUSIVE',
        lasts,
        instead: validated('FOREIGN KEY'),
      } as const;
      return [
        { ...key, relation },
        { ...key, relation: pktable },
      ];
    }
    case 'CONSTR_CHECK':
      return [{ what: 'ADD CHECK', relation, mode: 'ACCESS EXCLUSIVE', lasts, instead: validated('CHECK') }];
    case 'CONSTR_NOTNULL':
      return [
        { what: 'ADD NOT NULL', relation, mode: 'ACCESS EXCLUSIVE', lasts, instead: validated('NOT NULL') },
      ];
    case 'CONSTR_UNIQUE':
      if (indexname !== undefined)
        return [{ what: 'ADD UNIQUE USING INDEX', relation, mode: 'ACCESS EXCLUSIVE', lasts: 'moment' }];
      return [
        { what: 'ADD UNIQUE', relation, mode: 'ACCESS EXCLUSIVE', lasts: 'long', instead: IN_REGISTRY },
      ];
    case 'CONSTR_PRIMARY':
      return [
        {
          ...{ what: 'ADD PRIMARY KEY', relation, mode: 'ACCESS EXCLUSIVE', lasts: 'long' },
          instead:
            indexname === undefined
              ? IN_REGISTRY
              : 'If a column is not NOT NULL yet, the whole table is read. If all of them are, allow it with a comment.',
        },
      ];
    default:
      return [{ what: 'ADD CONSTRAINT', relation, mode: 'ACCESS EXCLUSIVE', lasts: 'long' }];
  }
}
