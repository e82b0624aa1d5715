/*
 * Measures the Lambda time of a long build. An open transaction delays the end of one build, for as many seconds as the
 * first argument says (default: 60). Build Index waits 2 s for its statement here. In AWS it waits 60 s, and builds can
 * take more than half an hour.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { indexOn, measureBuilds, seconds, withServer } from './measure.ts';

const BUILD_SECONDS = Number(process.argv[2] ?? 60);

await withServer(
  'create table big as select n as a from generate_series(1, 100000) n; create table other ()',
  async (server) => {
    const oldTransaction = new Client({ connectionString: server.url() });
    await oldTransaction.connect();
    await oldTransaction.query('begin isolation level repeatable read; select from other');
    const { buildMs, invocations } = await measureBuilds(
      server.url(),
      [indexOn('big', 1, 'a')],
      { waitSeconds: 2 },
      async () => {
        await sleep(BUILD_SECONDS * 1000);
        await oldTransaction.end();
      },
    );
    const buildCalls = invocations.filter(({ function: name }) => /(build|check)-index$/.test(name));
    const lambdaMs = buildCalls.reduce((sum, { durationMs }) => sum + durationMs, 0);
    console.log(
      `build ${seconds(buildMs)}, Lambda ${seconds(lambdaMs)} in ${buildCalls.length} calls (${((lambdaMs / buildMs) * 100).toFixed(0)} %)`,
    );
  },
);
