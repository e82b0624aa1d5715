/*
 * What a long build costs in Lambda time: one index whose build is kept from its end by an open transaction, here for a
 * minute with a Build Index that waits 2 s (in AWS 60 s, for builds of half an hour and more).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { indexOn, measureBuilds, seconds, withServer } from './measure.ts';

const BUILD_SECONDS = Number(process.argv[2] ?? 60);

await withServer(
  'create table big as select n as a from generate_series(1, 100000) n; create table other ()',
  async (server) => {
    const old = new Client({ connectionString: server.url() });
    await old.connect();
    await old.query('begin isolation level repeatable read; select from other');
    const { buildMs, invocations } = await measureBuilds(
      server.url(),
      [indexOn('big', 1, 'a')],
      { waitSeconds: 2 },
      async () => {
        await sleep(BUILD_SECONDS * 1000);
        await old.end();
      },
    );
    const of = invocations.filter(({ function: name }) => /(build|check)-index$/.test(name));
    const lambdaMs = of.reduce((sum, { durationMs }) => sum + durationMs, 0);
    console.log(
      `build ${seconds(buildMs)}, Lambda ${seconds(lambdaMs)} in ${of.length} calls: ${((lambdaMs / buildMs) * 100).toFixed(0)} %`,
    );
  },
);
