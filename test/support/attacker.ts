import { connect, type TestDatabase } from './database.ts';

/** A weaker role with functions that leave a trace when they run. The traces survive a rollback. */
export interface Attacker {
  /** The role: it may log in, and is not a superuser. */
  readonly role: string;
  /** Connection string of the attacker. */
  readonly url: string;
  /** Runs statements as the attacker. */
  run(sql: string): Promise<void>;
  /** As whom its code has run so far. `other` is every role but the attacker itself, also one that its code could change to. */
  traces(): Promise<{ attacker: boolean; other: boolean }>;
}

/**
 * Creates a weaker role in a test database, with the schema `trap` and these functions in it: `spring(text) returns text` and
 * `holds(text) returns boolean`, both immutable, and `fire() returns trigger`. The test drops the role after the database.
 * @param database connected as a superuser
 */
export async function createAttacker(database: TestDatabase): Promise<Attacker> {
  const role = `app_${database.name}`;
  await database.query(
    `create role ${role} login password 'app';
     grant create, temporary on database ${database.name} to ${role}; grant create, usage on schema public to ${role};
     create schema trap authorization ${role}; grant usage on schema trap to public`,
  );
  const url = new URL(database.url);
  url.username = role;
  url.password = 'app';
  // A session of its own: in one of a superuser its code could change back to that role.
  const run = async (sql: string) => {
    const client = await connect(url.href);
    try {
      await client.query(sql);
    } finally {
      await client.end();
    }
  };
  // nextval is not rolled back.
  await run(
    `create sequence trap.as_attacker; create sequence trap.as_other;
     grant all on all sequences in schema trap to public;
     create function trap.record() returns void language plpgsql as $$
       begin
         if current_user = '${role}' then perform pg_catalog.nextval('trap.as_attacker');
         else perform pg_catalog.nextval('trap.as_other'); end if;
       end $$;
     create function trap.act() returns void language plpgsql as $$
       begin
         perform trap.record();
         begin perform pg_catalog.set_config('role', 'none', false); exception when others then null; end;
         perform trap.record();
         begin perform pg_catalog.set_config('session_authorization', 'default', false); exception when others then null; end;
         begin execute 'reset session authorization'; exception when others then null; end;
         perform trap.record();
         -- Later statements of the session would find these functions first.
         begin perform pg_catalog.set_config('search_path', 'trap, pg_catalog', false); exception when others then null; end;
       end $$;
     create function trap.spring(text) returns text language plpgsql immutable as
       $$ begin perform trap.act(); return $1; end $$;
     create function trap.holds(text) returns boolean language plpgsql immutable as
       $$ begin perform trap.act(); return true; end $$;
     create function trap.pg_get_indexdef(oid) returns text language plpgsql as
       $$ begin perform trap.record(); return pg_catalog.pg_get_indexdef($1); end $$;
     create function trap.quote_ident(text) returns text language plpgsql as
       $$ begin perform trap.record(); return pg_catalog.quote_ident($1); end $$;
     create function trap.fire() returns trigger language plpgsql as
       $$ begin perform trap.act(); return new; end $$`,
  );
  return {
    ...{ role, url: url.href, run },
    async traces() {
      const [row] = await database.query<{ attacker: boolean; other: boolean }>(
        'select a.is_called as attacker, o.is_called as other from trap.as_attacker a, trap.as_other o',
      );
      return row ?? { attacker: false, other: false };
    },
  };
}
