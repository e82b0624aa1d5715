import { killInEachState } from './kill-in-each-state.ts';
import { LOCKS } from './scenarios/lock.ts';

killInEachState(LOCKS);
