import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { type Actions, action, serviceError } from './action.ts';
import type { StateFile } from './state-file.ts';

const MAX_MESSAGE_BYTES = 262_144;

/** SNS: publishes messages. They are stored in the state file, where you and the tests can read them. */
export function snsActions(file: StateFile, topicArns: readonly string[]): Actions {
  return Object.fromEntries([
    action(
      'arn:aws:states:::sns:publish',
      z.strictObject({
        TopicArn: z.string(),
        // Step Functions converts an object to JSON text.
        Message: z.union([z.string(), z.record(z.string(), z.unknown())]),
        Subject: z.string().optional(),
        MessageAttributes: z.record(z.string(), z.unknown()).optional(),
      }),
      ({ TopicArn, Message, Subject }) => {
        if (!topicArns.includes(TopicArn)) {
          throw serviceError('SNS.NotFoundException', `Topic does not exist: ${TopicArn}`);
        }
        const text = typeof Message === 'string' ? Message : JSON.stringify(Message);
        if (text === '') throw invalid('Message', 'Empty message');
        if (Buffer.byteLength(text) > MAX_MESSAGE_BYTES) throw invalid('Message', 'Message too long');
        if (Subject !== undefined) checkSubject(Subject);
        const MessageId = randomUUID();
        file.state.sns.messages.push({
          MessageId,
          TopicArn,
          ...(Subject === undefined ? {} : { Subject }),
          Message: text,
          publishedAt: new Date().toISOString(),
        });
        file.save();
        return {
          MessageId,
          SdkHttpMetadata: { HttpStatusCode: 200 },
          SdkResponseMetadata: { RequestId: randomUUID() },
        };
      },
    ),
  ]);
}

/** A subject is ASCII text of less than 100 characters. It does not start with a space and has no control characters. */
function checkSubject(subject: string): void {
  if (!/^[\x21-\x7e][\x20-\x7e]{0,98}$/.test(subject)) throw invalid('Subject', `"${subject}"`);
}

function invalid(field: string, why: string) {
  return serviceError('SNS.InvalidParameterException', `Invalid parameter: ${field} Reason: ${why}`);
}
