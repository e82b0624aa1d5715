import type { Migrations } from '../../support/migration-files.ts';

/** Each migration leaves one row in `marks`, so that a migration that ran twice, or was recorded without running, shows. */
export const MIGRATIONS: Migrations = {
  '0001_marks': `
    create table marks (id bigint generated always as identity primary key, label text not null, migration text not null);
    insert into marks (label, migration) select 'label ' || n, '' from generate_series(1, 500) n;
    insert into marks (label, migration) values ('done', '0001_marks');`,
  '0002_items_added': `
    alter table items add column added_by_migration int;
    update items set added_by_migration = id % 100;
    insert into marks (label, migration) values ('done', '0002_items_added');`,
  '0003_accounts_touched': `
    alter table accounts add column touched int not null default 0;
    update accounts set touched = touched + 1;
    insert into marks (label, migration) values ('done', '0003_accounts_touched');`,
};
