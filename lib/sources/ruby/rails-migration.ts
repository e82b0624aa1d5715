import type { SqlSource } from '../sql-source.ts';
import { GeneratedSql } from './generated-sql.ts';
import {
  childOf,
  childrenOf,
  isNode,
  listOf,
  parseRuby,
  type RubyFile,
  type RubyNode,
} from './parse-ruby.ts';
import { type RailsCall, type RailsContext, RailsIndexes } from './rails-statements.ts';
import { createJoinTable, createTable, runInTable, runOnTable } from './rails-tables.ts';
import { type RubyHash, type RubyNames, type RubyValue, rubyValue, textOf } from './ruby-values.ts';

/** The code is Ruby, but neither a migration nor a schema of Rails. */
export class NoMigrationError extends Error {
  override readonly name = 'NoMigrationError';
}

/**
 * Reads migrations of Rails, and schema.rb, without running them: it returns the SQL that the calls would run. Both branches
 * of a condition count. What only the code knows is a placeholder in the SQL.
 */
export class RailsReader {
  private readonly indexes = new RailsIndexes();

  /** @throws RubySyntaxError if Ruby cannot parse the text; NoMigrationError if it is no migration */
  async read(path: string, text: string): Promise<SqlSource> {
    const file = await parseRuby(text);
    const sql = new GeneratedSql(file);
    const { version, body, definitions, constants } = entryOf(file);
    const context = { version, indexes: this.indexes, emit: sql.add.bind(sql) };
    new Walk(file, context, definitions).run(body, { constants, locals: new Map() });
    return sql.toSource(path);
  }
}

interface Entry {
  readonly version: number;
  /** What the migration runs. */
  readonly body: RubyNode | undefined;
  readonly definitions: ReadonlyMap<string, RubyNode>;
  readonly constants: ReadonlyMap<string, RubyValue>;
}

/** The newest rules for names: those of every version that is not known. */
const LATEST = 8;

function entryOf(file: RubyFile): Entry {
  const top = listOf(childOf(file.program, 'statements'), 'body');
  const codeOf = (node: RubyNode | undefined) => {
    if (node === undefined) return '';
    const { start, end } = file.rangeOf(node);
    return file.text.slice(start, end);
  };
  const migration = classesIn(top).find((node) => /Migration\b/.test(codeOf(childOf(node, 'superclass'))));
  if (migration === undefined) {
    const schema = top.find((node) => node.name === 'define' && /^ActiveRecord::Schema/.test(codeOf(node)));
    const block = childOf(schema, 'block');
    if (block === undefined) throw new NoMigrationError('it is Ruby, but no migration of Rails');
    return { version: LATEST, body: childOf(block, 'body'), definitions: new Map(), constants: new Map() };
  }
  const members = listOf(childOf(migration, 'body'), 'body');
  const definitions = new Map(
    members.filter(({ type }) => type === 'DefNode').map((node) => [String(node.name), node]),
  );
  const constants = new Map<string, RubyValue>();
  for (const node of [...top, ...members]) {
    if (node.type !== 'ConstantWriteNode') continue;
    constants.set(
      String(node.name),
      rubyValue(childOf(node, 'value'), file, { constants, locals: new Map() }),
    );
  }
  const superclass = codeOf(childOf(migration, 'superclass'));
  const number = /^(?:::)?ActiveRecord::Migration\[(\d+(?:\.\d+)?)\]/.exec(superclass)?.[1];
  const isOld = /^(?:::)?ActiveRecord::Migration$/.test(superclass);
  return {
    version: number === undefined ? (isOld ? 4.2 : LATEST) : Number(number),
    body: childOf(definitions.get('change') ?? definitions.get('up'), 'body'),
    definitions,
    constants,
  };
}

/** The classes of a file, also in modules. */
function classesIn(nodes: readonly RubyNode[]): RubyNode[] {
  return nodes.flatMap((node) => {
    if (node.type === 'ClassNode') return [node];
    return node.type === 'ModuleNode' ? classesIn(listOf(childOf(node, 'body'), 'body')) : [];
  });
}

/** What blocks and methods add to the names. */
interface Scope extends RubyNames {
  /** The table of the variable of a block: `t` in create_table. */
  readonly tables?: ReadonlyMap<string, string>;
}

/** Loops in loops multiply. A schema.rb of 10,000 columns has 30,000 steps. */
const MOST_STEPS = 500_000;
const DEEPEST_CALL = 20;

class Walk {
  private readonly file: RubyFile;
  private readonly context: RailsContext;
  private readonly definitions: ReadonlyMap<string, RubyNode>;
  private steps = 0;

  constructor(file: RubyFile, context: RailsContext, definitions: ReadonlyMap<string, RubyNode>) {
    this.file = file;
    this.context = context;
    this.definitions = definitions;
  }

  run(node: RubyNode | undefined, scope: Scope, depth = 0): void {
    this.steps += 1;
    if (node === undefined) return;
    if (this.steps > MOST_STEPS || depth > DEEPEST_CALL) {
      throw new NoMigrationError(
        'its methods or loops call each other too often, so it cannot be read without running it',
      );
    }
    if (node.type === 'CallNode') {
      this.call(node, scope, depth);
      return;
    }
    if (node.type === 'DefNode' || node.type === 'ClassNode') return;
    if (node.type === 'LocalVariableWriteNode' && scope.locals instanceof Map) {
      scope.locals.set(String(node.name), rubyValue(childOf(node, 'value'), this.file, scope));
    }
    for (const child of childrenOf(node)) this.run(child, scope, depth);
  }

  private call(node: RubyNode, scope: Scope, depth: number): void {
    const receiver = childOf(node, 'receiver');
    const block = childOf(node, 'block');
    const call = this.callOf(node, scope);
    const table = scope.tables?.get(String(receiver?.name ?? ''));
    if (receiver !== undefined && table !== undefined && isVariable(receiver)) {
      runInTable(this.context, table, call);
      return;
    }
    if (call.name === 'revert' || (call.name === 'down' && receiver !== undefined)) return;
    if (call.name === 'execute' || call.name === 'exec_query') {
      this.execute(call);
      return;
    }
    if (this.defineTable(call, block, scope, depth) || runOnTable(this.context, call)) return;
    const definition = receiver === undefined ? this.definitions.get(call.name) : undefined;
    if (definition !== undefined) {
      const locals = bound(listOf(childOf(definition, 'parameters'), 'requireds'), call.args);
      this.run(childOf(definition, 'body'), { ...scope, locals, tables: new Map() }, depth + 1);
      return;
    }
    if (this.iterate(node, scope, depth)) return;
    for (const child of childrenOf(node)) this.run(child, scope, depth);
  }

  private callOf(node: RubyNode, scope: Scope): RailsCall {
    const args = listOf(childOf(node, 'arguments'), 'arguments');
    const values = args.map((arg) => rubyValue(arg, this.file, scope));
    const last = values.at(-1);
    const isHash = last instanceof Map;
    return {
      name: String(node.name),
      args: isHash ? values.slice(0, -1) : values,
      options: isHash ? (last as RubyHash) : new Map(),
      node,
    };
  }

  /** create_table, change_table and create_join_table with their blocks. @returns false: it is another method */
  private defineTable(call: RailsCall, block: RubyNode | undefined, scope: Scope, depth: number): boolean {
    if (!['create_table', 'change_table', 'create_join_table'].includes(call.name)) return false;
    let table = textOf(call.args[0] ?? null);
    if (call.name === 'create_join_table') table = createJoinTable(this.context, call);
    else if (call.name === 'create_table') createTable(this.context, table, call);
    const [parameter] = parametersOf(block);
    const name = parameter === undefined ? 'it' : String(parameter.name);
    const tables = new Map([...(scope.tables ?? []), [name, table]]);
    this.run(childOf(block, 'body'), { ...scope, tables }, depth);
    return true;
  }

  /** The SQL of a string. A part that only the code knows is a placeholder in it. */
  private execute({ args: [sql], node }: RailsCall): void {
    if (typeof sql === 'string') this.context.emit(sql.trim().replace(/;$/, ''), node);
  }

  /** `%i[a b].each do |column| … end`. @returns false: the list is unknown, or it is no loop */
  private iterate(node: RubyNode, scope: Scope, depth: number): boolean {
    const block = childOf(node, 'block');
    if (!['each', 'each_pair', 'each_with_index', 'map'].includes(String(node.name)) || block === undefined)
      return false;
    const list = rubyValue(childOf(node, 'receiver'), this.file, scope);
    const items = list instanceof Map ? [...list].map(([key, value]) => [key, value]) : list;
    if (!Array.isArray(items)) return false;
    for (const item of items as RubyValue[]) {
      const parameters = parametersOf(block);
      const values = parameters.length > 1 && Array.isArray(item) ? item : [item];
      const locals = new Map([...scope.locals, ...bound(parameters, values)]);
      this.run(childOf(block, 'body'), { ...scope, locals }, depth);
    }
    return true;
  }
}

function isVariable({ type, name }: RubyNode): boolean {
  return (
    ['LocalVariableReadNode', 'ItLocalVariableReadNode'].includes(type) ||
    (type === 'CallNode' && name === 'it')
  );
}

function parametersOf(block: RubyNode | undefined): RubyNode[] {
  const parameters = childOf(childOf(block, 'parameters'), 'parameters');
  return Array.isArray(parameters?.requireds) ? parameters.requireds.filter(isNode) : [];
}

function bound(parameters: readonly RubyNode[], values: readonly RubyValue[]): Map<string, RubyValue> {
  return new Map(
    parameters.flatMap((parameter, at): [string, RubyValue][] => {
      const value = values[at];
      return value === undefined ? [] : [[String(parameter.name), value]];
    }),
  );
}
