import { killInEachState } from './kill-in-each-state.ts';
import { REFUSED } from './scenarios/stopping.ts';

killInEachState(REFUSED);
