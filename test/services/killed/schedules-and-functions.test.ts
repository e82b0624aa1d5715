import { killInEachState } from './kill-in-each-state.ts';
import { REFUSED_SCHEDULES, SCHEDULES_AND_FUNCTIONS } from './scenarios/schedules-and-functions.ts';

killInEachState([...SCHEDULES_AND_FUNCTIONS, ...REFUSED_SCHEDULES]);
