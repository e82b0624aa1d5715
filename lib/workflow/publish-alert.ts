import { Duration } from 'aws-cdk-lib';
import type * as sns from 'aws-cdk-lib/aws-sns';
import { JitterType, JsonPath, TaskInput, Timeout } from 'aws-cdk-lib/aws-stepfunctions';
import { SnsPublish } from 'aws-cdk-lib/aws-stepfunctions-tasks';
import type { Construct } from 'constructs';

/** A state that publishes `$.alert`, an object with `subject` and `message`. */
export function publishAlert(scope: Construct, id: string, topic: sns.ITopic): SnsPublish {
  const publish = new SnsPublish(scope, id, {
    topic,
    subject: JsonPath.stringAt('$.alert.subject'),
    message: TaskInput.fromJsonPathAt('$.alert.message'),
    resultPath: JsonPath.DISCARD,
    taskTimeout: Timeout.duration(Duration.minutes(1)),
  });
  publish.addRetry({
    errors: [
      'SNS.InternalErrorException',
      'SNS.ThrottledException',
      'SNS.SdkClientException',
      'States.Timeout',
    ],
    interval: Duration.seconds(1),
    maxAttempts: 6,
    backoffRate: 2,
    jitterStrategy: JitterType.FULL,
  });
  return publish;
}
