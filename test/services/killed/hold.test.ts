import { killInEachState } from './kill-in-each-state.ts';
import { HOLDS } from './scenarios/hold.ts';

killInEachState(HOLDS);
