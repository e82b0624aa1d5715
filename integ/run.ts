import { spawn } from 'node:child_process';
import { parseArgs } from 'node:util';

/*
 * Runs the test on AWS: deploys the stacks, whose last one runs the assertions, and destroys all of them, also after a failure
 * or Ctrl-C. With --keep they are not destroyed. See docs/testing-on-aws.md.
 */

const { values } = parseArgs({ options: { keep: { type: 'boolean', default: false } } });

let interrupted = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    interrupted = true;
    console.error(
      'Interrupted. The stacks are destroyed now. To delete them yourself: see docs/testing-on-aws.md.',
    );
  });
}

function cdk(...args: string[]): Promise<number> {
  return new Promise((done) => {
    const child = spawn('cdk', args, { cwd: import.meta.dirname, stdio: 'inherit' });
    child.on('error', (error) => {
      console.error(`The command cdk did not start: ${error.message}. Use npm run integ, after npm ci.`);
      done(1);
    });
    child.on('close', (code) => done(code ?? 1));
  });
}

// Without a rollback the resources, their events and their logs can be read as they were when an assertion failed.
const deployed = await cdk('deploy', '--all', '--require-approval', 'never', '--no-rollback');
const passed = deployed === 0 && !interrupted;
console.log(passed ? 'All assertions are true.' : 'The test failed: the events above say which assertion.');

let destroyed = 0;
if (values.keep) {
  console.log('The stacks are kept, and cost money until you run: cd integ && npx cdk destroy --all --force');
} else {
  destroyed = await cdk('destroy', '--all', '--force');
  if (destroyed !== 0)
    console.error(
      'The stacks were not destroyed completely, and cost money. Run again: cd integ && npx cdk destroy --all --force',
    );
}
process.exitCode = passed && destroyed === 0 ? 0 : 1;
