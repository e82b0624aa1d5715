import { homedir } from 'node:os';
import path from 'node:path';

/** A file of the user: in the home folder, or on Windows in %APPDATA%\postgresql under its own name. */
export function userFile(
  variables: NodeJS.ProcessEnv,
  { name, onWindows }: { readonly name: string; readonly onWindows: string },
): string {
  const home = variables.HOME || homedir();
  return process.platform === 'win32'
    ? path.join(variables.APPDATA ?? home, 'postgresql', onWindows)
    : path.join(home, name);
}
