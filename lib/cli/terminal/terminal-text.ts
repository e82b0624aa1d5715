import { LinesError, messageOf } from '../../../lambdas/shared/errors.ts';
import { visible, visibleLines, withoutCommands } from '../../../lambdas/shared/visible-text.ts';
import { STYLE_CODES } from './styled-text.ts';

const OWN_COLOURS = new RegExp(`(${STYLE_CODES.map((code) => code.replace('[', '\\[')).join('|')})`);

/**
 * A text as a terminal or a CI log may receive it: every command writes through this function. Line ends and, if the stream
 * has colours, the colours of `paint` stay. Other control characters and invisible characters are shown as escapes, and
 * commands that a CI system would execute lose their meaning. Single values must have been made visible before, because
 * their line ends stay too.
 */
export function terminalText(text: string, colour = false): string {
  // With a capture group, every second part is a colour.
  const parts = colour ? text.split(OWN_COLOURS) : [text];
  // A colour can stand before the start of a line.
  return parts.map((part, at) => (at % 2 === 1 ? part : withoutCommands(visibleLines(part)))).join('');
}

/** The message of a thrown value for a terminal. Only a LinesError has several lines. */
export function errorText(error: unknown): string {
  const message = messageOf(error);
  return terminalText(error instanceof LinesError ? message : visible(message));
}

/**
 * From now on an error that nothing catches is printed with escapes. Node.js prints its message as it is. The exit code is 1,
 * as before.
 */
export function showUncaughtErrors(): void {
  process.on('uncaughtException', (error: unknown) => {
    const name = error instanceof Error ? `${visible(error.name)}: ` : '';
    process.stderr.write(`${name}${errorText(error)}${terminalText(placesOf(error))}\n`);
    process.exit(1);
  });
}

/** The places in the code at which an error was thrown, one in a line. They follow the message in the stack. */
function placesOf(error: unknown): string {
  // The user has to change a file of the project, which the message names.
  if (!(error instanceof Error) || error instanceof LinesError || error.stack === undefined) return '';
  const at = error.stack.indexOf(`: ${error.message}\n`);
  return at === -1 ? '' : error.stack.slice(at + `: ${error.message}`.length);
}
