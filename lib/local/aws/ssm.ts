import { z } from 'zod';
import { localArn } from '../local-arns.ts';
import { type Actions, action, serviceError } from './action.ts';
import type { AwsState, StateFile } from './state-file.ts';

const MAX_VALUE_CHARACTERS = 4096;
/** Parameter Store deletes older versions. */
const MOST_VERSIONS = 100;
/** Parameters in one result of GetParametersByPath. */
const MAX_PAGE = 10;
const SDK = 'arn:aws:states:::aws-sdk:ssm';

/** Parameter Store: puts, gets, lists and deletes standard parameters. */
export function ssmActions(file: StateFile): Actions {
  const { parameters } = file.state.ssm;
  const find = (name: string) => {
    const found = parameters[name];
    if (found === undefined) {
      throw serviceError('Ssm.ParameterNotFoundException', `Parameter ${name} not found.`);
    }
    return found;
  };

  return Object.fromEntries([
    action(
      `${SDK}:putParameter`,
      z.strictObject({
        Name: z.string().min(1).max(1011),
        Value: z.string().min(1),
        Type: z.enum(['String', 'StringList', 'SecureString']).optional(),
        Overwrite: z.boolean().default(false),
        Description: z.string().optional(),
      }),
      ({ Name, Value, Type, Overwrite }) => {
        const existing = parameters[Name];
        if (existing !== undefined && !Overwrite) {
          throw serviceError(
            'Ssm.ParameterAlreadyExistsException',
            'The parameter already exists. To overwrite this value, set the overwrite option in the request to true.',
          );
        }
        const type = Type ?? existing?.Type;
        if (type === undefined) {
          throw serviceError(
            'Ssm.ValidationException',
            'A parameter type is required when you create a parameter.',
          );
        }
        if (Value.length > MAX_VALUE_CHARACTERS) {
          throw serviceError(
            'Ssm.ValidationException',
            `Standard tier parameters support a maximum parameter value of ${MAX_VALUE_CHARACTERS} characters.`,
          );
        }
        const Version = (existing?.Version ?? 0) + 1;
        const earlier =
          existing === undefined
            ? []
            : [{ Version: existing.Version, Value: existing.Value }, ...(existing.earlier ?? [])];
        parameters[Name] = {
          ...{ Type: type, Value, Version, LastModifiedDate: new Date().toISOString() },
          earlier: earlier.slice(0, MOST_VERSIONS - 1),
        };
        file.save();
        return { Tier: 'Standard', Version };
      },
    ),
    action(
      `${SDK}:getParameter`,
      z.strictObject({ Name: z.string(), WithDecryption: z.boolean().optional() }),
      ({ Name: selected }) => {
        // NAME or NAME:VERSION. A name contains no colon.
        const [Name = '', version] = selected.split(':');
        const { earlier = [], ...latest } = find(Name);
        const wanted = version === undefined ? latest.Version : Number(version);
        const found = [latest, ...earlier].find(({ Version }) => Version === wanted);
        if (found === undefined) {
          throw serviceError(
            'Ssm.ParameterVersionNotFoundException',
            `Systems Manager could not find version ${version} of ${Name}. Verify the version and try again.`,
          );
        }
        return {
          Parameter: {
            ...described(Name, { ...latest, ...found }),
            ...(version !== undefined && { Selector: `:${version}` }),
          },
        };
      },
    ),
    action(
      `${SDK}:getParametersByPath`,
      z.strictObject({
        Path: z.string().startsWith('/'),
        Recursive: z.boolean().default(false),
        WithDecryption: z.boolean().optional(),
        MaxResults: z.int().min(1).max(MAX_PAGE).default(MAX_PAGE),
        NextToken: z.string().optional(),
      }),
      ({ Path, Recursive, MaxResults, NextToken }) => {
        const prefix = Path.endsWith('/') ? Path : `${Path}/`;
        const names = Object.keys(parameters)
          .filter((name) => name.startsWith(prefix))
          .filter((name) => Recursive || !name.slice(prefix.length).includes('/'))
          .toSorted();
        const from = NextToken === undefined ? 0 : names.findIndex((name) => name > NextToken);
        if (from === -1) return { Parameters: [] };
        const page = names.slice(from, from + MaxResults);
        const last = page.at(-1);
        return {
          Parameters: page.map((Name) => described(Name, find(Name))),
          ...(from + MaxResults < names.length && { NextToken: last }),
        };
      },
    ),
    action(`${SDK}:deleteParameter`, z.strictObject({ Name: z.string() }), ({ Name }) => {
      find(Name);
      delete parameters[Name];
      file.save();
      return {};
    }),
  ]);
}

function described(Name: string, stored: AwsState['ssm']['parameters'][string]) {
  const { earlier: _earlier, ...parameter } = stored;
  return {
    Arn: localArn('ssm', `parameter/${Name.replace(/^\//, '')}`),
    DataType: 'text',
    Name,
    ...parameter,
  };
}
