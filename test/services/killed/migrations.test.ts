import { killInEachState } from './kill-in-each-state.ts';
import { MIGRATING } from './scenarios/builds-and-migrations.ts';

killInEachState(MIGRATING);
