import { ExpectedResult, type IApiCall, type IDeployAssert, Match } from '@aws-cdk/integ-tests-alpha';
import { ArnFormat, Duration, type Stack } from 'aws-cdk-lib';
import { machineNamesOf } from 'pg-deploy-step';
import { FIRST_REPORT, SECOND_REPORT } from './expected-reports.ts';
import { CLUSTER, SERVICE, TASKS } from './slow-service.ts';

/** A call of AWS's API whose result is asserted. */
interface Call {
  service: string;
  api: string;
  parameters: Record<string, unknown>;
}

/** Of one execution. Its deploy has deadlines of its own, which are shorter. */
const LONGEST_DEPLOY = { totalTimeout: Duration.minutes(50), interval: Duration.seconds(30) };
/** For what is true already, but perhaps not yet for the next reader. */
const SOON = { totalTimeout: Duration.minutes(2), interval: Duration.seconds(10) };
const ENDED = '^(SUCCEEDED|FAILED|TIMED_OUT|ABORTED)$';

/**
 * Runs the workflow twice and asserts, in this order:
 * 1. the first deploy succeeds, and its report says what it did;
 * 2. the service has all its tasks again, its scaling is not suspended, and nothing is saved;
 * 3. the second deploy succeeds, and stops nothing.
 * Each call waits for the one before it. Each assertion waits for its result: others do not fail the deployment of the stack.
 * @param stack the deploy step
 * @param name of its environment
 */
export function addAssertions(assert: IDeployAssert, stack: Stack, name: string): void {
  let last: IApiCall | undefined;
  const call = ({ service: api, api: action, parameters }: Call): IApiCall => {
    const made = assert.awsApiCall(api, action, parameters);
    last = last === undefined ? made : last.next(made);
    return made;
  };
  const isTrue = (what: Call, expected: Record<string, unknown>) =>
    call(what).expect(ExpectedResult.objectLike(expected)).waitForAssertions(SOON);

  const machines = machineNamesOf(name);
  const machineArn = (resourceName: string) =>
    stack.formatArn({
      ...{ service: 'states', resource: 'stateMachine', resourceName },
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
  const run = (report: Readonly<Record<string, string | number>>) => {
    const execution = call({
      service: 'StepFunctions',
      api: 'startExecution',
      parameters: { stateMachineArn: machineArn(machines.deploy), input: '{}' },
    });
    const described = {
      service: 'StepFunctions',
      api: 'describeExecution',
      parameters: { executionArn: execution.getAttString('executionArn') },
    };
    // The end first, whatever it is, so that a failed deploy does not use up the time.
    call(described)
      .assertAtPath('status', ExpectedResult.stringLikeRegexp(ENDED))
      .waitForAssertions(LONGEST_DEPLOY);
    call(described).assertAtPath('status', exactly('SUCCEEDED')).waitForAssertions(SOON);
    for (const [path, value] of Object.entries(report)) {
      call(described).assertAtPath(`output.${path}`, exactly(value)).waitForAssertions(SOON);
    }
  };
  /** One window is open during the first deploy. The second deploy opens none. */
  const hadOneWindow = () =>
    isTrue(
      {
        service: 'StepFunctions',
        api: 'listExecutions',
        parameters: { stateMachineArn: machineArn(machines.maintenanceWindow) },
      },
      { executions: [{ status: 'SUCCEEDED' }] },
    );

  run(FIRST_REPORT);
  hadOneWindow();
  for (const count of ['desiredCount', 'runningCount']) {
    call({
      service: 'ECS',
      api: 'describeServices',
      parameters: { cluster: CLUSTER, services: [SERVICE] },
    })
      .assertAtPath(`services.0.${count}`, exactly(TASKS))
      .waitForAssertions(SOON);
  }
  isTrue(
    {
      service: 'ECS',
      api: 'listTasks',
      parameters: { cluster: CLUSTER, serviceName: SERVICE },
    },
    { taskArns: Array.from({ length: TASKS }, () => Match.stringLikeRegexp('^arn:')) },
  );
  isTrue(
    {
      service: 'ApplicationAutoScaling',
      api: 'describeScalableTargets',
      parameters: {
        ServiceNamespace: 'ecs',
        ResourceIds: [`service/${CLUSTER}/${SERVICE}`],
      },
    },
    { ScalableTargets: [{ MinCapacity: TASKS, SuspendedState: NOT_SUSPENDED }] },
  );
  isTrue(
    {
      service: 'SSM',
      api: 'getParametersByPath',
      parameters: { Path: `/pg-deploy-step/${name}/services` },
    },
    { Parameters: [] },
  );
  isTrue(
    {
      service: 'EventBridge',
      api: 'describeRule',
      parameters: { Name: `pg-deploy-step-${name}-reconcile` },
    },
    { State: 'DISABLED' },
  );
  run(SECOND_REPORT);
  hadOneWindow();
}

/** `ExpectedResult.exact` writes a form that the function of the package does not know, so that nothing is equal to it. */
function exactly(value: string | number): ExpectedResult {
  return { result: JSON.stringify(value) };
}

const NOT_SUSPENDED = {
  DynamicScalingInSuspended: false,
  DynamicScalingOutSuspended: false,
  ScheduledScalingSuspended: false,
};
