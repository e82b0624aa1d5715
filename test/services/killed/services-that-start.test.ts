import { killInEachState } from './kill-in-each-state.ts';
import { STARTING } from './scenarios/starting.ts';

killInEachState(STARTING);
