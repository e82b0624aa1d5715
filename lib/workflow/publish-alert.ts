import { Duration } from 'aws-cdk-lib';
import type * as sns from 'aws-cdk-lib/aws-sns';
import { JsonPath, TaskInput, Timeout } from 'aws-cdk-lib/aws-stepfunctions';
import { SnsPublish } from 'aws-cdk-lib/aws-stepfunctions-tasks';
import type { Construct } from 'constructs';
import { PUBLISH_RETRY } from './retry-and-catch.ts';

/** A state that publishes `$.alert`, an object with `subject` and `message`. */
export function publishAlert(scope: Construct, id: string, topic: sns.ITopic): SnsPublish {
  const publish = new SnsPublish(scope, id, {
    topic,
    subject: JsonPath.stringAt('$.alert.subject'),
    message: TaskInput.fromJsonPathAt('$.alert.message'),
    resultPath: JsonPath.DISCARD,
    taskTimeout: Timeout.duration(Duration.minutes(1)),
  });
  publish.addRetry(PUBLISH_RETRY);
  return publish;
}
