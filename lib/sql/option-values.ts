import type { Node } from 'libpg-query';

/** The options of a statement: `(verbose, concurrently false)`. */
type Options = readonly Node[] | undefined;

export function hasOption(options: Options, name: string): boolean {
  return optionsNamed(options, name).length > 0;
}

/**
 * The value of a boolean option as the server reads it: without a value it is true, and the last of several counts.
 * @param absent the value if the option is missing
 */
export function isEnabled(options: Options, name: string, absent: boolean): boolean {
  const option = optionsNamed(options, name).at(-1);
  if (option === undefined) return absent;
  const { arg } = option;
  if (arg === undefined) return true;
  if ('Boolean' in arg) return arg.Boolean.boolval === true;
  if ('Integer' in arg) return (arg.Integer.ival ?? 0) !== 0;
  return !('String' in arg) || isOn(arg.String.sval);
}

/** The text of an option. Undefined: the option is missing, or has no text. */
export function optionText(options: Options, name: string): string | undefined {
  const arg = optionsNamed(options, name).at(-1)?.arg;
  return arg !== undefined && 'String' in arg ? arg.String.sval : undefined;
}

/** Whether PostgreSQL reads a text as true. */
export function isOn(value: string | undefined): boolean {
  return ['on', 'true', 'tru', 'tr', 't', 'yes', 'ye', 'y', '1'].includes((value ?? '').toLowerCase());
}

function optionsNamed(options: Options, name: string) {
  return (options ?? []).flatMap((option) =>
    'DefElem' in option && option.DefElem.defname === name ? [option.DefElem] : [],
  );
}
