import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AUDIT_EXCEPTIONS, NODE_BINARIES, PRERELEASES } from './accepted.ts';
import { decideAudit, runAudit } from './audit.ts';
import { manifest, ROOT } from './lock-file.ts';
import { oldDependencies } from './old-packages.ts';
import { releasedVersions } from './prereleases.ts';

/*
 * The checks of the dependencies that need the registry, the clock or the installed files. All others are tests, in
 * test/dependencies. Each line begins with PASSED, FAILED, SKIPPED or NOTICE. Exit code 1: a check failed.
 */

type Verdict = 'PASSED' | 'FAILED' | 'SKIPPED' | 'NOTICE';

function report(verdict: Verdict, check: string, lines: readonly string[] = []): void {
  console.log(`${verdict}: ${check}`);
  for (const line of lines) console.log(`  ${line}`);
  if (verdict === 'FAILED') process.exitCode = 1;
}

function checkNodeBinary(): void {
  const platform = `${process.platform}-${process.arch} ${manifest().devDependencies.node}`;
  const expected = NODE_BINARIES[platform];
  if (expected === undefined) {
    report('SKIPPED', 'binary of the package node', [
      `dependencies/accepted.ts has no hash for ${platform}, so nobody knows whether this is the right binary.`,
    ]);
    return;
  }
  const file = join(ROOT, 'node_modules/node/bin/node');
  const actual = createHash('sha256').update(readFileSync(file)).digest('hex');
  if (actual === expected) report('PASSED', 'binary of the package node');
  else {
    report('FAILED', 'binary of the package node', [
      `${file} is not the recorded binary (${platform}).`,
      `recorded: ${expected}`,
      `found:    ${actual}`,
      'If you have not changed the version of node, do not use this folder: find out where the binary comes from.',
    ]);
  }
}

function nameOldPackages(today: string): void {
  for (const { name, date, reason } of oldDependencies(today)) {
    report('NOTICE', `${name} was released more than two years ago, on ${date}`, [
      reason ?? 'Look for a newer version, or write into dependencies/accepted.ts why there is none.',
    ]);
  }
}

async function nameReleasedVersions(): Promise<void> {
  for (const name of Object.keys(PRERELEASES)) {
    const found = await releasedVersions(name);
    if (found === null) {
      report('SKIPPED', `released versions of ${name}`, ['The registry did not answer.']);
    } else if (found.length > 0) {
      report('NOTICE', `${name} has released versions, so replace the beta: ${found.join(', ')}`);
    } else report('PASSED', `${name} has no released version yet`);
  }
}

async function audit(today: string): Promise<void> {
  const { status, lines } = decideAudit(await runAudit(), AUDIT_EXCEPTIONS, today);
  const verdicts = { passed: 'PASSED', failed: 'FAILED', skipped: 'SKIPPED' } as const;
  report(verdicts[status], 'npm audit of the packages that are installed with the product', lines);
}

const today = new Date().toISOString().slice(0, 10);
checkNodeBinary();
nameOldPackages(today);
await nameReleasedVersions();
await audit(today);
