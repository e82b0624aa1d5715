import { type IChainable, Pass } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { Migrations } from '../../config/migrations-config.ts';
import { MIGRATIONS } from '../state-names.ts';
import type { MigrateProps } from './migration-states.ts';
import { runEcsTask } from './run-ecs-task.ts';
import { runFunction } from './run-lambda-function.ts';
import { runSqlFiles } from './run-sql-files.ts';

/**
 * The part of the maintenance window that migrates, by the configured runner. Reads `$.deploy` and `$.execution`; leaves a
 * WindowMigrations in `$.migrations.output`. @returns its first state
 */
export function migrate(scope: Construct, migrations: Migrations, props: MigrateProps): IChainable {
  switch (migrations.runner) {
    case 'sql':
      return runSqlFiles(scope, props);
    case 'ecs-task':
      return runEcsTask(scope, migrations, props);
    case 'lambda':
      return runFunction(scope, migrations, props);
    case 'none':
      return new Pass(scope, MIGRATIONS.noneConfigured).next(props.next);
  }
}
