import { RemovalPolicy, Stack } from 'aws-cdk-lib';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as sns from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { Construct } from 'constructs';

export interface AlertTopicProps {
  topicName: string;
  /** Addresses to subscribe. Each recipient has to confirm the subscription. */
  emails: readonly string[];
  /** An existing topic that receives the alerts. @default a new topic */
  topic?: sns.ITopic | undefined;
  /** The customer-managed key of the topic, also of an existing one. @default see `alarms` */
  key?: kms.IKey | undefined;
  /**
   * Whether CloudWatch alarms publish to the topic. They cannot use the key of SNS, so the topic gets a key of its own, unless
   * there is one.
   */
  alarms: boolean;
  /** Whether topic and key remain when the stack is deleted. */
  retain: boolean;
}

/** The SNS topic for alerts about failed deploys and failed indexes: encrypted at rest, accepts TLS only. */
export class AlertTopic extends Construct {
  readonly topic: sns.ITopic;
  #keyArn: string | undefined;

  constructor(scope: Construct, id: string, props: AlertTopicProps) {
    super(scope, id);
    const { topicName, emails, topic: existing, key, retain } = props;
    this.#keyArn = key?.keyArn;
    if (existing !== undefined) {
      this.topic = existing;
      return;
    }
    const topic = new sns.Topic(this, 'Topic', {
      topicName,
      displayName: 'pg-deploy-step',
      masterKey: this.#keyOf(props),
      enforceSSL: true,
    });
    if (retain) topic.applyRemovalPolicy(RemovalPolicy.RETAIN);
    for (const email of emails) topic.addSubscription(new EmailSubscription(email));
    if (props.alarms) topic.addToResourcePolicy(alarmsMayPublish(topic));
    this.topic = topic;
  }

  /** What a role needs, beside the right to publish, to use a customer-managed key. Null: the topic has none. */
  mayUseKey(): PolicyStatement | null {
    if (this.#keyArn === undefined) return null;
    return new PolicyStatement({
      actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
      resources: [this.#keyArn],
      conditions: { StringEquals: { 'kms:ViaService': `sns.${Stack.of(this).region}.amazonaws.com` } },
    });
  }

  #keyOf({ key: given, alarms, retain, topicName }: AlertTopicProps): kms.IKey {
    if (given !== undefined) return given;
    // Everyone who may publish to the topic may use the key of SNS, so no key policy has to match the topic policy.
    if (!alarms) return kms.Alias.fromAliasName(this, 'Key', 'alias/aws/sns');
    const key = new kms.Key(this, 'OwnKey', {
      description: `Encrypts the alerts of the topic ${topicName}`,
      enableKeyRotation: true,
      removalPolicy: retain ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    });
    this.#keyArn = key.keyArn;
    key.addToResourcePolicy(
      new PolicyStatement({
        sid: 'AlarmsPublish',
        principals: [new ServicePrincipal('cloudwatch.amazonaws.com')],
        actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
        resources: ['*'],
        conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(this).account } },
      }),
    );
    return key;
  }
}

/** The policy of a topic replaces the default one, which allows the account of the owner. */
function alarmsMayPublish(topic: sns.Topic): PolicyStatement {
  const { account } = Stack.of(topic);
  return new PolicyStatement({
    sid: 'AlarmsPublish',
    principals: [new ServicePrincipal('cloudwatch.amazonaws.com')],
    actions: ['sns:Publish'],
    resources: [topic.topicArn],
    conditions: { StringEquals: { 'aws:SourceAccount': account } },
  });
}
