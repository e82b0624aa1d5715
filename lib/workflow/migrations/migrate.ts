import { type IChainable, Pass } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { Migrations } from '../../config/migrations.ts';
import { MIGRATIONS } from '../state-names.ts';
import { runEcsTask } from './ecs-task.ts';
import { runFunction } from './function.ts';
import type { MigrateProps } from './run.ts';
import { runSqlFiles } from './sql-files.ts';

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
