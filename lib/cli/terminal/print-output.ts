import { writeStream } from '../../files/output-file.ts';
import { errorText } from './terminal-text.ts';

/**
 * Prints what a command is called for on standard output, for a program that reads it.
 * @param text contains no invisible characters, see terminal-text.ts
 * @param what what it is: "result", "report"
 * @returns false when it could not be written. The reason is on standard error
 */
export async function printOutput(what: string, text: string): Promise<boolean> {
  try {
    await writeStream(process.stdout, text);
    return true;
  } catch (error) {
    process.stderr.write(`The ${what} could not be written to standard output: ${errorText(error)}.\n`);
    return false;
  }
}
