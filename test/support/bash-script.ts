import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** A folder in which scripts of pipelines run, with programs that answer in place of those of AWS. */
export interface ScriptFolder {
  /** The path of a file in the folder. */
  file(name: string): string;
  write(name: string, text: string): void;
  /** The text of a file. Empty: it does not exist. */
  read(name: string): string;
  /** A program on PATH: a script for bash. */
  program(name: string, script: string): void;
  /** Runs a script as CI systems do, with these variables and no others. */
  run(script: string, variables?: Readonly<Record<string, string>>): Promise<EndedScript>;
  remove(): void;
}

export interface EndedScript {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function createScriptFolder(): ScriptFolder {
  const folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-script-'));
  const programs = join(folder, 'programs');
  mkdirSync(programs);
  const file = (name: string) => join(folder, name);
  return {
    file,
    write: (name, text) => writeFileSync(file(name), text),
    read: (name) => (existsSync(file(name)) ? readFileSync(file(name), 'utf8') : ''),
    program: (name, script) =>
      writeFileSync(join(programs, name), `#!/usr/bin/env bash\nset -euo pipefail\n${script}\n`, {
        mode: 0o700,
      }),
    run: (script, variables = {}) => {
      writeFileSync(file('script.sh'), script);
      return runBash(file('script.sh'), {
        // Node.js of this process, and the tools of the system.
        PATH: [programs, dirname(process.execPath), '/usr/bin', '/bin'].join(':'),
        FOLDER: folder,
        ...variables,
      });
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** The lines that a program has written to a file. */
export function linesOf(file: string): string[] {
  return readFileSync(file, 'utf8').split('\n').slice(0, -1);
}

/** GitHub runs a step with these options, except -u. */
function runBash(script: string, env: Readonly<Record<string, string>>): Promise<EndedScript> {
  return new Promise((done, fail) => {
    const child = spawn('bash', ['--noprofile', '--norc', '-euo', 'pipefail', script], {
      env,
      cwd: dirname(script),
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (data) => {
      stdout += data;
    });
    child.stderr.on('data', (data) => {
      stderr += data;
    });
    child.on('error', fail);
    child.on('close', (exitCode) => done({ exitCode, stdout, stderr }));
  });
}
