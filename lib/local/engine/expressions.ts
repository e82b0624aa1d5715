import { TaskError, toError } from './errors.ts';
import { INTRINSIC_FUNCTIONS } from './intrinsics.ts';
import { type Data, type Expression, requiredPath } from './paths.ts';

/** Parses a path or a call of an intrinsic function. @throws Error as requiredPath and parseCall do */
export function parseExpression(written: string): Expression {
  return written.startsWith('$') ? requiredPath(written) : parseCall(written);
}

/** @throws StatesRuntime for a path without a value; TaskError States.IntrinsicFailure */
export function evaluate(written: string, data: Data): unknown {
  return parseExpression(written)(data);
}

/**
 * Fills in a template such as Parameters or ResultSelector: fields whose names end in .$ hold expressions.
 * @throws StatesRuntime for a path without a value; TaskError States.IntrinsicFailure
 */
export function fillTemplate(template: unknown, data: Data): unknown {
  if (Array.isArray(template)) return template.map((entry) => fillTemplate(entry, data));
  if (typeof template !== 'object' || template === null) return template;
  return Object.fromEntries(
    Object.entries(template).map(([key, value]: [string, unknown]) =>
      key.endsWith('.$') && typeof value === 'string'
        ? [key.slice(0, -2), evaluate(value, data)]
        : [key, fillTemplate(value, data)],
    ),
  );
}

/** One token of a call, with the spaces around it. The brackets of a path may contain commas, parentheses and quotes. */
const TOKEN =
  /\s*(?:(?<name>States\.\w+)\s*\(|'(?<quoted>(?:[^'\\]|\\.)*)'|(?<path>\$(?:[^,()[\]\s]|\[(?:[^[\]'"]|'[^']*'|"[^"]*")*\])*)|(?<literal>true|false|null|-?\d+(?:\.\d+)?)|(?<mark>[,)]))\s*/gsy;

/**
 * Parses a call of an intrinsic function, with the calls inside it. The result throws TaskError States.IntrinsicFailure.
 * @throws Error as parsePath does
 */
function parseCall(written: string): Expression {
  const tokens = [...written.matchAll(TOKEN)];
  const invalid = () => new Error(`has the expression ${written}, which is not valid.`);
  const isNext = (mark: string) => tokens[0]?.groups?.mark === mark && tokens.shift() !== undefined;

  function call(name: string): Expression {
    const run = INTRINSIC_FUNCTIONS[name];
    if (run === undefined) {
      const supported = Object.keys(INTRINSIC_FUNCTIONS).join(', ');
      throw new Error(`calls ${name}, which the local engine does not support. It supports ${supported}.`);
    }
    const args: Expression[] = [];
    while (!isNext(')')) {
      if (args.length > 0 && !isNext(',')) throw invalid();
      args.push(argument(name === 'States.Format' && args.length === 0));
    }
    return (data) => {
      const values = args.map((arg) => arg(data));
      try {
        return run(...values);
      } catch (error) {
        throw new TaskError('States.IntrinsicFailure', `${written}: ${toError(error).message}`);
      }
    };
  }

  function argument(isTemplate: boolean): Expression {
    const { name, quoted, path, literal } = tokens.shift()?.groups ?? {};
    if (name !== undefined) return call(name);
    if (path !== undefined) return requiredPath(path);
    if (quoted === undefined && literal === undefined) throw invalid();
    const unquoted = isTemplate ? partsOf(quoted ?? '') : quoted?.replace(/\\(.)/g, '$1');
    const value: unknown = literal === undefined ? unquoted : JSON.parse(literal);
    return () => value;
  }

  const isWhole = tokens.map(([token]) => token).join('') === written;
  if (!isWhole || tokens[0]?.groups?.name === undefined) throw invalid();
  const expression = argument(false);
  if (tokens.length > 0) throw invalid();
  return expression;
}

/** The text around each {} of a template. \{ \} \' and \\ stand for themselves. */
function partsOf(template: string): string[] {
  const parts = [''];
  for (const [token] of template.matchAll(/\\.|\{\}|./gs)) {
    if (token === '{}') parts.push('');
    else parts.push(`${parts.pop()}${token.length === 2 ? token[1] : token}`);
  }
  return parts;
}
