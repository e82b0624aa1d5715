import { killInEachState } from './kill-in-each-state.ts';
import { STOPPING } from './scenarios/stopping.ts';

killInEachState(STOPPING);
