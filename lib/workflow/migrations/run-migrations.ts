import { type IChainable, Pass } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { Migrations } from '../../config/migrations-config.ts';
import { MIGRATIONS } from '../state-names.ts';
import type { MigrateProps } from './migration-states.ts';
import { runEcsTask } from './run-ecs-task.ts';
import { runLambdaFunction } from './run-lambda-function.ts';
import { runSqlFiles } from './run-sql-files.ts';

/**
 * The part of the maintenance window that runs the migrations with the configured runner. Reads `$.deploy` and
 * `$.execution`, writes a WindowMigrations to `$.migrations.output`.
 * @returns the first state
 */
export function runMigrations(scope: Construct, migrations: Migrations, props: MigrateProps): IChainable {
  switch (migrations.runner) {
    case 'sql':
      return runSqlFiles(scope, migrations, props);
    case 'ecs-task':
      return runEcsTask(scope, migrations, props);
    case 'lambda':
      return runLambdaFunction(scope, migrations, props);
    case 'none':
      return new Pass(scope, MIGRATIONS.noneConfigured).next(props.next);
  }
}
